package ledger

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"connexease-functions/pkg/gateway"
)

// Folded is what a row and its statuses say together.
type Folded struct {
	State State
	// Outcome is the stored response: of the accepted or the rejected attempt, or a
	// response built from a receipt. Released, Scheduled, Queued, Expired: the last released attempt,
	// which is why it was not sent yet. Nil where there is none.
	Outcome *Outcome
	// LeaseEnds is when an attempt in flight is over for certain.
	LeaseEnds time.Time
	// MayResend: the attempts leave room for a further one after an unknown outcome.
	MayResend bool
	// Receipts are the statuses that count, oldest first.
	Receipts []Status
	// Wamids are all known ids of the message, for looking up statuses stored by wamid.
	Wamids []string
}

// Fold says the state of a message; the first match wins. now must have been read
// before the row was, and the statuses after it, consistently. A status whose token
// is not in the ledger proves nothing, because anybody can have sent it; nor does one of
// a different message under a token that is.
func Fold(now time.Time, s *Send, statuses []Status) Folded {
	if s == nil {
		return Folded{State: None}
	}
	f := Folded{MayResend: s.mayResend()}
	for _, status := range statuses {
		if _, known := s.Attempts[status.Token]; known {
			f.Receipts = append(f.Receipts, status)
		}
	}
	slices.SortStableFunc(f.Receipts, func(a, b Status) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Wamid, b.Wamid), cmp.Compare(a.Status, b.Status))
	})
	f.Receipts = ofTheirMessage(s, f.Receipts)
	f.Wamids = wamids(s, f.Receipts)
	f.State, f.Outcome = f.judge(now, s)
	return f
}

// ofTheirMessage leaves out the receipts of other messages: all who are subscribed see a token,
// and may repeat it under another message's id. An attempt whose response named its message has
// no other; for one without, the first id that a receipt names stays. receipts are sorted.
func ofTheirMessage(s *Send, receipts []Status) []Status {
	wamid := map[string]string{} // by token
	for token, a := range s.Attempts {
		if a.Outcome != nil && a.Outcome.State == Accepted && a.Outcome.Wamid != "" {
			wamid[token] = a.Outcome.Wamid
		}
	}
	var own []Status
	for _, r := range receipts {
		known, is := wamid[r.Token]
		if !is && r.Wamid != "" {
			wamid[r.Token], known = r.Wamid, r.Wamid
		}
		if known == r.Wamid {
			own = append(own, r)
		}
	}
	return own
}

// ended reports whether a message will not leave any more, or has left: what waits for it may go.
// A message that has no row yet may still come.
func (f *Folded) ended(now time.Time, s *Send) bool {
	switch f.State {
	case Accepted, Rejected, Cancelled, Expired:
		return true
	case Unknown:
		return s.OnUnknown != Resend || !f.MayResend || !now.Before(s.ValidUntil)
	}
	return false
}

func (f *Folded) judge(now time.Time, s *Send) (State, *Outcome) {
	lapsed := false
	for _, a := range s.Attempts {
		if a.Outcome != nil {
			continue
		}
		if now.Before(a.Lease) {
			f.LeaseEnds = later(f.LeaseEnds, a.Lease)
		} else {
			lapsed = true
		}
	}
	switch {
	case s.Has(Accepted):
		return Accepted, acceptedResponse(s)
	case len(f.Receipts) > 0:
		return Accepted, receiptResponse(s, f.Receipts)
	case !f.LeaseEnds.IsZero():
		return InFlight, nil
	case lapsed || s.Has(Unknown):
		return Unknown, nil
	case s.Has(Rejected):
		return Rejected, &s.outcomes(Rejected)[0]
	}
	var last *Outcome
	if released := s.outcomes(Released); len(released) > 0 {
		last = &released[len(released)-1]
	}
	switch {
	case s.Cancelled != nil:
		return Cancelled, nil
	case s.ValidUntil.IsZero():
		return Released, last
	case now.After(s.ValidUntil.Add(ExpiryMargin)):
		return Expired, last
	case now.Before(s.NotBefore):
		return Scheduled, last
	default:
		return Queued, last
	}
}

// acceptedResponse is the response of the outcome that was written first: once returned, a
// response stays the same.
func acceptedResponse(s *Send) *Outcome {
	all := s.outcomes(Accepted)
	for i := range all {
		if all[i].Wamid == s.Wamid {
			return &all[i]
		}
	}
	return &all[0]
}

// receiptResponse builds the response that was lost: the receipt names the message.
func receiptResponse(s *Send, receipts []Status) *Outcome {
	first := receipts[0]
	for _, r := range receipts {
		if r.Wamid != "" {
			first = r
			break
		}
	}
	return &Outcome{
		State: Accepted, HTTP: http.StatusOK, Body: receiptBody(first.Wamid), Wamid: first.Wamid, At: first.Time,
		Instead: s.Attempts[first.Token].Instead,
	}
}

// receiptBody has the form of the Gateway's own success (source: Connexease Gateway
// API, "Response format"), without contacts, which no receipt knows.
func receiptBody(wamid string) []byte {
	type message struct {
		ID string `json:"id"`
	}
	type data struct {
		Product  string    `json:"messaging_product"`
		Messages []message `json:"messages"`
	}
	// Strings alone cannot fail to marshal.
	inner, _ := json.Marshal(data{Product: "whatsapp", Messages: []message{{ID: wamid}}})
	body, _ := json.Marshal(gateway.Response{IsSuccess: true, Data: inner})
	return body
}

// WamidIn returns the id of WhatsApp in a response of the Gateway; empty without one.
func WamidIn(response []byte) string { return gateway.MessageID(response) }

func wamids(s *Send, receipts []Status) []string {
	var found []string
	add := func(wamid string) {
		if wamid != "" && !slices.Contains(found, wamid) {
			found = append(found, wamid)
		}
	}
	add(s.Wamid)
	for _, o := range s.outcomes(Accepted) {
		add(o.Wamid)
	}
	for _, r := range receipts {
		add(r.Wamid)
	}
	return found
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
