package table

import (
	"encoding/json"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"connexease-functions/pkg/events"
	"connexease-functions/pkg/gateway"
	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/whatsapp"
)

func detailType(e *whatsapp.Event) string {
	switch {
	case e.Kind == whatsapp.KindQuarantine:
		return events.Quarantined
	case e.Field == whatsapp.FieldStandby:
		return events.Standby
	case e.Kind == whatsapp.KindStatus:
		return events.StatusChanged
	case e.Kind != whatsapp.KindMessage:
		return events.AccountEvent
	case e.Thread != "" || e.Field == "history":
		return events.History
	case e.Direction == whatsapp.Out:
		return events.Echoed
	}
	return events.Received
}

// line makes a text safe between quotes in JSON without escaping: a pipe's template escapes nothing
// (Amazon EventBridge: "Amazon EventBridge Pipes input transformation", common issues), so a
// customer's quote would end the string and could begin members of the event. The payload has the
// original text. The result is not longer.
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

// interpolated lists the attributes that a pipe's template places between quotes. It also places
// pk, sk and sent_wamid there: keys consist of plain identifiers, and sent_wamid is only set if it
// is plain.
var interpolated = []string{
	"kind", "direction", "type", "field", "contact", "phone_number_id", "display_phone_number", "waba_id", "wamid", "message_id",
	"status", "outcome", "error_code", "reason", "client", "request_id", "sender", "campaign", "line", "thread_id", "group_id", "media_id", "reply_to", "user_id",
	"pricing_category", "pricing_type",
}

// gate makes every interpolated attribute of an item safe between quotes. Every item passes it,
// including those with values from the Gateway.
func gate(it item) {
	for _, name := range interpolated {
		if v, is := it[name].(*types.AttributeValueMemberS); is && !plain(v.Value) {
			it[name] = str(line(v.Value))
		}
	}
}

// plain reports whether an identifier is safe between quotes.
func plain(id string) bool { return utf8.ValidString(id) && line(id) == id }

// settled returns the attributes that an outcome, or a cancellation, adds to the ledger's for the
// pipe: only outcomes that may be final become an event. None is in an index except error_code, which only a refusal
// has: a refusal has no WhatsApp id, so it costs no more than an acceptance.
func settled(o *ledger.Outcome, c *ledger.Cancellation) map[string]string {
	if c != nil {
		return map[string]string{"detail_type": events.Outcome, "outcome": string(ledger.Cancelled)}
	}
	if o == nil || o.State != ledger.Accepted && o.State != ledger.Rejected && o.State != ledger.Unknown {
		return nil
	}
	all := map[string]string{"detail_type": events.Outcome, "outcome": string(o.State)}
	if o.Instead != "" { // why the fallback left
		all["reason"] = line(string(o.Instead))
	}
	if o.State == ledger.Accepted {
		return all // more would cost a further write unit
	}
	if o.State == ledger.Unknown && o.Reason != "" {
		all["reason"] = line(string(o.Reason))
	}
	var answer gateway.Response
	if o.State == ledger.Rejected && json.Unmarshal(o.Body, &answer) == nil && answer.Errors != nil && answer.Errors.Code != "" && len(answer.Errors.Code) <= maxIndexed {
		all["error_code"] = line(answer.Errors.Code)
	}
	return all
}

// ofOutcome lists the attributes that settled sets, for the write that removes them.
var ofOutcome = []string{"detail_type", "outcome", "reason"}
