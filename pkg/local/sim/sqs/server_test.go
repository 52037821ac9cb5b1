package sqs

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
)

// inProcess carries the SDK's requests to the handler without a network, so that
// hours pass in no time inside a synctest bubble.
type inProcess struct{ http.Handler }

func (p inProcess) Do(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	r.Host = r.URL.Host // as it is on the wire
	p.ServeHTTP(w, r)
	return w.Result(), r.Context().Err()
}

type rig struct {
	*Server
	*sqs.Client
	url, dead *string
}

func start(t *testing.T, change func(*QueueConfig)) *rig {
	t.Helper()
	s := New(time.Now)
	s.SetBase("http://127.0.0.1:9324")
	main := QueueConfig{Name: "out", DeadLetter: "out-dead", MaxReceiveCount: 2}
	if change != nil {
		change(&main)
	}
	for _, q := range []QueueConfig{{Name: "out-dead", Retention: maxRetention}, main} {
		if err := s.AddQueue(q); err != nil {
			t.Fatal(err)
		}
	}
	return &rig{s, client(s), aws.String(s.URL("out")), aws.String(s.URL("out-dead"))}
}

func client(s *Server) *sqs.Client {
	return sqs.New(sqs.Options{
		Region: region, BaseEndpoint: aws.String("http://127.0.0.1:9324"), HTTPClient: inProcess{s},
		Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""),
	})
}

func (r *rig) put(t *testing.T, body string, delay int32) string {
	t.Helper()
	out, err := r.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: r.url, MessageBody: &body, DelaySeconds: delay})
	if err != nil {
		t.Fatal(err)
	}
	return *out.MessageId
}

func (r *rig) get(t *testing.T, url *string, wait int32) []types.Message {
	t.Helper()
	out, err := r.Client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{
		QueueUrl: url, MaxNumberOfMessages: 10, WaitTimeSeconds: wait, MessageAttributeNames: []string{"All"},
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.Messages
}

func TestAMessageIsReceivedDelayedHiddenCountedAndDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, began := start(t, nil), time.Now()
		id := r.put(t, "hé", 10)
		if got := r.get(t, r.url, 0); len(got) != 0 || r.Depth("out") != (Depth{Delayed: 1}) {
			t.Fatalf("%v %+v", got, r.Depth("out"))
		}
		got := r.get(t, r.url, 20)
		if len(got) != 1 || *got[0].MessageId != id || *got[0].Body != "hé" || time.Since(began) != 10*time.Second {
			t.Fatalf("%v after %s", got, time.Since(began))
		}
		first := got[0].Attributes
		if first["ApproximateReceiveCount"] != "1" || first["SentTimestamp"] != millis(began) || first["SenderId"] == "" || first["ApproximateFirstReceiveTimestamp"] != millis(began.Add(10*time.Second)) {
			t.Errorf("%v", first)
		}
		if r.Depth("out") != (Depth{InFlight: 1}) {
			t.Errorf("%+v", r.Depth("out"))
		}
		again := r.get(t, r.url, 20)
		if len(again) != 0 { // 20 s of waiting end before 30 s of visibility do
			t.Fatalf("%v", again)
		}
		again = r.get(t, r.url, 20)
		if len(again) != 1 || time.Since(began) != 40*time.Second {
			t.Fatalf("%v after %s", again, time.Since(began))
		}
		second := again[0].Attributes
		if second["ApproximateReceiveCount"] != "2" || second["SentTimestamp"] != first["SentTimestamp"] || second["ApproximateFirstReceiveTimestamp"] != first["ApproximateFirstReceiveTimestamp"] {
			t.Errorf("%v", second)
		}
		for _, handle := range []*string{got[0].ReceiptHandle, again[0].ReceiptHandle} {
			before := r.Depth("out").InFlight
			if _, err := r.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: r.url, ReceiptHandle: handle}); err != nil {
				t.Fatal(err)
			}
			if gone := before - r.Depth("out").InFlight; gone != map[bool]int{true: 1}[handle == again[0].ReceiptHandle] {
				t.Errorf("%d deleted by %s", gone, *handle)
			}
		}
		if !r.Idle("out") {
			t.Errorf("%+v", r.Depth("out"))
		}
	})
}

