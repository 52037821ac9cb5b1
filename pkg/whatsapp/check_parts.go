package whatsapp

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"connexease-functions/pkg/canonical"
)

// checkNode is an object in a body, with its path. If the body has no object there, it has no
// members.
type checkNode struct {
	path  string
	value canonical.Value
}

func (n checkNode) at(name string) string {
	if n.path == "" {
		return name
	}
	return n.path + "." + name
}

func (n checkNode) get(name string) canonical.Value { return n.value.Get(name) }

// text returns a string, or a number in its written form: both are accepted where Meta documents a
// string.
func (n checkNode) text(name string) string { return n.value.Get(name).Text() }

func (n checkNode) child(name string) checkNode { return checkNode{n.at(name), n.get(name)} }

// element returns an element of the array called name, which must have it.
func (n checkNode) element(name string, i int) checkNode {
	return checkNode{n.at(name) + "[" + strconv.Itoa(i) + "]", n.get(name).Elements()[i]}
}

// checkNumber writes n with thousands apart, as the rules do.
func checkNumber(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// most bounds a text's length; an absent text passes.
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

const ruleFilled = "a string that is not empty"

// needed refuses a text that is absent or blank.
func (c *check) needed(n checkNode, name string) {
	if strings.TrimSpace(n.text(name)) == "" {
		c.fault(n.at(name), ruleFilled)
	}
}

// filled refuses a text that is absent or empty. Blanks are not documented.
func (c *check) filled(n checkNode, name string) {
	if n.text(name) == "" {
		c.fault(n.at(name), ruleFilled)
	}
}

// media checks an object that names a file (Media messages).
func (c *check) media(media checkNode) {
	id, link := media.text("id"), media.text("link")
	if (id == "") == (link == "") {
		c.fault(media.path, "exactly one of link and id")
	}
	if link != "" && !startsAsURL(link) {
		c.fault(media.at("link"), "a URL that starts with http:// or https://")
	}
}

// startsAsURL reports whether s begins with a web URL's scheme, followed by more.
func startsAsURL(s string) bool {
	for _, scheme := range []string{"https://", "http://"} {
		if len(s) > len(scheme) && strings.EqualFold(s[:len(scheme)], scheme) {
			return true
		}
	}
	return false
}

// template checks the parameters of a template (Template messages; error 132018).
func (c *check) template(template checkNode) {
	c.needed(template, "name")
	c.needed(template.child("language"), "code")
	c.show(template.text("name"))
	c.components(template)
}

func (c *check) components(n checkNode) {
	for i := range n.get("components").Elements() {
		component := n.element("components", i)
		if kind := component.text("type"); strings.EqualFold(kind, "header") || strings.EqualFold(kind, "body") {
			for j := range component.get("parameters").Elements() {
				c.parameter(component.element("parameters", j))
			}
		}
		for j := range component.get("cards").Elements() { // Media card carousel templates
			c.components(component.element("cards", j))
		}
	}
}

// blanksMost is how many spaces may follow each other in a parameter.
const blanksMost = 4

func (c *check) parameter(parameter checkNode) {
	if parameter.text("type") != "text" {
		return
	}
	switch text := parameter.text("text"); {
	case text == "":
		c.fault(parameter.at("text"), ruleFilled)
	case strings.ContainsAny(text, "\n\r\t") || strings.Contains(text, strings.Repeat(" ", blanksMost+1)):
		c.fault(parameter.at("text"), "without line breaks, tabs and more than 4 consecutive blanks")
	}
}

// webURL refuses anything but a complete web URL.
func (c *check) webURL(n checkNode, name string) {
	u, err := url.Parse(n.text(name))
	if err != nil || u.Hostname() == "" || !strings.EqualFold(u.Scheme, "http") && !strings.EqualFold(u.Scheme, "https") {
		c.fault(n.at(name), "a URL such as https://example.com/path")
	}
}
