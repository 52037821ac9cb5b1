package ledger

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"
)

// State is what is known about a message, or about one attempt to send it. An
// attempt's outcome is Accepted, Rejected, Released or Unknown.
type State string

const (
	// None: there is no row.
	None State = "none"
	// Queued: it waits in the queue and has not been sent.
	Queued State = "queued"
	// InFlight: an attempt is under way.
	InFlight State = "in_flight"
	// Accepted: the Gateway took it, by its own answer or by a receipt.
	Accepted State = "accepted"
	// Rejected: the Gateway refused it for good.
	Rejected State = "rejected"
	// Expired: its validity ended before it was sent.
	Expired State = "expired"
	// Released: it was surely not sent and may be tried again.
	Released State = "released"
	// Unknown: nobody can tell whether it was sent.
	Unknown State = "unknown"
)

// Choice says what to do about an attempt whose outcome is unknown.
type Choice string

const (
	// Hold never sends again.
	Hold Choice = "hold"
	// Resend sends again, at most MaxLeft times in all, at the risk of a second message.
	Resend Choice = "resend"
)

// Send is the image of one row: the ledger of a key and its message. An image is
// never changed once it was read; Apply makes a new one.
type Send struct {
	ID          string
	V           int64 // ledger writes of this row; 0 means queued and never claimed
	Fingerprint string
	Client      string // who may look it up
	Payload     []byte // the body to be sent
	IsFake      bool
	MMLite      bool
	Attempts    map[string]Attempt // by token
	Wamid       string             // of the accepted outcome that was written first
	ValidUntil  time.Time          // zero: never queued
	OnUnknown   Choice             // of the queue; empty: never queued
	ClaimedAt   time.Time          // first claim: the time in the timeline keys; zero: not in the timeline yet
	ExpiresAt   time.Time          // deletion by TTL; zero: never
}

// Attempt is one owner's try. Lease is when its owner is surely gone.
type Attempt struct {
	Lease   time.Time
	Outcome *Outcome // nil until its owner has written it
}

// Outcome is what came of an attempt: the Gateway's answer as it was given, or the
// reason why there is none.
type Outcome struct {
	State  State
	HTTP   int    // the Gateway's HTTP status; 0 without an answer
	Body   []byte // the Gateway's body; nil without an answer
	Reason string // a stable word for why it was released or is unknown
	Wamid  string // of an accepted message
	At     time.Time
}

// Status is what the ledger needs of a WhatsApp status row stored under the id.
type Status struct {
	Token  string // out of biz_opaque_callback_data
	Status string // sent, delivered, read, failed, ...
	Wamid  string
	Time   time.Time
	Errors json.RawMessage
}

func (s *Send) has(state State) bool {
	for _, a := range s.Attempts {
		if a.Outcome != nil && a.Outcome.State == state {
			return true
		}
	}
	return false
}

// left counts the attempts that may have sent the message.
func (s *Send) left() int {
	n := 0
	for _, a := range s.Attempts {
		if a.Outcome == nil || a.Outcome.State == Accepted || a.Outcome.State == Unknown {
			n++
		}
	}
	return n
}

// Unresolved returns the outcome that the last attempt of unknown outcome has written: nil
// where its process ended without one. It is of use only for a send that is Unknown.
func (s *Send) Unresolved() *Outcome {
	var last Attempt
	for _, token := range s.tokens() {
		a := s.Attempts[token]
		if (a.Outcome == nil || a.Outcome.State == Unknown) && a.Lease.After(last.Lease) {
			last = a
		}
	}
	return last.Outcome
}

// ReasonProcessEnded is why an attempt is unknown that has no outcome.
const ReasonProcessEnded = "process_ended"

// UnknownReason is the word for why a send is Unknown: that of its last attempt which may
// have left.
func (s *Send) UnknownReason() string {
	if o := s.Unresolved(); o != nil {
		return o.Reason
	}
	return ReasonProcessEnded
}

func (s *Send) mayResend() bool { return !s.has(Rejected) && s.left() < MaxLeft }

// outcomes are the written outcomes of one kind, oldest first.
func (s *Send) outcomes(state State) []Outcome {
	var found []Outcome
	for _, token := range s.tokens() {
		if o := s.Attempts[token].Outcome; o != nil && o.State == state {
			found = append(found, *o)
		}
	}
	slices.SortStableFunc(found, func(a, b Outcome) int { return a.At.Compare(b.At) })
	return found
}

// tokens are sorted, so that equal images are read alike.
func (s *Send) tokens() []string { return slices.Sorted(maps.Keys(s.Attempts)) }

// surplus are the tokens of released attempts that a further claim drops. Such an
// attempt surely sent nothing, so no receipt will ever name it.
func (s *Send) surplus() []string {
	var released []string
	for _, token := range s.tokens() {
		if o := s.Attempts[token].Outcome; o != nil && o.State == Released {
			released = append(released, token)
		}
	}
	if len(released) <= KeptReleased {
		return nil
	}
	slices.SortStableFunc(released, func(a, b string) int {
		x, y := s.Attempts[a].Outcome, s.Attempts[b].Outcome
		if c := x.At.Compare(y.At); c != 0 {
			return c
		}
		return strings.Compare(a, b)
	})
	return released[:len(released)-KeptReleased]
}

func (s *Send) clone() *Send {
	c := *s
	c.Attempts = maps.Clone(s.Attempts)
	if c.Attempts == nil {
		c.Attempts = map[string]Attempt{}
	}
	return &c
}
