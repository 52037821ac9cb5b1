// Package house holds the rules of the house: who may import whom, which words the project
// uses, and that its documents name files that exist.
package house

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/go/packages"
)

const (
	root   = "../../.."
	module = "connexease-functions/"
)

// deployed lists the import paths that the deployed binaries may carry, by prefix. Everything
// else costs start time and trust.
var deployed = []string{
	"github.com/aws/aws-lambda-go/", "github.com/aws/aws-sdk-go-v2", "github.com/aws/smithy-go", "golang.org/x/",
}

// behindTheDoors are the wings that no deployed package may reach.
var behindTheDoors = []string{module + "pkg/ops", module + "pkg/local", module + "pkg/proof"}

func TestNoDeployedPackageReachesOpsLocalOrProof(t *testing.T) {
	functions := load(t, "./functions/...")
	if len(functions) != 2 {
		t.Fatalf("%d functions were loaded, want webhook and send", len(functions))
	}
	seen := 0
	packages.Visit(functions, func(p *packages.Package) bool {
		seen++
		for _, wing := range behindTheDoors {
			if within(p.PkgPath, wing) {
				t.Errorf("the functions import %s", p.PkgPath)
			}
		}
		if strings.Contains(firstElement(p.PkgPath), ".") && !slices.ContainsFunc(deployed, func(prefix string) bool { return strings.HasPrefix(p.PkgPath+"/", prefix) }) {
			t.Errorf("the deployed binaries carry %s: only %v are allowed", p.PkgPath, deployed)
		}
		return true
	}, nil)
	if seen < 100 {
		t.Fatalf("only %d packages were looked at", seen)
	}
}

func TestNoPackageImportsAFunction(t *testing.T) {
	all := load(t, "./pkg/...")
	if len(all) < 20 {
		t.Fatalf("only %d packages were loaded", len(all))
	}
	for _, p := range all {
		for path := range p.Imports {
			if strings.HasPrefix(path, module+"functions/") {
				t.Errorf("%s imports %s", p.PkgPath, path)
			}
			if strings.HasPrefix(p.PkgPath, module+"pkg/local") && within(path, module+"pkg/ops") && !within(p.PkgPath, module+"pkg/local/control") {
				t.Errorf("%s imports %s: the laptop's stack does not need the operator's program", p.PkgPath, path)
			}
		}
	}
}

func load(t *testing.T, pattern string) []*packages.Package {
	t.Helper()
	loaded, err := packages.Load(&packages.Config{Mode: packages.NeedName | packages.NeedImports | packages.NeedDeps, Dir: root}, pattern)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range loaded {
		for _, e := range p.Errors {
			t.Fatal(e)
		}
	}
	return loaded
}

func within(path, wing string) bool { return path == wing || strings.HasPrefix(path, wing+"/") }

func firstElement(path string) string {
	first, _, _ := strings.Cut(path, "/")
	return first
}

// texts returns the files that people read: code, documents, the template and the Makefile.
func texts(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, top := range []string{"functions", "pkg", ".github", "README.md", "Makefile", "template.yaml", "samconfig.toml"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			if !slices.Contains([]string{".go", ".md", ".yaml", ".toml", ""}, filepath.Ext(path)) || strings.Contains(path, "/proof/house/") {
				return nil
			}
			text, err := os.ReadFile(path) // #nosec G304 -- a file of this checkout
			found[strings.TrimPrefix(path, root+"/")] = string(text)
			return err
		})
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	if len(found) < 200 {
		t.Fatalf("only %d files were found", len(found))
	}
	return found
}

// not lists the words that the project does not use, where they have one meaning only.
var not = []struct {
	words *regexp.Regexp
	but   string
}{
	{regexp.MustCompile(`(?i)\bmend(s|ed|ing)?\b`), "fix"},
	{regexp.MustCompile(`(?i)\bsurely\b`), "definitely, certainly"},
	{regexp.MustCompile(`(?i)\bwho(so)?ever\b`), "callers that"},
	{regexp.MustCompile(`(?i)\bdead letters\b`), "dead-letter queue, dead-lettered messages"},
	{regexp.MustCompile(`(?i)\b(is|be|was) had\b`), "is available, obtained"},
	{regexp.MustCompile(`(?i)\bcomes? again\b`), "is retried, is returned to the queue"},
	{regexp.MustCompile(`(?i)\b(is|are) no (argument|message|json|notification|text|string|number|list|parameter|client|object|header|key)s?\b`), "is not a"},
	{regexp.MustCompile(`(?i)\bin the place of\b`), "instead of"},
	{regexp.MustCompile(`(?i)\banother one\b`), "a different one"},
}

func TestTheGlossarysWordsAreNotUsed(t *testing.T) {
	for path, text := range texts(t) {
		for n, line := range strings.Split(text, "\n") {
			for _, rule := range not {
				if found := rule.words.FindString(line); found != "" {
					t.Errorf("%s:%d: %q: write %s", path, n+1, found, rule.but)
				}
			}
		}
	}
}
