package whatsapp

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
)

// checkFaultsMost bounds what Check hands back: an answer lists it all.
const checkFaultsMost = 100

// Summary says what a message is that is about to leave.
type Summary struct {
	Type      string // text where the body names none (WhatsApp Cloud API: Messages); empty for a receipt
	To        string // as given, with or without a leading +
	Recipient string // business-scoped user id; To wins where both are there
	Opaque    string // biz_opaque_callback_data
	HasOpaque bool   // the caller used biz_opaque_callback_data, be it with an empty string; null is not used
	Receipt   bool   // a read receipt or typing indicator: no message, may be repeated freely
	Text      string // what a person sees of it: text, caption, body or button title, template name, emoji; at most 512 bytes
}

// Fault is a known limit that a body breaks. It never quotes the body.
type Fault struct {
	Path string // such as interactive.action.buttons[3].reply.title; empty for the body as a whole
	Rule string // what would be right, such as "at most 20 characters, has 27"
}

// Malformed reports whether the body could not be read at all: no JSON, or no object.
// Then it is the only fault.
func (f Fault) Malformed() bool { return f.Path == "" }

// Faults of a body that cannot be read.
var (
	FaultNotJSON   = Fault{Rule: "valid JSON"}
	FaultNotObject = Fault{Rule: "a JSON object"}
)

// Check looks for everything in a send's body that is known to fail at Meta, and
// returns all of it at once, at most 100 faults in an order that does not change.
// Unknown members and unknown types pass. Lengths are Unicode characters
// (WhatsApp Cloud API: Messages; Interactive messages; Error codes).
func Check(body []byte) (Summary, []Fault) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return Summary{}, []Fault{FaultNotJSON}
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return Summary{}, []Fault{FaultNotJSON}
	}
	members, ok := value.(map[string]any)
	if !ok {
		return Summary{}, []Fault{FaultNotObject}
	}
	c := &check{}
	c.message(checkNode{"", members})
	return c.summary, c.faults
}

// check gathers what one body comes to.
type check struct {
	summary Summary
	faults  []Fault
}

func (c *check) fault(path, rule string) {
	if len(c.faults) < checkFaultsMost {
		c.faults = append(c.faults, Fault{path, rule})
	}
}

func (c *check) message(m checkNode) {
	if opaque, there := m.member("biz_opaque_callback_data"); there {
		c.summary.HasOpaque = true
		c.summary.Opaque, _ = opaque.(string)
		if _, isString := opaque.(string); !isString {
			c.fault(m.at("biz_opaque_callback_data"), "a string of at most 512 characters")
		}
		c.most(m, "biz_opaque_callback_data", 512)
	}
	_, typing := m.member("typing_indicator")
	if m.text("status") == "read" || typing {
		c.receipt(m)
		return
	}
	c.recipient(m)
	c.summary.Type = m.text("type")
	if c.summary.Type == "" {
		c.summary.Type = "text"
	}
	switch kind := c.summary.Type; kind {
	case "text":
		c.textMessage(m.child("text"))
	case "image", "video", "document", "audio", "sticker":
		media := m.child(kind)
		c.media(media)
		if kind != "audio" && kind != "sticker" { // these two have no caption
			c.most(media, "caption", 1024)
			c.show(media.text("caption"))
		}
	case "interactive":
		c.interactive(m.child("interactive"))
	case "contacts":
		if contacts, ok := m.array("contacts"); ok {
			c.count(m.at("contacts"), len(contacts), 257, "contacts")
		}
	case "template":
		template := m.child("template")
		c.needed(template, "name")
		c.needed(template.child("language"), "code")
		c.show(template.text("name"))
	case "reaction":
		reaction := m.child("reaction")
		c.needed(reaction, "message_id")
		if emoji, _ := reaction.member("emoji"); !checkIsString(emoji) {
			c.fault(reaction.at("emoji"), "an emoji, or an empty string to remove the reaction")
		}
		c.show(reaction.text("emoji"))
	}
}

// receipt refuses whatever would make it a message too: a receipt is repeated freely,
// a message must not be.
func (c *check) receipt(m checkNode) {
	c.summary.Receipt = true
	c.needed(m, "message_id")
	for _, name := range []string{"to", "recipient", "type"} {
		if _, there := m.member(name); there {
			c.fault(m.at(name), "absent: a read receipt or typing indicator is no message")
		}
	}
}

func (c *check) recipient(m checkNode) {
	to, there := m.member("to")
	c.summary.To, c.summary.Recipient = m.text("to"), m.text("recipient")
	if user, given := m.member("recipient"); given && !checkIsString(user) {
		c.fault(m.at("recipient"), "a string: a business-scoped user id")
	}
	empty := strings.TrimSpace(c.summary.To) == ""
	switch {
	case there && c.summary.To == "" && !checkIsString(to):
		c.fault(m.at("to"), "a string: a phone number or a group id")
		return
	case empty && strings.TrimSpace(c.summary.Recipient) == "":
		c.fault(m.at("to"), "not empty; or recipient with a business-scoped user id")
		return
	}
	kind := m.text("recipient_type")
	digits := strings.TrimPrefix(c.summary.To, "+")
	if kind != "" && kind != "individual" || digits == "" || strings.Trim(digits, "0123456789") != "" {
		return // a group, a placeholder, or a form not known here
	}
	if n := len(digits); n < 7 || n > 15 {
		c.fault(m.at("to"), "7 to 15 digits, has "+checkNumber(n))
	}
}

func (c *check) textMessage(text checkNode) {
	body, _ := text.member("body")
	if s, ok := body.(string); !ok || s == "" {
		c.fault(text.at("body"), "a string of 1 to 4,096 characters")
	}
	c.most(text, "body", 4096)
	c.show(text.text("body"))
}

// show keeps the first text that there is, cut between two characters.
func (c *check) show(s string) {
	if c.summary.Text != "" {
		return
	}
	c.summary.Text = short(s)
}
