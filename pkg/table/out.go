package table

import (
	"encoding/json"
	"strings"
	"unicode"

	"connexease-functions/pkg/gateway"
	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/whatsapp"
)

// Detail types of the events that a pipe makes of the table's stream. An item has its own
// in the attribute detail_type: a pipe takes a detail type from the record, it cannot make
// one (Amazon EventBridge: "Amazon EventBridge Pipes targets", dynamic path parameters).
const (
	// Received is what a customer has just written. Whoever answers takes this one alone:
	// an answer to an echo would be one to oneself, and to history one to last month.
	Received = "WhatsApp Message Received"
	// Echoed is what the business sent from its own app.
	Echoed = "WhatsApp Message Echoed"
	// History is an old message, of either direction, that came when a number was connected.
	History = "WhatsApp Message History"
	// StatusChanged is what became of a message on its way.
	StatusChanged = "WhatsApp Message Status"
	// AccountEvent is everything else: templates, calls, limits, fields of tomorrow.
	AccountEvent = "WhatsApp Account Event"
	// Quarantined is a body, or an update, that could not be stored as what it is.
	Quarantined = "WhatsApp Quarantined"
	// Outcome is that an attempt to send was settled.
	Outcome = "WhatsApp Message Outcome"
)

// DetailTypes are all of them.
var DetailTypes = []string{Received, Echoed, History, StatusChanged, AccountEvent, Quarantined, Outcome}

func detailType(e *whatsapp.Event) string {
	switch {
	case e.Kind == whatsapp.KindStatus:
		return StatusChanged
	case e.Kind == whatsapp.KindQuarantine:
		return Quarantined
	case e.Kind != whatsapp.KindMessage:
		return AccountEvent
	case e.Thread != "" || e.Field == "history":
		return History
	case e.Direction == whatsapp.Out:
		return Echoed
	}
	return Received
}

// line makes of a text what can stand between quotes in any JSON as it is: a pipe's
// template escapes nothing (Amazon EventBridge: "Amazon EventBridge Pipes input
// transformation", common issues), so a customer's quote would end the text and begin
// members of the event. The payload has the text itself. It does not get longer.
func line(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '"':
			return '\''
		case r == '\\':
			return '/'
		case unicode.IsControl(r):
			return ' '
		}
		return r
	}, text)
}

// settled returns what an outcome puts beside the ledger for the pipe: only outcomes that
// may be final make an event. None of it is in an index, but error_code, which only a
// refusal has: that has no id of WhatsApp, so it costs no more than an acceptance.
func settled(o *ledger.Outcome) map[string]string {
	if o == nil || o.State != ledger.Accepted && o.State != ledger.Rejected && o.State != ledger.Unknown {
		return nil
	}
	all := map[string]string{"detail_type": Outcome, "outcome": string(o.State)}
	if o.State == ledger.Accepted {
		return all // the first kB of a row is the cheap one
	}
	if o.State == ledger.Unknown && o.Reason != "" {
		all["reason"] = line(o.Reason)
	}
	var answer gateway.Response
	if o.State == ledger.Rejected && json.Unmarshal(o.Body, &answer) == nil && answer.Errors != nil && answer.Errors.Code != "" && len(answer.Errors.Code) <= maxIndexed {
		all["error_code"] = line(answer.Errors.Code)
	}
	return all
}

// ofOutcome are the attributes that settled sets, for the write that takes them away.
var ofOutcome = []string{"detail_type", "outcome", "reason"}
