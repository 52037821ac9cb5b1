package ledger

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

func wanting(source Source, choice Choice) *Request {
	return &Request{
		Source: source, ID: modelID, Token: "mine", RespondBy: at(5).Add(28 * time.Second), ProcessEnds: at(5).Add(28 * time.Second),
		Keyed: true, Fingerprint: "same", OnUnknown: choice, ValidFor: 30 * 24 * time.Hour, Sent: start,
	}
}

// say is an action in one word.
func say(a Action) string {
	switch a.Do {
	case DoWrite:
		return string(a.Write.Step)
	case DoRespond:
		if a.Response.Outcome != nil {
			return fmt.Sprintf("%s %s", a.Response.Kind, a.Response.Outcome.State)
		}
		return string(a.Response.Kind)
	default:
		word := map[Do]string{DoQuery: "query", DoRead: "read", DoGate: "gate", DoReadAfter: "read after", DoPost: "post", DoEnqueue: "enqueue", DoAcknowledge: "ack", DoLater: "later"}[a.Do]
		for _, note := range a.Notes {
			word += ": " + string(note)
		}
		return word
	}
}

// meets lets a visit find an image at tick 5 and says what it does then.
func meets(source Source, choice Choice, image *Send, statuses ...Status) (*Visit, Action) {
	v, _ := Begin(wanting(source, choice), at(5))
	a := v.Wrote(at(5), Result{Refused: true, Image: image})
	if a.Do == DoQuery {
		a = v.Queried(at(5), statuses, true)
	}
	return v, a
}

func TestTheFirstWriteIsMadeBlindly(t *testing.T) {
	for source, want := range map[Source]string{Sync: "claim0", Async: "queue0", Record: "claim0", RecordByID: "claim1"} {
		if _, a := Begin(wanting(source, Hold), at(5)); say(a) != want {
			t.Errorf("source %d begins with %s, want %s", source, say(a), want)
		}
	}
	old := wanting(Record, Hold)
	old.ValidFor = at(5).Sub(start)
	if v, a := Begin(old, at(5)); say(a) != "queue0" || say(v.Wrote(at(5), Result{})) != "ack: expired" {
		t.Errorf("a record that arrives expired: %s", say(a))
	}
}

