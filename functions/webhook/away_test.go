package main

import (
	"context"
	"encoding/json"
	"fmt"
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

// distrusting sends a delivery for which the table has only its least budget, and the queue all the
// time that it needs.
func (w *world) distrusting(body string) harness.Answer {
	w.t.Helper()
	w.unhurry()
	w.handler.distrusted.Store(w.handler.now().Add(distrust).UnixMilli())
	return w.aged(0, body)
}

// late sends a delivery that has only the least budget left.
func (w *world) late(body string) harness.Answer {
	w.t.Helper()
	return w.aged(5*time.Second, body)
}

// aged sends a delivery that API Gateway received a while ago by the handler's clock.
func (w *world) aged(age time.Duration, body string) harness.Answer {
	w.t.Helper()
	e := event("Bearer "+w.token, body)
	e["requestContext"].(map[string]any)["timeEpoch"] = w.handler.now().Add(-age).UnixMilli()
	a, err := w.invoke(e)
	if err != nil {
		w.t.Error(err)
	}
	return a
}

func TestAnOutageOfTableAndQueueReturnsSVC002(t *testing.T) {
	t.Parallel()
	harness.AtOnce(t, away, func(t *testing.T, f harness.Fault) {
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
			w.unhurry()
			if a := w.deliver(body); a.Status != 200 {
				t.Errorf("after that: %d %s", a.Status, a.Body)
			}
			storedWhole(t, w, []byte(body))
		}
	})
}

func TestThrottlingAndResetsAreRetriedInsideTheBudget(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{"one item": fixture(t, "text"), "a batch": statuses(60)} {
		t.Run(name, func(t *testing.T) {
			for range 5 { // a slow machine may need more than the budget
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
				a := w.deliver(body)
				if a.Status != 200 {
					t.Fatalf("%d %s", a.Status, a.Body)
				}
				if !w.queues.Idle("overflow") {
					continue
				}
				storedWhole(t, w, []byte(body))
				if !strings.Contains(w.logs.String(), `"WriteRetries":`) {
					t.Error("no metric counts the retries")
				}
				return
			}
			t.Error("no delivery is stored directly")
		})
	}
}

func TestUnprocessedItemsAreRetried(t *testing.T) {
	t.Parallel()
	w := unhurried(t)
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
	if a := w.distrusting(statuses(26)); a.Status != 200 || w.queues.Depth("overflow").Visible != 1 {
		t.Errorf("nothing is written, the status is %d, the queue has %+v", a.Status, w.queues.Depth("overflow"))
	}
}

func TestOneRefusedItemDoesNotFailTheOthers(t *testing.T) {
	t.Parallel()
	w := unhurried(t)
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
	t.Parallel()
	w := newWorld(t)
	now := time.Now()
	w.handler.now = func() time.Time { return now }
	share := func() time.Duration {
		share, _ := w.handler.budgets(now)
		return share
	}
	if got := share(); got != tableBudget {
		t.Errorf("at first the table has %v", got)
	}
	// What it could not do in the least budget, or did in part, says nothing.
	w.database.Set(away["no access"])
	w.late(fixture(t, "text"))
	w.database.Set(func(rw http.ResponseWriter, _ string, body []byte) bool {
		if !strings.Contains(string(body), "wamid.BATCH29") {
			return false
		}
		harness.Refuse(rw, 400, "AccessDeniedException")
		return true
	})
	for tries := 0; len(w.items()) == 0 && tries < 5; tries++ {
		if tries > 0 { // a slow machine stored none of them within the budget
			w.handler.distrusted.Store(0)
		}
		if a := w.aged(0, statuses(30)); a.Status != 200 || w.queues.Depth("overflow").Visible == 0 {
			t.Errorf("%d, the queue has %+v", a.Status, w.queues.Depth("overflow"))
		}
	}
	if got := share(); got != tableBudget {
		t.Errorf("after a delivery that was stored in part the table has %v", got)
	}
	w.database.Set(away["no access"])
	w.aged(0, fixture(t, "text"))
	if got := share(); got != leastTableBudget {
		t.Errorf("while it is away the table has %v", got)
	}
	w.database.Set(nil)
	for range 50 { // on a slow machine one may not be written in time
		if w.late(fixture(t, "text")); share() == tableBudget {
			return
		}
	}
	t.Errorf("once it is back the table has %v", share())
}

// A table that takes a second for each call works, and must be used again after one failure.
func TestATableThatIsSlowIsWrittenToAgainAfterAFailure(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var ahead time.Duration
	w.handler.now = func() time.Time { return time.Now().Add(ahead) }
	n := 0
	deliver := func() (direct bool) {
		t.Helper()
		n++
		before := w.queues.Depth("overflow").Visible
		if a := w.aged(0, strings.ReplaceAll(statuses(1), "BATCH", fmt.Sprintf("SLOW%d", n))); a.Status != 200 {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		return w.queues.Depth("overflow").Visible == before
	}
	w.database.Set(away["throttling"])
	if deliver() {
		t.Fatal("the throttled delivery was not queued")
	}
	w.database.Set(func(http.ResponseWriter, string, []byte) bool {
		<-time.After(time.Second)
		return false
	})
	for range 30 {
		if deliver() {
			return
		}
		ahead += distrust / 4 // a failure in the least budget must not begin it anew
	}
	t.Error("no delivery is stored directly again")
}

// A table must have its time where reading the secret took most of the request's.
func TestTheTableHasItsLeastBudgetAfterTheSecretWasRead(t *testing.T) {
	t.Parallel()
	for range 5 { // a slow machine may need more than the least
		w := newWorld(t)
		w.secrets = harness.NewProxy(t, harness.Backends.SecretsURL)
		w.secrets.Set(func(http.ResponseWriter, string, []byte) bool {
			<-time.After(1200 * time.Millisecond)
			return false
		})
		w.build(w.database.URL)
		if a := w.aged(1500*time.Millisecond, statuses(1)); a.Status == 200 && w.queues.Idle("overflow") {
			return
		}
	}
	t.Error("no delivery is stored directly")
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
		share, whole := h.budgets(h.received(r))
		if whole != want {
			t.Errorf("a request from %v ago has %v, want %v", age, whole, want)
		}
		if share != wantTable {
			t.Errorf("the table has %v for a request from %v ago, want %v", share, age, wantTable)
		}
	}
}
