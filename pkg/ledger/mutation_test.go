package ledger

import (
	"slices"
	"testing"
	"time"
)

// mutation is the ledger with one rule removed, made outside of the real code: by
// forgetting a condition of a write, or by showing a visit a world in which the rule
// would not have mattered.
type mutation struct {
	name     string
	scenario string
	breaks   string     // the property that must break, not just any
	drop     ClauseKind // a condition that is forgotten
	step     Step       // of this step only
	write    func(w *world, slot int, wr Write) Write
	image    func(w *world, slot int, image *Send) *Send
	statuses func(w *world, slot int, statuses []Status) []Status
	action   func(w *world, slot int, a Action) Action
	noVoid   bool
	// lateClock judges an image by a clock that was read after it.
	lateClock bool
	// after shows a visit another row to wait for.
	after func(row *Send) *Send
	// blind shows a visit that may not claim no row.
	blind bool
	// deep needs more than 100,000 states.
	deep bool
}

// settled shows an image whose attempts have outcomes that they do not have.
func settled(pick func(w *world, a Attempt) bool, state State) func(*world, int, *Send) *Send {
	return func(w *world, _ int, image *Send) *Send {
		for token, a := range image.Attempts {
			if pick(w, a) {
				image.Attempts[token] = Attempt{Lease: a.Lease, Outcome: &Outcome{State: state, At: start}}
			}
		}
		return image
	}
}

func open(_ *world, a Attempt) bool { return a.Outcome == nil }

func is(state State) func(*world, Attempt) bool {
	return func(_ *world, a Attempt) bool { return a.Outcome != nil && a.Outcome.State == state }
}

// canceller changes only what one who cancels is shown.
func canceller(image func(*world, int, *Send) *Send) func(*world, int, *Send) *Send {
	return func(w *world, slot int, s *Send) *Send {
		if w.sc.slots[slot] == Cancel {
			s = image(w, slot, s)
		}
		return s
	}
}

// notCancelled hides from the visits of a source that a row is cancelled.
func notCancelled(source Source) func(*world, int, *Send) *Send {
	return func(w *world, slot int, image *Send) *Send {
		if w.sc.slots[slot] == source {
			image.Cancelled = nil
		}
		return image
	}
}

// acknowledged acknowledges records that are to be retried for a reason.
func acknowledged(n Note) func(*world, int, Action) Action {
	return func(_ *world, _ int, a Action) Action {
		if a.Do == DoLater && slices.Contains(a.Notes, n) {
			a.Do = DoAcknowledge
		}
		return a
	}
}

// indexed has the writes of a step keep a row in the index from a time on, or leave it as it is.
func indexed(step Step, from time.Time) func(*world, int, Write) Write {
	return func(_ *world, _ int, wr Write) Write {
		if wr.Step != step {
			return wr
		}
		if wr.Set.Unsettled, wr.Set.Settled = from, false; wr.Put != nil {
			wr.Put = wr.Put.clone()
			wr.Put.Unsettled = from
		}
		return wr
	}
}

// ended shows a message to wait for that has ended.
func ended(*Send) *Send { return (&world{ended: true}).other() }