func TestEachStateIsAnsweredAsTheTableOfTheFoldSays(t *testing.T) {
	far := at(1000)
	resend := func(s *Send) *Send { s.OnUnknown = Resend; return s }
	past := at(5)                           // validity ends now
	expired := at(5).Add(-ExpiryMargin - 1) // readers say so
	gone := func(s *Send) *Send {
		for token, a := range s.Attempts {
			a.Lease = at(5)
			s.Attempts[token] = a
		}
		return s
	}
	ahead := func(s *Send) *Send { return notBefore(s, at(20)) }
	waits := func(s *Send) *Send { s.After = otherID; return s }
	type results struct{ http, async, bare, byID string }
	for _, tt := range []struct {
		name     string
		choice   Choice
		image    *Send
		statuses []Status
		want     results
	}{
		{"1 accepted", Hold, until(row(Accepted), far), nil, results{"stored accepted", "stored accepted", "ack", "ack"}},
		{"1 by a status", Hold, until(row(""), far), []Status{{Token: "slot0", Status: "sent", Wamid: "w"}}, results{"stored accepted", "stored accepted", "ack", "ack"}},
		{"2 in flight", Resend, resend(until(row(""), far)), nil, results{"busy", "busy", "later", "later"}},
		{"3 unknown", Hold, until(row(Unknown), far), nil, results{"uncertain", "uncertain", "ack: held", "ack: held"}},
		{"3 lease over", Hold, until(gone(row("")), far), nil, results{"uncertain", "uncertain", "ack: held", "ack: held"}},
		{"3 resend", Resend, resend(until(row(Unknown), far)), nil, results{"claimN", "queueN", "claimN", "claimN"}},
		{"3 resend, lease over", Resend, resend(until(gone(row("")), far)), nil, results{"claimN", "queueN", "claimN", "claimN"}},
		{"3 resend, validity over", Resend, resend(until(row(Unknown), past)), nil, results{"uncertain", "queueN", "ack: held", "ack: held"}},
		{"3 resend, one rejected", Resend, resend(until(row(Unknown, Rejected), far)), nil, results{"uncertain", "uncertain", "ack: held", "ack: held"}},
		{"3 resend, three left", Resend, resend(until(row(Unknown, Unknown, Unknown), far)), nil, results{"uncertain", "uncertain", "ack: held", "ack: held"}},
		{"4 rejected", Resend, resend(until(row(Rejected), far)), nil, results{"stored rejected", "stored rejected", "ack", "ack"}},
		{"cancelled", Hold, cancelled(until(row(), far)), nil, results{"withdrawn", "withdrawn", "ack: cancelled", "ack: cancelled"}},
		{"cancelled, expired", Hold, cancelled(until(row(Released), expired)), nil, results{"withdrawn", "withdrawn", "ack: cancelled", "ack: cancelled"}},
		{"scheduled, another time", Hold, ahead(until(row(), far)), nil, results{"key reused", "key reused", "ack: key reused", "later: early"}},
		{"queued, waits", Hold, waits(until(row(), far)), nil, results{"read after", "enqueue", "read after", "read after"}},
		{"unknown, resend, waits", Resend, resend(waits(until(row(Unknown), far))), nil, results{"read after", "queueN", "read after", "read after"}},
		{"5 expired", Resend, until(row(), expired), nil, results{"late", "late", "ack: expired", "ack: expired"}},
		{"5 expired, was tried", Hold, until(row(Released), expired), nil, results{"late released", "late released", "ack: expired", "ack: expired"}},
		{"6 queued", Hold, until(row(), far), nil, results{"claimN", "enqueue", "claimN", "claimN"}},
		{"6 queued, was tried", Hold, until(row(Released), at(5).Add(1)), nil, results{"claimN", "enqueue", "claimN", "claimN"}},
		{"6 past valid_until", Hold, until(row(), past), nil, results{"busy", "busy", "ack: expired", "ack: expired"}},
		{"7 released", Hold, row(Released), nil, results{"claimN", "queueN", "claimN", "ack: not queued"}},
		{"8 none", Hold, nil, nil, results{"claim0", "queue0", "claim0", "ack: no row"}},
	} {
		for source, want := range map[Source]string{Sync: tt.want.http, Async: tt.want.async, Record: tt.want.bare, RecordByID: tt.want.byID} {
			if _, a := meets(source, tt.choice, tt.image, tt.statuses...); say(a) != want {
				t.Errorf("%s, source %d: %s, want %s", tt.name, source, say(a), want)
			}
		}
	}
}

func TestAnImageIsReadInOrder(t *testing.T) {
	foreign := func(s *Send) *Send { s.Fingerprint = "other"; return s }
	mine := func(s *Send) *Send { s.Attempts["mine"] = attempt(""); return until(s, at(1000)) }
	for _, tt := range []struct {
		name   string
		image  *Send
		source Source
		want   string
	}{
		{"my token first", mine(foreign(row(Accepted))), Sync, "post"},
		{"my token in a record", mine(row()), RecordByID, "post"},
		{"then the fingerprint", foreign(row(Accepted)), Sync, "key reused"},
		{"then the fingerprint, of a bare record", foreign(row(Accepted)), Record, "ack: key reused"},
		{"our own record has none", until(foreign(row()), at(1000)), RecordByID, "query"},
		{"then an accepted attempt", row(Accepted, Unknown), Sync, "stored accepted"},
		{"then the statuses", row(Rejected), Sync, "query"},
	} {
		v, _ := Begin(wanting(tt.source, Hold), at(5))
		if a := v.Wrote(at(5), Result{Refused: true, Image: tt.image}); say(a) != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, say(a), tt.want)
		}
	}
}

