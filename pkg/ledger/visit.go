package ledger

import (
	"cmp"
	"time"
)

type phase int

const (
	phaseClaim  phase = iota // a claim or queueing is being written
	phaseGate                // the gate is being asked
	phaseRow                 // the row is being read
	phaseRead                // statuses are being read
	phasePost                // the message is at the Gateway
	phaseSettle              // the outcome is being written
	phaseEnd                 // a row is being rejected that may not be claimed
	phaseVoid                // a lost claim is being withdrawn
	phaseAfter               // the row of the message to wait for is being read
	phaseQueue               // the id is being put on the queue, or scheduled
	phaseEnded
)

// Visit is one request's way through the ledger. Its caller does what each Action
// says, reports back by the method that the Action names, and decides nothing. now is
// always the time of that report. A Visit belongs to one goroutine.
type Visit struct {
	req   *Request
	phase phase
	write Write
	// clock was read before the image: an image is never judged by a later clock, or
	// an outcome written in between would be mistaken for a lease that ran out.
	clock       time.Time
	image       *Send // as read, with the own attempt once it is claimed
	folded      Folded
	asked       bool // verdict is the gate's
	verdict     Verdict
	refusals    int
	overUnknown bool // claimed although an earlier attempt may have sent the message
	posted      bool
	ended       string    // the message to wait for, once it has left or ended
	at          time.Time // for which a schedule is being made; zero: straight to the queue
	early       bool      // its time had not come when it was put on the queue
	own         *Outcome
	retryAfter  time.Duration
	note        Note
}

// Begin starts a visit. The first write is made blindly, because most keys are new; where there is a
// gate, it is asked before. A record that names its row learns of the gate there. A visit that
// cancels reads first.
func Begin(r *Request, now time.Time) (*Visit, Action) {
	v := &Visit{req: r}
	switch {
	case r.MayNotClaim != nil, r.MayNotQueue != nil, r.Source == Cancel:
		v.phase, v.clock = phaseRow, now
		return v, Action{Do: DoRead}
	case r.queues():
		return v, v.issue(now, r.queue0(now))
	case r.Source == RecordByID:
		return v, v.claim(now, r.claim1(now))
	case len(r.Gate) > 0:
		return v, v.ask()
	default:
		return v, v.first(now)
	}
}

// first makes the row, when there is none.
func (v *Visit) first(now time.Time) Action {
	r := v.req
	v.image = nil
	switch {
	case r.Source == RecordByID:
		return v.acknowledge(NoteNoRow)
	case v.mayNot() != nil:
		return v.gated(now)
	case r.MayNotQueue != nil:
		return v.respond(Response{Kind: Gated, Outcome: r.MayNotQueue})
	case r.queues(), r.Source == Record && !now.Before(r.validUntil(now)):
		return v.issue(now, r.queue0(now))
	default:
		return v.claimOver(now, false)
	}
}

// mayNot is why it may not claim; nil: it may.
func (v *Visit) mayNot() *Outcome { return cmp.Or(v.verdict.MayNot, v.req.MayNotClaim) }

func (v *Visit) ask() Action {
	v.phase = phaseGate
	return Action{Do: DoGate, Send: v.image}
}

// Checked reports what the gate said of a DoGate, or that it could not be asked. A visit that may
// not claim, or has no time for it any more, reads first: a settled key still has its stored
// response.
func (v *Visit) Checked(now time.Time, verdict Verdict, ok bool) Action {
	if v.phase != phaseGate {
		panic("ledger: Checked without a gate")
	}
	v.asked, v.verdict = true, verdict
	switch {
	case !ok:
		return v.failed(TableFailed, NoteTableFailed)
	case v.image != nil:
		return v.judge(now)
	case verdict.MayNot != nil || v.req.RespondBy.Sub(now) < ClaimNeeds:
		v.phase, v.clock = phaseRow, now
		return Action{Do: DoRead}
	}
	return v.first(now)
}

