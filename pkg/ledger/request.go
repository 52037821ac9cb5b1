package ledger

import "time"

// Source is where a request came from.
type Source int

const (
	// Sync is a caller that waits for the Gateway's response, over HTTP or by direct invocation.
	Sync Source = iota
	// Async is a caller that waits only until the message is queued.
	Async
	// Record is a queue record that holds the message.
	Record
	// RecordByID is a queue record that names the message's row: our own {"id"}.
	RecordByID
	// Cancel is a caller that withdraws a message, which never claims it.
	Cancel
)

// IsRecord reports whether it is a queue record, which nobody waits for: it is acknowledged or
// returned to the queue.
func (s Source) IsRecord() bool { return s == Record || s == RecordByID }

// Request is what one visit wants. It must not be changed after Begin.
type Request struct {
	Source Source
	ID     string
	Token  string // from NewToken, of this visit alone
	// RespondBy ends the visit's work, ProcessEnds its process. Records: the same instant.
	RespondBy, ProcessEnds time.Time
	RetentionDays          int // of a row; 0 keeps it for ever

	// Client may look the message up. Of Cancel: who cancels, and must be the row's.
	Client    string
	RequestID string // API Gateway's, of an HTTP request
	Operator  bool   // of Cancel: may cancel any client's

	// Of all but RecordByID, whose row has them, and Cancel.
	Keyed          bool // false: nobody can repeat the request
	Fingerprint    string
	Payload        []byte
	IsFake, MMLite bool
	Asked          string        // the sender that the request names; empty: none, or the default one
	Sender         string        // that a new row keeps; empty: the one that has no name
	OnUnknown      Choice        // empty: Hold
	ValidFor       time.Duration // Async, Record; 0: DefaultValidFor, at most MaxValidFor
	// NotBefore is when the message may be sent at the earliest; zero: at once. It is part of the
	// request. With it nobody waits for the Gateway's response: the message is scheduled or queued.
	NotBefore time.Time
	// After is the id of the message that must have left or ended before; empty: none, or the row's.
	After string

	// MayNotClaim says why this visit may not send the message, whatever the row says: the answer
	// that its caller gets, or that ends its record; a Released one holds for now only, and returns
	// its record to the queue. Nil: it may. Of Sync and Record. It may be set after Begin, before the
	// image that it rests on is reported. A gate's refusal goes before it.
	MayNotClaim *Outcome
	// MayNotQueue says why a request with NotBefore comes too late to be queued anew; what is queued
	// already stays so. Nil: it does not.
	MayNotQueue *Outcome
	// Fallback is the body that leaves instead of Payload where the gate says so; nil: none.
	Fallback []byte
	// Gate is what is to be looked at before each attempt, in words of the callers of this package;
	// empty: nothing. The row of a queued message keeps it for its record.
	Gate map[string]string

	// Of Record and RecordByID: when the record was first put on the queue.
	Sent time.Time
}

// queues reports whether the message waits in the queue or for its time, from any source.
func (r *Request) queues() bool {
	return r.Source == Async || !r.NotBefore.IsZero() && (r.Source == Sync || r.Source == Record)
}

// Verdict is what the gate says of an attempt. The zero value lets the message leave.
type Verdict struct {
	// MayNot says why the message may not be sent, whatever the row says: the answer that its caller
	// gets, or that ends its record. Nil: it may.
	MayNot *Outcome
	// Instead says why the fallback leaves instead of the message; empty: the message leaves.
	Instead Reason
	// Seen is what the gate saw, kept with the attempt.
	Seen map[string]string
}

func (r *Request) lease() time.Time { return r.ProcessEnds.Add(LeaseMargin) }

func (r *Request) choice() Choice {
	if r.OnUnknown == Resend {
		return Resend
	}
	return Hold
}

func (r *Request) validUntil(now time.Time) time.Time {
	from, valid := now, r.ValidFor
	switch {
	case !r.NotBefore.IsZero():
		from = r.NotBefore
	case r.Source == Record:
		from = r.Sent
	}
	if valid <= 0 {
		valid = DefaultValidFor
	}
	return from.Add(min(valid, MaxValidFor))
}