func TestOwnResults(t *testing.T) {
	claimed := func(source Source, choice Choice, over ...State) *Visit {
		image := until(row(over...), at(1000))
		image.OnUnknown = choice
		v, a := meets(source, choice, image)
		if a.Do != DoWrite || a.Write.Step != ClaimN {
			t.Fatalf("no claim: %s", say(a))
		}
		if a = v.Wrote(at(5), Result{}); a.Do != DoPost || a.Within != CallLimit {
			t.Fatalf("no post within 20 s: %+v", a)
		}
		return v
	}
	for _, tt := range []struct {
		name   string
		source Source
		choice Choice
		over   []State
		own    State
		want   string
	}{
		{"accepted", Sync, Hold, nil, Accepted, "own accepted"},
		{"rejected", Sync, Hold, nil, Rejected, "own rejected"},
		{"released", Sync, Hold, []State{Released}, Released, "own released"},
		{"unknown", Sync, Hold, nil, Unknown, "uncertain"},
		{"accepted over unknown", Sync, Resend, []State{Unknown}, Accepted, "own accepted"},
		{"rejected over unknown", Sync, Resend, []State{Unknown}, Rejected, "uncertain"},
		{"released over unknown", Sync, Resend, []State{Unknown}, Released, "uncertain"},
		{"a record accepted", RecordByID, Hold, nil, Accepted, "ack"},
		{"a record rejected", Record, Resend, []State{Unknown}, Rejected, "ack"},
		{"a record released", Record, Hold, nil, Released, "later"},
		{"a record unknown in hold", Record, Hold, nil, Unknown, "ack: held"},
		{"a record unknown, to be resent", RecordByID, Resend, []State{Unknown}, Unknown, "later"},
		{"a record unknown for the third time", RecordByID, Resend, []State{Unknown, Unknown}, Unknown, "ack: held"},
	} {
		v := claimed(tt.source, tt.choice, tt.over...)
		if a := v.Posted(at(6), Outcome{State: tt.own}, 0); say(a) != "outcome" || !a.Write.Set.Outcome.At.Equal(at(6)) {
			t.Errorf("%s: %s %+v", tt.name, say(a), a.Write.Set.Outcome)
		}
		copied := *v
		if a := v.Wrote(at(6), Result{}); say(a) != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, say(a), tt.want)
		}
		// The same is returned when the outcome cannot be written; only it is counted.
		a := copied.Wrote(at(6), Result{Lost: true})
		if !slices.Contains(a.Notes, NoteOutcomeLost) {
			t.Errorf("%s, not written: not counted in %q", tt.name, a.Notes)
		}
		if a.Notes = slices.DeleteFunc(a.Notes, func(n Note) bool { return n == NoteOutcomeLost }); say(a) != tt.want {
			t.Errorf("%s, not written: %s, want %s", tt.name, say(a), tt.want)
		}
	}
}

func TestAWriteWhoseAnswerWasLostIsKnownByItsToken(t *testing.T) {
	v, _ := Begin(wanting(Sync, Hold), at(5))
	v.Wrote(at(5), Result{})
	v.Posted(at(5), Outcome{State: Rejected}, 0)
	image := row()
	image.Attempts["mine"] = attempt(Rejected)
	again := *v
	if a := v.Wrote(at(5), Result{Refused: true, Image: image}); len(a.Notes) > 0 {
		t.Errorf("my own earlier outcome: %q", a.Notes)
	}
	if a := again.Wrote(at(5), Result{Refused: true}); !slices.Contains(a.Notes, NoteRowGone) || say(a) != "own rejected" {
		t.Errorf("the row is gone: %s, %q", say(a), a.Notes)
	}
}

func TestAClaimThatSurelyDidNotLandNeedsNoTakingBack(t *testing.T) {
	for _, source := range []Source{Sync, Async, Record, RecordByID} {
		v, _ := Begin(&Request{Source: source, ID: modelID, Token: "mine", RespondBy: at(5).Add(time.Minute)}, at(5))
		want := "table failed"
		if source.IsRecord() {
			want = "later: table failed"
		}
		if a := v.Wrote(at(5), Result{Missed: true}); say(a) != want {
			t.Errorf("source %d: %s, want %s", source, say(a), want)
		}
	}
}

func TestALostClaimIsTakenBackBeforeTheAnswer(t *testing.T) {
	for source, want := range map[Source]string{Sync: "table failed", Record: "later: table failed", RecordByID: "later: table failed"} {
		v, _ := Begin(wanting(source, Hold), at(5))
		a := v.Wrote(at(5), Result{Lost: true})
		if say(a) != "void" || a.Write.Set.Outcome.State != Released {
			t.Fatalf("source %d: %s", source, say(a))
		}
		if a = v.Wrote(at(5), Result{Refused: true}); say(a) != want {
			t.Errorf("source %d: %s, want %s", source, say(a), want)
		}
	}
	v, _ := Begin(wanting(Async, Hold), at(5))
	if a := v.Wrote(at(5), Result{Lost: true}); say(a) != "table failed" {
		t.Errorf("queueing has nothing to withdraw: %s", say(a))
	}
	// "Nothing was sent" would be a lie over an attempt that may have left.
	v, _ = meets(Sync, Resend, row(Unknown))
	v.Wrote(at(5), Result{Lost: true})
	if a := v.Wrote(at(5), Result{}); say(a) != "uncertain" {
		t.Errorf("over an unknown attempt: %s", say(a))
	}
}

