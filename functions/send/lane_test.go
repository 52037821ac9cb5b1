package main

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/local/sim/connexease"
	simsqs "connexease-functions/pkg/local/sim/sqs"
)

// newLanesWorld is a world with a bulk lane, whose queue is "bulk".
func newLanesWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	if err := w.queues.AddQueue(simsqs.QueueConfig{Name: "bulk", VisibilityTimeout: 180 * time.Second, DeadLetter: "dead", MaxReceiveCount: 1000}); err != nil {
		t.Fatal(err)
	}
	w.env["BULK_QUEUE_URL"], w.env["BULK_QUEUE_ARN"] = strings.Replace(w.env["QUEUE_URL"], "outbound", "bulk", 1), simsqs.ARN("bulk")
	w.start()
	return w
}

// waits fails the test unless the queues hold this many messages that are visible or delayed.
func (w *world) waits(what string, outbound, bulk int) {
	w.t.Helper()
	o, b := w.queues.Depth("outbound"), w.queues.Depth("bulk")
	if o.Visible+o.Delayed != outbound || b.Visible+b.Delayed != bulk {
		w.t.Errorf("%s: the outbound queue has %+v, the bulk lane %+v", what, o, b)
	}
}

func TestWhatIsOfTheBulkLaneWaitsThere(t *testing.T) {
	w := newLanesWorld(t)
	responds(t, "by its header", w.post(hello, "prefer", "respond-async", "lane", "bulk"), 202, "")
	responds(t, "by its envelope", w.post(`{"lane":"bulk","idempotencyKey":"e","message":`+hello+`}`, "prefer", "respond-async"), 202, "")
	responds(t, "an ordinary one", w.post(hello, "prefer", "respond-async"), 202, "")
	w.waits("queued", 1, 2)
	responds(t, "scheduled", w.post(hello, "send-at", w.now().Add(time.Hour).Format(time.RFC3339), "lane", "bulk"), 202, "")
	if all := w.scheduler.Schedules(); len(all) != 1 || all[0].Target != simsqs.ARN("bulk") {
		t.Errorf("the schedules are %+v", all)
	}
	if _, again := w.pollOf("bulk"); again != nil {
		t.Errorf("%v are retried", again)
	}
	w.sent(2)
	w.waits("sent", 1, 0)
}

func TestARecordOfTheBulkLaneIsDelayedInItsOwnQueue(t *testing.T) {
	w := newLanesWorld(t)
	responds(t, "queued", w.post(hello, "prefer", "respond-async", "lane", "bulk"), 202, "")
	w.spoil(connexease.Fault{Kind: connexease.RateLimit, RetryAfter: "60s"})
	if _, again := w.pollOf("bulk"); len(again) != 1 {
		t.Errorf("%v are retried", again)
	}
	w.spoil()
	w.pass(80 * time.Second) // less than the queue's visibility timeout
	w.waits("after the delay", 0, 1)
	if _, again := w.pollOf("bulk"); again != nil {
		t.Errorf("%v are retried", again)
	}
	w.sent(1)
}

// A record moves under the key that it had, so a move that is repeated sends nothing twice.
func TestARecordMovesToItsLaneUnderItsKey(t *testing.T) {
	w := newLanesWorld(t)
	event := `{"version":"0","id":"event-1","source":"shop","detail-type":"Campaign","detail":{"lane":"bulk","message":` + hello + `}}`
	records := []any{
		w.record("bare", `{"lane":"bulk","message":`+hello+`}`, w.now()),
		w.record("keyed", `{"lane":"bulk","idempotencyKey":"mine","message":`+hello+`}`, w.now()),
		w.record("null", `{"lane":"bulk","idempotencyKey":null,"message":`+hello+`}`, w.now()),
		w.record("event", event, w.now()),
		w.record("nameless", strings.Replace(event, `"id":"event-1",`, "", 1), w.now()),
	}
	for range 2 {
		if again := w.batch(records); again != nil {
			t.Errorf("%v are retried", again)
		}
	}
	w.waits("moved twice", 0, 10)
	for range 10 { // the second of a pair waits until the first one is done
		w.pollOf("bulk")
		w.pass(time.Minute)
	}
	w.sent(5)
	w.waits("sent", 0, 0)
	for _, id := range []string{ledger.ID("sqs", "nameless"), ledger.ID("sqs", "bare"), ledger.ID("sqs", "mine"), ledger.ID("sqs", "null"), ledger.ID("event/shop", "event-1")} {
		if w.row(id) == nil {
			t.Errorf("there is no %s", id)
		}
	}
}

// What a record had left of its validity is what it has in its lane.
func TestARecordMovesToItsLaneWithItsValidity(t *testing.T) {
	w := newLanesWorld(t)
	const body = `{"lane":"bulk","validFor":3600,"message":` + hello + `}`
	event := `{"version":"0","id":"event-1","source":"shop","detail-type":"Campaign","detail":` + body + `}`
	sent := w.now()
	w.pass(50 * time.Minute)
	if again := w.batch([]any{w.record("old", body, sent), w.record("event", event, sent)}); again != nil {
		t.Errorf("%v are retried", again)
	}
	w.pass(11 * time.Minute)
	w.pollOf("bulk")
	w.sent(0)
	w.waits("expired", 0, 0)
}

func TestALaneIsForWhatWaits(t *testing.T) {
	w := newLanesWorld(t)
	responds(t, "at once", w.post(hello, "lane", "bulk"), 400, "MSG_001")
	responds(t, "of no such lane", w.post(hello, "prefer", "respond-async", "lane", "slow"), 400, "MSG_001")
	if _, err := w.direct(`{"lane":"bulk","idempotencyKey":"d","message":` + hello + `}`); err == nil {
		t.Error("a direct invocation has a lane")
	}
	w.waits("refused", 0, 0)
	w.env["BULK_QUEUE_URL"], w.env["BULK_QUEUE_ARN"] = "", ""
	w.start()
	responds(t, "without a bulk lane", w.post(hello, "prefer", "respond-async", "lane", "bulk"), 202, "")
	w.waits("without a bulk lane", 1, 0)
	if again := w.sqs(`{"lane":"bulk","message":` + hello + `}`); again != nil {
		t.Errorf("%v are retried", again)
	}
	w.sent(1)
}

// In 4 s a process sends two messages at a quarter of 2 a second, and six at three quarters.
func TestTheLanesShareAPace(t *testing.T) {
	w := newLanesWorld(t)
	w.env["QUEUE_SENDS_PER_SECOND"] = "4"
	w.start()
	responds(t, "its secrets are read", w.post(hello), 200, "") // out of the 4 s
	for arn, want := range map[string]int{simsqs.ARN("outbound"): 2, simsqs.ARN("bulk"): 6} {
		var records []any
		for i := range 10 {
			r := w.record(arn+strconv.Itoa(i), hello, w.now())
			r["eventSourceARN"] = arn
			records = append(records, r)
		}
		if again := w.batch(records); len(again) != 10-want {
			t.Errorf("%s: %d are retried", arn, len(again))
		}
	}
	lines := strings.Split(w.logs.String(), "\n")
	lane := slices.DeleteFunc(lines, func(line string) bool { return !strings.Contains(line, `"lane":"bulk"`) })
	if len(lane) != 10 || !strings.Contains(lane[0], `"BulkRecordAge"`) || strings.Contains(lane[0], `"RecordAge"`) {
		t.Errorf("%d lines are of the lane, such as %s", len(lane), lane[0])
	}
}
