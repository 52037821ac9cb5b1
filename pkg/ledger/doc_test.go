package ledger

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"connexease-functions/pkg/proof/docs"
)

// The steps, states and actions are a contract between packages: each says where it is defined what it means.
func TestWhatIsExportedIsDocumentedWhereItIsDefined(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	expect := func(name *ast.Ident, docs ...*ast.CommentGroup) {
		if !name.IsExported() {
			return
		}
		seen++
		for _, doc := range docs {
			if strings.TrimSpace(doc.Text()) != "" {
				return
			}
		}
		t.Errorf("%s has no comment", name.Name)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, declaration := range f.Decls {
			switch d := declaration.(type) {
			case *ast.FuncDecl:
				if d.Name.Name != "Error" {
					expect(d.Name, d.Doc)
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					switch s := spec.(type) {
					case *ast.TypeSpec:
						expect(s.Name, d.Doc)
					case *ast.ValueSpec: // in a group each has its own
						docs := []*ast.CommentGroup{s.Doc, s.Comment}
						if !d.Lparen.IsValid() {
							docs = append(docs, d.Doc)
						}
						for _, name := range s.Names {
							expect(name, docs...)
						}
					}
				}
			}
		}
	}
	if seen < 70 {
		t.Errorf("only %d names were looked at", seen)
	}
}

// The diagram in CONTRIBUTING is drawn by hand; its states and steps are those of the code.
func TestTheDiagramOfStatesHasTheCodesStatesAndSteps(t *testing.T) {
	drawn := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^ +(\S+) --> (\S+): (.*)$`).FindAllStringSubmatch(docs.Block(t, "mermaid", "stateDiagram"), -1) {
		drawn[m[1]], drawn[m[2]] = true, true
		for _, word := range strings.FieldsFunc(m[3], func(r rune) bool { return r == ',' || r == ' ' }) {
			if strings.HasPrefix(word, "claim") || strings.HasPrefix(word, "queue") || word == string(CancelSeen) {
				drawn[word] = true
			}
		}
	}
	want := map[string]bool{"[*]": true}
	for _, state := range []State{Scheduled, Queued, InFlight, Accepted, Rejected, Cancelled, Expired, Released, Unknown} {
		want[string(state)] = true
	}
	for _, step := range []Step{Queue0, Claim0, Claim1, ClaimN, QueueN, CancelSeen} {
		want[string(step)] = true
	}
	if !maps.Equal(drawn, want) {
		t.Errorf("drawn are %v, want %v", slices.Sorted(maps.Keys(drawn)), slices.Sorted(maps.Keys(want)))
	}
}
