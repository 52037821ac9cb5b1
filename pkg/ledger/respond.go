package ledger

import (
	"slices"
	"time"

	"connexease-functions/pkg/gateway"
)

// Kind says what an HTTP or direct caller is returned.
type Kind string

const (
	// Own: the Gateway's response to this request, in Response.Outcome. A released one without a
	// response of the Gateway means "not reached, nothing sent".
	Own Kind = "own"
	// Stored: the response that an earlier attempt received, in Response.Outcome.
	Stored Kind = "stored"
	// Busy: a request with this key is in flight; repeat it after Response.RetryAfter (IDEM_001).
	Busy Kind = "busy"
	// KeyReused: the key belongs to a different request (IDEM_002).
	KeyReused Kind = "key reused"
	// Uncertain: nobody can say whether the message was sent, so it is not sent again (SEND_001).
	Uncertain Kind = "uncertain"
	// Late: rejected, because its validity ended; Response.Outcome, if there is one, is why it was
	// not sent before (SEND_004).
	Late Kind = "late"
	// Gated: this visit may not send the message; Response.Outcome says why. Nothing was sent, and
	// the key is as it was.
	Gated Kind = "gated"
	// Accepted202: its row is written and its id is in the queue, or its schedule stands
	// (Response.Scheduled).
	Accepted202 Kind = "queued"
	// Withdrawn: the message was cancelled before it was sent (SEND_005).
	Withdrawn Kind = "withdrawn"
	// CancelDone: the message is cancelled, by this visit or an earlier one; its schedule, at
	// Response.At where that is not zero, may be deleted.
	CancelDone Kind = "cancelled"
	// CancelTooLate: it can no longer be cancelled, being in Response.State (CANCEL_001).
	CancelTooLate Kind = "too late to cancel"
	// NoSuch: there is no such message that this caller may cancel (REQ_003).
	NoSuch Kind = "no such message"
	// ScheduleFailed: as QueueFailed, of EventBridge Scheduler (SVC_005).
	ScheduleFailed Kind = "schedule failed"
	// QueueFailed: the queue did not confirm; the same key may be repeated safely (SVC_004).
	QueueFailed Kind = "queue failed"
	// TableFailed: the table could not be read or written and nothing was sent (SVC_002).
	TableFailed Kind = "table failed"
	// NoTime: too little time remained for a call of the Gateway; nothing was sent (SEND_002).
	NoTime Kind = "no time"
)

// Response is what a waiting caller is returned.
type Response struct {
	Kind       Kind
	Outcome    *Outcome      // of Own, Stored, Gated and possibly Late
	RetryAfter time.Duration // of Busy, above zero; of Own where the Gateway or Meta asked for it
	Replayed   bool          // Idempotent-Replayed: true
	Scheduled  bool          // of Accepted202: its time has not come
	State      State         // of CancelTooLate
	At         time.Time     // of CancelDone
}

// Instead reports whether it is the Gateway's response to the fallback.
func (r Response) Instead() bool {
	return (r.Kind == Own || r.Kind == Stored) && r.Outcome.Instead != ""
}

// Note is what is worth a log line or a metric about how a visit went.
type Note string

const (
	// NoteNoRow: a queue record names a row that does not exist. The record is acknowledged.
	NoteNoRow Note = "no row"
	// NoteNotQueued: a queue record names a row that was never queued. The record is acknowledged.
	NoteNotQueued Note = "not queued"
	// NoteKeyReused: a queue record's key belongs to a different request; the record is to be
	// stored as refused under its own SQS message id.
	NoteKeyReused Note = "key reused"
	// NoteHeld: the outcome is unknown and the message is not sent again.
	NoteHeld Note = "held"
	// NoteExpired: a queue record arrived after its validity.
	NoteExpired Note = "expired"
	// NoteEarly: a queue record arrived before its message's time, and is returned to the queue.
	NoteEarly Note = "early"
	// NoteWaits: a queue record's message waits for a different message, and is returned to the queue.
	NoteWaits Note = "waits"
	// NoteCancelled: a queue record's message was cancelled. The record is acknowledged.
	NoteCancelled Note = "cancelled"
	// NoteScheduled: a queue record with a time has its row, and its schedule or its id in the queue.
	// The record is acknowledged.
	NoteScheduled Note = "scheduled"
	// NoteNotScheduled: the same could not be confirmed; the record is returned to the queue.
	NoteNotScheduled Note = "not scheduled"
	// NoteGated: a queue record may not be sent, and was ended in its row.
	NoteGated Note = "gated"
	// NoteNotNow: a queue record may not be sent for now, and was returned to the queue.
	NoteNotNow Note = "not now"
	// NoteOutcomeLost: the outcome could not be written; the caller is returned it all the same.
	NoteOutcomeLost Note = "outcome lost"
	// NoteRowGone: the row of an attempt was gone when its outcome was written.
	NoteRowGone Note = "row gone"
	// NoteContended: other visits wrote the row each time that it was read.
	NoteContended Note = "contended"
	// NoteTableFailed: as the Kind TableFailed, also of a record, which is returned to the queue.
	NoteTableFailed Note = "table failed"
	// NoteNoTime: as the Kind NoTime, also of a record, which is returned to the queue.
	NoteNoTime Note = "no time"
)

