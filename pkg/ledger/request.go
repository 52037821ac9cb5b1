package ledger

import "time"

// Source is where a request came from.
type Source int

const (
	// HTTP is a caller who waits for the Gateway's answer, over HTTP or by direct invocation.
	HTTP Source = iota
	// Async is a caller who waits only until the message is queued.
	Async
	// Bare is a queue record that holds the message.
	Bare
	// ByID is a queue record that names a row: our own {"id"}.
	ByID
)

// Record tells whether it is a queue record.
func (s Source) Record() bool { return s == Bare || s == ByID }

// Request is what one visit wants. It must not be changed after Begin.
type Request struct {
	Source Source
	ID     string
	Token  string // from NewToken, of this visit alone
	// AnswerBy ends the visit's work, ProcessEnds its process. Records: the same instant.
	AnswerBy, ProcessEnds time.Time
	RetentionDays         int // of a row; 0 keeps it for ever

	// Of all but ByID, whose row has them.
	Keyed          bool // false: nobody can repeat the request
	Fingerprint    string
	Client         string
	Payload        []byte
	IsFake, MMLite bool
	OnUnknown      Choice        // empty: Hold
	ValidFor       time.Duration // Async, Bare; 0: DefaultValidFor, at most MaxValidFor

	// Of Bare and ByID: when the record was first put on the queue.
	Sent time.Time
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
	if r.Source == Bare {
		from = r.Sent
	}
	if valid <= 0 {
		valid = DefaultValidFor
	}
	return from.Add(min(valid, MaxValidFor))
}
