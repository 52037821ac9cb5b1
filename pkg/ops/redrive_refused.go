package main

import (
	"bytes"
	"encoding/json"
	"strings"

	"connexease-functions/pkg/table"
	"connexease-functions/pkg/whatsapp"
)

// rebuild makes an event of an update that DynamoDB refused: its payload is the update
// alone, and what belonged to it is stored alongside. Which list it was in is not said, so
// each is tried, and the one that gives the same facts was it. ok is false where none
// does, or where DynamoDB had refused the facts too, so that they were left out.
func rebuild(head table.Item, payload []byte) (e whatsapp.Event, ok bool) {
	if !json.Valid(payload) || head.Text("field")+head.Text("waba_id")+head.Text("phone_number_id") == "" {
		return e, false
	}
	for _, value := range values(head, payload) {
		for _, e := range whatsapp.Split(body(head, value)) {
			if e.Kind != whatsapp.KindQuarantine && bytes.Equal(e.Payload, payload) &&
				e.Type == head.Text("type") && string(e.Direction) == head.Text("direction") && e.Status == head.Text("status") &&
				e.Thread == head.Text("thread_id") && e.Contact == head.Text("contact") {
				return e, true
			}
		}
	}
	return e, false
}

// member is one of a JSON object.
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

// quote writes a string as WhatsApp does, without escapes for HTML: the account's id is
// part of some hashes as it came. An empty one becomes nothing.
func quote(s string) []byte {
	if s == "" {
		return nil
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(s) // a string always marshals
	return bytes.TrimSpace(b.Bytes())
}

// values are the values of a change that may have held the update.
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
	if kind := head.Text("type"); kind != "" {
		all = append(all, in(kind, payload))
	}
	return append(all, payload) // an account's value is one event as a whole
}

func body(head table.Item, value []byte) []byte {
	var at []byte
	if text := head.Text("entry_time"); text != "" {
		at = []byte(text)
	}
	change := object(member{"field", quote(head.Text("field"))}, member{"value", value})
	return object(member{"entry", list(object(member{"id", quote(head.Text("waba_id"))}, member{"time", at}, member{"changes", list(change)}))})
}