// Read reports the row of a DoRead, nil where there is none, and the statuses under its id, or that
// they could not be read.
func (v *Visit) Read(now time.Time, row *Send, statuses []Status, ok bool) Action {
	switch {
	case v.phase != phaseRow:
		panic("ledger: Read without a read")
	case !ok:
		return v.failed(TableFailed, NoteTableFailed)
	case row == nil && v.req.Source != Cancel:
		return v.first(now)
	}
	a := v.refused(now, row)
	if a.Do == DoQuery {
		return v.Queried(now, statuses, true)
	}
	return a
}

// gated ends a visit that may not claim, over no row or one that is queued or released. A caller
// is returned the reason, and its key stays free; but of what is queued nobody says that nothing is
// sent. A record is ended in its row, or it would come back until its validity ends, as it does where
// the reason holds for now only.
func (v *Visit) gated(now time.Time) Action {
	if !v.req.Source.IsRecord() {
		return v.respond(Response{Kind: Gated, Outcome: v.mayNot()})
	}
	if v.mayNot().State == Released {
		return v.later(Backoff(now.Sub(v.req.Sent), 0), shortSpread, NoteNotNow)
	}
	v.phase, v.clock = phaseEnd, now
	why := Verdict{MayNot: v.mayNot(), Seen: v.verdict.Seen}
	if v.image == nil {
		v.write = v.req.end0(now, why)
	} else {
		v.write = unsettled(now, v.image, v.req.endN(now, v.image, why))
	}
	return Action{Do: DoWrite, Write: v.write}
}

// claim writes a claim, if a call of the Gateway still fits after it.
func (v *Visit) claim(now time.Time, w Write) Action {
	if v.req.RespondBy.Sub(now) < ClaimNeeds {
		return v.failed(NoTime, NoteNoTime)
	}
	return v.issue(now, w)
}

func (v *Visit) issue(now time.Time, w Write) Action {
	v.phase, v.write, v.clock = phaseClaim, unsettled(now, v.image, w), now
	return Action{Do: DoWrite, Write: v.write}
}

// Wrote reports what became of a DoWrite.
func (v *Visit) Wrote(now time.Time, r Result) Action {
	switch v.phase {
	case phaseClaim:
		switch {
		case r.Refused:
			return v.refused(now, r.Image)
		case r.Lost:
			return v.lost()
		case r.Missed:
			return v.failed(TableFailed, NoteTableFailed)
		default:
			return v.landed(now, r.Image)
		}
	case phaseEnd:
		switch {
		case r.Refused:
			return v.refused(now, r.Image)
		case r.Lost || r.Missed:
			return v.failed(TableFailed, NoteTableFailed)
		}
		return v.acknowledge(NoteGated)
	case phaseVoid:
		return v.failed(TableFailed, NoteTableFailed)
	case phaseSettle:
		if r.Lost || r.Missed {
			v.note = NoteOutcomeLost
		} else if r.Refused && (r.Image == nil || r.Image.Attempts[v.req.Token].Outcome == nil) {
			v.note = NoteRowGone
		}
		return v.finish(now)
	}
	panic("ledger: Wrote without a write")
}

// lost withdraws a claim that may have landed: nothing was posted for it.
func (v *Visit) lost() Action {
	if v.write.Step == Queue0 || v.write.Step == QueueN || v.write.Step == CancelSeen {
		return v.failed(TableFailed, NoteTableFailed)
	}
	v.phase = phaseVoid
	w := v.req.outcome(VoidOwn, Outcome{State: Released, Reason: ReasonTableFailed, At: v.clock})
	if v.write.Step != Claim1 { // its row is in the index, and stays there
		w = unsettled(v.clock, v.over(), w)
	}
	return Action{Do: DoWrite, Write: w}
}

func (v *Visit) landed(now time.Time, image *Send) Action {
	switch v.write.Step {
	case Queue0:
		if v.req.Source == Record && !now.Before(v.write.Put.ValidUntil) {
			return v.acknowledge(NoteExpired)
		}
		return v.enqueue(now)
	case QueueN:
		return v.enqueue(now)
	case CancelSeen:
		return v.cancelled()
	case Claim1:
		return v.post(now, image)
	default:
		return v.post(now, v.over())
	}
}

// over returns the image that a claim makes: the conditions of claim0 and claimN leave only one to
// land on.
func (v *Visit) over() *Send { return made(v.image, v.write) }

