package ledger

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"connexease-functions/pkg/gateway"
)

// State is what is known of a message, or of one attempt to send it: package gateway's, so that
// what a call came to is what is stored and shown. An attempt's outcome is Accepted, Rejected,
// Released or Unknown; a message as a whole, folded from its attempts and statuses, can also be
// None, Scheduled, Queued, InFlight, Cancelled or Expired. Fold says which state wins.
type State = gateway.State

const (
	// None: the key has no row; nothing is known of a message.
	None State = "none"
	// Scheduled: as Queued, but its time has not come: nothing claims it before.
	Scheduled State = "scheduled"
	// Queued: the message waits in the queue and has not been sent.
	Queued State = "queued"
	// InFlight: an attempt's lease still runs, so its process may be posting the message.
	InFlight State = "in_flight"
	// Accepted: the Gateway accepted the message, by its own response or by a receipt. Final.
	Accepted = gateway.Accepted
	// Rejected: the Gateway refused the message for good. Final, unless a receipt says otherwise.
	Rejected = gateway.Rejected
	// Cancelled: its client, or an operator, withdrew the message before it was claimed. Final.
	Cancelled State = "cancelled"
	// Expired: the message's validity ended before it was sent.
	Expired State = "expired"
	// Released: the message definitely was not sent; a new attempt may claim it.
	Released = gateway.Released
	// Unknown: nobody can say whether the message was sent. A receipt settles it.
	Unknown = gateway.Unknown
)

// Word is a state as its message's client and the operator are told of it.
func Word(s State) string {
	if s == Released {
		return "not_sent"
	}
	return string(s)
}

// Choice says what to do about an attempt whose outcome is unknown.
type Choice string

const (
	// Hold never sends again. It is the default.
	Hold Choice = "hold"
	// Resend sends again, up to MaxMaybeSent attempts in total, at the risk of a second message.
	Resend Choice = "resend"
)

// Reason is package gateway's: why an attempt was released, or is unknown.
type Reason = gateway.Reason

// Reasons of our own, of attempts for which no call says more. They are stored.
const (
	// ReasonProcessEnded: the process ended before it wrote an outcome.
	ReasonProcessEnded Reason = "process_ended"
	// ReasonTableFailed: the claim's write had no response, and was withdrawn.
	ReasonTableFailed = Reason(NoteTableFailed)
	// ReasonNoTime: once it was claimed, too little time remained for a call.
	ReasonNoTime = Reason(NoteNoTime)
)

// Send is the image of one row: the ledger of a key and its message. An image is
// never changed after it was read; Apply makes a new one.
type Send struct {
	ID          string
	V           int64 // ledger writes of this row; 0 means queued and never claimed
	Fingerprint string
	Client      string // who may look it up
	RequestID   string // API Gateway's, of the request that made the row; empty: it came another way
	Sender      string // from which each attempt is posted; empty: the one that has no name
	Payload     []byte // the body to be sent
	Fallback    []byte // the body that an attempt may post instead; nil: none
	IsFake      bool
	MMLite      bool
	Attempts    map[string]Attempt // by token
	Wamid       string             // of the accepted outcome that was written first
	ValidUntil  time.Time          // zero: never queued
	OnUnknown   Choice             // of the queue; empty: never queued
	NotBefore   time.Time          // nothing claims it earlier; zero: at once
	After       string             // id of the message that must have left or ended first; empty: none
	Cancelled   *Cancellation      // nil: it is not
	Gate        map[string]string  // of the queue: what is to be looked at before each attempt
	ClaimedAt   time.Time          // first claim: the time in the timeline keys; zero: not in the timeline yet
	Unsettled   time.Time          // from when on it is in the index of its client's unsettled sends; zero: it is not in it
	ExpiresAt   time.Time          // deletion by TTL; zero: never
}

// Cancellation says who withdrew a message before anything claimed it.
type Cancellation struct {
	By string // a client's name, or Operator
	At time.Time
}

// Operator cancels in the name of no client.
const Operator = "operator"

// Attempt is one owner's try. From Lease on its owner is certainly not at work any more.
type Attempt struct {
	Lease   time.Time
	Outcome *Outcome // nil until its owner has written it
	// Instead says why it posts the row's Fallback; empty: it posts the Payload.
	Instead Reason
	Seen    map[string]string // what the gate saw when it was claimed; nil: nobody looked
}

// Last returns the token of the newest attempt: the one that is open, else the one that ended last;
// empty without one.
func (s *Send) Last() (last string) {
	end := func(token string) time.Time {
		a := s.Attempts[token]
		if a.Outcome != nil {
			return a.Outcome.At
		}
		return a.Lease
	}
	for _, token := range s.tokens() {
		if last == "" || end(token).After(end(last)) {
			last = token
		}
	}
	return last
}

// Posts returns the body that an attempt posts.
func (s *Send) Posts(token string) []byte {
	if s.Attempts[token].Instead != "" {
		return s.Fallback
	}
	return s.Payload
}

// Outcome is what came of an attempt: the Gateway's response as it arrived, or the
// reason why there is none.
type Outcome struct {
	State  State
	HTTP   int    // the Gateway's HTTP status; 0 without a response
	Body   []byte // the Gateway's body; nil without a response
	Reason Reason // why it was released or is unknown; of a refused record, its code
	Wamid  string // of an accepted message
	At     time.Time
	// Instead is its attempt's; it is stored there.
	Instead Reason
}

// Status is what the ledger needs of a WhatsApp status row stored under the id.
type Status struct {
	Token  string // out of biz_opaque_callback_data
	Status string // sent, delivered, read, failed, ...
	Wamid  string
	Time   time.Time
	Errors json.RawMessage
}

// Has reports whether one of the send's own attempts has this outcome; its statuses may say more.
func (s *Send) Has(state State) bool {
	for _, a := range s.Attempts {
		if a.Outcome != nil && a.Outcome.State == state {
			return true
		}
	}
	return false
}

// maybeSent counts the attempts that may have sent the message.
func (s *Send) maybeSent() int {
	n := 0
	for _, a := range s.Attempts {
		if a.Outcome == nil || a.Outcome.State == Accepted || a.Outcome.State == Unknown {
			n++
		}
	}
	return n
}

// Unresolved returns the outcome that the last attempt of unknown outcome has written; nil where
// its process ended without writing one. It is of use only for a send that is Unknown.
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

// UnknownReason is why a send is Unknown: the reason of its last attempt that may have sent it.
func (s *Send) UnknownReason() Reason {
	if o := s.Unresolved(); o != nil {
		return o.Reason
	}
	return ReasonProcessEnded
}

func (s *Send) mayResend() bool { return !s.Has(Rejected) && s.maybeSent() < MaxMaybeSent }

// outcomes are the written outcomes of one kind, oldest first.
func (s *Send) outcomes(state State) []Outcome {
	var found []Outcome
	for _, token := range s.tokens() {
		if a := s.Attempts[token]; a.Outcome != nil && a.Outcome.State == state {
			o := *a.Outcome
			o.Instead = a.Instead
			found = append(found, o)
		}
	}
	slices.SortStableFunc(found, func(a, b Outcome) int { return a.At.Compare(b.At) })
	return found
}

// tokens are sorted, so that equal images are read in the same order.
func (s *Send) tokens() []string { return slices.Sorted(maps.Keys(s.Attempts)) }

// surplus are the tokens of released attempts that a further claim drops. Such an
// attempt definitely sent nothing, so no receipt will ever name it.
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
		return cmp.Or(x.At.Compare(y.At), strings.Compare(a, b))
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
