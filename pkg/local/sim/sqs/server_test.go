package sqs

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
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

// inProcess passes the SDK's requests to the handler without a network, so that hours pass at once
// inside a synctest bubble.
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
		QueueUrl: url, MaxNumberOfMessages: 10, WaitTimeSeconds: wait,
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

func TestTheVisibilityOfSeveralIsChangedAtOnce(t *testing.T) {
	r := start(t, nil)
	for range 3 {
		r.put(t, "x", 0)
	}
	change := func(handles ...*string) (*sqs.ChangeMessageVisibilityBatchOutput, error) {
		in := &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: r.url, Entries: []types.ChangeMessageVisibilityBatchRequestEntry{}}
		for n, handle := range handles {
			in.Entries = append(in.Entries, types.ChangeMessageVisibilityBatchRequestEntry{Id: aws.String(strconv.Itoa(n % 11)), ReceiptHandle: handle})
		}
		return r.ChangeMessageVisibilityBatch(t.Context(), in)
	}
	got := r.get(t, r.url, 0)
	nonsense := aws.String("nonsense")
	out, err := change(got[0].ReceiptHandle, nonsense, got[1].ReceiptHandle)
	if err != nil || len(out.Successful) != 2 || *out.Successful[1].Id != "2" || len(out.Failed) != 1 || *out.Failed[0].Id != "1" || *out.Failed[0].Code != "ReceiptHandleIsInvalid" || !out.Failed[0].SenderFault {
		t.Errorf("%+v %v", out, err)
	}
	if d := r.Depth("out"); d != (Depth{Visible: 2, InFlight: 1}) {
		t.Errorf("%+v", d)
	}
	if _, err := change(slices.Repeat([]*string{nonsense}, 11)...); code(err) != "AWS.SimpleQueueService.TooManyEntriesInBatchRequest" {
		t.Errorf("too many: %v", err)
	}
	if _, err := change(); code(err) != "AWS.SimpleQueueService.EmptyBatchRequest" {
		t.Errorf("none: %v", err)
	}
	if _, err := r.ChangeMessageVisibilityBatch(t.Context(), &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: r.url, Entries: slices.Repeat([]types.ChangeMessageVisibilityBatchRequestEntry{
		{Id: aws.String("a"), ReceiptHandle: got[2].ReceiptHandle},
	}, 2)}); code(err) != "AWS.SimpleQueueService.BatchEntryIdsNotDistinct" || r.Depth("out").InFlight != 1 {
		t.Errorf("one twice: %v", err)
	}
}

func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

func TestAMessageReceivedTooOftenIsDeadLetteredAndReturnsAsANewOne(t *testing.T) {
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
			t.Errorf("from a queue that is not a dead-letter queue: %v", err)
		}
		var none *types.ResourceNotFoundException
		if _, err := r.StartMessageMoveTask(t.Context(), &sqs.StartMessageMoveTaskInput{SourceArn: aws.String(ARN("none"))}); !errors.As(err, &none) {
			t.Errorf("from nowhere: %v", err)
		}
	})
}