func TestVisibilityIsChangedUpToTwelveHours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, func(c *QueueConfig) { c.MaxReceiveCount = 1000 })
		r.put(t, "x", 0)
		change := func(m types.Message, seconds int32) error {
			_, err := r.ChangeMessageVisibility(t.Context(), &sqs.ChangeMessageVisibilityInput{QueueUrl: r.url, ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: seconds})
			return err
		}
		m := r.get(t, r.url, 0)[0]
		if err := change(m, 3600); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour - time.Second)
		if got := r.get(t, r.url, 0); len(got) != 0 {
			t.Fatal("visible too early")
		}
		if err := change(m, 43_200-3600+2); err == nil || code(err) != "InvalidParameterValue" {
			t.Errorf("more than twelve hours: %v", err)
		}
		if err := change(m, 0); err != nil {
			t.Fatal(err)
		}
		var notInFlight *types.MessageNotInflight
		if err := change(m, 5); !errors.As(err, &notInFlight) {
			t.Errorf("given back: %v", err)
		}
		next := r.get(t, r.url, 0)
		if len(next) != 1 || next[0].Attributes["ApproximateReceiveCount"] != "2" {
			t.Fatalf("%v", next)
		}
		if err := change(m, 5); !errors.As(err, &notInFlight) {
			t.Errorf("an old handle: %v", err)
		}
	})
}

func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

func TestWhatWasReceivedTooOftenBecomesADeadLetterAndComesBackNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, nil)
		id := r.put(t, "poison", 0)
		for range 2 {
			if got := r.get(t, r.url, 0); len(got) != 1 {
				t.Fatal("not received")
			}
			time.Sleep(30 * time.Second)
		}
		if got := r.get(t, r.url, 0); len(got) != 0 {
			t.Fatalf("%v", got)
		}
		dead := r.get(t, r.dead, 0)
		if len(dead) != 1 || *dead[0].MessageId != id || dead[0].Attributes["DeadLetterQueueSourceArn"] != ARN("out") || dead[0].Attributes["ApproximateReceiveCount"] != "3" {
			t.Fatalf("%v", dead)
		}
		time.Sleep(30 * time.Second)
		if _, err := r.StartMessageMoveTask(t.Context(), &sqs.StartMessageMoveTaskInput{SourceArn: aws.String(ARN("out-dead"))}); err != nil {
			t.Fatal(err)
		}
		back := r.get(t, r.url, 0)
		if len(back) != 1 || *back[0].MessageId == id || *back[0].Body != "poison" || back[0].Attributes["ApproximateReceiveCount"] != "1" || !r.Idle("out-dead") {
			t.Errorf("%v", back)
		}
		if _, err := r.StartMessageMoveTask(t.Context(), &sqs.StartMessageMoveTaskInput{SourceArn: aws.String(ARN("out"))}); code(err) != "InvalidParameterValue" {
			t.Errorf("from a queue that is no dead-letter queue: %v", err)
		}
		var none *types.ResourceNotFoundException
		if _, err := r.StartMessageMoveTask(t.Context(), &sqs.StartMessageMoveTaskInput{SourceArn: aws.String(ARN("none"))}); !errors.As(err, &none) {
			t.Errorf("from nowhere: %v", err)
		}
	})
}

func TestMessagesEndWithTheirRetention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, func(c *QueueConfig) { c.Retention = time.Hour })
		r.put(t, "x", 0)
		time.Sleep(time.Hour - time.Nanosecond)
		if r.Idle("out") {
			t.Error("gone too early")
		}
		time.Sleep(time.Nanosecond)
		if !r.Idle("out") || len(r.get(t, r.url, 0)) != 0 {
			t.Errorf("%+v", r.Depth("out"))
		}
	})
}

func TestALongPollEndsWithTheMessageOrTheCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, began := start(t, nil), time.Now()
		go func() {
			time.Sleep(7 * time.Second)
			r.put(t, "x", 0)
		}()
		if got := r.get(t, r.url, 20); len(got) != 1 || time.Since(began) != 7*time.Second {
			t.Errorf("%v after %s", got, time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := r.Client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: r.url, WaitTimeSeconds: 20})
		if err == nil || time.Since(began) != 8*time.Second {
			t.Errorf("%v after %s", err, time.Since(began))
		}
	})
}

