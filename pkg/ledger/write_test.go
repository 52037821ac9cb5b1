package ledger

import (
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"
)

func TestEachConditionSaysWhatItMeans(t *testing.T) {
	now := at(1)
	for _, tt := range []struct {
		clause Clause
		row    *Send
		want   bool
	}{
		{Clause{Kind: RowAbsent}, nil, true},
		{Clause{Kind: RowAbsent}, row(), false},
		{Clause{Kind: VersionIs, V: 0}, nil, false},
		{Clause{Kind: VersionIs, V: 7}, row(), true},
		{Clause{Kind: VersionIs, V: 6}, row(), false},
		{Clause{Kind: ValidAfter, Time: now}, nil, false},
		{Clause{Kind: ValidAfter, Time: now}, row(), false},
		{Clause{Kind: ValidAfter, Time: now}, until(row(), now), false},
		{Clause{Kind: ValidAfter, Time: now}, until(row(), now.Add(1)), true},
		{Clause{Kind: DueBy, Time: now}, nil, false},
		{Clause{Kind: DueBy, Time: now}, row(), true},
		{Clause{Kind: DueBy, Time: now}, notBefore(row(), now), true},
		{Clause{Kind: DueBy, Time: now}, notBefore(row(), now.Add(1)), false},
		{Clause{Kind: AfterAbsent}, nil, false},
		{Clause{Kind: AfterAbsent}, row(), true},
		{Clause{Kind: AfterAbsent}, &Send{After: otherID}, false},
		{Clause{Kind: AttemptOpen, Token: "slot0"}, nil, false},
		{Clause{Kind: AttemptOpen, Token: "slot0"}, row(), false},
		{Clause{Kind: AttemptOpen, Token: "slot0"}, row(""), true},
		{Clause{Kind: AttemptOpen, Token: "slot0"}, row(Unknown), false},
		{Clause{Kind: Ungated}, nil, false},
		{Clause{Kind: Ungated}, row(), true},
		{Clause{Kind: Ungated}, &Send{Gate: map[string]string{"asked": "yes"}}, false},
		{Clause{Kind: "unheard of"}, row(), false},
	} {
		if got := tt.clause.Holds(tt.row); got != tt.want {
			t.Errorf("%q of %+v: %t", tt.clause.Kind, tt.row, got)
		}
	}
}

func TestARefusedWriteGivesTheOldImageAndChangesNothing(t *testing.T) {
	old := row("")
	for _, image := range []*Send{nil, old} {
		_, err := Apply(image, (&Request{ID: modelID, Token: "another"}).outcome(Settle, Outcome{State: Accepted}))
		var refused *ConditionError
		if !errors.As(err, &refused) || refused.Old != image || refused.Step != Settle {
			t.Errorf("over %v: %v", image, err)
		}
	}
	if !reflect.DeepEqual(old, row("")) {
		t.Errorf("the old image became %+v", old)
	}
}

