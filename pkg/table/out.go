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

// interpolated are the attributes that a pipe's template puts between quotes. pk, sk and
// sent_wamid are as well: keys are made of identifiers that are plain, and sent_wamid is only
// set where it is.
var interpolated = []string{
	"kind", "direction", "type", "field", "contact", "phone_number_id", "display_phone_number", "waba_id", "wamid", "message_id",
	"status", "outcome", "error_code", "reason", "client", "line", "thread_id", "group_id", "media_id", "reply_to", "user_id",
}

// gate makes every interpolated attribute of an item one that can stand between quotes. Every
// item goes through it, whoever its values are from: the Gateway's too.
func gate(it item) {
	for _, name := range interpolated {
		if v, is := it[name].(*types.AttributeValueMemberS); is && !plain(v.Value) {
			it[name] = str(line(v.Value))
		}
	}
}

// plain reports whether an identifier can stand between quotes as it is.
func plain(id string) bool { return utf8.ValidString(id) && line(id) == id }

// settled returns what an outcome puts beside the ledger for the pipe: only outcomes that
// may be final make an event. None of it is in an index, but error_code, which only a
// refusal has: that has no id of WhatsApp, so it costs no more than an acceptance.
func settled(o *ledger.Outcome) map[string]string {
	if o == nil || o.State != ledger.Accepted && o.State != ledger.Rejected && o.State != ledger.Unknown {
		return nil
	}
	all := map[string]string{"detail_type": events.Outcome, "outcome": string(o.State)}
	if o.State == ledger.Accepted {
		return all // the first kB of a row is the cheap one
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

// ofOutcome are the attributes that settled sets, for the write that takes them away.
var ofOutcome = []string{"detail_type", "outcome", "reason"}