func TestUnreadableStatusesNeverClaimThatNothingWasSent(t *testing.T) {
	for _, tt := range []struct {
		image *Send
		want  string
	}{{row(Released), "table failed"}, {row(Unknown), "uncertain"}, {row(""), "uncertain"}} {
		v, _ := Begin(wanting(Sync, Hold), at(5))
		v.Wrote(at(5), Result{Refused: true, Image: tt.image})
		if a := v.Queried(at(5), nil, false); say(a) != tt.want {
			t.Errorf("over %s: %s, want %s", states(tt.image), say(a), tt.want)
		}
	}
}

func TestWithTooLittleTimeNothingIsClaimedAndNothingPosted(t *testing.T) {
	late := wanting(Sync, Hold).RespondBy.Add(-ClaimNeeds + 1)
	for source, want := range map[Source]string{Sync: "no time", Record: "later: no time", RecordByID: "later: no time", Async: "queue0"} {
		if _, a := Begin(wanting(source, Hold), late); say(a) != want {
			t.Errorf("source %d: %s, want %s", source, say(a), want)
		}
	}
	// The claim itself took too long: it is given back unposted.
	v, _ := Begin(wanting(Sync, Hold), late.Add(-1))
	a := v.Wrote(late.Add(CallLimit-ShortestCall), Result{})
	if say(a) != "outcome" || a.Write.Set.Outcome.State != Released {
		t.Fatalf("%s %+v", say(a), a.Write.Set.Outcome)
	}
	if a = v.Wrote(late, Result{}); say(a) != "no time" {
		t.Errorf("response %s", say(a))
	}
}

func TestARaceIsLostThreeTimesAtMost(t *testing.T) {
	for source, want := range map[Source]string{Sync: "busy", Async: "busy", Record: "later: contended"} {
		v, a := meets(source, Hold, row(Released))
		for range rereads {
			if a.Do != DoWrite {
				t.Fatalf("source %d: %s", source, say(a))
			}
			a = v.Wrote(at(5), Result{Refused: true, Image: row(Released)})
			a = v.Queried(at(5), nil, a.Do == DoQuery)
		}
		if a = v.Wrote(at(5), Result{Refused: true, Image: row(Released)}); say(a) != want {
			t.Errorf("source %d: %s, want %s", source, say(a), want)
		}
	}
}

func TestWaitingIsAsLongAsItTakes(t *testing.T) {
	inFlight := row("")
	inFlight.Attempts["slot0"] = Attempt{Lease: at(6)}
	if _, a := meets(Sync, Hold, inFlight); a.Response.RetryAfter != tick {
		t.Errorf("in flight: again after %v", a.Response.RetryAfter)
	}
	if _, a := meets(Record, Hold, inFlight); a.Delay != tick {
		t.Errorf("in flight: later after %v", a.Delay)
	}
	if _, a := meets(Sync, Hold, until(row(), at(4))); a.Response.RetryAfter != ExpiryMargin-tick {
		t.Errorf("validity over: again after %v", a.Response.RetryAfter)
	}
	v, _ := Begin(wanting(Record, Hold), at(5))
	v.Wrote(at(5), Result{})
	v.Posted(at(5), Outcome{State: Released, HTTP: 429}, time.Minute)
	if a := v.Wrote(at(5), Result{}); a.Delay != time.Minute || a.Spread <= 0 {
		t.Errorf("rate limited: later after %v + %v", a.Delay, a.Spread)
	}
}

func TestQueueingEndsWithTheQueue(t *testing.T) {
	keyless := wanting(Async, Hold)
	keyless.Keyed = false
	for _, tt := range []struct {
		name string
		r    *Request
		ok   bool
		want string
	}{
		{"confirmed", wanting(Async, Hold), true, "queued"},
		{"not confirmed", wanting(Async, Hold), false, "queue failed"},
		{"not confirmed, without a key", keyless, false, "uncertain"},
	} {
		v, _ := Begin(tt.r, at(5))
		v.Wrote(at(5), Result{})
		if a := v.Enqueued(tt.ok); say(a) != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, say(a), tt.want)
		}
	}
}

