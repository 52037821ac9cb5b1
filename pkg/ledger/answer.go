package ledger

import (
	"slices"
	"time"

	"connexease-functions/pkg/gateway"
)

// Kind says what an HTTP or direct caller is told.
type Kind string

const (
	// Own: the Gateway's answer to this request, in Answer.Outcome. A released one
	// without an answer of the Gateway is "not reached, nothing sent".
	Own Kind = "own"
	// Stored: the answer of an earlier attempt, in Answer.Outcome.
	Stored Kind = "stored"
	// Busy: in flight; again after Answer.RetryAfter (IDEM_001).
	Busy Kind = "busy"
	// KeyReused: the key belongs to another request (IDEM_002).
	KeyReused Kind = "key reused"
	// Uncertain: nobody can tell whether it was sent, it is not sent again (SEND_001).
	Uncertain Kind = "uncertain"
	// Late: rejected, because its validity ended; Answer.Outcome, if there is one, is
	// why it was not sent before.
	Late Kind = "late"
	// Accepted202: it waits in the queue.
	Accepted202 Kind = "queued"
	// QueueFailed: the queue did not confirm; the same key may be repeated safely (503).
	QueueFailed Kind = "queue failed"
	// TableFailed: the table did not answer and nothing was sent (SVC_002).
	TableFailed Kind = "table failed"
	// NoTime: too little time was left, nothing was sent (SEND_002).
	NoTime Kind = "no time"
)

// Answer is what a caller is told.
type Answer struct {
	Kind       Kind
	Outcome    *Outcome      // of Own, Stored and possibly Late
	RetryAfter time.Duration // of Busy, above zero; of Own where the Gateway or Meta asked for it
	Replayed   bool          // Idempotent-Replayed: true
}

// Note is what is worth a log line or a metric about how a visit went.
type Note string

const (
	// NoteNoRow: a queue record names a row that is not there.
	NoteNoRow Note = "no row"
	// NoteNotQueued: a queue record names a row that was never queued.
	NoteNotQueued Note = "not queued"
	// NoteKeyReused: a queue record's key belongs to another request; record it under
	// its own SQS message id.
	NoteKeyReused Note = "key reused"
	// NoteHeld: the outcome is unknown and the message is not sent again.
	NoteHeld Note = "held"
	// NoteExpired: a queue record came after its validity.
	NoteExpired Note = "expired"
	// NoteOutcomeLost: the outcome could not be written; the caller is told all the same.
	NoteOutcomeLost Note = "outcome lost"
	// NoteRowGone: the row of an attempt was gone when its outcome was written.
	NoteRowGone Note = "row gone"
	// NoteContended: others wrote the row each time that it was read.
	NoteContended Note = "contended"
	// NoteTableFailed, NoteNoTime: as the answers of these names.
	NoteTableFailed Note = "table failed"
	NoteNoTime      Note = "no time"
)

func (v *Visit) answer(a Answer) Action { return v.end(Action{Do: DoAnswer, Answer: a}, "") }

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
	if v.req.Source.Record() {
		return v.acknowledge("")
	}
	return v.answer(Answer{Kind: Stored, Outcome: o, Replayed: true})
}

func (v *Visit) busy(wait time.Duration, n Note) Action {
	if v.req.Source.Record() {
		return v.later(wait, shortSpread, n)
	}
	v.note = n
	return v.answer(Answer{Kind: Busy, RetryAfter: max(wait, shortDelay)})
}

func (v *Visit) keyReused() Action {
	if v.req.Source.Record() {
		return v.acknowledge(NoteKeyReused)
	}
	return v.answer(Answer{Kind: KeyReused})
}

func (v *Visit) uncertain() Action {
	if v.req.Source.Record() {
		return v.acknowledge(NoteHeld)
	}
	return v.answer(Answer{Kind: Uncertain})
}

func (v *Visit) late(last *Outcome) Action {
	if v.req.Source.Record() {
		return v.acknowledge(NoteExpired)
	}
	return v.answer(Answer{Kind: Late, Outcome: last, Replayed: true})
}

// failed ends a visit that sent nothing, for no fault of the message. "Nothing was
// sent" is not told where an earlier attempt may have left.
func (v *Visit) failed(k Kind, n Note) Action {
	v.note = n
	switch {
	case v.req.Source.Record():
		return v.later(shortDelay, shortSpread, n)
	case v.image != nil && v.image.left() > 0:
		return v.uncertain()
	default:
		return v.answer(Answer{Kind: k})
	}
}

// finish answers after the own attempt, whether or not its outcome could be written.
func (v *Visit) finish(now time.Time) Action {
	own := v.own
	if v.req.Source.Record() {
		return v.finishRecord(now)
	}
	switch {
	case own.State == Accepted:
	case own.State == Unknown || v.overUnknown:
		return v.uncertain()
	case !v.posted:
		return v.answer(Answer{Kind: NoTime})
	}
	return v.answer(Answer{Kind: Own, Outcome: own, RetryAfter: max(v.retryAfter, v.pairPause())})
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
// zero where the own one did not.
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
