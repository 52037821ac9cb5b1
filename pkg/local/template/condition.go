package template

import "go.yaml.in/yaml/v3"

// maxDepth bounds conditions that refer to each other: CloudFormation refuses a cycle.
const maxDepth = 32

// pick follows !If to the branch that applies. It returns nil if that is AWS::NoValue or n is nil,
// as if the property were absent.
func (r *reading) pick(n *yaml.Node) *yaml.Node {
	for n != nil && n.Tag == "!If" {
		if n.Kind != yaml.SequenceNode || len(n.Content) != 3 {
			r.fault(n, "!If needs a condition and two values")
			return nil
		}
		if r.named(n, n.Content[0].Value, 0) {
			n = n.Content[1]
		} else {
			n = n.Content[2]
		}
	}
	if n != nil && n.Tag == "!Ref" && n.Value == "AWS::NoValue" {
		return nil
	}
	return n
}

// exists reports whether a resource is created under its Condition.
func (r *reading) exists(n *yaml.Node) bool {
	c := Find(n, "Condition")
	return c == nil || r.named(c, c.Value, 0)
}

func (r *reading) named(at *yaml.Node, name string, depth int) bool {
	c := Find(r.root, "Conditions", name)
	if c == nil {
		r.fault(at, "there is no condition %s", name)
		return false
	}
	return r.holds(c, depth)
}

func (r *reading) holds(n *yaml.Node, depth int) bool {
	list := n.Kind == yaml.SequenceNode
	switch {
	case depth > maxDepth:
		r.fault(n, "the conditions form a cycle")
	case n.Tag == "!Condition":
		return r.named(n, n.Value, depth+1)
	case list && n.Tag == "!Equals" && len(n.Content) == 2:
		return r.value(n.Content[0]) == r.value(n.Content[1])
	case list && n.Tag == "!Not" && len(n.Content) == 1:
		return !r.holds(n.Content[0], depth+1)
	case list && (n.Tag == "!And" || n.Tag == "!Or"):
		for _, part := range n.Content {
			if inner := r.holds(part, depth+1); inner == (n.Tag == "!Or") {
				return inner
			}
		}
		return n.Tag == "!And"
	default:
		r.fault(n, "cannot be resolved on a laptop: %s", n.Tag)
	}
	return false
}

// Refused returns the template's Rules that refuse a stack with these parameters.
func (t *Template) Refused(parameters map[string]string) (rules []string, err error) {
	given := *t
	given.overrides = parameters
	r := given.read()
	for id, n := range Each(Find(t.root, "Rules")) {
		if c := Find(n, "RuleCondition"); c != nil && !r.holds(c, 0) {
			continue
		}
		if all := Find(n, "Assertions"); all != nil {
			for _, a := range all.Content {
				if assert := Find(a, "Assert"); assert != nil && !r.holds(assert, 0) {
					rules = append(rules, id)
				}
			}
		}
	}
	return rules, r.err
}