func TestMessagesExpireAfterTheirRetention(t *testing.T) {
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

func TestSendsAreLimitedAsInAWS(t *testing.T) {
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

// raw posts a body to the endpoint, and returns the status, the code of the query protocol and the
// body.
func (r *rig) raw(t *testing.T, action, body string) (int, string, string) {
	t.Helper()
	request := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	request.Header.Set("Content-Type", "application/x-amz-json-1.0")
	request.Header.Set("X-Amz-Target", "AmazonSQS."+action)
	w := httptest.NewRecorder()
	r.ServeHTTP(w, request)
	return w.Code, w.Header().Get("X-Amzn-Query-Error"), w.Body.String()
}

func TestAnActionThatIsNotServedIsUnknownForAnyQueue(t *testing.T) {
	r := start(t, nil)
	for _, action := range []string{"SendMessageBatch", "ListQueues", "Nothing", ""} {
		for _, url := range []string{*r.url, r.URL("none"), ""} {
			status, query, body := r.raw(t, action, `{"QueueUrl":"`+url+`"}`)
			if status != 400 || query != "InvalidAction;Sender" || !strings.Contains(body, `"__type":"com.amazon.coral.service#UnknownOperationException"`) {
				t.Errorf("%q of %q: %d %s %s", action, url, status, query, body)
			}
		}
	}
	if _, err := r.ListQueues(t.Context(), &sqs.ListQueuesInput{}); code(err) != "InvalidAction" {
		t.Errorf("%v", err)
	}
}

func TestWhatAStandardQueueDoesNotAcceptIsRefused(t *testing.T) {
	r := start(t, nil)
	send := func(change func(*sqs.SendMessageInput)) error {
		in := &sqs.SendMessageInput{QueueUrl: r.url, MessageBody: aws.String("x")}
		change(in)
		_, err := r.SendMessage(t.Context(), in)
		return err
	}
	if err := send(func(in *sqs.SendMessageInput) { in.MessageDeduplicationId = aws.String("once") }); code(err) != "InvalidParameterValue" || !strings.Contains(err.Error(), "not valid for this queue type") {
		t.Errorf("a deduplication id: %v", err)
	}
	attribute := map[string]types.MessageAttributeValue{"a": {DataType: aws.String("String"), StringValue: aws.String("b")}}
	if err := send(func(in *sqs.SendMessageInput) { in.MessageAttributes = attribute }); !strings.HasSuffix(code(err), "UnsupportedOperation") {
		t.Errorf("an attribute, which would be lost: %v", err)
	}
	for group, want := range map[string]string{"customer:1 2": "InvalidParameterValue", strings.Repeat("x", 129): "InvalidParameterValue", strings.Repeat("x", 128): "", "a.b:c/d": ""} {
		if err := send(func(in *sqs.SendMessageInput) { in.MessageGroupId = &group }); code(err) != want {
			t.Errorf("group %.20q: %v", group, err)
		}
	}
	if d := r.Depth("out"); d.Visible != 2 {
		t.Errorf("%+v", d)
	}
}

func TestAttributesAreReturnedByNameAndOthersRefused(t *testing.T) {
	r := start(t, nil)
	r.put(t, "x", 0)
	of := func(names ...types.QueueAttributeName) (map[string]string, error) {
		out, err := r.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: r.url, AttributeNames: names})
		if err != nil {
			return nil, err
		}
		return out.Attributes, nil
	}
	if got, err := of("SqsManagedSseEnabled", "Policy", "KmsMasterKeyId", "RedriveAllowPolicy"); err != nil || len(got) != 1 || got["SqsManagedSseEnabled"] != "true" {
		t.Errorf("%v %v", got, err)
	}
	if got, err := of("All"); err != nil || got["SqsManagedSseEnabled"] != "true" {
		t.Errorf("%v %v", got, err)
	}
	if got, err := of(); err != nil || len(got) != 0 {
		t.Errorf("none asked for: %v %v", got, err)
	}
	for _, names := range [][]types.QueueAttributeName{{"Nothing"}, {"All", "Nothing"}, {"visibilitytimeout"}} {
		if _, err := of(names...); code(err) != "InvalidAttributeName" {
			t.Errorf("%v: %v", names, err)
		}
	}
	receive := func(names ...types.MessageSystemAttributeName) ([]types.Message, error) {
		out, err := r.Client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: r.url, MessageSystemAttributeNames: names})
		if err != nil {
			return nil, err
		}
		return out.Messages, nil
	}
	if _, err := receive("SenderId", "Nothing"); code(err) != "InvalidAttributeName" || r.Depth("out").Visible != 1 {
		t.Errorf("%v, and the queue has %+v", err, r.Depth("out"))
	}
	if got, err := receive("SenderId", "AWSTraceHeader"); err != nil || len(got) != 1 || len(got[0].Attributes) != 1 {
		t.Errorf("%v %v", got, err)
	}
}

func TestQueuesAreFoundDescribedAndPurged(t *testing.T) {
	r := start(t, func(c *QueueConfig) { c.VisibilityTimeout = 180 * time.Second })
	r.put(t, "x", 0)
	found, err := r.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String("out")})
	if err != nil || *found.QueueUrl != *r.url {
		t.Errorf("%v %v", found, err)
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
			t.Errorf("%+v was accepted", c)
		}
	}
}

func TestWakeMakesWaitersFollowAnInjectedClock(t *testing.T) {
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

func TestAWebPageCannotSendMessages(t *testing.T) {
	r := start(t, nil)
	w := httptest.NewRecorder()
	r.ServeHTTP(w, httptest.NewRequest("POST", "/", strings.NewReader("Action=SendMessage&MessageBody=x")))
	if w.Code != 400 || !r.Idle("out") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
