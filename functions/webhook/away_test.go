package main

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"connexease-functions/pkg/api"
	"connexease-functions/pkg/proof/harness"
	"connexease-functions/pkg/secret"
)

type fakeSource map[string]secret.Version

func (f fakeSource) Fetch(_ context.Context, stage string) (secret.Version, error) {
	v, ok := f[stage]
	if !ok {
		return v, secret.ErrMissing
	}
	return v, nil
}

// away lists the ways in which the table fails to store an item.
var away = map[string]harness.Fault{
	"throttling": func(w http.ResponseWriter, _ string, _ []byte) bool {
		harness.Refuse(w, 400, "ThrottlingException")
		return true
	},
	"server error": func(w http.ResponseWriter, _ string, _ []byte) bool {
		harness.Refuse(w, 500, "InternalServerError")
		return true
	},
	"no table": func(w http.ResponseWriter, _ string, _ []byte) bool {
		harness.Refuse(w, 400, "ResourceNotFoundException")
		return true
	},
	"no access": func(w http.ResponseWriter, _ string, _ []byte) bool {
		harness.Refuse(w, 400, "AccessDeniedException")
		return true
	},
	"reset": func(http.ResponseWriter, string, []byte) bool { panic(http.ErrAbortHandler) },
	"silence": func(w http.ResponseWriter, _ string, _ []byte) bool {
		<-time.After(3 * time.Second)
		w.WriteHeader(500)
		return true
	},
}

// late sends a delivery that has only the least budget left.
func (w *world) late(body string) harness.Answer {
	w.t.Helper()
	e := event("Bearer "+w.token, body)
	e["requestContext"].(map[string]any)["timeEpoch"] = time.Now().Add(-5 * time.Second).UnixMilli()
	a, err := w.invoke(e)
	if err != nil {
		w.t.Error(err)
	}
	return a
}

func TestAnOutageOfTableAndQueueReturnsSVC002(t *testing.T) {
	for name, f := range away {
		t.Run(name, func(t *testing.T) {
			for _, body := range []string{fixture(t, "text"), statuses(30)} {
				w := newWorld(t)
				w.database.Set(f)
				w.sqs.Set(func(rw http.ResponseWriter, _ string, _ []byte) bool {
					rw.WriteHeader(http.StatusServiceUnavailable)
					return true
				})
				if a := w.late(body); a.Status != 503 || a.Code() != "SVC_002" {
					t.Fatalf("%d %s", a.Status, a.Body)
				}
				if !w.queues.Idle("overflow") {
					t.Errorf("the queue has %+v", w.queues.Depth("overflow"))
				}
				w.database.Set(nil)
				if a := w.deliver(body); a.Status != 200 {
					t.Errorf("after that: %d %s", a.Status, a.Body)
				}
			}
		})
	}
}

func TestThrottlingAndResetsAreRetriedInsideTheBudget(t *testing.T) {
	for name, body := range map[string]string{"one item": fixture(t, "text"), "a batch": statuses(60)} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			var n atomic.Int64
			w.database.Set(func(rw http.ResponseWriter, _ string, _ []byte) bool {
				switch n.Add(1) {
				case 1:
					harness.Refuse(rw, 400, "ProvisionedThroughputExceededException")
					return true
				case 2:
					panic(http.ErrAbortHandler)
				case 3:
					harness.Refuse(rw, 500, "InternalServerError")
					return true
				}
				return false
			})
			if a := w.deliver(body); a.Status != 200 {
				t.Fatalf("%d %s", a.Status, a.Body)
			}
			storedWhole(t, w, []byte(body))
			if !strings.Contains(w.logs.String(), `"WriteRetries":`) {
				t.Error("no metric counts the retries")
			}
		})
	}
}

