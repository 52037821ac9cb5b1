package whatsapp

import (
	"cmp"
	"encoding/json"
)

// Sending describes a message to be sent with the same attributes as events: its recipient, and
// what a person would read of it.
type Sending struct {
	Contact, UserID, GroupID string
	Text, ReplyTo, MediaID   string
}

// Describe describes a compacted body with Check's summary of it.
func Describe(body []byte, s Summary) Sending {
	if !json.Valid(body) { // a refused record's, which may be cut or anything
		return Sending{}
	}
	f := readFacts(body)
	text := short(cmp.Or(readable(s.Type, f.contents), s.Text))
	d := Sending{Text: text, ReplyTo: cmp.Or(f.replyTo, f.context), MediaID: f.media}
	if f.toGroup {
		d.GroupID = s.To
		return d
	}
	if d.Contact = s.Contact(); d.Contact != s.Recipient {
		d.UserID = s.Recipient
	}
	return d
}
