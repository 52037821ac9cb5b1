package command

import (
	"bytes"
	"encoding/json"

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

// plainJSON encodes what always can be, without escapes for HTML.
func plainJSON(v any, indent string) []byte {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", indent)
	_ = encoder.Encode(v)
	return bytes.TrimSpace(b.Bytes())
}

// list returns a list of one JSON value; nil of none.
func list(text []byte) []json.RawMessage {
	if len(text) == 0 {
		return nil
	}
	return []json.RawMessage{text}
}

// values returns the values of a change that may have contained the update.
func values(head table.Item, payload []byte) [][]byte {
	type number struct {
		Display string `json:"display_phone_number,omitempty"`
		ID      string `json:"phone_number_id,omitempty"`
	}
	type thread struct {
		ID       string            `json:"id,omitempty"`
		Messages []json.RawMessage `json:"messages"`
	}
	in := func(name string, elements any) []byte {
		value := map[string]any{"messaging_product": "whatsapp"}
		if n := (number{head.Text("display_phone_number"), head.Text("phone_number_id")}); n != (number{}) {
			value["metadata"] = n
		}
		if contact := list([]byte(head.Text("contact_payload"))); contact != nil {
			value["contacts"] = contact
		}
		value[name] = elements
		return plainJSON(value, "")
	}
	threads := []map[string]any{{"threads": []thread{{head.Text("thread_id"), list(payload)}}}}
	all := [][]byte{in("statuses", list(payload)), in("messages", list(payload)), in("message_echoes", list(payload)), in("history", threads)}
	all = append(all, payload) // an account's value is a single event
	if kind := head.Text("type"); kind != "" {
		all = append(all, in(kind, list(payload)))
	}
	return all
}

func body(head table.Item, value []byte) []byte {
	type change struct {
		Field string          `json:"field,omitempty"`
		Value json.RawMessage `json:"value"`
	}
	type entry struct {
		ID      string          `json:"id,omitempty"`
		Time    json.RawMessage `json:"time,omitempty"`
		Changes []change        `json:"changes"`
	}
	return plainJSON(map[string][]entry{"entry": {{
		head.Text("waba_id"), json.RawMessage(head.Text("entry_time")), []change{{head.Text("field"), value}},
	}}}, "")
}