// mutations names each rule and the world that cannot do without it.
func mutations() []mutation {
	versioned := func(w *world, _ int, wr Write) Write {
		if wr.Step == Settle && w.row != nil {
			// As if the owner wrote over the image of its claim.
			wr.If = append([]Clause{{Kind: VersionIs, V: 1}}, wr.If...)
		}
		return wr
	}
	return []mutation{
		{name: "queue0 does not put it into the index", scenario: "queued, record twice", breaks: "queued message is not in the index", write: indexed(Queue0, time.Time{})},
		{name: "queue0 puts it there at once, before its time", scenario: "scheduled, record twice", breaks: "scheduled message is not in the index", write: indexed(Queue0, start)},
		{name: "outcomes put nothing into the index", scenario: "two callers", breaks: "unknown message is not in the index", write: indexed(Settle, time.Time{})},
		{name: "releases put no record into the index", scenario: "a record twice", breaks: "queued message is not in the index", write: indexed(Settle, time.Time{})},
		{name: "outcomes stay in the index", scenario: "queued, record twice", breaks: "accepted is still in the index", write: indexed(Settle, time.Time{})},
		{name: "cancellations stay in the index", scenario: "queued, two cancellers", breaks: "cancelled is still in the index", write: indexed(CancelSeen, time.Time{})},
		{name: "claim0 without row absent", scenario: "two callers", breaks: "2 messages left", drop: RowAbsent, step: Claim0},
		{name: "queue0 without row absent", scenario: "caller, queued, record", breaks: "messages left", drop: RowAbsent, step: Queue0},
		{name: "claim1 without v = 0", scenario: "queued, record twice", breaks: "2 messages left", drop: VersionIs, step: Claim1},
		{name: "claim1 without valid_until > now", scenario: "queued, caller, record", breaks: "posts after expired", drop: ValidAfter, step: Claim1},
		{name: "claimN without v = seen", scenario: "queued, caller, record", breaks: "2 messages left", drop: VersionIs, step: ClaimN},
		{name: "queueN without v = seen", scenario: "caller, queued, record", breaks: "queued a message again that was settled", drop: VersionIs, step: QueueN},
		{name: "void without an open attempt", scenario: "two callers", breaks: "a different request", drop: AttemptOpen, step: VoidOwn},
		{name: "outcome only on the claim's version", scenario: "two callers who resend", breaks: "late truth of slot", write: versioned},
		{name: "own token not looked for", scenario: "two callers", breaks: "unknown although nothing went wrong", image: func(_ *world, slot int, image *Send) *Send {
			if a, ok := image.Attempts[tokens[slot]]; ok {
				delete(image.Attempts, tokens[slot])
				image.Attempts["stranger"] = a
			}
			return image
		}},
		{name: "a lease that ran out frees the key in hold", scenario: "two callers", breaks: "2 messages left",
			image: settled(func(w *world, a Attempt) bool { return open(w, a) && !at(w.now).Before(a.Lease) }, Released)},
		{name: "an attempt in flight does not matter", scenario: "two callers", breaks: "2 messages left",
			image: settled(func(w *world, a Attempt) bool { return open(w, a) && at(w.now).Before(a.Lease) }, Released)},
		{name: "an unknown outcome does not matter in hold", scenario: "two callers", breaks: "2 messages left", image: settled(is(Unknown), Released)},
		{name: "a rejection does not matter", scenario: "two callers", breaks: "claimed over a rejected", image: settled(is(Rejected), Released)},
		{name: "a rejection does not end resending", scenario: "two callers who resend", breaks: "claimed over a rejected", image: settled(is(Rejected), Unknown)},
		{name: "resent without end", scenario: "two callers after two unknowns", breaks: "4 messages left", image: func(_ *world, _ int, image *Send) *Send {
			delete(image.Attempts, "seed0")
			return image
		}},
		{name: "receipts not read", scenario: "two callers", breaks: "although accepted was known",
			statuses: func(*world, int, []Status) []Status { return nil }},
		{name: "any receipt counts", scenario: "two callers", breaks: "nobody sent", statuses: func(w *world, _ int, statuses []Status) []Status {
			var all []Status
			for _, s := range statuses {
				for _, token := range w.row.tokens() {
					s.Token = token
				}
				all = append(all, s)
			}
			return all
		}},
		{name: "a receipt of another message counts", scenario: "two callers, receipts of another message", breaks: "a receipt of another message counts",
			statuses: func(_ *world, _ int, statuses []Status) []Status {
				var all []Status
				for _, s := range statuses {
					if s.Wamid == otherWamid { // as if the fold did not compare
						s.Wamid = "wamid." + s.Token
					}
					all = append(all, s)
				}
				return all
			}},
		{name: "readers say expired at once", scenario: "queued, caller, record", breaks: "posts after expired", image: func(_ *world, slot int, image *Send) *Send {
			if slot == 1 && !image.ValidUntil.IsZero() {
				image.ValidUntil = image.ValidUntil.Add(-ExpiryMargin)
			}
			return image
		}},
		{name: "validity not looked at", scenario: "a record twice", breaks: "at or after valid_until", image: func(_ *world, _ int, image *Send) *Send {
			if !image.ValidUntil.IsZero() {
				image.ValidUntil = image.ValidUntil.Add(time.Hour)
			}
			return image
		}},
		{name: "a lost claim is not withdrawn", scenario: "two callers", breaks: "unknown although nothing went wrong", noVoid: true},
		{name: "the clock is read after the row", scenario: "two callers", breaks: "although nothing went wrong", lateClock: true},
		{name: "a failure returned over an unknown attempt", scenario: "two callers who resend", breaks: "failure over a message that left",
			action: func(w *world, slot int, a Action) Action {
				v := &w.slots[slot].visit
				if a.Do == DoRespond && a.Response.Kind == Uncertain && v.own != nil && v.own.State != Unknown {
					a.Response = Response{Kind: Own, Outcome: v.own}
				}
				return a
			}},
		{name: "a released record is acknowledged", scenario: "a record twice", breaks: "no record is left", action: func(w *world, slot int, a Action) Action {
			if o := w.slots[slot].visit.own; a.Do == DoLater && o != nil && o.State == Released {
				a.Do = DoAcknowledge
			}
			return a
		}},
		{name: "cancel without v = seen", scenario: "two callers and a canceller", breaks: "cancelled a row in which", drop: VersionIs, step: CancelSeen},
		{name: "what may be under way is cancelled", scenario: "two callers and a canceller", breaks: "cancelled a row in which", image: canceller(settled(open, Released))},
		{name: "what may have left is cancelled", scenario: "two callers and a canceller", breaks: "cancelled a row in which", image: canceller(settled(is(Unknown), Released))},
		{name: "validity not looked at before a cancellation", scenario: "queued, repeated, canceller", breaks: "cancels at or after valid_until",
			image: canceller(func(_ *world, _ int, image *Send) *Send {
				if !image.ValidUntil.IsZero() {
					image.ValidUntil = image.ValidUntil.Add(time.Hour)
				}
				return image
			})},
		{name: "the cancellation of no row is confirmed", scenario: "scheduled, canceller, record", breaks: "over a row that is not", action: func(_ *world, _ int, a Action) Action {
			if a.Do == DoRespond && a.Response.Kind == NoSuch {
				a.Response.Kind = CancelDone
			}
			return a
		}},
		{name: "a lost cancellation is confirmed", scenario: "queued, canceller, record", breaks: "over a row that is not", action: func(w *world, slot int, a Action) Action {
			if a.Do == DoRespond && w.sc.slots[slot] == Cancel && a.Response.Kind == TableFailed {
				a.Response.Kind = CancelDone
			}
			return a
		}},
		{name: "a cancellation does not matter to a caller", scenario: "two callers and a canceller", breaks: "posts after cancelled", image: notCancelled(Sync)},
		{name: "a cancellation does not matter to a record", scenario: "a record twice, and a canceller", breaks: "posts after cancelled", image: notCancelled(Record)},
		{name: "a cancelled key is revived", scenario: "queued, repeated, canceller", breaks: "promised a message that was cancelled", image: notCancelled(Async)},
		{name: "a further cancellation is too late", scenario: "queued, two cancellers", breaks: "over a row that is cancelled", action: func(w *world, slot int, a Action) Action {
			if v := &w.slots[slot].visit; a.Do == DoRespond && a.Response.Kind == CancelDone && v.write.Step == "" {
				a.Response.Kind = CancelTooLate
			}
			return a
		}},
		{name: "claim1 without not_before <= now", scenario: "scheduled, record twice", breaks: "before its time", drop: DueBy, step: Claim1},
		{name: "claimN without a look at not_before", scenario: "scheduled, record twice", breaks: "before its time", image: func(_ *world, _ int, image *Send) *Send {
			image.NotBefore = time.Time{}
			return image
		}},
		{name: "a record that arrives early is acknowledged", scenario: "scheduled, record twice", breaks: "no record is left", action: acknowledged(NoteEarly)},
		{name: "a repeat returns 202 alone", scenario: "scheduled, repeated, record", breaks: "no record is left", action: func(w *world, slot int, a Action) Action {
			if a.Do == DoEnqueue && w.slots[slot].visit.write.Step == Queue0 && w.slots[slot].visit.image != nil {
				a = Action{Do: DoRespond, Response: Response{Kind: Accepted202}}
			}
			return a
		}},
		{name: "a record with a time is acknowledged before its schedule stands", scenario: "a record with a time, twice, and its own", breaks: "nothing stands",
			action: func(_ *world, _ int, a Action) Action {
				if a.Do == DoEnqueue {
					a = Action{Do: DoAcknowledge, Notes: []Note{NoteScheduled}}
				}
				return a
			}},
		{name: "the schedule is made before the row", deep: true, scenario: "scheduled, record twice", breaks: "no record is left", action: func(w *world, _ int, a Action) Action {
			switch {
			case a.Do == DoWrite && a.Write.Step == Queue0:
				w.wait(a.Write.Put.NotBefore)
			case a.Do == DoEnqueue:
				a = Action{Do: DoRespond, Response: Response{Kind: Accepted202}}
			}
			return a
		}},
		{name: "claim1 without after absent", scenario: "queued to wait, canceller, record", breaks: "before the message that it waits for", drop: AfterAbsent, step: Claim1},
		{name: "claimN without a look at after", scenario: "queued to wait, a caller, record", breaks: "before the message that it waits for", after: ended},
		{name: "what has no row yet has ended", scenario: "a record that waits, twice", breaks: "before the message that it waits for", after: ended},
		{name: "a record that waits is acknowledged", scenario: "a record that waits, twice", breaks: "no record is left", action: acknowledged(NoteWaits)},
		{name: "what may not be sent is not looked up", scenario: "a caller who may not send, and two callers", breaks: "over a message that left", blind: true, deep: true},
		{name: "end0 without row absent", scenario: "a record that may not be sent, and a caller", breaks: "may have left", drop: RowAbsent, step: EndNew},
		{name: "endN without v = seen", scenario: "a record that may not be sent, and two callers", breaks: "may have left", drop: VersionIs, step: EndSeen},
		{name: "what is queued is said not to be sent", scenario: "queued, a caller who may not send, record", breaks: "over a row that was queued",
			action: func(w *world, slot int, a Action) Action {
				if v := &w.slots[slot].visit; w.gated(slot) && a.Do == DoRespond && a.Response.Kind == Busy && v.image != nil && !v.image.ValidUntil.IsZero() {
					a.Response = Response{Kind: Gated}
				}
				return a
			}},
		{name: "a record that may not be sent is not ended", scenario: "a record that may not be sent, and a caller", breaks: "has not ended",
			action: func(_ *world, _ int, a Action) Action {
				if a.Do == DoWrite && a.Write.Step == EndNew {
					a = Action{Do: DoAcknowledge, Notes: []Note{NoteGated}}
				}
				return a
			}},
		{name: "claim1 without ungated", scenario: "queued, record twice before a free gate", breaks: "claimed without asking", drop: Ungated, step: Claim1},
		{name: "a claim does not name its body", scenario: "two callers before a free gate", breaks: "posts another body than its attempt names",
			write: func(_ *world, _ int, wr Write) Write {
				if wr.Set.Instead = ""; wr.Put != nil {
					wr.Put = wr.Put.clone()
					for token, a := range wr.Put.Attempts {
						a.Instead = ""
						wr.Put.Attempts[token] = a
					}
				}
				return wr
			}},
		{name: "a further claim posts what the one before posted", scenario: "two callers before a free gate", breaks: "posts another body than the gate said",
			action: func(w *world, slot int, a Action) Action {
				if v := &w.slots[slot].visit; a.Do == DoWrite && a.Write.Step == ClaimN && v.image != nil {
					for _, token := range v.image.tokens() {
						a.Write.Set.Instead = v.image.Attempts[token].Instead
					}
					v.write = a.Write
				}
				return a
			}},
		{name: "the stored response does not say which body left", scenario: "two callers before a free gate", breaks: "the other body left",
			image: func(_ *world, slot int, image *Send) *Send {
				for token, a := range image.Attempts {
					if token != tokens[slot] {
						a.Instead = ""
						image.Attempts[token] = a
					}
				}
				return image
			}},
		{name: "the row's gate is not looked at", scenario: "queued, record twice before a free gate", breaks: "claimed without asking",
			image: func(_ *world, _ int, image *Send) *Send {
				image.Gate = nil
				return image
			}},
		{name: "a record is acknowledged while its message is in flight", scenario: "queued, caller, record", breaks: "no record is left",
			action: func(w *world, slot int, a Action) Action {
				if w.sc.slots[slot] == RecordByID && w.slots[slot].visit.own == nil && a.Do == DoLater {
					a.Do = DoAcknowledge
				}
				return a
			}},
	}
}

func TestEveryConditionIsNeeded(t *testing.T) {
	byName := map[string]scenario{}
	for _, sc := range scenarios() {
		byName[sc.name] = sc
	}
	for _, mut := range mutations() {
		t.Run(mut.name, func(t *testing.T) {
			t.Parallel()
			if mut.deep && testing.Short() {
				t.Skip("not with -short: more than 100,000 states")
			}
			sc, ok := byName[mut.scenario]
			if !ok {
				t.Fatalf("no scenario %q", mut.scenario)
			}
			s := explore(&sc, &mut)
			if s.found == "" {
				t.Fatalf("%q held in %d states", mut.breaks, s.states)
			}
			t.Logf("%d states: %s", s.states, s.found)
		})
	}
}