func TestUnprocessedItemsAreRetried(t *testing.T) {
	w := newWorld(t)
	var n atomic.Int64
	w.database.Set(func(rw http.ResponseWriter, action string, body []byte) bool {
		if action != "BatchWriteItem" || n.Add(1) > 3 {
			return false
		}
		var in struct {
			RequestItems map[string][]json.RawMessage
		}
		if err := json.Unmarshal(body, &in); err != nil {
			panic(err)
		}
		rw.Header().Set("Content-Type", "application/x-amz-json-1.0")
		_ = json.NewEncoder(rw).Encode(map[string]any{"UnprocessedItems": in.RequestItems})
		return true
	})
	w.stored(statuses(25), 25)
	if got := len(w.items()); got != 25 {
		t.Errorf("the table has %d items", got)
	}
	n.Store(-1 << 30) // from now on every item is unprocessed
	if a := w.late(statuses(26)); a.Status != 200 || w.queues.Depth("overflow").Visible != 1 {
		t.Errorf("nothing is written, the status is %d, the queue has %+v", a.Status, w.queues.Depth("overflow"))
	}
}

func TestOneRefusedItemDoesNotFailTheOthers(t *testing.T) {
	w := newWorld(t)
	w.database.Set(func(rw http.ResponseWriter, action string, body []byte) bool {
		if strings.Contains(string(body), `wa#wamid.BATCH7"`) {
			harness.Refuse(rw, 400, "ValidationException")
			return true
		}
		return false
	})
	w.stored(statuses(30), 30)
	kinds := map[string]int{}
	for _, it := range w.items() {
		kinds[it.Text("kind")]++
		if it.Text("kind") == "quarantine" && (!strings.Contains(it.Text("payload"), "wamid.BATCH7") || it.Text("reason") != "refused_by_table") {
			t.Errorf("quarantined is %s for %s", it.Text("payload"), it.Text("reason"))
		}
	}
	if kinds["status"] != 29 || kinds["quarantine"] != 1 {
		t.Errorf("the table has %v", kinds)
	}
	if !strings.Contains(w.logs.String(), `"Quarantined":1`) {
		t.Error("no metric counts the quarantined event")
	}
}

// Many requests that wait for the table use up Lambda's concurrency.
func TestATableThatWasAwayGetsItsLeastBudgetUntilItIsBack(t *testing.T) {
	w := newWorld(t)
	share := func() time.Duration {
		now := w.handler.now()
		_, table, _ := w.handler.deadlines(api.Request{Received: now})
		return table.Sub(now).Round(100 * time.Millisecond)
	}
	if got := share(); got != tableBudget {
		t.Errorf("at first the table has %v", got)
	}
	w.database.Set(away["throttling"])
	w.late(fixture(t, "text"))
	if got := share(); got != leastTableBudget {
		t.Errorf("while it is away the table has %v", got)
	}
	if until := time.UnixMilli(w.handler.distrusted.Load()); until.After(w.handler.now().Add(distrust)) {
		t.Errorf("it is distrusted until %v", until)
	}
	w.handler.distrusted.Store(w.handler.now().UnixMilli())
	if got := share(); got != tableBudget {
		t.Errorf("after %v the table has %v", distrust, got)
	}
	w.handler.distrusted.Store(w.handler.now().Add(time.Hour).UnixMilli())
	w.database.Set(nil)
	for range 50 { // on a slow machine one may not be written in time
		if w.late(fixture(t, "text")); share() == tableBudget {
			return
		}
	}
	t.Errorf("once it is back the table has %v", share())
}

func TestTheTimeOfTheRequestCountsOnlyWhereItIsPlausible(t *testing.T) {
	now := time.Now().Truncate(time.Millisecond)
	h := &handler{now: func() time.Time { return now }}
	for age, want := range map[time.Duration]time.Duration{
		0: budget, time.Second: budget - time.Second, 10 * time.Second: leastBudget, time.Hour: budget, -time.Hour: budget,
	} {
		wantTable := max(want-budget+tableBudget, leastTableBudget)
		payload, _ := json.Marshal(map[string]any{"version": "2.0", "requestContext": map[string]any{
			"http": map[string]string{}, "timeEpoch": now.Add(-age).Round(time.Millisecond).UnixMilli(),
		}})
		r, err := api.ReadRequest(payload)
		if err != nil {
			t.Fatal(err)
		}
		_, table, end := h.deadlines(r)
		if got := end.Sub(now).Round(time.Millisecond); got != want {
			t.Errorf("a request from %v ago has %v, want %v", age, got, want)
		}
		if got := table.Sub(now).Round(time.Millisecond); got != wantTable {
			t.Errorf("the table has %v for a request from %v ago, want %v", got, age, wantTable)
		}
	}
}
