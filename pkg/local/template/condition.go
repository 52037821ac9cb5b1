package template

import "go.yaml.in/yaml/v3"

// maxDepth bounds conditions that refer to each other: CloudFormation refuses a cycle.
const maxDepth = 32

// pick follows !If to the branch that applies. It returns nil if that is AWS::NoValue or n is nil,
// as if the property were absent.
func (t *Template) pick(n *yaml.Node) (*yaml.Node, error) {
	for n != nil && n.Tag == "!If" {
		if n.Kind != yaml.SequenceNode || len(n.Content) != 3 {
			return nil, t.at(n, "!If needs a condition and two values")
		}
		holds, err := t.named(n, n.Content[0].Value, 0)
		if err != nil {
			return nil, err
		}
		if holds {
			n = n.Content[1]
		} else {
			n = n.Content[2]
		}
	}
	if n != nil && n.Tag == "!Ref" && n.Value == "AWS::NoValue" {
		return nil, nil
	}
	return n, nil
}

// exists reports whether a resource is created under its Condition.
func (t *Template) exists(n *yaml.Node) (bool, error) {
	if c := Find(n, "Condition"); c != nil {
		return t.named(c, c.Value, 0)
	}
	return true, nil
}

func (t *Template) named(at *yaml.Node, name string, depth int) (bool, error) {
	c := Find(t.root, "Conditions", name)
	if c == nil {
		return false, t.at(at, "there is no condition %s", name)
	}
	return t.holds(c, depth)
}

func (t *Template) holds(n *yaml.Node, depth int) (bool, error) {
	if depth > maxDepth {
		return false, t.at(n, "the conditions form a cycle")
	}
	if n.Tag == "!Condition" {
		return t.named(n, n.Value, depth+1)
	}
	bad := t.at(n, "cannot be resolved on a laptop: %s", n.Tag)
	if n.Kind != yaml.SequenceNode {
		return false, bad
	}
	switch {
	case n.Tag == "!Equals" && len(n.Content) == 2:
		a, err := t.value(n.Content[0])
		if err != nil {
			return false, err
		}
		b, err := t.value(n.Content[1])
		return a == b, err
	case n.Tag == "!Not" && len(n.Content) == 1:
		inner, err := t.holds(n.Content[0], depth+1)
		return !inner, err
	case n.Tag == "!And", n.Tag == "!Or":
		for _, part := range n.Content {
			inner, err := t.holds(part, depth+1)
			if err != nil || inner == (n.Tag == "!Or") {
				return inner, err
			}
		}
		return n.Tag == "!And", nil
	}
	return false, bad
}