func TestARecordOfOursNeedsNoFurtherRead(t *testing.T) {
	v, a := Begin(wanting(RecordByID, Hold), at(5))
	image, err := Apply(&Send{ID: modelID, Payload: []byte("hello"), ValidUntil: at(9)}, a.Write)
	if err != nil {
		t.Fatal(err)
	}
	if a = v.Wrote(at(5), Result{Image: image}); a.Do != DoPost || string(a.Send.Payload) != "hello" {
		t.Errorf("%s %+v", say(a), a.Send)
	}
}

// With a time nobody waits for the Gateway, whatever the source: the message is scheduled, and a
// repeat makes sure that it is.
func TestAMessageWithATimeIsScheduled(t *testing.T) {
	for name, c := range map[string]struct {
		source    Source
		ahead     time.Duration
		ok, keyed bool
		at        bool
		want      string
	}{
		"a caller":                                   {Sync, time.Hour, true, true, true, "queued"},
		"a caller that does not wait":                {Async, time.Hour, true, true, true, "queued"},
		"a record":                                   {Record, time.Hour, true, true, true, "ack: scheduled"},
		"a minute ahead":                             {Async, MinAhead, true, true, true, "queued"},
		"nearer: to the queue":                       {Async, MinAhead - 1, true, true, false, "queued"},
		"past: to the queue":                         {Record, -time.Second, true, true, false, "ack: scheduled"},
		"not confirmed":                              {Sync, time.Hour, false, true, true, "schedule failed"},
		"not confirmed, without a key":               {Sync, time.Hour, false, false, true, "uncertain"},
		"not confirmed, of a record":                 {Record, time.Hour, false, true, true, "later: not scheduled"},
		"the queue did not confirm":                  {Sync, time.Second, false, true, false, "queue failed"},
		"the queue did not confirm that of a record": {Record, time.Second, false, true, false, "later: not scheduled"},
	} {
		for _, image := range []*Send{nil, notBefore(until(row(), at(1000)), at(5).Add(c.ahead))} {
			r := wanting(c.source, Hold)
			r.NotBefore, r.Keyed = at(5).Add(c.ahead), c.keyed
			v, a := Begin(r, at(5))
			if say(a) != "queue0" {
				t.Fatalf("%s begins with %s", name, say(a))
			}
			if a = v.Wrote(at(5), Result{Refused: image != nil, Image: image}); a.Do == DoQuery {
				a = v.Queried(at(5), nil, true)
			}
			if a.Do != DoEnqueue || a.At.IsZero() == c.at || c.at && !a.At.Equal(r.NotBefore) {
				t.Errorf("%s: %s at %v", name, say(a), a.At)
				continue
			}
			a = v.Enqueued(c.ok)
			if say(a) != c.want || a.Response.Scheduled != (a.Response.Kind == Accepted202 && c.ahead > 0) {
				t.Errorf("%s: %s %+v, want %s", name, say(a), a.Response, c.want)
			}
		}
	}
}

func TestEachStateIsCancelledOrSaidNotToBe(t *testing.T) {
	far := at(1000)
	of := func(client string, s *Send) *Send { s.Client = client; return s }
	for name, c := range map[string]struct {
		operator bool
		image    *Send
		want     string
		state    State
	}{
		"queued":                    {false, of("crm", until(row(), far)), "cancel", ""},
		"scheduled":                 {false, of("crm", notBefore(until(row(), far), at(20))), "cancel", ""},
		"queued, was tried":         {false, of("crm", until(row(Released), far)), "cancel", ""},
		"never sent":                {false, of("crm", row(Released)), "cancel", ""},
		"cancelled":                 {false, of("crm", cancelled(row(Released))), "cancelled", ""},
		"accepted":                  {false, of("crm", row(Accepted)), "too late to cancel", Accepted},
		"in flight":                 {false, of("crm", until(row(""), far)), "too late to cancel", InFlight},
		"unknown":                   {false, of("crm", until(row(Unknown), far)), "too late to cancel", Unknown},
		"rejected":                  {false, of("crm", row(Rejected)), "too late to cancel", Rejected},
		"expired":                   {false, of("crm", until(row(), start)), "too late to cancel", Expired},
		"past valid_until":          {false, of("crm", until(row(), at(5))), "too late to cancel", Queued},
		"no row":                    {false, nil, "no such message", ""},
		"another client's":          {false, of("shop", until(row(), far)), "no such message", ""},
		"nobody's":                  {false, of("", until(row(), far)), "no such message", ""},
		"another's, by an operator": {true, of("shop", until(row(), far)), "cancel", ""},
		"nobody's, by an operator":  {true, of("", until(row(), far)), "cancel", ""},
		"no row, by an operator":    {true, nil, "no such message", ""},
	} {
		r := wanting(Cancel, Hold)
		r.Client, r.Operator = "crm", c.operator
		v, a := Begin(r, at(5))
		if a = v.Read(at(5), c.image, nil, a.Do == DoRead); a.Do == DoQuery {
			a = v.Queried(at(5), nil, true)
		}
		if say(a) != c.want || a.Response.State != c.state {
			t.Errorf("%s: %s %q, want %s %q", name, say(a), a.Response.State, c.want, c.state)
		}
		if a.Do != DoWrite {
			continue
		}
		again := *v
		if a = v.Wrote(at(5), Result{}); say(a) != "cancelled" || !a.Response.At.Equal(c.image.NotBefore) {
			t.Errorf("%s: %s %+v", name, say(a), a.Response)
		}
		if a = again.Wrote(at(5), Result{Lost: true}); say(a) != "table failed" {
			t.Errorf("%s, not confirmed: %s", name, say(a))
		}
	}
}

