// Package events says what events of the bus look like: events.json is a JSON Schema for
// each detail type, for users' code generators, and README's tables are made of it.
package events

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"connexease-functions/pkg/table"
)

// JSON is the schema, as users take it.
//
//go:embed events.json
var JSON []byte

// node is as much of JSON Schema as events.json uses.
type node struct {
	Ref         string           `json:"$ref"`
	Defs        map[string]*node `json:"$defs"`
	Schema      string           `json:"$schema"`
	Title       string           `json:"title"`
	Description string           `json:"description"`
	Type        string           `json:"type"`
	AllOf       []*node          `json:"allOf"`
	Properties  map[string]*node `json:"properties"`
	Required    []string         `json:"required"`
	Additional  *bool            `json:"additionalProperties"`
	Const       *string          `json:"const"`
	Enum        []string         `json:"enum"`
	Pattern     string           `json:"pattern"`
	MinLength   int              `json:"minLength"`
	MaxLength   int              `json:"maxLength"`
}

var read = sync.OnceValues(func() (*node, error) {
	d := json.NewDecoder(strings.NewReader(string(JSON)))
	d.DisallowUnknownFields() // a keyword that is not checked would seem to be
	var n node
	err := d.Decode(&n)
	return &n, err
})

// Validate returns what is wrong with the detail of an event.
func Validate(detailType string, detail []byte) (faults []string) {
	root, err := read()
	if err != nil {
		return []string{err.Error()}
	}
	n := root.Defs[detailType]
	if n == nil || !slices.Contains(table.DetailTypes, detailType) {
		return []string{fmt.Sprintf("there is no detail type %q", detailType)}
	}
	var v any
	if err := json.Unmarshal(detail, &v); err != nil {
		return []string{err.Error()}
	}
	return root.check(n, "detail", v)
}

func (root *node) check(n *node, at string, v any) (faults []string) {
	fault := func(format string, args ...any) {
		faults = append(faults, at+": "+fmt.Sprintf(format, args...))
	}
	if n.Ref != "" {
		faults = append(faults, root.check(root.Defs[strings.TrimPrefix(n.Ref, "#/$defs/")], at, v)...)
	}
	for _, one := range n.AllOf {
		faults = append(faults, root.check(one, at, v)...)
	}
	text, isText := v.(string)
	object, isObject := v.(map[string]any)
	switch {
	case n.Type == "string" && !isText, n.Type == "object" && !isObject:
		fault("%v is no %s", v, n.Type)
	case n.Const != nil && text != *n.Const, n.Enum != nil && !slices.Contains(n.Enum, text):
		fault("%q is not what it must be", text)
	case n.Pattern != "" && !regexp.MustCompile(n.Pattern).MatchString(text):
		fault("%q does not match %s", text, n.Pattern)
	case utf8.RuneCountInString(text) < n.MinLength, n.MaxLength > 0 && utf8.RuneCountInString(text) > n.MaxLength:
		fault("%q is too short or too long", text)
	}
	for _, name := range n.Required {
		if _, there := object[name]; !there {
			fault("there is no %s", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		switch below := n.Properties[name]; {
		case below != nil:
			faults = append(faults, root.check(below, at+"."+name, object[name])...)
		case n.Additional != nil && !*n.Additional:
			fault("%s is not known", name)
		}
	}
	return faults
}

// Members returns the members that every detail has, as the schema lists them.
func Members() []string {
	root, err := read()
	if err != nil {
		return nil
	}
	return root.Defs["detail"].Required
}

// Types returns README's table of detail types.
func Types() string {
	root, err := read()
	if err != nil {
		return err.Error()
	}
	var b strings.Builder
	b.WriteString("| | `detail-type` | what happened |\n|---|---|---|\n")
	for i, name := range table.DetailTypes {
		fmt.Fprintf(&b, "| %d | `%s` | %s |\n", i+1, name, root.Defs[name].Description)
	}
	return b.String()
}

// Table returns README's table of members: ● is never empty, ○ may be, nothing is always
// the empty string.
func Table() string {
	root, err := read()
	if err != nil {
		return err.Error()
	}
	detail := root.Defs["detail"]
	var b strings.Builder
	b.WriteString("| member of `detail` | 1 | 2 | 3 | 4 | 5 | 6 | 7 | what |\n|---|---|---|---|---|---|---|---|---|\n")
	for _, name := range detail.Required {
		fmt.Fprintf(&b, "| `%s` |", name)
		for _, one := range table.DetailTypes {
			b.WriteString(" " + mark(root.Defs[one].Properties[name]) + " |")
		}
		fmt.Fprintf(&b, " %s |\n", detail.Properties[name].Description)
	}
	return b.String()
}

func mark(n *node) string {
	switch {
	case n == nil:
		return "○"
	case n.Const != nil && *n.Const == "":
		return ""
	}
	return "●"
}
