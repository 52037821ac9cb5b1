package console

import (
	"bytes"
	"encoding/json"

	"connexease-functions/pkg/table"
	"connexease-functions/pkg/whatsapp"
)

// listOf is the list of a value that holds an update of a kind, and the kinds of fields that have
// it.
var listOf = map[string]map[string]string{
	string(whatsapp.KindMessage): {"messages": "messages", "smb_message_echoes": "message_echoes", "message_echoes": "message_echoes"},
	string(whatsapp.KindStatus):  {"messages": "statuses"},
}

// fixture returns a delivery's body with one stored update, which the webhook would store as the
// same item; nil for updates whose surroundings are not stored, such as history.
func fixture(it table.Item, payload []byte) []byte {
	field, kind := it.Text("field"), it.Text("kind")
	list := listOf[kind][field]
	if !json.Valid(payload) || list == "" || it.Text("thread_id") != "" {
		return nil
	}
	value := map[string]any{"messaging_product": "whatsapp", list: []json.RawMessage{payload}}
	metadata := map[string]string{}
	for name, from := range map[string]string{"phone_number_id": "phone_number_id", "display_phone_number": "display_phone_number"} {
		if text := it.Text(from); text != "" {
			metadata[name] = text
		}
	}
	if len(metadata) > 0 {
		value["metadata"] = metadata
	}
	if contact := it.Text("contact_payload"); json.Valid([]byte(contact)) {
		value["contacts"] = []json.RawMessage{json.RawMessage(contact)}
	}
	entry := map[string]any{"id": it.Text("waba_id"), "changes": []any{map[string]any{"field": field, "value": value}}}
	if at := it.Number("entry_time"); at != 0 {
		entry["time"] = at
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if e.Encode(map[string]any{"object": "whatsapp_business_account", "entry": []any{entry}}) != nil {
		return nil
	}
	return out.Bytes()
}
