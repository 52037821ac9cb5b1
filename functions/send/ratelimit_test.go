package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/local/sim/connexease"
	"connexease-functions/pkg/proof/harness"
)

// countCalls counts the calls of the Gateway.
func (w *world) countCalls() *atomic.Int64 {
	w.t.Helper()
	var n atomic.Int64
	w.front(func(rw http.ResponseWriter, r *http.Request) {
		n.Add(1)
		w.gateway.ServeHTTP(rw, r)
	})
	return &n
}

func TestAShortRateLimitIsWaitedForInsideOneAttempt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	calls := w.countCalls()
	w.spoil(connexease.Fault{Kind: connexease.RateLimit, RetryAfter: "1s", Times: 1})
	started := time.Now()
	if again := w.sqs(keyed); again != nil {
		t.Errorf("%v retried", again)
	}
	if d := time.Since(started); d < time.Second || calls.Load() != 2 {
		t.Errorf("called %d times in %v", calls.Load(), d)
	}
	w.sent(1)
	if s, row := w.lookUp(ledger.ID("sqs", "idem-1")), w.row(ledger.ID("sqs", "idem-1")); s.State != "accepted" || s.Attempts != 1 || row.Text("v") != "2" {
		t.Errorf("look-up shows %+v, of a row of version %s", s, row.Text("v"))
	}
}

func TestARateLimitIsWaitedForTwoSecondsInAllAndThenByVisibility(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault connexease.Fault
		calls int64
		least time.Duration // waited in process: not more, as another call would follow
		delay time.Duration
	}{
		"1s":       {connexease.Fault{Kind: connexease.RateLimit, RetryAfter: "1s"}, 3, 2 * time.Second, time.Second},
		"not said": {responding(429, ""), 3, 2 * time.Second, time.Second},
		"3s":       {connexease.Fault{Kind: connexease.RateLimit, RetryAfter: "3s"}, 1, 0, 3 * time.Second},
		"60s":      {connexease.Fault{Kind: connexease.RateLimit, RetryAfter: "60s", LimitType: "min"}, 1, 0, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			calls, delays := w.countCalls(), w.watchDelays()
			record := w.enqueue(keyed)
			w.spoil(c.fault)
			started := time.Now()
			if _, again := w.poll(); len(again) != 1 {
				t.Errorf("%v retried", again)
			}
			if d := time.Since(started); d < c.least || calls.Load() != c.calls {
				t.Errorf("called %d times in %v", calls.Load(), d)
			}
			if d := delays.of(record); d < c.delay || d > c.delay+c.delay/5+time.Second {
				t.Errorf("it retried after %v", d)
			}
			if s := w.lookUp(ledger.ID("sqs", "idem-1")); s.State != "queued" || s.Attempts != 1 || !w.counted("RateLimited", 0) {
				t.Errorf("look-up shows %+v", s)
			}
		})
	}
}

func TestTheRestOfABatchIsDelayedUnclaimed(t *testing.T) {
	w := newWorld(t)
	delays := w.watchDelays()
	w.spoil(connexease.Fault{Kind: connexease.RateLimit, RetryAfter: "60s"})
	var records []any
	for i := range 14 {
		records = append(records, w.record("r-"+strconv.Itoa(i), hello, w.now()))
	}
	if again := w.batch(records); len(again) != 14 {
		t.Errorf("%v retried", again)
	}
	claimed := len(harness.Items(t, w.table))
	if claimed != parallel {
		t.Errorf("%d were claimed", claimed)
	}
	if limited, deferred := len(w.values("RateLimited", 0)), len(w.values("RecordsDeferred", 0)); limited != parallel || deferred != 14-parallel {
		t.Errorf("the Gateway limited %d by the metrics, %d went back without a call", limited, deferred)
	}
	for i := range 14 {
		if d := delays.of("r-" + strconv.Itoa(i)); d < time.Minute || d > 73*time.Second {
			t.Errorf("record %d retried after %v", i, d)
		}
	}
}

