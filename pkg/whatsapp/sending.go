package whatsapp

import "encoding/json"

// Sending says whom a message that is about to leave is for, in the words that events have
// too, and what a person would read of it.
type Sending struct {
	Contact, UserID, GroupID string
	Text, ReplyTo, MediaID   string
}

// Describe describes a compacted body of which Check made the summary.
func Describe(body []byte, s Summary) Sending {
	if !json.Valid(body) { // a refused record's, which may be cut or anything
		return Sending{}
	}
	f := readFacts(body)
	text := short(first(readable(s.Type, f.contents), s.Text))
	d := Sending{Text: text, ReplyTo: first(f.replyTo, f.context), MediaID: f.media}
	if f.toGroup {
		d.GroupID = s.To
		return d
	}
	if d.Contact = s.Contact(); d.Contact != s.Recipient {
		d.UserID = s.Recipient
	}
	return d
}
