package whatsapp

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// checkNode is an object in a body, and where it stands. The object is nil where the
// body has none there; then it has no members.
type checkNode struct {
	path    string
	members map[string]any
}

func (n checkNode) at(name string) string {
	if n.path == "" {
		return name
	}
	return n.path + "." + name
}

// member returns a member that is there and not null.
func (n checkNode) member(name string) (any, bool) {
	v := n.members[name]
	return v, v != nil
}

// text returns a string, or a number as it is written: both are taken where Meta
// documents a string.
func (n checkNode) text(name string) string {
	switch v := n.members[name].(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	}
	return ""
}

func (n checkNode) child(name string) checkNode {
	members, _ := n.members[name].(map[string]any)
	return checkNode{n.at(name), members}
}

func (n checkNode) array(name string) ([]any, bool) {
	elements, ok := n.members[name].([]any)
	return elements, ok
}

// element returns an element of the array called name.
func (n checkNode) element(name string, i int, element any) checkNode {
	members, _ := element.(map[string]any)
	return checkNode{n.at(name) + "[" + strconv.Itoa(i) + "]", members}
}

func checkIsString(v any) bool {
	_, ok := v.(string)
	return ok
}

// checkNumber writes n with thousands apart, as the rules do.
func checkNumber(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// most bounds a text's length; a text that is absent passes.
func (c *check) most(n checkNode, name string, limit int) {
	s := n.text(name)
	if len(s) <= limit { // no more characters than bytes
		return
	}
	if has := utf8.RuneCountInString(s); has > limit {
		c.fault(n.at(name), "at most "+checkNumber(limit)+" characters, has "+checkNumber(has))
	}
}

func (c *check) count(path string, has, limit int, what string) {
	if has > limit {
		c.fault(path, fmt.Sprintf("at most %s %s, has %s", checkNumber(limit), what, checkNumber(has)))
	}
}

func (c *check) needed(n checkNode, name string) {
	if strings.TrimSpace(n.text(name)) == "" {
		c.fault(n.at(name), "a string that is not empty")
	}
}

// media checks an object that names a file (WhatsApp Cloud API: Media messages).
func (c *check) media(media checkNode) {
	id, link := media.text("id"), media.text("link")
	if (id == "") == (link == "") {
		c.fault(media.path, "exactly one of link and id")
	}
	const scheme = "https://"
	if link != "" && (len(link) <= len(scheme) || !strings.EqualFold(link[:len(scheme)], scheme)) {
		c.fault(media.at("link"), "a URL that starts with https://")
	}
}

func (c *check) interactive(n checkNode) {
	body, action := n.child("body"), n.child("action")
	c.show(body.text("text"))
	switch n.text("type") {
	case "button":
		c.most(body, "text", 1024)
		c.most(n.child("footer"), "text", 60)
		c.header(n.child("header"))
		c.buttons(action)
	case "list":
		c.most(body, "text", 4096)
		c.most(action, "button", 20)
		c.list(action)
	case "cta_url":
		c.most(body, "text", 1024)
		parameters := action.child("parameters")
		c.most(parameters, "display_text", 20)
		c.show(parameters.text("display_text"))
	}
}

func (c *check) header(header checkNode) {
	switch kind := header.text("type"); kind {
	case "text":
		c.most(header, "text", 60)
	case "image", "video", "document":
		c.media(header.child(kind))
	}
}

func (c *check) buttons(action checkNode) {
	buttons, _ := action.array("buttons")
	if n := len(buttons); n < 1 || n > 3 {
		c.fault(action.at("buttons"), "1 to 3 buttons, has "+checkNumber(n))
	}
	for i, b := range buttons {
		reply := action.element("buttons", i, b).child("reply")
		c.most(reply, "id", 256)
		c.most(reply, "title", 20)
		c.show(reply.text("title"))
	}
}

func (c *check) list(action checkNode) {
	sections, _ := action.array("sections")
	all := 0
	for i, s := range sections {
		rows, _ := action.element("sections", i, s).array("rows")
		all += len(rows)
	}
	c.count(action.at("sections"), len(sections), 10, "sections")
	c.count(action.at("sections"), all, 10, "rows in all")
	for i, s := range sections {
		section := action.element("sections", i, s)
		rows, _ := section.array("rows")
		for j, r := range rows {
			row := section.element("rows", j, r)
			c.most(row, "id", 200)
			c.most(row, "title", 24)
			c.most(row, "description", 72)
		}
	}
	c.show(action.text("button"))
}
