package conversation

import (
	"context"
	"encoding/base64"
	"encoding/json"

	"connexease-functions/pkg/table"
)

// internal lists what only the ledger reads of a send. An attempt's token in it proves a status.
var internal = []string{"attempts", "fingerprint", "v", "gate", "unsettled_client", "unsettled_from"}

// Event returns one stored item whole, parts joined, by the names of the table's attributes, without
// what is the ledger's own; payloads are as in Stored. It returns table.ErrNotThere where there is
// none.
func Event(ctx context.Context, db *table.Table, pk, sk string) (map[string]any, error) {
	it, err := db.Joined(ctx, pk, sk)
	if err != nil {
		return nil, err
	}
	whole := it.Plain(base64.StdEncoding.EncodeToString)
	for _, name := range internal {
		delete(whole, name)
	}
	for _, name := range []string{"contact_payload", "fallback"} {
		if text := it.Text(name); json.Valid([]byte(text)) {
			whole[name] = json.RawMessage(text)
		}
	}
	if it["payload"] == nil && it.Number("parts") == 0 {
		return whole, nil
	}
	storedOf(it, []byte(it.Text("payload"))).into(whole)
	if size(whole) > largest {
		(&Stored{PayloadOmitted: true}).into(whole)
	}
	return whole, nil
}

// into sets the members of a payload.
func (s *Stored) into(whole map[string]any) {
	delete(whole, "payload")
	delete(whole, "payload_base64")
	switch {
	case s.Payload != nil:
		whole["payload"] = s.Payload
	case s.PayloadBase64 != "":
		whole["payload_base64"] = s.PayloadBase64
	default:
		whole["payload_omitted"] = true
	}
}