// enqueue leaves what is near to the queue: a record that arrives early is returned to it.
func (v *Visit) enqueue(now time.Time) Action {
	at := v.req.NotBefore
	v.phase, v.early = phaseQueue, now.Before(at)
	if v.at = at; at.Sub(now) < MinAhead {
		v.at = time.Time{}
	}
	return Action{Do: DoEnqueue, At: v.at}
}

// refused reads the image on which a condition failed.
func (v *Visit) refused(now time.Time, old *Send) Action {
	v.refusals++
	cancels := v.req.Source == Cancel
	switch {
	case cancels && (old == nil || old.Client != v.req.Client && !v.req.Operator):
		return v.respond(Response{Kind: NoSuch})
	case old == nil:
		if v.refusals > 1+rereads {
			return v.busy(shortDelay, NoteContended)
		}
		return v.first(now)
	}
	// The write may have landed, and only its response been lost.
	if own, ok := old.Attempts[v.req.Token]; ok && own.Outcome == nil {
		return v.post(now, old)
	}
	v.image = old
	switch {
	case v.req.Source != RecordByID && !cancels && !v.req.fits(old):
		return v.keyReused()
	case old.Has(Accepted) && !cancels:
		return v.stored(acceptedResponse(old))
	case v.req.Source == RecordByID && old.ValidUntil.IsZero():
		return v.acknowledge(NoteNotQueued)
	case v.refusals > 1+rereads:
		return v.busy(shortDelay, NoteContended)
	}
	v.phase = phaseRead
	return Action{Do: DoQuery}
}

// Queried reports the statuses under the id, or that they could not be read.
func (v *Visit) Queried(now time.Time, statuses []Status, ok bool) Action {
	if v.phase != phaseRead {
		panic("ledger: Queried without a query")
	}
	if !ok {
		return v.failed(TableFailed, NoteTableFailed)
	}
	v.folded = Fold(v.clock, v.image, statuses)
	if v.req.Source == Cancel {
		return v.cancel(now, v.folded.State)
	}
	return v.judge(now)
}

func (v *Visit) judge(now time.Time) Action {
	switch f := v.folded; f.State {
	case Accepted, Rejected:
		return v.stored(f.Outcome)
	case InFlight:
		return v.busy(f.LeaseEnds.Sub(now), "")
	case Cancelled:
		return v.withdrawn()
	case Expired:
		return v.late(f.Outcome)
	case Unknown:
		return v.unknown(now, f.MayResend)
	case Queued, Scheduled:
		return v.queued(now)
	default:
		return v.released(now)
	}
}

// cancel withdraws what nothing has claimed. Of what may have left nobody says that it is cancelled,
// and of what is no longer valid readers say soon that it is expired.
func (v *Visit) cancel(now time.Time, state State) Action {
	switch state {
	case Cancelled:
		return v.cancelled()
	case Queued, Scheduled, Released:
		if v.valid(now) {
			return v.issue(now, v.req.cancel(now, v.image))
		}
	}
	return v.respond(Response{Kind: CancelTooLate, State: state})
}

func (v *Visit) cancelled() Action {
	return v.respond(Response{Kind: CancelDone, At: v.image.NotBefore})
}

func (v *Visit) unknown(now time.Time, mayResend bool) Action {
	switch {
	case v.mayNot() != nil, v.choice() != Resend || !mayResend:
		return v.uncertain()
	case v.req.queues() && now.Before(v.req.validUntil(now)):
		v.overUnknown = true
		return v.issue(now, v.req.queueN(now, v.image))
	case v.req.queues():
		return v.uncertain()
	}
	return v.claimOver(now, true)
}

func (v *Visit) queued(now time.Time) Action {
	switch {
	case !v.valid(now):
		return v.lapsed(now)
	case v.req.queues():
		return v.enqueue(now)
	case now.Before(v.image.NotBefore):
		return v.busy(v.image.NotBefore.Sub(now), NoteEarly)
	case v.mayNot() != nil && v.req.Source.IsRecord():
		return v.gated(now)
	case v.mayNot() != nil:
		return v.busy(shortDelay, "") // its record may still send it
	}
	return v.claimOver(now, false)
}

