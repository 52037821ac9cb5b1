// Package template reads template.yaml as data, so that the laptop runs what is deployed.
package template

import (
	"fmt"
	"iter"
	"os"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Template is a SAM template.
type Template struct {
	path      string
	root      *yaml.Node
	overrides map[string]string
	Resolve   Resolver
}

// Resolver gives the local value of a resource: what !Ref (attribute "") or !GetAtt
// of it returns.
type Resolver func(logicalID, attribute string) (string, error)

// Load reads a template. overrides replace parameter defaults.
func Load(path string, overrides map[string]string) (*Template, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read: %w", path, err)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, fmt.Errorf("%s is not valid YAML: %w", path, err)
	}
	if len(doc.Content) == 0 || Find(doc.Content[0], "Resources") == nil {
		return nil, fmt.Errorf("%s has no Resources", path)
	}
	return &Template{path: path, root: doc.Content[0], overrides: overrides, Resolve: func(id, attribute string) (string, error) {
		return id, nil
	}}, nil
}

// Root returns the template's root node, unresolved.
func (t *Template) Root() *yaml.Node { return t.root }

// With returns a template with another root, resolved alike.
func (t *Template) With(root *yaml.Node) *Template {
	copied := *t
	copied.root = root
	return &copied
}

// Find returns the node at a path of mapping keys, or nil.
func Find(n *yaml.Node, path ...string) *yaml.Node {
	for _, key := range path {
		if n == nil || n.Kind != yaml.MappingNode {
			return nil
		}
		var next *yaml.Node
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == key {
				next = n.Content[i+1]
			}
		}
		n = next
	}
	return n
}

// text returns the string of the node at a path; empty where there is none.
func text(n *yaml.Node, path ...string) string {
	if n = Find(n, path...); n == nil {
		return ""
	}
	return n.Value
}

// Each yields the members of a mapping in order; nil has none.
func Each(n *yaml.Node) iter.Seq2[string, *yaml.Node] {
	return func(yield func(string, *yaml.Node) bool) {
		for i := 0; n != nil && i+1 < len(n.Content); i += 2 {
			if !yield(n.Content[i].Value, n.Content[i+1]) {
				return
			}
		}
	}
}

// reading reads a template and keeps its first fault, so that readers need not look after each
// member: after a fault, what they return is of no use.
type reading struct {
	*Template
	err error
}

func (t *Template) read() *reading { return &reading{Template: t} }

func (r *reading) fault(n *yaml.Node, format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("%s:%d: %s", r.path, n.Line, fmt.Sprintf(format, args...))
	}
}

// resources yields each resource of a type whose condition holds, in order.
func (r *reading) resources(kind string) iter.Seq2[string, *yaml.Node] {
	return func(yield func(string, *yaml.Node) bool) {
		for id, n := range Each(Find(r.root, "Resources")) {
			if text(n, "Type") == kind && r.exists(n) && (r.err != nil || !yield(id, n)) {
				return
			}
		}
	}
}

// whole returns a member that is a whole number, or the default if there is none.
func (r *reading) whole(n *yaml.Node, name string, standard int) int {
	if n = r.pick(Find(n, name)); n == nil {
		return standard
	}
	number, err := strconv.Atoi(r.value(n))
	if err != nil {
		r.fault(n, "%s is not a whole number", name)
	}
	return number
}

// Placeholder matches the placeholders that !Sub replaces.
var Placeholder = regexp.MustCompile(`\$\{([A-Za-z0-9.:]+)\}`)

// value resolves a scalar: text, !Ref, !GetAtt, !Sub and !If. AWS::NoValue is empty.
func (r *reading) value(n *yaml.Node) string {
	n = r.pick(n)
	switch {
	case n == nil:
		return ""
	case n.Tag == "!Ref" || n.Tag == "!GetAtt":
		return r.reference(n, n.Value)
	case n.Tag == "!Sub":
		return Placeholder.ReplaceAllStringFunc(n.Value, func(m string) string { return r.reference(n, m[2:len(m)-1]) })
	case n.Kind != yaml.ScalarNode || strings.HasPrefix(n.Tag, "!") && !strings.HasPrefix(n.Tag, "!!"):
		r.fault(n, "cannot be resolved on a laptop: %s", n.Tag)
	}
	return n.Value
}

func (r *reading) reference(n *yaml.Node, name string) string {
	if v, ok := r.overrides[name]; ok {
		return v
	}
	if p := Find(r.root, "Parameters", name); p != nil {
		if Find(p, "Default") == nil {
			r.fault(n, "parameter %s has no default", name)
		}
		return text(p, "Default")
	}
	id, attribute, _ := strings.Cut(name, ".")
	if Find(r.root, "Resources", id) == nil {
		r.fault(n, "there is no resource or parameter %s", id)
		return ""
	}
	v, err := r.Resolve(id, attribute)
	if err != nil {
		r.fault(n, "%s: %v", name, err)
	}
	return v
}
