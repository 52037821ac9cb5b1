package table

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"connexease-functions/pkg/ledger"
)

// copyOfSend is one copy of a row of which others exist: outcomes is what any of them may know.
func copyOfSend(r *rand.Rand, now time.Time, outcomes map[string]*ledger.Outcome) item {
	s := &ledger.Send{ID: "msg_1", V: r.Int64N(5), Fingerprint: "f", Payload: []byte("{}"), Attempts: map[string]ledger.Attempt{}}
	for token, o := range outcomes {
		switch r.IntN(3) {
		case 0:
			s.Attempts[token] = ledger.Attempt{Lease: now.Add(-time.Hour)}
		case 1:
			s.Attempts[token] = ledger.Attempt{Lease: now.Add(-time.Hour), Outcome: o}
			if o != nil && o.State == ledger.Accepted && s.Wamid == "" {
				s.Wamid = o.Wamid
			}
		}
	}
	hour := func() time.Time { return now.Add(time.Duration(r.IntN(5)+1) * time.Hour) }
	if r.IntN(2) == 0 {
		s.ValidUntil, s.OnUnknown = hour(), ledger.Hold
	}
	if r.IntN(3) == 0 {
		s.Cancelled = &ledger.Cancellation{By: "crm", At: now.Add(-time.Duration(r.IntN(3)) * time.Minute)}
	}
	if r.IntN(2) == 0 {
		s.ClaimedAt = now.Add(-time.Duration(r.IntN(9)) * time.Hour).Truncate(time.Second)
	}
	if r.IntN(2) == 0 {
		s.ExpiresAt = hour().Truncate(time.Second)
	}
	return sendItem(s, About{})
}

// TestTwoCopiesOfASendKnowTogetherWhatEitherKnows searches pairs of copies for one whose merge could
// send again, forgets something, or depends on the direction.
func TestTwoCopiesOfASendKnowTogetherWhatEitherKnows(t *testing.T) {
	now := time.Now().UTC().Truncate(time.Millisecond)
	states := []ledger.State{ledger.Released, ledger.Released, ledger.Unknown, ledger.Rejected, ledger.Accepted}
	seen := map[ledger.State]int{}
	for seed := range uint64(20_000) {
		r := rand.New(rand.NewPCG(seed, 1))
		outcomes := map[string]*ledger.Outcome{}
		for n := range r.IntN(3) {
			o := &ledger.Outcome{State: states[r.IntN(len(states))], At: now.Add(-time.Duration(n+1) * time.Minute), Reason: "x"}
			if o.State == ledger.Accepted {
				o.Wamid = fmt.Sprint("wamid.", n)
			}
			outcomes[fmt.Sprint("t", n)] = o
		}
		a, b := copyOfSend(r, now, outcomes), copyOfSend(r, now, outcomes)
		one, other := mergedSend(a, b), mergedSend(b, a)
		withoutV := func(it item) item { c := maps.Clone(it); delete(c, "v"); return c }
		tie := integer(a["v"]) == integer(b["v"]) && integer(a["valid_until"]) == integer(b["valid_until"])
		if !tie && !reflect.DeepEqual(withoutV(one), withoutV(other)) {
			t.Fatalf("seed %d: the directions differ: %v and %v", seed, Item(one).Plain(nil), Item(other).Plain(nil))
		}
		one["v"] = num(max(integer(b["v"]), integer(a["v"])+1))
		if again := mergedSend(one, b); !reflect.DeepEqual(withoutV(again), withoutV(one)) {
			t.Fatalf("seed %d: a second merge changes %v to %v", seed, Item(one).Plain(nil), Item(again).Plain(nil))
		}
		merged, of := readSend(one), []*ledger.Send{readSend(a), readSend(b)}
		state := ledger.Fold(now, merged, nil).State
		seen[state]++
		mayClaim := state == ledger.Queued || state == ledger.Released || state == ledger.Scheduled
		for _, s := range of {
			if s.Cancelled != nil && mayClaim {
				t.Fatalf("seed %d: a cancelled message is %s", seed, state)
			}
			if !s.ClaimedAt.IsZero() && (merged.ClaimedAt.IsZero() || merged.ClaimedAt.After(s.ClaimedAt)) {
				t.Fatalf("seed %d: the first claim was at %s, not %s", seed, s.ClaimedAt, merged.ClaimedAt)
			}
			if s.ExpiresAt.IsZero() != merged.ExpiresAt.IsZero() && !merged.ExpiresAt.IsZero() || !merged.ExpiresAt.IsZero() && merged.ExpiresAt.Before(s.ExpiresAt) {
				t.Fatalf("seed %d: it lives until %s, not %s", seed, merged.ExpiresAt, s.ExpiresAt)
			}
			for token, attempt := range s.Attempts {
				kept, there := merged.Attempts[token]
				switch {
				case !there || attempt.Outcome != nil && !reflect.DeepEqual(kept.Outcome, attempt.Outcome):
					t.Fatalf("seed %d: attempt %s is forgotten", seed, token)
				case kept.Outcome == nil && mayClaim, kept.Outcome != nil && kept.Outcome.State != ledger.Released && mayClaim:
					t.Fatalf("seed %d: %s, though attempt %s may have left", seed, state, token)
				case kept.Outcome != nil && kept.Outcome.State == ledger.Accepted && state != ledger.Accepted:
					t.Fatalf("seed %d: accepted, and %s", seed, state)
				}
			}
		}
	}
	for _, state := range []ledger.State{ledger.Accepted, ledger.Unknown, ledger.Rejected, ledger.Cancelled, ledger.Queued, ledger.Released} {
		if seen[state] == 0 {
			t.Errorf("no merge is %s, of %v", state, seen)
		}
	}
}