func TestWhatEachStepWrites(t *testing.T) {
	now := at(5)
	asks := map[string]string{"asked": "yes"}
	instead := Verdict{Instead: "GATE", Seen: map[string]string{"door": "closed"}}
	request := func(source Source) *Request {
		return &Request{
			Source: source, ID: modelID, Token: "slot3", ProcessEnds: at(7), RetentionDays: 30, Fingerprint: "same", Client: "crm",
			Payload: []byte("{}"), IsFake: true, MMLite: true, OnUnknown: Resend, ValidFor: time.Hour, Sent: start,
			Fallback: []byte(`{"f":1}`), Gate: asks,
		}
	}
	fresh := func() *Send {
		return &Send{
			ID: modelID, Fingerprint: "same", Client: "crm", Payload: []byte("{}"), Fallback: []byte(`{"f":1}`),
			IsFake: true, MMLite: true, Attempts: map[string]Attempt{}, ExpiresAt: now.Add(30 * 24 * time.Hour),
		}
	}
	mine := Attempt{Lease: at(7).Add(LeaseMargin)}
	swapped := mine
	swapped.Instead, swapped.Seen = instead.Instead, instead.Seen
	refuses := Verdict{MayNot: &Outcome{HTTP: 409, Reason: "GATE"}, Seen: instead.Seen}
	gated := func(s *Send) *Send { s.Gate = asks; return s }
	outcome := Outcome{State: Accepted, Wamid: "wamid.x", At: now}
	queued := func() *Send {
		s := until(row(), at(50))
		s.V = 0
		return s
	}
	later := request(Async)
	later.NotBefore, later.After = at(40), otherID
	timed := func() *Send { return notBefore(row(Unknown), at(40)) }
	for _, tt := range []struct {
		name  string
		old   *Send
		write Write
		want  func(s *Send)
		base  *Send
	}{
		{"queue0", nil, request(Async).queue0(now), func(s *Send) { s.ValidUntil, s.OnUnknown, s.Gate = now.Add(time.Hour), Resend, asks }, fresh()},
		{"queue0 of a record", nil, request(Record).queue0(now), func(s *Send) { s.ValidUntil, s.OnUnknown, s.Gate = at(0).Add(time.Hour), Resend, asks }, fresh()},
		{"claim0", nil, request(Sync).claim0(now, instead), func(s *Send) { s.V, s.ClaimedAt, s.Attempts["slot3"] = 1, now, swapped }, fresh()},
		{"claim0 of a record", nil, request(Record).claim0(now, Verdict{}), func(s *Send) {
			s.V, s.ClaimedAt, s.Attempts["slot3"] = 1, now, mine
			s.ValidUntil, s.OnUnknown = at(0).Add(time.Hour), Resend
		}, fresh()},
		{"claim1", queued(), request(RecordByID).claim1(now), func(s *Send) {
			s.V, s.ClaimedAt, s.Attempts["slot3"], s.ExpiresAt = 1, now, mine, now.Add(30*24*time.Hour)
		}, queued()},
		{"claimN", row(Released), request(Sync).claimN(now, row(Released), instead), func(s *Send) {
			s.V, s.ClaimedAt, s.Attempts["slot3"], s.ExpiresAt = 8, now, swapped, now.Add(30*24*time.Hour)
		}, row(Released)},
		{"queueN", row(Released), request(Async).queueN(now, row(Released)), func(s *Send) {
			s.V, s.ValidUntil, s.OnUnknown, s.Gate, s.ExpiresAt = 8, now.Add(time.Hour), Resend, asks, now.Add(30*24*time.Hour)
		}, row(Released)},
		{"queueN without a gate", gated(row(Released)), (&Request{Source: Async, OnUnknown: Resend, ValidFor: time.Hour, RetentionDays: 30}).queueN(now, row(Released)), func(s *Send) {
			s.V, s.ValidUntil, s.OnUnknown, s.ExpiresAt = 8, now.Add(time.Hour), Resend, now.Add(30*24*time.Hour)
		}, row(Released)},
		{"queue0 with a time", nil, later.queue0(now), func(s *Send) {
			s.ValidUntil, s.OnUnknown, s.NotBefore, s.After, s.Gate = at(40).Add(time.Hour), Resend, at(40), otherID, asks
			s.ExpiresAt = at(40).Add(30 * 24 * time.Hour)
		}, fresh()},
		{"queueN sets the time", row(Unknown), later.queueN(now, row(Unknown)), func(s *Send) {
			s.V, s.ValidUntil, s.OnUnknown, s.NotBefore, s.After, s.Gate = 8, at(40).Add(time.Hour), Resend, at(40), otherID, asks
			s.ExpiresAt = at(40).Add(30 * 24 * time.Hour)
		}, row(Unknown)},
		{"queueN clears the time", timed(), request(Async).queueN(now, timed()), func(s *Send) {
			s.V, s.ValidUntil, s.OnUnknown, s.NotBefore, s.Gate = 8, now.Add(time.Hour), Resend, time.Time{}, asks
			s.ExpiresAt = now.Add(30 * 24 * time.Hour)
		}, timed()},
		{"cancel", notBefore(queued(), at(40)), request(Cancel).cancel(now, queued()), func(s *Send) {
			s.V, s.Cancelled, s.ExpiresAt = 1, &Cancellation{By: "crm", At: now}, now.Add(30*24*time.Hour)
		}, notBefore(queued(), at(40))},
		{"end0", nil, request(Record).end0(now, refuses), func(s *Send) {
			s.V, s.Attempts["slot3"] = 1, Attempt{Lease: now, Outcome: &Outcome{State: Rejected, HTTP: 409, Reason: "GATE", At: now}, Seen: instead.Seen}
		}, fresh()},
		{"endN", row(Released), request(RecordByID).endN(now, row(Released), refuses), func(s *Send) {
			s.V, s.Attempts["slot3"], s.ExpiresAt = 8, Attempt{Lease: now, Outcome: &Outcome{State: Rejected, HTTP: 409, Reason: "GATE", At: now}, Seen: instead.Seen}, now.Add(30*24*time.Hour)
		}, row(Released)},
		{"outcome", row(Released, "", "", ""), request(Sync).outcome(Settle, outcome), func(s *Send) {
			s.V, s.Wamid, s.Attempts["slot3"] = 8, "wamid.x", Attempt{Lease: lease, Outcome: &outcome}
		}, row(Released, "", "", "")},
	} {
		got, err := Apply(tt.old, tt.write)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if tt.want(tt.base); !reflect.DeepEqual(got, tt.base) {
			t.Errorf("%s wrote\n%+v, want\n%+v", tt.name, got, tt.base)
		}
	}
}

