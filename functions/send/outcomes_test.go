package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"testing"

	"connexease-functions/pkg/auth"
	"connexease-functions/pkg/gateway"
	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/telemetry"
)

// words are the values of the string constants of a type, or with a prefix, in a file.
func words(t *testing.T, file string, is func(name, kind string) bool) (all []string) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "../../pkg/"+file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(f, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		kind := ""
		if name, ok := spec.Type.(*ast.Ident); ok {
			kind = name.Name
		}
		if value, ok := spec.Values[0].(*ast.BasicLit); ok && is(spec.Names[0].Name, kind) {
			word, err := strconv.Unquote(value.Value)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, word)
		}
		return true
	})
	if len(all) == 0 {
		t.Fatalf("%s has no such constants", file)
	}
	return all
}

func ofType(want string) func(string, string) bool {
	return func(_, kind string) bool { return kind == want }
}

// A state, response or note that the table misses would be logged without a word.
func TestEachThingThatTheGatewayAndTheLedgerSayHasAnOutcome(t *testing.T) {
	expect := func(what, word string, got telemetry.Outcome) {
		if got.Word != word {
			t.Errorf("%s %q is logged as %q", what, word, got.Word)
		}
	}
	for _, word := range words(t, "gateway/dictionary.go", ofType("State")) {
		expect("state", word, ofCall[gateway.State(word)])
	}
	for _, word := range words(t, "ledger/respond.go", ofType("Kind")) {
		if ledger.Kind(word) != ledger.Own { // it always has a call
			expect("response", word, ofResponse[ledger.Kind(word)])
		}
	}
	for _, word := range words(t, "ledger/respond.go", ofType("Note")) {
		expect("note", word, ofNote[ledger.Note(word)])
	}
	for _, err := range []error{auth.ErrMissing, auth.ErrMalformed, auth.ErrWrong} {
		_, why := auth.Refusal(err)
		if got := ofRefusal[why]; why == "" || got.Word != string(why) || len(got.Metrics) != 1 {
			t.Errorf("%v is logged as %+v", err, got)
		}
	}
}
