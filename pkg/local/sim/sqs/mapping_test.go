package sqs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// run starts a mapping for the rest of the bubble and returns a function that ends it.
func (r *rig) run(t *testing.T, m Mapping) (end func()) {
	t.Helper()
	m.Queue = "out"
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx, m) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func records(t *testing.T, payload []byte) []events.SQSMessage {
	t.Helper()
	var e events.SQSEvent
	if err := json.Unmarshal(payload, &e); err != nil {
		t.Error(err)
	}
	return e.Records
}

func TestTheEventIsShapedAsLambdas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, began := start(t, nil), time.Now()
		seen := make(chan []byte, 1)
		defer r.run(t, Mapping{Invoke: func(_ context.Context, payload []byte) ([]byte, string, error) {
			seen <- payload
			return []byte("null"), "", nil
		}})()
		if _, err := r.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: r.url, MessageBody: aws.String(`{"id":"msg_a"}`)}); err != nil {
			t.Fatal(err)
		}
		payload := <-seen
		synctest.Wait()
		got := records(t, payload)[0]
		if got.MessageId == "" || got.ReceiptHandle == "" || got.Body != `{"id":"msg_a"}` || got.Md5OfBody != md5Hex(got.Body) ||
			got.EventSource != "aws:sqs" || got.EventSourceARN != ARN("out") || got.AWSRegion != region {
			t.Errorf("%+v", got)
		}
		for name, want := range map[string]string{"ApproximateReceiveCount": "1", "SentTimestamp": millis(began), "SenderId": account, "ApproximateFirstReceiveTimestamp": millis(began)} {
			if got.Attributes[name] != want {
				t.Errorf("%s is %q, want %q", name, got.Attributes[name], want)
			}
		}
		if !strings.Contains(string(payload), `"messageAttributes":{}`) || !r.Idle("out") {
			t.Errorf("%s %+v", payload, r.Depth("out"))
		}
	})
}

func TestTheResponseDecidesWhatIsDeleted(t *testing.T) {
	const all, none, second = "all", "none", "second"
	for _, c := range []struct {
		result, functionError string
		err                   error
		whole                 bool
		deleted               string
	}{
		{result: `null`, deleted: all},
		{result: ``, deleted: all},
		{result: `{}`, deleted: all},
		{result: `{"batchItemFailures":null}`, deleted: all},
		{result: `{"batchItemFailures":[]}`, deleted: all},
		{result: `{"batchItemFailures":[{"itemIdentifier":"FIRST"}]}`, deleted: second},
		{result: `{"batchItemFailures":[{"itemIdentifier":"FIRST"},{"itemIdentifier":"FIRST"}]}`, deleted: second},
		{result: `{"batchItemFailures":[{"itemIdentifier":"FIRST"},{"itemIdentifier":"another"}]}`, deleted: none},
		{result: `{"batchItemFailures":[{"itemIdentifier":""}]}`, deleted: none},
		{result: `{"batchItemFailures":[{"itemIdentifier":null}]}`, deleted: none},
		{result: `{"batchItemFailures":[{"itemidentifier":"FIRST"}]}`, deleted: none},
		{result: `{"batchItemFailures":[null]}`, deleted: none},
		{result: `{"batchItemFailures":{"itemIdentifier":"FIRST"}}`, deleted: none},
		{result: `{"batchItemFail`, deleted: none},
		{result: `"done"`, deleted: none},
		{result: `{"batchItemFailures":[{"itemIdentifier":"FIRST"}]}`, whole: true, deleted: all},
		{result: `{"errorType":"x"}`, functionError: "Unhandled", deleted: none},
		{err: errors.New("no process"), deleted: none},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := start(t, nil)
			first := r.put(t, "1", 0)
			r.put(t, "2", 0)
			defer r.run(t, Mapping{WholeBatch: c.whole, Invoke: func(context.Context, []byte) ([]byte, string, error) {
				return []byte(strings.ReplaceAll(c.result, "FIRST", first)), c.functionError, c.err
			}})()
			synctest.Wait()
			want := map[string]int{all: 0, none: 2, second: 1}[c.deleted]
			if d := r.Depth("out"); d != (Depth{InFlight: want}) {
				t.Errorf("%s %s %v: %+v", c.result, c.functionError, c.err, d)
			}
		})
	}
}

func TestFailedMessagesReturnAfterTheirVisibilityTimeoutAndAreFinallyDeadLettered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, began := start(t, func(c *QueueConfig) { c.VisibilityTimeout = 180 * time.Second; c.MaxReceiveCount = 3 }), time.Now()
		r.put(t, "poison", 0)
		var mu sync.Mutex
		var came []string
		defer r.run(t, Mapping{Invoke: func(_ context.Context, payload []byte) ([]byte, string, error) {
			mu.Lock()
			defer mu.Unlock()
			m := records(t, payload)[0]
			came = append(came, m.Attributes["ApproximateReceiveCount"]+"@"+time.Since(began).String())
			if len(came) == 1 { // a delay that the function set applies although the record failed
				if _, err := r.ChangeMessageVisibility(t.Context(), &sqs.ChangeMessageVisibilityInput{QueueUrl: r.url, ReceiptHandle: &m.ReceiptHandle, VisibilityTimeout: 3600}); err != nil {
					t.Error(err)
				}
			}
			return []byte(`{"batchItemFailures":[{"itemIdentifier":"` + m.MessageId + `"}]}`), "", nil
		}})()
		time.Sleep(2 * time.Hour)
		mu.Lock()
		defer mu.Unlock()
		if got := strings.Join(came, " "); got != "1@0s 2@1h0m0s 3@1h3m0s" || r.Depth("out-dead") != (Depth{Visible: 1}) || !r.Idle("out") {
			t.Errorf("%s %+v", got, r.Depth("out-dead"))
		}
	})
}