// lapsed ends a visit to a queued row between the end of its validity and when readers say expired.
func (v *Visit) lapsed(now time.Time) Action {
	if v.req.Source.IsRecord() {
		return v.acknowledge(NoteExpired)
	}
	return v.busy(v.image.ValidUntil.Add(ExpiryMargin).Sub(now), "")
}

func (v *Visit) released(now time.Time) Action {
	if v.mayNot() != nil {
		return v.gated(now)
	}
	switch {
	case v.req.MayNotQueue != nil:
		return v.respond(Response{Kind: Gated, Outcome: v.req.MayNotQueue})
	case v.req.queues():
		v.overUnknown = false
		return v.issue(now, v.req.queueN(now, v.image))
	case v.req.Source == RecordByID:
		return v.acknowledge(NoteNotQueued)
	}
	return v.claimOver(now, false)
}

// claimOver claims over the image that was read, or a new row, once what it waits for has ended.
// unknown: an earlier attempt may have sent the message.
func (v *Visit) claimOver(now time.Time, unknown bool) Action {
	v.overUnknown = unknown
	switch {
	case v.image != nil && !v.valid(now) && unknown:
		return v.uncertain()
	case v.image != nil && !v.valid(now):
		return v.lapsed(now)
	case v.waitsFor() != v.ended:
		v.phase, v.clock = phaseAfter, now
		return Action{Do: DoReadAfter, After: v.waitsFor()}
	case v.image == nil:
		return v.claim(now, v.req.claim0(now, v.verdict))
	case v.req.Source == RecordByID && len(v.image.Gate) > 0 && !v.asked:
		return v.ask()
	}
	return v.claim(now, v.req.claimN(now, v.image, v.verdict))
}

// valid looks at the validity again, right before a claim.
func (v *Visit) valid(now time.Time) bool {
	return v.image.ValidUntil.IsZero() || now.Before(v.image.ValidUntil)
}

// choice is the request's own; a record that only names its row has the row's.
func (v *Visit) choice() Choice {
	if v.req.Source == RecordByID {
		return v.image.OnUnknown
	}
	return v.req.choice()
}

func (v *Visit) post(now time.Time, image *Send) Action {
	v.image = image
	within := min(CallLimit, v.req.RespondBy.Sub(now)-OutcomeReserve)
	if within < ShortestCall {
		return v.settle(Outcome{State: Released, Reason: ReasonNoTime, At: now})
	}
	v.phase, v.posted = phasePost, true
	return Action{Do: DoPost, Send: image, Within: within}
}

// Posted reports the outcome of a DoPost. retryAfter is what the Gateway asked for
// with a 429, else zero.
func (v *Visit) Posted(now time.Time, o Outcome, retryAfter time.Duration) Action {
	if v.phase != phasePost {
		panic("ledger: Posted without a post")
	}
	v.retryAfter = retryAfter
	o.At = now
	return v.settle(o)
}

func (v *Visit) settle(o Outcome) Action {
	o.Instead = v.image.Attempts[v.req.Token].Instead
	v.phase, v.own = phaseSettle, &o
	w := unsettled(o.At, v.image, v.req.outcome(Settle, o))
	// What is decided next rests on the attempts with this one's outcome among them.
	if next, err := Apply(v.image, w); err == nil {
		v.image = next
	}
	return Action{Do: DoWrite, Write: w}
}

// Enqueued reports whether the queue confirmed the id of a DoEnqueue. Without a key
// nobody can repeat the request, so an unconfirmed one is uncertain.
func (v *Visit) Enqueued(ok bool) Action {
	switch {
	case v.phase != phaseQueue:
		panic("ledger: Enqueued without a queue")
	case v.req.Source == Record && ok:
		return v.acknowledge(NoteScheduled)
	case v.req.Source == Record:
		return v.later(Backoff(v.clock.Sub(v.req.Sent), 0), shortSpread, NoteNotScheduled)
	case ok:
		return v.respond(Response{Kind: Accepted202, Scheduled: v.early})
	case !v.req.Keyed || v.overUnknown:
		return v.uncertain()
	case !v.at.IsZero():
		return v.respond(Response{Kind: ScheduleFailed})
	default:
		return v.respond(Response{Kind: QueueFailed})
	}
}
