package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/proof/harness"
)

// drain polls until the queue is empty, and lets time pass where nothing is visible.
func (w *world) drain() {
	w.t.Helper()
	for n := 0; !w.queues.Idle("outbound"); n++ {
		if n > 20 {
			w.t.Fatal("the queue does not empty")
		}
		if came, _ := w.poll(); came == nil {
			w.pass(time.Minute)
		}
	}
}

func TestAnEventIsQueuedAsItIsAndSentOnceHoweverOftenLambdaRepeats(t *testing.T) {
	w := newWorld(t)
	event := fixture(t, w, "eventbridge")
	for range 3 {
		out, err := w.invoke(event)
		if err != nil || string(out) != `{"isSuccess":true,"data":{"status":"queued"}}` {
			t.Errorf("returned %s %v", out, err)
		}
	}
	w.sent(0)
	if rows := harness.Items(t, w.table); len(rows) != 0 {
		t.Errorf("the table has %v", rows)
	}
	came, _ := w.poll()
	if len(came) != 3 {
		t.Errorf("%d records are on the queue", len(came))
	}
	for _, m := range came {
		if *m.Body != string(event) {
			t.Errorf("queued as %s", *m.Body)
		}
	}
	w.drain()
	w.sent(1)
	if s := w.lookUp(ledger.ID("event/shop.orders", "00000000-0000-4000-8000-0000000000e1")); s.State != "accepted" || s.Attempts != 1 {
		t.Errorf("look-up shows %+v", s)
	}
}

func TestAnEventIsTheSameMessageDirectlyAndByARule(t *testing.T) {
	w := newWorld(t)
	event := string(fixture(t, w, "eventbridge"))
	w.enqueue(event)
	w.drain()
	if out, err := w.invoke([]byte(event)); err != nil {
		t.Errorf("returned %s %v", out, err)
	}
	w.drain()
	w.sent(1)
}

func TestAnEventThatCannotBeQueuedIsAnErrorSoThatLambdaRepeatsIt(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]harness.Fault{
		"no access": func(rw http.ResponseWriter, _ string, _ []byte) bool {
			harness.Refuse(rw, 400, "AccessDeniedException")
			return true
		},
		"reset": func(http.ResponseWriter, string, []byte) bool { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			event := fixture(t, w, "eventbridge")
			w.sqsCalls.Set(f)
			out, err := w.invoke(event)
			if name, code := failed(t, out, err); name != "ServiceUnavailable" || code != "SVC_004" {
				t.Errorf("refused as %s %s", name, code)
			}
			if !w.counted("QueueUnavailable", 0) {
				t.Error("the log does not count it")
			}
			w.untouched()
			w.sqsCalls.Set(nil)
			if out, err := w.invoke(event); err != nil {
				t.Errorf("repeat returned %s %v", out, err)
			}
			w.drain()
			w.sent(1)
		})
	}
}

func TestAnEventWhoseConfirmationIsLostIsSentOnce(t *testing.T) {
	w := newWorld(t)
	event := fixture(t, w, "eventbridge")
	lost := 0
	w.sqsCalls.Set(func(_ http.ResponseWriter, action string, body []byte) bool {
		if action != "SendMessage" || lost > 0 {
			return false
		}
		lost++
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(string(body)))
		r.Header.Set("X-Amz-Target", "AmazonSQS.SendMessage")
		r.Header.Set("Content-Type", "application/x-amz-json-1.0")
		w.queues.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	})
	if out, err := w.invoke(event); err != nil {
		t.Errorf("returned %s %v", out, err)
	}
	if d := w.queues.Depth("outbound"); d.Visible != 2 {
		t.Fatalf("the queue holds %+v, want the same event twice", d)
	}
	w.drain()
	w.sent(1)
}

func TestEventsOfOneKeyAreOneMessage(t *testing.T) {
	w := newWorld(t)
	for i := range 2 {
		event := eventOf(fmt.Sprintf("event-%d", i), "shop.orders", `{"reader":"crm","idempotencyKey":"idem-1","message":`+hello+`}`)
		if out, err := w.invoke([]byte(event)); err != nil {
			t.Errorf("returned %s %v", out, err)
		}
	}
	w.drain()
	w.sent(1)
}

func TestAnEventThatCanNeverBeSentIsRecordedUnderItsRecord(t *testing.T) {
	w := newWorld(t)
	if out, err := w.invoke([]byte(eventOf("event-1", "shop.orders", `{"reader":"crm","message":{"to":"1"}}`))); err != nil {
		t.Errorf("returned %s %v", out, err)
	}
	came, again := w.poll()
	if len(came) != 1 || again != nil {
		t.Fatalf("%d came, %v retried", len(came), again)
	}
	responds(t, "look-up", w.lookUpRecord(*came[0].MessageId, clientKey), 200, "")
	before := harness.Items(t, w.table)
	if len(before) != 1 || w.row(ledger.ID("sqs", *came[0].MessageId)) == nil {
		t.Errorf("the table has %v", before)
	}
	w.drain()
	if !reflect.DeepEqual(before, harness.Items(t, w.table)) {
		t.Error("the table has changed")
	}
	w.sent(0)
	if !w.queues.Idle("outbound") {
		t.Errorf("the queue holds %+v", w.queues.Depth("outbound"))
	}
}
