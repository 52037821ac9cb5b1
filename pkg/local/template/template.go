// Package template reads template.yaml as data, so that the laptop runs what is deployed.
package template

import (
	"fmt"
	"os"
	"regexp"
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

func (t *Template) at(n *yaml.Node, format string, args ...any) error {
	return fmt.Errorf("%s:%d: %s", t.path, n.Line, fmt.Sprintf(format, args...))
}

// resources calls visit for each resource of a type whose condition holds, in order.
func (t *Template) resources(kind string, visit func(id string, n *yaml.Node) error) error {
	return Each(Find(t.root, "Resources"), func(id string, n *yaml.Node) error {
		if k := Find(n, "Type"); k == nil || k.Value != kind {
			return nil
		}
		made, err := t.exists(n)
		if err == nil && made {
			err = visit(id, n)
		}
		return err
	})
}

// Placeholder matches the placeholders that !Sub replaces.
var Placeholder = regexp.MustCompile(`\$\{([A-Za-z0-9.:]+)\}`)

// value resolves a scalar: text, !Ref, !GetAtt, !Sub and !If. AWS::NoValue is empty.
func (t *Template) value(n *yaml.Node) (string, error) {
	n, err := t.pick(n)
	if n == nil {
		return "", err
	}
	switch n.Tag {
	case "!Ref":
		return t.reference(n, n.Value)
	case "!GetAtt":
		return t.reference(n, n.Value)
	case "!Sub":
		var failed error
		text := Placeholder.ReplaceAllStringFunc(n.Value, func(m string) string {
			v, err := t.reference(n, m[2:len(m)-1])
			if err != nil {
				failed = err
			}
			return v
		})
		return text, failed
	}
	if n.Kind != yaml.ScalarNode || (strings.HasPrefix(n.Tag, "!") && !strings.HasPrefix(n.Tag, "!!")) {
		return "", t.at(n, "cannot be resolved on a laptop: %s", n.Tag)
	}
	return n.Value, nil
}

func (t *Template) reference(n *yaml.Node, name string) (string, error) {
	if v, ok := t.overrides[name]; ok {
		return v, nil
	}
	if p := Find(t.root, "Parameters", name); p != nil {
		if d := Find(p, "Default"); d != nil {
			return d.Value, nil
		}
		return "", t.at(n, "parameter %s has no default", name)
	}
	id, attribute, _ := strings.Cut(name, ".")
	if Find(t.root, "Resources", id) == nil {
		return "", t.at(n, "there is no resource or parameter %s", id)
	}
	v, err := t.Resolve(id, attribute)
	if err != nil {
		return "", t.at(n, "%s: %v", name, err)
	}
	return v, nil
}