func TestBatchesSucceedAndFailEntryByEntry(t *testing.T) {
	r := start(t, nil)
	entry := func(id, body string) types.SendMessageBatchRequestEntry {
		return types.SendMessageBatchRequestEntry{Id: &id, MessageBody: &body}
	}
	send := func(entries ...types.SendMessageBatchRequestEntry) (*sqs.SendMessageBatchOutput, error) {
		return r.SendMessageBatch(t.Context(), &sqs.SendMessageBatchInput{QueueUrl: r.url, Entries: entries})
	}
	out, err := send(entry("a", "1"), entry("b", "\x01"), entry("c", "3"))
	if err != nil || len(out.Successful) != 2 || len(out.Failed) != 1 || *out.Failed[0].Id != "b" || *out.Failed[0].Code != "InvalidMessageContents" || !out.Failed[0].SenderFault {
		t.Fatalf("%+v %v", out, err)
	}
	half := strings.Repeat("x", maxMessageBytes/2)
	for want, entries := range map[string][]types.SendMessageBatchRequestEntry{
		"EmptyBatchRequest":            {},
		"TooManyEntriesInBatchRequest": {entry("1", "x"), entry("2", "x"), entry("3", "x"), entry("4", "x"), entry("5", "x"), entry("6", "x"), entry("7", "x"), entry("8", "x"), entry("9", "x"), entry("10", "x"), entry("11", "x")},
		"BatchEntryIdsNotDistinct":     {entry("a", "x"), entry("a", "x")},
		"InvalidBatchEntryId":          {entry("a b", "x")},
		"BatchRequestTooLong":          {entry("a", half), entry("b", half+"x")},
	} {
		if _, err := send(entries...); !strings.HasSuffix(code(err), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	if out, err := send(entry("a", half), entry("b", half)); err != nil || len(out.Successful) != 2 {
		t.Errorf("1 MiB in all: %v", err)
	}
	got := r.get(t, r.url, 0)
	if len(got) != 4 {
		t.Fatalf("%d received", len(got))
	}
	changed, err := r.ChangeMessageVisibilityBatch(t.Context(), &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: r.url, Entries: []types.ChangeMessageVisibilityBatchRequestEntry{
		{Id: aws.String("a"), ReceiptHandle: got[0].ReceiptHandle, VisibilityTimeout: 0}, {Id: aws.String("b"), ReceiptHandle: aws.String("nonsense"), VisibilityTimeout: 0},
	}})
	if err != nil || len(changed.Successful) != 1 || len(changed.Failed) != 1 || *changed.Failed[0].Code != "ReceiptHandleIsInvalid" {
		t.Errorf("%+v %v", changed, err)
	}
	var entries []types.DeleteMessageBatchRequestEntry
	for i, m := range got {
		entries = append(entries, types.DeleteMessageBatchRequestEntry{Id: aws.String(string(rune('a' + i))), ReceiptHandle: m.ReceiptHandle})
	}
	if out, err := r.DeleteMessageBatch(t.Context(), &sqs.DeleteMessageBatchInput{QueueUrl: r.url, Entries: entries}); err != nil || len(out.Successful) != 4 || !r.Idle("out") {
		t.Errorf("%+v %v", out, err)
	}
}

func TestSendsAreBoundedAsInAWS(t *testing.T) {
	r := start(t, nil)
	for _, c := range []struct {
		body  string
		delay int32
		want  string
	}{
		{strings.Repeat("x", maxMessageBytes), 900, ""},
		{strings.Repeat("x", maxMessageBytes+1), 0, "InvalidParameterValue"},
		{"x", 901, "InvalidParameterValue"},
		{"", 0, "MissingParameter"},
		{"\x00", 0, "InvalidMessageContents"},
	} {
		_, err := r.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: r.url, MessageBody: &c.body, DelaySeconds: c.delay})
		if code(err) != c.want {
			t.Errorf("%.5q of %d bytes, delay %d: %v, want %q", c.body, len(c.body), c.delay, err, c.want)
		}
	}
	var none *types.QueueDoesNotExist
	if _, err := r.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: aws.String(r.URL("none")), MessageBody: aws.String("x")}); !errors.As(err, &none) {
		t.Errorf("%v", err)
	}
}