func TestAnHourOfRateLimitsLosesNothingAndWearsNoRecordOut(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]connexease.Fault{
		"of the Gateway": {Kind: connexease.RateLimit, RetryAfter: "60s", LimitType: "min"},
		"of Meta":        {Kind: connexease.MetaLimit, MetaCode: 130429},
		"of a pair":      {Kind: connexease.MetaLimit, MetaCode: 131056},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			anHourOf(t, fault)
		})
	}
}

func anHourOf(t *testing.T, fault connexease.Fault) {
	const messages = 30
	w := newWorld(t)
	w.spoil(fault)
	var mu sync.Mutex
	visible := map[string]time.Time{}
	w.sqsCalls.Set(func(_ http.ResponseWriter, action string, body []byte) bool {
		var in struct {
			ReceiptHandle     string
			VisibilityTimeout int
		}
		if action == "ChangeMessageVisibility" && json.Unmarshal(body, &in) == nil {
			id, _, _ := strings.Cut(in.ReceiptHandle, "#")
			mu.Lock()
			defer mu.Unlock()
			visible[id] = w.now().Add(time.Duration(in.VisibilityTimeout) * time.Second)
		}
		return false
	})
	for i := range messages {
		w.enqueue(fmt.Sprintf(`{"idempotencyKey":"idem-%d","message":%s}`, i, strings.Replace(hello, "Hello", "Hello "+strconv.Itoa(i), 1)))
	}
	const pollEvery = 10 * time.Second
	receives, most, ends := 0, 0, w.now().Add(time.Hour)
	for !w.queues.Idle("outbound") {
		if !w.now().Before(ends) {
			w.spoil()
		}
		came, again := w.poll()
		for _, m := range came {
			n, err := strconv.Atoi(m.Attributes["ApproximateReceiveCount"])
			if err != nil {
				t.Fatal(err)
			}
			most = max(most, n)
			if !slices.Contains(again, *m.MessageId) {
				delete(visible, *m.MessageId)
			}
		}
		if receives += len(came); receives > messages*1000 {
			t.Fatal("it goes on for ever")
		}
		if len(came) > 0 {
			continue
		}
		next := time.Time{}
		for _, at := range visible {
			if next.IsZero() || at.Before(next) {
				next = at
			}
		}
		w.pass(max(next.Sub(w.now()), pollEvery))
	}
	t.Logf("%d receives of %d messages, at most %d of one", receives, messages, most)
	if most > 100 || !w.queues.Idle("dead") {
		t.Errorf("a message was received %d times; in the dead-letter queue: %+v", most, w.queues.Depth("dead"))
	}
	for id, it := range harness.Items(t, w.table) {
		if it.Text("outcome") != "accepted" {
			t.Errorf("%s came to %q %q", id, it.Text("outcome"), it.Text("reason"))
		}
	}
	ids := map[string]int{}
	for _, m := range w.sent(messages) {
		ids[opaqueID(t, m.Body)]++
	}
	if len(ids) != messages {
		t.Errorf("%d different messages were sent", len(ids))
	}
}

func TestThePairsDelayGrowsAndHoldsNobodyElseUp(t *testing.T) {
	w := newWorld(t)
	delays := w.watchDelays()
	w.spoil(connexease.Fault{Kind: connexease.MetaLimit, MetaCode: 131056})
	sent := w.now()
	for i := range 12 {
		want := min(6*time.Second<<min(i, 9), 30*time.Minute) // ten attempts are kept
		record := fmt.Sprintf("pair-%d", i)
		if again := w.batch([]any{w.record(record, keyed, sent)}); len(again) != 1 {
			t.Fatalf("%v retried", again)
		}
		if d := delays.of(record); d < want || d > want+want/5+time.Second {
			t.Errorf("time %d: it retried after %v, want %v", i+1, d, want)
		}
	}
	w.spoil()
	if again := w.sqs(hello); again != nil {
		t.Errorf("another message is held up: %v", again)
	}

	// The whole number's limit holds every record up.
	w.spoil(connexease.Fault{Kind: connexease.MetaLimit})
	responds(t, "HTTP", w.post(hello), 502, "GW_001")
	calls := w.countCalls()
	for range 2 {
		if again := w.sqs(hello); len(again) != 1 || calls.Load() != 1 {
			t.Errorf("%v retried after %d calls", again, calls.Load())
		}
	}
}
