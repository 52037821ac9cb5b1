package whatsapp

import "encoding/json"

const opaqueMember = "biz_opaque_callback_data"

// WithOpaque adds biz_opaque_callback_data to a compacted body, as its last member. One that is
// there already, which can only be null, makes room: no reader may meet two of them.
func WithOpaque(body []byte, opaque string) []byte {
	value, _ := json.Marshal(opaque) // a string always marshals
	var kept []member
	for m := range raw(body).members() {
		if m.key != opaqueMember {
			kept = append(kept, m)
		}
	}
	return object(append(kept, member{name: raw(`"` + opaqueMember + `"`), value: value}))
}
