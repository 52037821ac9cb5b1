package command

import (
	"bytes"
	"encoding/json"
	"strings"

	"connexease-functions/pkg/table"
	"connexease-functions/pkg/whatsapp"
)

// rebuild recreates the event of an update that DynamoDB refused: its payload is the update alone,
// with its surroundings stored alongside. The list that it came from is not recorded, so each is
// tried until one yields the same facts. ok is false if none does, or if DynamoDB had refused the
// facts too, so that they were left out.
func rebuild(head table.Item, payload []byte) (e whatsapp.Event, ok bool) {
	if !json.Valid(payload) || head.Text("field")+head.Text("waba_id")+head.Text("phone_number_id") == "" {
		return e, false
	}
	for _, value := range values(head, payload) {
		for _, e := range whatsapp.Split(body(head, value)) {
			if e.Kind != whatsapp.KindQuarantine && bytes.Equal(e.Payload, payload) &&
				e.Type == head.Text("type") && string(e.Direction) == head.Text("direction") && e.Status == head.Text("status") &&
				e.Thread == head.Text("thread_id") && e.Contact == head.Text("contact") &&
				e.PhoneNumberID == head.Text("phone_number_id") && e.DisplayPhoneNumber == head.Text("display_phone_number") {
				return e, true
			}
		}
	}
	return e, false
}

// member is a member of a JSON object.
type member struct {
	name string
	text []byte
}

func object(members ...member) []byte {
	all := make([]string, 0, len(members))
	for _, m := range members {
		if m.text != nil {
			all = append(all, string(quote(m.name))+":"+string(m.text))
		}
	}
	return []byte("{" + strings.Join(all, ",") + "}")
}

func list(text []byte) []byte {
	if len(text) == 0 {
		return nil
	}
	return []byte("[" + string(text) + "]")
}

// quote encodes a string as WhatsApp does, without escapes for HTML, because some hashes include
// the account's id in its original form. An empty string yields nothing.
func quote(s string) []byte {
	if s == "" {
		return nil
	}
	return plainJSON(s, "")
}

// plainJSON encodes what always can be, without escapes for HTML.
func plainJSON(v any, indent string) []byte {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", indent)
	_ = encoder.Encode(v)
	return bytes.TrimSpace(b.Bytes())
}

// values returns the values of a change that may have contained the update.
func values(head table.Item, payload []byte) [][]byte {
	number := object(member{"display_phone_number", quote(head.Text("display_phone_number"))}, member{"phone_number_id", quote(head.Text("phone_number_id"))})
	if len(number) == len("{}") {
		number = nil
	}
	in := func(name string, text []byte) []byte {
		return object(
			member{"messaging_product", []byte(`"whatsapp"`)}, member{"metadata", number},
			member{"contacts", list([]byte(head.Text("contact_payload")))}, member{name, list(text)},
		)
	}
	thread := object(member{"threads", list(object(member{"id", quote(head.Text("thread_id"))}, member{"messages", list(payload)}))})
	all := [][]byte{in("statuses", payload), in("messages", payload), in("message_echoes", payload), in("history", thread)}
	all = append(all, payload) // an account's value is a single event
	if kind := head.Text("type"); kind != "" {
		all = append(all, in(kind, payload))
	}
	return all
}

func body(head table.Item, value []byte) []byte {
	var at []byte
	if text := head.Text("entry_time"); text != "" {
		at = []byte(text)
	}
	change := object(member{"field", quote(head.Text("field"))}, member{"value", value})
	return object(member{"entry", list(object(member{"id", quote(head.Text("waba_id"))}, member{"time", at}, member{"changes", list(change)}))})
}
