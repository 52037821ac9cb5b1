package whatsapp

import (
	"cmp"
	"strings"
)

// content is a member of a message that says something to a person.
type content struct {
	key   string
	value raw
}

// mostContents bounds the contents of one message: it has one, seldom two.
const mostContents = 8

func isContent(key string) bool {
	switch key {
	case "text", "image", "video", "audio", "voice", "document", "sticker", "button", "interactive", "template",
		"reaction", "edit", "revoke", "order", "system", "location", "contacts":
		return true
	}
	return false
}

// readable returns what a person would read of a message: of the content that its type names,
// else of the first one that says something.
func readable(kind string, all []content) string {
	text := ""
	for _, c := range all {
		if text == "" || c.key == kind {
			text = cmp.Or(c.text(), text)
		}
	}
	return text
}

func (c content) text() string {
	member := func(path ...string) string {
		v := c.value
		for _, name := range path {
			v = v.get(name)
		}
		s, _ := v.text()
		return s
	}
	switch c.key {
	case "text":
		return member("body")
	case "image", "video", "audio", "voice", "sticker":
		return member("caption")
	case "document":
		return cmp.Or(member("caption"), member("filename"))
	case "button":
		return member("text")
	case "interactive":
		return cmp.Or(member("button_reply", "title"), member("list_reply", "title"), member("nfm_reply", "body"),
			member("call_permission_reply", "response"), member("body", "text"))
	case "template":
		return member("name")
	case "reaction":
		return member("emoji")
	case "edit":
		return messageText(c.value.get("message"))
	case "order":
		if note := member("text"); note != "" {
			return note
		}
		return items(c.value.get("product_items"))
	case "system":
		return member("body")
	case "location":
		return location(c.value)
	case "contacts":
		return cardNames(c.value)
	}
	return ""
}

// messageText returns what a person would read of a message inside another object.
func messageText(message raw) string {
	kind, all := "", []content(nil)
	for m := range message.members() {
		switch {
		case m.key == "type":
			kind, _ = m.value.text()
		case m.key == "edit": // none is inside another
		case isContent(m.key) && len(all) < mostContents:
			all = append(all, content{m.key, m.value})
		}
	}
	return readable(kind, all)
}

func items(products raw) string {
	n := 0
	for range products.elements() {
		n++
	}
	switch n {
	case 0:
		return ""
	case 1:
		return "1 item"
	}
	return checkNumber(n) + " items"
}

func location(l raw) string {
	var parts []string
	for _, name := range []string{"name", "address"} {
		if s, _ := l.get(name).text(); s != "" {
			parts = append(parts, s)
		}
	}
	if len(parts) == 0 {
		for _, name := range []string{"latitude", "longitude"} {
			v := l.get(name)
			s, isText := v.text()
			if !isText && v != nil && !v.isObject() && !v.isArray() && string(v) != "null" {
				s = string(v)
			}
			if s == "" {
				return ""
			}
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, ", ")
}

// cardNames returns the names on contact cards, as many as a text has room for.
func cardNames(cards raw) string {
	var b strings.Builder
	for card := range cards.elements() {
		name := card.get("name")
		full, _ := name.get("formatted_name").text()
		if full == "" {
			given, _ := name.get("first_name").text()
			family, _ := name.get("last_name").text()
			full = strings.TrimSpace(given + " " + family)
		}
		if full == "" {
			continue
		}
		if b.Len() > 0 {
			b.WriteString(", ")
		}
		if b.WriteString(full); b.Len() > maxText {
			break
		}
	}
	return b.String()
}

// errorTitle is what WhatsApp says of a message that it cannot show.
func errorTitle(errors raw) string {
	for e := range errors.elements() {
		if title, _ := e.get("title").text(); title != "" {
			return title
		}
	}
	return ""
}

// Readable returns the whole of what a person would read of an update or of a message that was
// sent.
func Readable(payload []byte) string {
	f := readFacts(compacted(payload))
	return cmp.Or(readable(f.kind, f.contents), f.detail, errorTitle(f.errors))
}
