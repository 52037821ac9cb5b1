package pipes

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Template is an input template, of a pipe or of a rule.
//
// AWS's pages leave room (Amazon EventBridge: "Amazon EventBridge Pipes input
// transformation" and "Amazon EventBridge input transformation", common issues), and this
// takes the reading that harms most, so that a template that works here works in any: a
// variable that the event does not have leaves nothing behind, outside quotes too; a text is
// put in without any escaping, outside quotes between quotes; an object or list within
// quotes loses its own quotes. What is then no JSON is an error.
type Template struct {
	parts []part
}

type part struct {
	text     string // as it is, where variable is empty
	variable string
	quoted   bool // the variable stands in a string
}

var variable = regexp.MustCompile(`^<([^<>"\s]+)>`)

// ParseTemplate reads a template. known says whether a variable can be had.
func ParseTemplate(text string, known func(variable string) bool) (*Template, error) {
	if text == "" {
		return nil, errors.New("the input template is empty")
	}
	t := &Template{}
	quoted, start := false, 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			if quoted {
				i++
			}
		case '"':
			quoted = !quoted
		case '<':
			m := variable.FindStringSubmatch(text[i:])
			if m == nil {
				continue
			}
			if !known(m[1]) {
				return nil, fmt.Errorf("the input template names <%s>, which cannot be had", m[1])
			}
			t.parts = append(t.parts, part{text: text[start:i]}, part{variable: m[1], quoted: quoted})
			i += len(m[0]) - 1
			start = i + 1
		}
	}
	t.parts = append(t.parts, part{text: text[start:]})
	return t, nil
}

// Render fills the template in. The result is JSON.
func (t *Template) Render(value func(variable string) (v any, there bool)) ([]byte, error) {
	var b strings.Builder
	for _, p := range t.parts {
		if p.variable == "" {
			b.WriteString(p.text)
			continue
		}
		v, there := value(p.variable)
		if there {
			b.WriteString(shown(v, p.quoted))
		}
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, []byte(b.String())); err != nil {
		return nil, fmt.Errorf("the input template makes no JSON: %w", err)
	}
	return compact.Bytes(), nil
}

func shown(v any, quoted bool) string {
	switch v := v.(type) {
	case string:
		if quoted {
			return v
		}
		return `"` + v + `"`
	case map[string]any, []any:
		text, _ := json.Marshal(v) // it was decoded from JSON
		if quoted {
			return strings.ReplaceAll(string(text), `"`, "")
		}
		return string(text)
	}
	text, _ := json.Marshal(v)
	return string(text)
}

// path is a JSON path as far as AWS documents it, but for wildcards: what they give
// between other things is nowhere said.
type path []string

var pathForm = regexp.MustCompile(`^\$((\.[A-Za-z0-9_/-]+)|(\[\d+\]))*$`)

// IsPath tells whether a text is a JSON path that can be had here.
func IsPath(text string) bool { return pathForm.MatchString(text) }

func parsePath(text string) path {
	return strings.FieldsFunc(text[1:], func(r rune) bool { return r == '.' || r == '[' || r == ']' })
}

// At returns what is at a path of a decoded event.
func At(text string, v any) (any, bool) {
	for _, step := range parsePath(text) {
		switch in := v.(type) {
		case map[string]any:
			next, there := in[step]
			if !there {
				return nil, false
			}
			v = next
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i >= len(in) {
				return nil, false
			}
			v = in[i]
		default:
			return nil, false
		}
	}
	return v, true
}