func TestAttributesKeepTheirDigest(t *testing.T) {
	// A digest known from another implementation.
	if got := md5Attributes(map[string]attribute{"timestamp": {DataType: "Number.java.lang.Long", StringValue: aws.String("1493147359900")}}); got != "2e2e4876d8e0bd6b8c2c8f556831c349" {
		t.Errorf("digest %s", got)
	}
	r := start(t, nil)
	out, err := r.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: r.url, MessageBody: aws.String("x"), MessageAttributes: map[string]types.MessageAttributeValue{
		"test_attribute_name_2": {DataType: aws.String("String"), StringValue: aws.String("test_attribute_value_2")},
		"test_attribute_name_1": {DataType: aws.String("Binary"), BinaryValue: []byte("b")},
	}})
	if err != nil || aws.ToString(out.MD5OfMessageAttributes) == "" {
		t.Fatalf("%+v %v", out, err)
	}
	got := r.get(t, r.url, 0)[0]
	if aws.ToString(got.MD5OfMessageAttributes) != *out.MD5OfMessageAttributes || string(got.MessageAttributes["test_attribute_name_1"].BinaryValue) != "b" || aws.ToString(got.MessageAttributes["test_attribute_name_2"].StringValue) != "test_attribute_value_2" {
		t.Errorf("%+v", got)
	}
}

func TestQueuesAreFoundListedDescribedAndPurged(t *testing.T) {
	r := start(t, func(c *QueueConfig) { c.VisibilityTimeout = 180 * time.Second })
	r.put(t, "x", 0)
	found, err := r.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String("out")})
	if err != nil || *found.QueueUrl != *r.url {
		t.Errorf("%v %v", found, err)
	}
	all, err := r.ListQueues(t.Context(), &sqs.ListQueuesInput{QueueNamePrefix: aws.String("out-")})
	if err != nil || len(all.QueueUrls) != 1 {
		t.Errorf("%v %v", all, err)
	}
	about, err := r.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: r.url, AttributeNames: []types.QueueAttributeName{"All"}})
	if err != nil || about.Attributes["VisibilityTimeout"] != "180" || about.Attributes["ApproximateNumberOfMessages"] != "1" || about.Attributes["QueueArn"] != ARN("out") ||
		about.Attributes["RedrivePolicy"] != `{"deadLetterTargetArn":"`+ARN("out-dead")+`","maxReceiveCount":2}` {
		t.Errorf("%v %v", about, err)
	}
	if _, err := r.PurgeQueue(t.Context(), &sqs.PurgeQueueInput{QueueUrl: r.url}); err != nil || !r.Idle("out") {
		t.Errorf("%v", err)
	}
}

func TestAQueueThatAWSWouldRefuseIsRefused(t *testing.T) {
	s := New(time.Now)
	for _, c := range []QueueConfig{
		{}, {Name: "a b"}, {Name: "a", VisibilityTimeout: 13 * time.Hour}, {Name: "a", Delay: time.Hour}, {Name: "a", Retention: time.Second},
		{Name: "a", DeadLetter: "none", MaxReceiveCount: 1}, {Name: "a", Retention: 15 * 24 * time.Hour},
	} {
		if s.AddQueue(c) == nil {
			t.Errorf("%+v was taken", c)
		}
	}
}

func TestAnotherClockMovesWaitersByWake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := time.Now()
		s := New(func() time.Time { return clock })
		if err := s.AddQueue(QueueConfig{Name: "out"}); err != nil {
			t.Fatal(err)
		}
		r := &rig{Server: s, Client: client(s), url: aws.String(s.URL("out"))}
		r.put(t, "x", 900)
		began := time.Now()
		go func() {
			time.Sleep(time.Second)
			s.mu.Lock()
			clock = clock.Add(time.Hour)
			s.mu.Unlock()
			s.Wake()
		}()
		if got := r.get(t, r.url, 20); len(got) != 1 || time.Since(began) != time.Second {
			t.Errorf("%v after %s", got, time.Since(began))
		}
	})
}

func TestAPageInABrowserSendsNothing(t *testing.T) {
	r := start(t, nil)
	w := httptest.NewRecorder()
	r.ServeHTTP(w, httptest.NewRequest("POST", "/", strings.NewReader("Action=SendMessage&MessageBody=x")))
	if w.Code != 400 || !r.Idle("out") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
