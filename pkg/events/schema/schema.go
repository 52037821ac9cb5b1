// Package schema validates events against their JSON Schema, and generates the documentation's
// tables from it. Deployed functions do not use it.
package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"connexease-functions/pkg/events"
	"connexease-functions/pkg/proof/must"
)

const resource = "events.json"

// compiled is the schema of each detail type. The schema is part of the program: a broken one is a
// panic.
var compiled = sync.OnceValue(func() map[string]*jsonschema.Schema {
	c := jsonschema.NewCompiler()
	must.OK(c.AddResource(resource, must.Get(jsonschema.UnmarshalJSON(bytes.NewReader(events.JSON)))))
	all := map[string]*jsonschema.Schema{}
	for _, name := range events.DetailTypes {
		all[name] = c.MustCompile(resource + "#/$defs/" + url.PathEscape(name))
	}
	return all
})

// Validate returns the faults of an event's detail, by member; none if it is valid.
func Validate(detailType string, detail []byte) (faults []string) {
	s := compiled()[detailType]
	if s == nil {
		return []string{fmt.Sprintf("there is no detail type %q", detailType)}
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(detail))
	if err != nil {
		return []string{err.Error()}
	}
	err = s.Validate(v)
	if invalid, ok := errors.AsType[*jsonschema.ValidationError](err); ok {
		return leaves(invalid)
	}
	must.OK(err)
	return nil
}

// leaves returns the faults that are not composed of others.
func leaves(e *jsonschema.ValidationError) (faults []string) {
	for _, cause := range e.Causes {
		faults = append(faults, leaves(cause)...)
	}
	if len(e.Causes) == 0 {
		at := strings.Join(append([]string{"detail"}, e.InstanceLocation...), ".")
		faults = append(faults, at+": "+e.ErrorKind.LocalizedString(message.NewPrinter(language.English)))
	}
	slices.Sort(faults)
	return slices.Compact(faults)
}

// node holds the parts of the schema that the tables need.
type node struct {
	Defs        map[string]*node `json:"$defs"`
	Description string           `json:"description"`
	Properties  map[string]*node `json:"properties"`
	Required    []string         `json:"required"`
	Const       *string          `json:"const"`
}

var root = sync.OnceValue(func() (n *node) {
	must.OK(json.Unmarshal(events.JSON, &n))
	return n
})

// Members returns the members that every detail has, as the schema lists them.
func Members() []string { return root().Defs["detail"].Required }

// Types returns README's table of detail types.
func Types() string {
	var b strings.Builder
	b.WriteString("| | `detail-type` | what happened |\n|---|---|---|\n")
	for i, name := range events.DetailTypes {
		fmt.Fprintf(&b, "| %d | `%s` | %s |\n", i+1, name, root().Defs[name].Description)
	}
	return b.String()
}

// Table returns README's table of members: ● is never empty, ○ may be empty, and a blank cell is
// always the empty string.
func Table() string {
	detail := root().Defs["detail"]
	var b strings.Builder
	b.WriteString("| member of `detail` |")
	for i := range events.DetailTypes {
		fmt.Fprintf(&b, " %d |", i+1)
	}
	b.WriteString(" what |\n" + strings.Repeat("|---", len(events.DetailTypes)+2) + "|\n")
	for _, name := range detail.Required {
		fmt.Fprintf(&b, "| `%s` |", name)
		for _, one := range events.DetailTypes {
			b.WriteString(" " + mark(root().Defs[one].Properties[name]) + " |")
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