func TestAMessageWaitsForTheOneBeforeIt(t *testing.T) {
	gone := &Send{ID: otherID, V: 2, Attempts: map[string]Attempt{"a": attempt(Accepted)}}
	for name, c := range map[string]struct {
		source Source
		other  *Send
		ok     bool
		want   string
	}{
		"it has left":                  {Record, gone, true, "claim0"},
		"it is not there yet":          {Record, nil, true, "later: waits"},
		"it waits itself":              {Record, until(row(), at(1000)), true, "later: waits"},
		"it cannot be read":            {Record, gone, false, "later: table failed"},
		"it cannot be read, a caller":  {Sync, gone, false, "table failed"},
		"a caller cannot wait so long": {Sync, nil, true, "busy"},
	} {
		r := wanting(c.source, Hold)
		r.After, r.Sent = otherID, at(5).Add(-time.Minute)
		v, a := Begin(r, at(5))
		if say(a) != "read after" || a.After != otherID {
			t.Fatalf("%s begins with %s of %q", name, say(a), a.After)
		}
		a = v.After(at(5), c.other, nil, c.ok)
		if say(a) != c.want {
			t.Errorf("%s: %s, want %s", name, say(a), c.want)
		}
		if a.Do == DoLater && c.ok && (a.Delay != 6*time.Second || a.Spread <= 0) {
			t.Errorf("%s: after %v + %v", name, a.Delay, a.Spread)
		}
	}
	// Its validity is looked at again once it need not wait any more.
	image := until(row(Released), at(6))
	image.After = otherID
	v, a := meets(RecordByID, Hold, image)
	if say(a) != "read after" || say(v.After(at(6), gone, nil, true)) != "ack: expired" {
		t.Errorf("%s, then it claims", say(a))
	}
}

// A time that has come too near refuses a new message only: what its key has queued stays so.
func TestATimeThatIsTooNearRefusesNewMessagesOnly(t *testing.T) {
	near := at(5).Add(time.Second)
	for name, c := range map[string]struct {
		image *Send
		want  string
	}{
		"no row":          {nil, "gated rejected"},
		"never sent":      {row(Released), "gated rejected"},
		"scheduled":       {until(row(), at(1000)), "enqueue"},
		"accepted":        {row(Accepted), "stored accepted"},
		"in flight":       {row(""), "busy"},
		"unknown":         {row(Unknown), "uncertain"},
		"rejected":        {row(Rejected), "stored rejected"},
		"cancelled":       {cancelled(row()), "withdrawn"},
		"another request": {until(&Send{Fingerprint: "other"}, at(1000)), "key reused"},
	} {
		r := wanting(Async, Hold)
		r.NotBefore, r.MayNotQueue = near, &Outcome{State: Rejected}
		if c.image != nil {
			c.image.NotBefore = near
		}
		v, a := Begin(r, at(5))
		if a = v.Read(at(5), c.image, nil, a.Do == DoRead); say(a) != c.want {
			t.Errorf("%s: %s, want %s", name, say(a), c.want)
		}
	}
}
