package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/proof/harness"
)

// An image is judged by a clock that was read before it. By a later one, a lease would have
// run out of which the row, by then, has the outcome.
func TestALookUpReadsItsClockBeforeTheRow(t *testing.T) {
	w := newWorld(t)
	w.database.Set(deny("UpdateItem"))
	id := w.post(hello).Headers["message-id"]
	var moved bool
	w.database.Set(func(_ http.ResponseWriter, action string, _ []byte) bool {
		if action == "Query" && !moved {
			moved = true
			w.pass(time.Minute)
		}
		return false
	})
	if s := w.lookUp(id); s.State != "in_flight" || !moved {
		t.Errorf("while its lease lasts: %+v", s)
	}
	if s := w.lookUp(id); s.State != "unknown" {
		t.Errorf("a minute later: %+v", s)
	}
}

// A call that is cut off makes an unknown message of one that definitely was not sent.
func TestNoCallBeginsThatCannotEndInTime(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		took  time.Duration // by the first call; 20 s are for all of them
		calls int
	}{"time for another": {10 * time.Second, 2}, "too little time": {15 * time.Second, 1}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			calls := 0
			w.front(func(rw http.ResponseWriter, r *http.Request) {
				if calls++; calls > 1 {
					w.gateway.ServeHTTP(rw, r)
					return
				}
				w.pass(c.took)
				rw.Header().Set("Retry-After", "1")
				rw.WriteHeader(http.StatusTooManyRequests)
			})
			record := harness.Name("record")
			again := w.batch([]any{w.record(record, keyed, w.now())})
			s := w.lookUp(ledger.ID("sqs", "idem-1"))
			if calls != c.calls || (len(again) == 1) != (c.calls == 1) || c.calls == 1 && s.Reason != "rate_limited" && s.State != "queued" || c.calls == 2 && s.State != "accepted" {
				t.Errorf("%d calls, %v retried, look-up shows %+v", calls, again, s)
			}
		})
	}
}

// What the Gateway returned at the last moment is written all the same: without it the
// message would be unknown.
func TestAnOutcomeHasTimeOfItsOwnWhateverTheClockSays(t *testing.T) {
	w := newWorld(t)
	w.database.Set(deny("UpdateItem"))
	id := w.post(hello).Headers["message-id"]
	w.database.Set(nil)
	var token string
	for name := range w.row(id).Send().Attempts {
		token = name
	}
	d := delivery{request: ledger.Request{ID: id, RespondBy: w.now().Add(-time.Second)}}
	r := w.handler.write(t.Context(), &d, ledger.Write{
		Step: ledger.Settle, ID: id, If: []ledger.Clause{{Kind: ledger.AttemptOpen, Token: token}},
		Set: ledger.Update{Token: token, Outcome: &ledger.Outcome{State: ledger.Accepted, HTTP: 200, At: w.now()}},
	})
	if r.Lost || r.Missed || r.Refused || w.lookUp(id).State != "accepted" {
		t.Errorf("%+v, %v", r, d.err)
	}
	if claim := w.handler.write(t.Context(), &d, ledger.Write{Step: ledger.ClaimN, ID: id, If: []ledger.Clause{{Kind: ledger.VersionIs, V: 2}}, Set: ledger.Update{Token: strings.Repeat("t", 16)}}); !claim.Lost && !claim.Missed {
		t.Errorf("a claim is written after its time: %+v", claim)
	}
}