func TestTheFirstWamidAndTheFirstPlaceInTheTimelineStay(t *testing.T) {
	s := row("", "")
	s.Wamid, s.ClaimedAt = "wamid.first", at(1)
	got, err := Apply(s, (&Request{Token: "slot1"}).outcome(Settle, Outcome{State: Accepted, Wamid: "wamid.second"}))
	if err != nil || got.Wamid != "wamid.first" {
		t.Errorf("wamid %q, %v", got.Wamid, err)
	}
	if w := (&Request{Token: "slot2"}).claimN(at(2), s, Verdict{}); !w.Set.ClaimedAt.IsZero() {
		t.Errorf("a further claim moves it in the timeline to %v", w.Set.ClaimedAt)
	}
}

func TestAClaimKeepsTheNewestTenReleasedAttemptsAndAllOthers(t *testing.T) {
	s := row("", Unknown, Rejected)
	for i := range 15 {
		a := attempt(Released)
		a.Outcome.At = at(20 - i) // r00 is the newest
		s.Attempts[fmt.Sprintf("r%02d", i)] = a
	}
	next, err := Apply(s, (&Request{Token: "mine"}).claimN(at(0), s, Verdict{}))
	if err != nil || len(next.Attempts) != 3+KeptReleased+1 {
		t.Fatalf("%d attempts, %v", len(next.Attempts), err)
	}
	for _, token := range []string{"slot0", "slot1", "slot2", "r00", "r09", "mine"} {
		if _, ok := next.Attempts[token]; !ok {
			t.Errorf("%s was dropped", token)
		}
	}
	if len(s.Attempts) != 18 {
		t.Error("the old image lost attempts")
	}
}

func TestARowOutlivesItsQueueRecordWhateverTheRetention(t *testing.T) {
	now := at(0)
	for days, want := range map[int]time.Time{0: {}, 1: now.Add(MinRowLife), 15: now.Add(MinRowLife), 365: now.Add(365 * 24 * time.Hour)} {
		if got := expiry(now, time.Time{}, days); !got.Equal(want) {
			t.Errorf("%d days: expires %v, want %v", days, got, want)
		}
		w := (&Request{RetentionDays: days}).queueN(now, row())
		if got, _ := Apply(row(), w); !got.ExpiresAt.Equal(want) {
			t.Errorf("%d days: queueN leaves expiry at %v", days, got.ExpiresAt)
		}
	}
	// A row outlives its time as well, by as much.
	if got, want := expiry(now, now.Add(35*day), 1), now.Add(35*day+MinRowLife); !got.Equal(want) {
		t.Errorf("with a time: expires %v, want %v", got, want)
	}
	if MaxValidFor >= MinRowLife {
		t.Error("a record may outlive its row")
	}
	for days, want := range map[int]int{0: 0, 1: 22, 15: 22, 30: 37, 365: 372} {
		if got := StatusDays(days); got != want {
			t.Errorf("%d days: statuses are kept for %d, want %d", days, got, want)
		}
	}
}

func TestValidityHasADefaultAndAnEnd(t *testing.T) {
	for valid, want := range map[time.Duration]time.Duration{0: DefaultValidFor, time.Minute: time.Minute, 99 * 24 * time.Hour: MaxValidFor} {
		if got := (&Request{Source: Async, ValidFor: valid}).validUntil(start).Sub(start); got != want {
			t.Errorf("ValidFor %v is %v", valid, got)
		}
	}
}

func TestBackoffGrowsWithTheAgeOfTheRecord(t *testing.T) {
	for _, tt := range []struct{ age, retryAfter, want time.Duration }{
		{0, 0, time.Second},
		{-time.Minute, 0, time.Second},
		{10 * time.Second, 60 * time.Second, 60 * time.Second},
		{time.Hour, time.Second, 6 * time.Minute},
		{48 * time.Hour, time.Second, 30 * time.Minute},
	} {
		if got := Backoff(tt.age, tt.retryAfter); got != tt.want {
			t.Errorf("Backoff(%v, %v) = %v, want %v", tt.age, tt.retryAfter, got, tt.want)
		}
	}
	receives := 0
	for age := time.Duration(0); age < MaxValidFor; age += Backoff(age, time.Second) {
		receives++
	}
	if receives >= 700 {
		t.Errorf("12 days of rate limiting need %d of 1,000 receives", receives)
	}
}
