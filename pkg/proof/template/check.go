// Package template proves that template.yaml, samconfig.toml and the code fit each other. Each
// check is in a file check_*.go and returns a sentence for each fault; bite_test.go removes their
// subjects and expects them to report it.
package template

import (
	"iter"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"connexease-functions/pkg/local/template"
)

// proof holds what the checks compare: the template, the code, SAM's configuration and the READMEs.
type proof struct {
	*template.Template
	source    *source
	samconfig string
	makefile  string
	readmes   string                     // of all folders
	tests     func(folder string) string // the source of a package's tests
}

// check proves one property. It returns a sentence for each fault.
type check func(*proof) []string

// checks are named for the property that they prove; that each of them can fail is tried in
// bite_test.go.
var checks = map[string]check{
	"variables":  variables,
	"grants":     grants,
	"routes":     routes,
	"times":      times,
	"functions":  functionsAreBuiltAndLogged,
	"queues":     queuesAreKept,
	"schedules":  schedules,
	"gradual":    gradualDeploys,
	"domain":     domainIsOptional,
	"keyed":      keyed,
	"rules":      rulesRefuse,
	"table":      tableIsKept,
	"events":     eventsGoOut,
	"api":        apiIsBounded,
	"metrics":    metrics,
	"alarms":     alarms,
	"dashboard":  dashboard,
	"queries":    queries,
	"topic":      topic,
	"redriven":   redriven,
	"readme":     readmeIsBound,
	"commands":   commandsRunTests,
	"secrets":    secrets,
	"names":      names,
	"parameters": parameters,
	"outputs":    outputs,
	"samconfig":  samconfigIsComplete,
	"packs":      suppressionsHaveReasons,
}

// The checks use no other functions.
var (
	find = template.Find
	each = template.Each
)

// ref returns what a node refers to: ${X} for !Ref X, ${X.Arn} for !GetAtt X.Arn, and the string of
// !Sub and of a plain scalar.
func ref(n *yaml.Node) string {
	switch {
	case n == nil:
		return ""
	case n.Tag == "!Ref" || n.Tag == "!GetAtt":
		return "${" + n.Value + "}"
	}
	return n.Value
}

// whole returns what a node is in a stack with everything that is optional: an !If's first branch.
func whole(n *yaml.Node) *yaml.Node {
	if n != nil && n.Tag == "!If" && len(n.Content) == 3 {
		return n.Content[1]
	}
	return n
}

// invoked returns the function that a node names, if it does so in both kinds of stack: with
// GradualDeploys by an alias of it, else by itself; empty if not. text returns what names a
// resource.
func (p *proof) invoked(n *yaml.Node, text func(*yaml.Node) string) string {
	if n == nil || n.Tag != "!If" || len(n.Content) != 3 || n.Content[0].Value != "Gradual" {
		return ""
	}
	alias, isAlias := p.refersTo(text(n.Content[1]), "", "AWS::Lambda::Alias")
	own := strings.TrimSuffix(strings.Trim(text(n.Content[2]), "${}"), ".Arn")
	function, is := p.refersTo("${"+own+"}", "", "AWS::Serverless::Function")
	if !isAlias || !is || ref(find(p.Root(), "Resources", alias, "Properties", "FunctionName")) != "${"+function+"}" {
		return ""
	}
	return function
}

// list returns a sequence's nodes, or the node alone.
func list(n *yaml.Node) (all []*yaml.Node) {
	switch {
	case n == nil:
		return nil
	case n.Kind == yaml.SequenceNode:
		for _, one := range n.Content {
			all = append(all, whole(one))
		}
		return all
	}
	return []*yaml.Node{n}
}

// refersTo returns the resource that "${X}" or "${X.attribute}" refers to, if it is of this type.
func (p *proof) refersTo(reference, attribute, kind string) (id string, is bool) {
	id, is = strings.CutSuffix(strings.TrimPrefix(reference, "${"), "}")
	if attribute != "" && is {
		id, is = strings.CutSuffix(id, "."+attribute)
	}
	if !is {
		return "", false
	}
	n := find(p.Root(), "Resources", id, "Type")
	return id, n != nil && n.Value == kind
}

// every yields each resource of a type, regardless of conditions.
func (p *proof) every(kind string) iter.Seq2[string, *yaml.Node] {
	return func(yield func(string, *yaml.Node) bool) {
		for id, n := range each(find(p.Root(), "Resources")) {
			if ref(find(n, "Type")) == kind && !yield(id, n) {
				return
			}
		}
	}
}

// walk visits every node below n.
func walk(n *yaml.Node, visit func(*yaml.Node)) {
	if n == nil {
		return
	}
	visit(n)
	for _, below := range n.Content {
		walk(below, visit)
	}
}

func joined(set map[string]bool) string {
	return strings.Join(slices.Sorted(maps.Keys(set)), " ")
}
