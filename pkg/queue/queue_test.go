package queue_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"connexease-functions/pkg/queue"
)

// sqs responds to every call with a status, and keeps the last one.
type sqs struct {
	status int
	action string
	in     struct {
		QueueUrl, MessageBody, ReceiptHandle string //nolint:revive // the names of SQS
		VisibilityTimeout                    *int
	}
}

func serve(t *testing.T) (*sqs, queue.Queue) {
	t.Helper()
	s := &sqs{status: http.StatusOK}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.action = r.Header.Get("X-Amz-Target")
		if err := json.NewDecoder(r.Body).Decode(&s.in); err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		w.WriteHeader(s.status)
		_, _ = io.WriteString(w, `{"__type":"com.amazonaws.sqs#QueueDoesNotExist"}`)
	}))
	t.Cleanup(server.Close)
	return s, queue.New(aws.Config{
		Region: "eu-west-1", BaseEndpoint: aws.String(server.URL), Credentials: credentials.NewStaticCredentialsProvider("id", "key", ""),
	}, server.URL+"/1/outbound")
}

func TestAMessageIsSentAsItIs(t *testing.T) {
	s, q := serve(t)
	const body = `{"id":"é<"}`
	_ = q.Send(t.Context(), body) // the SDK compares a checksum that this reply does not have
	if s.action != "AmazonSQS.SendMessage" || s.in.MessageBody != body || s.in.QueueUrl == "" {
		t.Errorf("%s of %+v", s.action, s.in)
	}
	s.status = http.StatusBadRequest
	if err := q.Send(t.Context(), body); err == nil {
		t.Error("a refusal is no error")
	}
}

func TestADelayIsInWholeSecondsAndBounded(t *testing.T) {
	s, q := serve(t)
	r := &queue.Record{Handle: "handle"}
	for d, want := range map[time.Duration]int{
		0: 0, time.Millisecond: 1, time.Second: 1, time.Second + 1: 2, 90 * time.Second: 90, 11 * time.Hour: 39_600, 11*time.Hour + 1: 39_600, 300 * time.Hour: 39_600,
	} {
		s.in.VisibilityTimeout = nil
		if err := q.Delay(t.Context(), r, d); err != nil {
			t.Fatal(err)
		}
		if s.action != "AmazonSQS.ChangeMessageVisibility" || s.in.ReceiptHandle != "handle" || s.in.VisibilityTimeout == nil || *s.in.VisibilityTimeout != want {
			t.Errorf("%v: %s of %+v", d, s.action, s.in)
		}
	}
	s.status = http.StatusBadRequest
	if err := q.Delay(t.Context(), r, time.Second); err == nil {
		t.Error("a refusal is no error")
	}
}

func TestOnlyRecordsOfSQSAreRead(t *testing.T) {
	all, err := queue.Read([]byte(`[{"messageId":"1","receiptHandle":"h","body":"b","attributes":{"SentTimestamp":"1764000000123"},"eventSource":"aws:sqs"},{"messageId":"2","eventSource":"\u0061ws:sqs"}]`))
	if err != nil || len(all) != 2 || all[0].ID != "1" || all[0].Handle != "h" || all[0].Body != "b" || all[1].ID != "2" {
		t.Fatalf("%+v, %v", all, err)
	}
	now := time.UnixMilli(1764000009999)
	for sent, want := range map[string]time.Time{"1764000000123": time.UnixMilli(1764000000123), "": now, "0": now, "-5": now, "soon": now} {
		r := queue.Record{}
		if r.Attributes.Sent = sent; !r.Sent(now).Equal(want) {
			t.Errorf("sent %q: %v", sent, r.Sent(now))
		}
	}
	for what, records := range map[string]string{
		"nothing": "", "null": "null", "none": "[]", "an object": "{}", "a text": `"aws:sqs"`, "of SNS": `[{"EventSource":"aws:sns"}]`, "of SNS, for SQS": `[{"EventSource":"aws:sqs"}]`,
		"of a stream": `[{"eventSource":"aws:dynamodb"}]`, "one of two": `[{"eventSource":"aws:sqs"},{"eventSource":"aws:s3"}]`, "one without": `[{"eventSource":"aws:sqs"},{}]`,
		"a number": `[{"eventSource":"aws:sqs","messageId":7}]`, "not JSON": "[",
	} {
		if all, err := queue.Read([]byte(records)); !errors.Is(err, queue.ErrNotSQS) || all != nil {
			t.Errorf("%s: %v, %v", what, all, err)
		}
	}
}

func TestAPartialBatchResponseNamesWhatFailed(t *testing.T) {
	for want, again := range map[string][]string{
		`{"batchItemFailures":[]}`: nil, `{"batchItemFailures":[{"itemIdentifier":"a"},{"itemIdentifier":"b"}]}`: {"a", "b"},
	} {
		if got, err := queue.Failed(again); string(got) != want || err != nil {
			t.Errorf("%s, want %s, %v", got, want, err)
		}
	}
}
