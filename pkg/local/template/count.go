package template

import "go.yaml.in/yaml/v3"

// Count returns how many resources of a type there are.
func (t *Template) Count(kind string) (n int) {
	_ = t.resources(kind, func(string, *yaml.Node) error { n++; return nil }) // counting cannot fail
	return n
}
