package events

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"testing"
)

// Users' code generators read the schema, pipes the constants.
func TestEveryDetailTypeIsListedAndInTheSchema(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "types.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var named []string
	ast.Inspect(file, func(n ast.Node) bool {
		if d, ok := n.(*ast.GenDecl); ok && d.Tok == token.CONST {
			ast.Inspect(d, func(n ast.Node) bool {
				if l, ok := n.(*ast.BasicLit); ok {
					value, _ := strconv.Unquote(l.Value)
					named = append(named, value)
				}
				return true
			})
		}
		return true
	})
	listed := slices.Sorted(slices.Values(DetailTypes))
	if slices.Sort(named); len(named) < 8 || !slices.Equal(named, listed) {
		t.Errorf("named are %q, listed %q", named, listed)
	}
	var schema struct {
		Defs map[string]json.RawMessage `json:"$defs"`
	}
	if err := json.Unmarshal(JSON, &schema); err != nil {
		t.Fatal(err)
	}
	for _, name := range DetailTypes {
		if schema.Defs[name] == nil {
			t.Errorf("the schema has no %q", name)
		}
	}
}
