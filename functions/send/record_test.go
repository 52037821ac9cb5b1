package main

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/local/sim/connexease"
	"connexease-functions/pkg/proof/harness"
)

// failing makes the first reads of randomness fail, which ends a record's way in a panic.
type failing struct {
	io.Reader
	left atomic.Int64
}

func (f *failing) Read(p []byte) (int, error) {
	if f.left.Add(-1) >= 0 {
		return 0, errors.New("no randomness")
	}
	return f.Reader.Read(p)
}

func TestAPanicReturnsItsRecordToTheQueueAndHarmsNoOther(t *testing.T) {
	for panics, records := range map[int64]int{1: 1, 2: 4, 3: 3} {
		w := newWorld(t)
		delays := w.watchDelays()
		broken := &failing{Reader: w.handler.random}
		broken.left.Store(panics)
		w.handler.random = broken
		var ids []string
		var all []any
		for range records {
			ids = append(ids, harness.Name("record"))
			all = append(all, w.record(ids[len(ids)-1], hello, w.now()))
		}
		again := w.batch(all)
		if int64(len(again)) != panics || w.posted() != records-int(panics) || !strings.Contains(w.logs.String(), `"reason":"panic"`) {
			t.Errorf("%d of %d panic: %v retried, %d were sent", panics, records, again, w.posted())
		}
		for _, id := range again {
			if d := delays.of(id); !slices.Contains(ids, id) || d < time.Second || d > 6*time.Second {
				t.Errorf("%s retried after %v", id, d)
			}
		}
		var once []any
		for _, id := range again {
			once = append(once, w.record(id, hello, w.now()))
		}
		if again := w.batch(once); again != nil || w.posted() != records {
			t.Errorf("then %v retried, %d were sent", again, w.posted())
		}
	}
}

// What cannot be written is the claim of a row that is there: a caller was promised it.
func TestARowThatItsRecordCannotClaimIsNotRefused(t *testing.T) {
	w := newWorld(t)
	id := w.post(hello, "prefer", "respond-async").Headers["message-id"]
	records, _ := w.received()
	before := harness.Items(t, w.table)
	w.database.Set(func(rw http.ResponseWriter, action string, _ []byte) bool {
		if action == "UpdateItem" {
			harness.Refuse(rw, 400, "ValidationException")
		}
		return action == "UpdateItem"
	})
	if again := w.batch(records); len(again) != 1 {
		t.Errorf("%v retried", again)
	}
	if after := harness.Items(t, w.table); len(after) != len(before) || w.posted() != 0 {
		t.Errorf("%d items, %d before; %d were sent", len(after), len(before), w.posted())
	}
	w.database.Set(nil)
	if again := w.batch(records); again != nil || w.posted() != 1 || w.lookUp(id).State != "accepted" {
		t.Errorf("then %v retried, %d were sent, %+v", again, w.posted(), w.lookUp(id))
	}
}

func TestAQueuedRequestKeepsItsCallersOpaqueData(t *testing.T) {
	for _, data := range []string{`"order-4711"`, `""`, `"msg_not-ours"`} {
		w := newWorld(t)
		body := hello[:len(hello)-1] + `,"biz_opaque_callback_data":` + data + `}`
		responds(t, data, w.post(body, "prefer", "respond-async"), 202, "")
		records, _ := w.received()
		if again := w.batch(records); again != nil {
			t.Errorf("%v retried", again)
		}
		if m := w.sent(1)[0]; string(m.Body) != body {
			t.Errorf("sent %s, want %s", m.Body, body)
		}
	}
	// One without is known by ours.
	w := newWorld(t)
	id := w.post(hello, "prefer", "respond-async").Headers["message-id"]
	records, _ := w.received()
	w.batch(records)
	if m := w.sent(1)[0]; opaqueID(t, m.Body) != id {
		t.Errorf("sent %s", m.Body)
	}
}

// Nothing of an expired record goes to the Gateway, so it need not wait for it.
func TestAnExpiredRecordDoesNotWaitForTheEndOfARateLimit(t *testing.T) {
	w := newWorld(t)
	w.spoil(connexease.Fault{Kind: connexease.RateLimit, RetryAfter: "60s", LimitType: "min"})
	if again := w.sqs(hello); len(again) != 1 {
		t.Fatalf("%v retried", again)
	}
	calls := w.countCalls()
	if again := w.sqs(hello); len(again) != 1 || calls.Load() != 1 { // w.start is a process of its own
		t.Fatalf("%v retried after %d calls", again, calls.Load())
	}
	record := harness.Name("record")
	expired := `{"message":` + hello + `,"reader":"crm","validFor":60}`
	if again := w.batch([]any{w.record(record, expired, w.now().Add(-3*time.Minute))}); again != nil || calls.Load() != 1 {
		t.Errorf("%v retried after %d calls", again, calls.Load())
	}
	if s := w.lookUp(ledger.ID("sqs", record)); s.State != "expired" || !w.counted("RecordsExpired", 0) {
		t.Errorf("look-up shows %+v", s)
	}
}

// A refusal of a key that has not changed would be repeated for every message.
func TestAKeyThatTheGatewayRefusesIsNotTriedTwice(t *testing.T) {
	w := newWorld(t)
	calls := 0
	w.front(func(rw http.ResponseWriter, r *http.Request) {
		calls++
		body, _ := io.ReadAll(r.Body)
		if !bytes.Contains(body, []byte("Hello")) {
			t.Errorf("sent %s", body)
		}
		rw.WriteHeader(http.StatusUnauthorized)
	})
	for n := 1; n <= 3; n++ {
		responds(t, "refused key", w.post(hello), 503, "SVC_003")
		if calls != n {
			t.Errorf("%d calls after %d requests", calls, n)
		}
	}
}
