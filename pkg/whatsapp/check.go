package whatsapp

import (
	"cmp"
	"strings"

	"connexease-functions/pkg/canonical"
)

// checkFaultsMost bounds the faults that Check returns, because a response lists them all.
const checkFaultsMost = 100

// Summary describes a message to be sent.
type Summary struct {
	Type      string // text where the body names none (WhatsApp Cloud API: Messages); empty for a receipt
	To        string // as given: a phone number in any form, or a group id
	Recipient string // business-scoped user id; To wins where both are there
	Opaque    string // biz_opaque_callback_data
	HasOpaque bool   // the caller used biz_opaque_callback_data, even with an empty string; null does not count
	Receipt   bool   // a read receipt or typing indicator: not a message, may be repeated freely
	Text      string // its readable content: text, caption, body or button title, template name, emoji; at most 512 bytes
}

// Fault is a known limit that a body breaks. It never quotes the body.
type Fault struct {
	Path string // such as interactive.action.buttons[3].reply.title; empty for the body as a whole
	Rule string // what would be right, such as "at most 20 characters, has 27"
}

// Malformed reports whether the body could not be read at all: not JSON, or not an object.
// Then it is the only fault.
func (f Fault) Malformed() bool { return f.Path == "" }

// Faults of a body that cannot be read.
var (
	FaultNotJSON   = Fault{Rule: "valid JSON"}
	FaultNotObject = Fault{Rule: "a JSON object"}
)

// Check finds everything in a send's body that is known to fail at Meta, and returns all faults at
// once, at most 100, in a stable order. Unknown members and unknown types pass, but duplicate
// members do not: readers disagree on which one counts. Lengths are Unicode characters. A rule
// names the page of Meta's documentation (WhatsApp Business Platform, Cloud API) that it is from;
// without one it is from "Messages API".
func Check(body []byte) (Summary, []Fault) {
	_, summary, faults := Read(body)
	return summary, faults
}

// Read is Check for callers with rules of their own about the same body: it returns the parsed
// message too, the zero Value where the body could not be read.
func Read(body []byte) (canonical.Value, Summary, []Fault) {
	value, duplicates, err := canonical.Parse(body)
	switch {
	case err != nil:
		return canonical.Value{}, Summary{}, []Fault{FaultNotJSON}
	case !value.IsObject():
		return canonical.Value{}, Summary{}, []Fault{FaultNotObject}
	}
	c := &check{}
	for _, path := range duplicates {
		c.fault(path, RuleOnce)
	}
	c.message(checkNode{"", value})
	return value, c.summary, c.faults
}

// RuleOnce is the rule that a duplicate member breaks.
const RuleOnce = "once in its object, is there more than once"

// check collects the results of one body.
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
	if product := m.get("messaging_product"); !product.IsString() || product.Text() != "whatsapp" {
		c.fault(m.at("messaging_product"), "whatsapp")
	}
	if opaque := m.get("biz_opaque_callback_data"); opaque.Present() {
		c.summary.HasOpaque = true
		if opaque.IsString() {
			c.summary.Opaque = opaque.Text()
		} else {
			c.fault(m.at("biz_opaque_callback_data"), "a string of at most 512 characters")
		}
		c.most(m, "biz_opaque_callback_data", 512)
	}
	if m.text("status") == "read" || m.get("typing_indicator").Present() {
		c.receipt(m)
		return
	}
	c.recipient(m)
	c.summary.Type = cmp.Or(m.text("type"), "text")
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
	case "location": // Location messages
		location := m.child("location")
		c.filled(location, "latitude")
		c.filled(location, "longitude")
	case "contacts":
		c.contacts(m)
	case "template":
		c.template(m.child("template"))
	case "reaction":
		reaction := m.child("reaction")
		c.needed(reaction, "message_id")
		if !reaction.get("emoji").IsString() {
			c.fault(reaction.at("emoji"), "an emoji, or an empty string to remove the reaction")
		}
		c.show(reaction.text("emoji"))
	}
}

// receipt refuses members that would make a receipt a message too: a receipt may be repeated
// freely, a message must not be.
func (c *check) receipt(m checkNode) {
	c.summary.Receipt = true
	c.needed(m, "message_id")
	for _, name := range []string{"to", "recipient", "type"} {
		if m.get(name).Present() {
			c.fault(m.at(name), "absent: a read receipt or typing indicator is not a message")
		}
	}
}

// recipient checks a message's recipient (Phone number formats; Business-scoped user IDs; Groups
// API: Group messaging).
func (c *check) recipient(m checkNode) {
	to, user := m.get("to"), m.get("recipient")
	c.summary.To, c.summary.Recipient = to.Text(), user.Text()
	if user.Present() && !user.IsString() {
		c.fault(m.at("recipient"), "a string: a business-scoped user id")
	}
	switch {
	case to.Present() && !to.IsString() && !to.IsNumber():
		c.fault(m.at("to"), "a string: a phone number or a group id")
		return
	case strings.TrimSpace(c.summary.To) == "" && strings.TrimSpace(c.summary.Recipient) == "":
		c.fault(m.at("to"), "not empty; or recipient with a business-scoped user id")
		return
	}
	if kind := m.text("recipient_type"); kind != "" && kind != "individual" {
		return // the form of group ids is not documented
	}
	digits, plus, isPhone := phoneDigits(c.summary.To)
	switch n := len(digits); {
	case IsUserID(c.summary.To): // it is accepted, and never arrives
		c.fault(m.at("to"), "a phone number; or recipient with a business-scoped user id")
	case strings.HasPrefix(c.summary.To, groupIDStart):
		c.fault(m.at("recipient_type"), "group, because to has the id of a group")
	case !isPhone: // a placeholder, or an unknown form
	case plus && (n < 7 || n > 15):
		c.fault(m.at("to"), "7 to 15 digits after a plus, has "+checkNumber(n))
	case !plus && (n < 6 || n > 15): // Meta puts the country code before a local number
		c.fault(m.at("to"), "6 to 15 digits, has "+checkNumber(n))
	}
}

func (c *check) textMessage(text checkNode) {
	body := text.get("body")
	if !body.IsString() || body.Text() == "" {
		c.fault(text.at("body"), "a string of 1 to 4,096 characters")
	}
	c.most(text, "body", 4096)
	c.show(text.text("body"))
}

// contacts checks a contacts message (Contacts messages).
func (c *check) contacts(m checkNode) {
	contacts := m.get("contacts").Elements()
	if len(contacts) == 0 {
		c.fault(m.at("contacts"), "1 to 257 contacts, has 0")
	}
	c.count(m.at("contacts"), len(contacts), 257, "contacts")
	for i := range contacts {
		c.filled(m.element("contacts", i).child("name"), "formatted_name")
	}
}

// show keeps the first non-empty text, cut between two characters.
func (c *check) show(s string) {
	if c.summary.Text != "" {
		return
	}
	c.summary.Text = short(s)
}