func (v *Visit) respond(r Response) Action { return v.end(Action{Do: DoRespond, Response: r}, "") }

func (v *Visit) acknowledge(n Note) Action { return v.end(Action{Do: DoAcknowledge}, n) }

func (v *Visit) later(delay, spread time.Duration, n Note) Action {
	return v.end(Action{Do: DoLater, Delay: max(delay, shortDelay), Spread: spread}, n)
}

func (v *Visit) end(a Action, n Note) Action {
	v.phase = phaseEnded
	for _, note := range []Note{v.note, n} {
		if note != "" && !slices.Contains(a.Notes, note) {
			a.Notes = append(a.Notes, note)
		}
	}
	return a
}

func (v *Visit) stored(o *Outcome) Action {
	if v.req.Source.IsRecord() {
		return v.acknowledge("")
	}
	return v.respond(Response{Kind: Stored, Outcome: o, Replayed: true})
}

func (v *Visit) busy(wait time.Duration, n Note) Action {
	if v.req.Source.IsRecord() {
		return v.later(wait, shortSpread, n)
	}
	v.note = n
	return v.respond(Response{Kind: Busy, RetryAfter: max(wait, shortDelay)})
}

func (v *Visit) keyReused() Action {
	if v.req.Source.IsRecord() {
		return v.acknowledge(NoteKeyReused)
	}
	return v.respond(Response{Kind: KeyReused})
}

func (v *Visit) uncertain() Action {
	if v.req.Source.IsRecord() {
		return v.acknowledge(NoteHeld)
	}
	return v.respond(Response{Kind: Uncertain})
}

func (v *Visit) withdrawn() Action {
	if v.req.Source.IsRecord() {
		return v.acknowledge(NoteCancelled)
	}
	return v.respond(Response{Kind: Withdrawn})
}

func (v *Visit) late(last *Outcome) Action {
	if v.req.Source.IsRecord() {
		return v.acknowledge(NoteExpired)
	}
	return v.respond(Response{Kind: Late, Outcome: last, Replayed: true})
}

// failed ends a visit that sent nothing, for no fault of the message. "Nothing was sent" is not
// said where an earlier attempt may have sent it.
func (v *Visit) failed(k Kind, n Note) Action {
	v.note = n
	switch {
	case v.req.Source.IsRecord():
		return v.later(shortDelay, shortSpread, n)
	case v.req.Source != Cancel && v.image != nil && v.image.maybeSent() > 0:
		return v.uncertain()
	default:
		return v.respond(Response{Kind: k})
	}
}

// finish ends a visit after its own attempt, whether or not its outcome could be written.
func (v *Visit) finish(now time.Time) Action {
	own := v.own
	if v.req.Source.IsRecord() {
		return v.finishRecord(now)
	}
	switch {
	case own.State == Accepted:
	case own.State == Unknown || v.overUnknown:
		return v.uncertain()
	case !v.posted:
		return v.respond(Response{Kind: NoTime})
	}
	return v.respond(Response{Kind: Own, Outcome: own, RetryAfter: max(v.retryAfter, v.pairPause())})
}

func (v *Visit) finishRecord(now time.Time) Action {
	switch v.own.State {
	case Released:
		wait := max(Backoff(now.Sub(v.req.Sent), v.retryAfter), v.pairPause())
		return v.later(wait, wait/5, "")
	case Unknown:
		if v.choice() == Resend && v.image.mayResend() {
			wait := Backoff(now.Sub(v.req.Sent), receiptWait)
			return v.later(wait, wait/5, "")
		}
		return v.uncertain()
	default:
		return v.acknowledge("")
	}
}

// pairPause grows with each attempt that met the limit of a pair of numbers, as Meta asks;
// zero where the own attempt did not meet it.
func (v *Visit) pairPause() time.Duration {
	if v.own.State != Released || v.own.Reason != gateway.ReasonPairLimited {
		return 0
	}
	wait := gateway.PairPause
	met := 0
	for _, o := range v.image.outcomes(Released) {
		if o.Reason == gateway.ReasonPairLimited {
			met++
		}
	}
	for range met - 1 {
		wait *= 2
	}
	return min(wait, longestBackoff)
}
