package pipes

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Template is an input template, of a pipe or of a rule.
//
// AWS's documentation is ambiguous (Amazon EventBridge: "Amazon EventBridge Pipes input
// transformation" and "Amazon EventBridge input transformation", common issues), so this follows
// the strictest reading, and a template that works here works with any: a variable that the event
// lacks is replaced by nothing, outside quotes too; a string is inserted without escaping, and
// quoted outside quotes; an object or list within quotes loses its own quotes. A result that is not
// JSON is an error, except strings one per line, which a rule passes to its target as they are.
type Template struct {
	parts []part
}

type part struct {
	text     string // verbatim text, where variable is empty
	variable string
	quoted   bool // the variable stands in a string
}

var variable = regexp.MustCompile(`^<([^<>"\s]+)>`)

// ParseTemplate parses a template. known reports whether a variable exists.
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
				return nil, fmt.Errorf("the input template names <%s>, which is neither a JSON path nor a known variable", m[1])
			}
			t.parts = append(t.parts, part{text: text[start:i]}, part{variable: m[1], quoted: quoted})
			i += len(m[0]) - 1
			start = i + 1
		}
	}
	t.parts = append(t.parts, part{text: text[start:]})
	return t, nil
}

// Check returns an error unless the template makes JSON, or strings one per line, from values that
// need no escaping. AWS requires that of a rule's template in PutTargets.
func (t *Template) Check() error {
	_, err := t.Render(func(string) (any, bool) { return "x", true })
	return err
}

// Render fills in the template. The result is JSON, or strings one per line.
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
	err := json.Compact(&compact, []byte(b.String()))
	if lines := stringLines(b.String()); err != nil && lines != nil {
		return lines, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the input template does not make JSON: %w", err)
	}
	return compact.Bytes(), nil
}

// stringLines returns JSON strings, one per line, without surrounding space; nil for anything else.
func stringLines(text string) []byte {
	var all []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if line[0] != '"' || !json.Valid([]byte(line)) {
			return nil
		}
		all = append(all, line)
	}
	return []byte(strings.Join(all, "\n"))
}

func shown(v any, quoted bool) string {
	switch v := v.(type) {
	case string:
		if quoted {
			return v
		}
		return `"` + v + `"`
	case map[string]any, []any:
		text := written(v)
		if quoted {
			return strings.ReplaceAll(text, `"`, "")
		}
		return text
	}
	return written(v)
}

// written returns decoded JSON as JSON, with numbers in their original digits.
func written(v any) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // it was decoded from JSON
	return strings.TrimSuffix(b.String(), "\n")
}

// path matches the JSON paths that AWS documents (Amazon EventBridge: "Amazon EventBridge input
// transformation", supported syntax).
type path []string

var pathForm = regexp.MustCompile(`^\$((\.[A-Za-z0-9_/-]+)|(\[\d+\])|(\[\*\])|(\.\*))*$`)

// IsPath reports whether a string is a supported JSON path.
func IsPath(text string) bool { return pathForm.MatchString(text) }

// HasWildcard reports whether a path can name several values.
func HasWildcard(path string) bool { return strings.Contains(path, "*") }

func parsePath(text string) path {
	return strings.FieldsFunc(text[1:], func(r rune) bool { return r == '.' || r == '[' || r == ']' })
}

// At returns the value at a path of a decoded event. With a wildcard it is the list of all values,
// which may be empty.
func At(text string, v any) (any, bool) {
	found := all(parsePath(text), v)
	if HasWildcard(text) {
		return found, true
	}
	if len(found) == 0 {
		return nil, false
	}
	return found[0], true
}

func all(p path, v any) []any {
	if len(p) == 0 {
		return []any{v}
	}
	found := []any{}
	switch in := v.(type) {
	case map[string]any:
		if p[0] == "*" {
			for _, name := range slices.Sorted(maps.Keys(in)) {
				found = append(found, all(p[1:], in[name])...)
			}
		} else if next, there := in[p[0]]; there {
			return all(p[1:], next)
		}
	case []any:
		if p[0] == "*" {
			for _, one := range in {
				found = append(found, all(p[1:], one)...)
			}
		} else if i, err := strconv.Atoi(p[0]); err == nil && i < len(in) {
			return all(p[1:], in[i])
		}
	}
	return found
}