func TestALateSuccessDeletesNoMessageThatWasReceivedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, func(c *QueueConfig) { c.MaxReceiveCount = 10 })
		r.put(t, "slow", 0)
		var mu sync.Mutex
		calls := 0
		defer r.run(t, Mapping{Invoke: func(context.Context, []byte) ([]byte, string, error) {
			mu.Lock()
			calls++
			mine := calls
			mu.Unlock()
			if mine == 1 {
				time.Sleep(40 * time.Second) // longer than the visibility timeout
			} else {
				time.Sleep(20 * time.Second)
			}
			return nil, "", nil
		}})()
		time.Sleep(45 * time.Second)
		if r.Idle("out") {
			t.Error("the first one's late success deleted what the second has in hand")
		}
		time.Sleep(10 * time.Second)
		if !r.Idle("out") || calls != 2 {
			t.Errorf("%+v after %d calls", r.Depth("out"), calls)
		}
	})
}

func TestTimeThatPassesAtOnceTakesNothingFromAFunction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, func(c *QueueConfig) { c.MaxReceiveCount = 10 })
		r.put(t, "slow", 0)
		r.put(t, "later", 60)
		var mu sync.Mutex
		calls := map[string]int{}
		defer r.run(t, Mapping{Invoke: func(_ context.Context, payload []byte) ([]byte, string, error) {
			body := records(t, payload)[0].Body
			mu.Lock()
			calls[body]++
			first := calls[body] == 1
			mu.Unlock()
			time.Sleep(time.Second)
			if body == "later" && first {
				return nil, "", errors.New("it was killed")
			}
			return nil, "", nil
		}})()
		for range 50 {
			time.Sleep(100 * time.Millisecond)
			r.EndVisibility("out")
		}
		mu.Lock()
		defer mu.Unlock()
		if calls["slow"] != 1 || calls["later"] != 2 || !r.Idle("out") {
			t.Errorf("%v calls, %+v", calls, r.Depth("out"))
		}
	})
}

func TestBatchesAndConcurrencyAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, func(c *QueueConfig) { c.VisibilityTimeout = time.Hour })
		for i := range 50 {
			r.put(t, fmt.Sprint(i), 0)
		}
		var mu sync.Mutex
		running, most, largest, total := 0, 0, 0, 0
		end := r.run(t, Mapping{BatchSize: 4, MaxConcurrency: 3, Invoke: func(_ context.Context, payload []byte) ([]byte, string, error) {
			mu.Lock()
			n := len(records(t, payload))
			running++
			most, largest, total = max(most, running), max(largest, n), total+n
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			running--
			mu.Unlock()
			return nil, "", nil
		}})
		time.Sleep(time.Minute)
		end()
		if most != 3 || largest != 4 || total != 50 || !r.Idle("out") {
			t.Errorf("%d at once, %d in a batch, %d in total", most, largest, total)
		}
	})
}

func TestABatchNeverExceedsLambdasRequestSize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, nil)
		for range 8 {
			r.put(t, strings.Repeat("x", maxMessageBytes), 0)
		}
		var mu sync.Mutex
		var sizes []int
		defer r.run(t, Mapping{Invoke: func(_ context.Context, payload []byte) ([]byte, string, error) {
			mu.Lock()
			defer mu.Unlock()
			if len(payload) > maxEvent {
				t.Errorf("%d bytes", len(payload))
			}
			for _, m := range records(t, payload) {
				if m.Attributes["ApproximateReceiveCount"] != "1" {
					t.Errorf("receive %s", m.Attributes["ApproximateReceiveCount"])
				}
			}
			sizes = append(sizes, len(records(t, payload)))
			return nil, "", nil
		}})()
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if total := sizes[0] + sizes[1]; total != 8 || !r.Idle("out") {
			t.Errorf("%v", sizes)
		}
	})
}

func TestAnInvalidMappingIsRefusedByName(t *testing.T) {
	r := start(t, nil)
	invoke := func(context.Context, []byte) ([]byte, string, error) { return nil, "", nil }
	for _, m := range []Mapping{{Queue: "none", Invoke: invoke}, {Queue: "out", BatchSize: 11, Invoke: invoke}, {Queue: "out", MaxConcurrency: 1, Invoke: invoke}, {Queue: "out"}} {
		if r.Run(t.Context(), m) == nil {
			t.Errorf("%+v ran", m)
		}
	}
}

func FuzzFailures(f *testing.F) {
	for _, s := range []string{`null`, `{}`, `{"batchItemFailures":[{"itemIdentifier":"a"}]}`, `{"batchItemFailures":[{"itemIdentifier":"z"}]}`, `[`} {
		f.Add([]byte(s))
	}
	batch := map[string]string{"a": "1", "b": "2"}
	f.Fuzz(func(t *testing.T, result []byte) {
		failed, ok := failures(result, batch)
		for id := range failed {
			if _, known := batch[id]; !known {
				t.Fatalf("%q names %q", result, id)
			}
		}
		if !ok && len(failed) > 0 || ok && len(result) > 0 && !json.Valid(result) {
			t.Fatalf("%q: %v %t", result, failed, ok)
		}
	})
}
