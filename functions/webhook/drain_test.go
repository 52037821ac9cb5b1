package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"connexease-functions/pkg/proof/harness"
)

// refuse denies every write whose request contains a string.
func refuse(text string) harness.Fault {
	return func(w http.ResponseWriter, _ string, body []byte) bool {
		if !bytes.Contains(body, []byte(text)) {
			return false
		}
		harness.Refuse(w, 400, "AccessDeniedException")
		return true
	}
}

// unhurried makes a world whose handler has a whole minute for a delivery. Otherwise, items that a
// busy machine writes too slowly would be queued as well.
func unhurried(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.unhurry()
	return w
}

// unhurry gives the handler a clock that goes back by a minute at each look, within the same day: a
// delivery always came later than it is now.
func (w *world) unhurry() {
	noon := time.Now().UTC().Truncate(24 * time.Hour).Add(12 * time.Hour)
	var looks atomic.Int64
	w.handler.now = func() time.Time { return noon.Add(-time.Duration(looks.Add(1)) * time.Minute) }
}

// again drains messages within a time, and returns the indexes of those returned to the queue.
func (w *world) again(within time.Duration, bodies ...string) []string {
	w.t.Helper()
	var records []any
	for i, body := range bodies {
		records = append(records, map[string]any{
			"messageId": fmt.Sprint(i), "receiptHandle": "handle", "body": body, "eventSource": "aws:sqs", "attributes": map[string]string{},
		})
	}
	return harness.Batch(w.t, w.handler, within, records)
}

// queued returns the ids of the updates in overflow messages.
func queued(t *testing.T, messages []string) (ids []string) {
	t.Helper()
	for _, m := range messages {
		var o struct{ Events []struct{ WAMID string } }
		if err := json.Unmarshal([]byte(m), &o); err != nil {
			t.Fatal(err)
		}
		for _, e := range o.Events {
			ids = append(ids, e.WAMID)
		}
	}
	return ids
}

func TestOnlyTheEventsThatTheTableRefusedAreQueued(t *testing.T) {
	t.Parallel()
	w := unhurried(t)
	w.database.Set(refuse("wamid.BATCH30"))
	w.stored(statuses(60), 60)
	w.database.Set(nil)
	ids := queued(t, w.overflowed())
	var want []string // the second batch of 25
	for n := 25; n < 50; n++ {
		want = append(want, fmt.Sprint("wamid.BATCH", n))
	}
	if !slices.Equal(ids, want) || len(w.items()) != 35 || !strings.Contains(w.logs.String(), `"Overflowed":25`) {
		t.Errorf("queued %v, stored %d", ids, len(w.items()))
	}
}

func TestOnlyAMessageWithAnUnstoredEventIsReturnedToTheQueue(t *testing.T) {
	t.Parallel()
	w := unhurried(t)
	var messages []string
	w.database.Set(refuse("wamid"))
	for n := range 3 {
		w.stored(strings.ReplaceAll(statuses(30), "BATCH", fmt.Sprint("M", n, "-")), 30)
		messages = append(messages, w.overflowed()...)
	}
	if len(messages) != 3 {
		t.Fatalf("%d messages", len(messages))
	}
	// Refuses the second batch of the second message: five of its events.
	w.database.Set(refuse("wamid.M1-27"))
	if again := w.again(time.Minute, messages...); !slices.Equal(again, []string{"1"}) || len(w.items()) != 85 {
		t.Errorf("%v are returned, %d are stored", again, len(w.items()))
	}
	if !strings.Contains(w.logs.String(), `"DrainsFailed":1`) {
		t.Error("no metric says so")
	}
	w.database.Set(nil)
	if again := w.again(time.Minute, messages[1]); again != nil || len(w.items()) != 90 {
		t.Errorf("then %v are returned, %d are stored", again, len(w.items()))
	}
}

// A drain that ran until its timeout would be killed before it reports what it stored. With no time
// left, it must not begin.
func TestADrainEndsBeforeItsTimeout(t *testing.T) {
	w := unhurried(t)
	w.database.Set(refuse("wamid"))
	w.stored(statuses(2), 2)
	messages := w.overflowed()
	w.database.Set(nil)
	calls := w.database.Calls.Load()
	again := w.again(drainMargin-time.Millisecond, messages...)
	if !slices.Equal(again, []string{"0"}) || w.database.Calls.Load() != calls || len(w.items()) != 0 {
		t.Errorf("%v are returned, after %d calls", again, w.database.Calls.Load()-calls)
	}
}
