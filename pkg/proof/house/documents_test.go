package house

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"connexease-functions/pkg/proof/docs"
)

// A first screen is read, a manual is not.
const (
	longestReadme       = 220
	longestContributing = 150
	longestLine         = 100
)

func lines(t *testing.T, name string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

func TestTheFirstDocumentsStayShort(t *testing.T) {
	for name, most := range map[string]int{"README.md": longestReadme, ".github/CONTRIBUTING.md": longestContributing} {
		if n := len(lines(t, name)); n > most {
			t.Errorf("%s has %d lines, more than %d", name, n, most)
		}
	}
}

// Commands and rows of tables cannot be wrapped; what tests compare to the letter is not either.
func TestProseOfDocumentsFitsTheColumns(t *testing.T) {
	generated := regexp.MustCompile(`^Faults: `)
	for _, name := range docs.Files(t) {
		code := false
		for i, line := range lines(t, name) {
			if strings.HasPrefix(strings.TrimSpace(line), "```") {
				code = !code
			}
			if code || strings.HasPrefix(line, "|") || generated.MatchString(line) {
				continue
			}
			if n := utf8.RuneCountInString(line); n > longestLine {
				t.Errorf("%s:%d has %d columns", name, i+1, n)
			}
		}
	}
}

// A recipe that names a file which has moved misleads its readers.
func TestRecipesAndLinksNameFilesThatExist(t *testing.T) {
	step := regexp.MustCompile(`^[0-9]+\. (.*)$`)
	path := regexp.MustCompile("`([a-z.][A-Za-z0-9_./-]*/[A-Za-z0-9_.-]+|[A-Za-z]+\\.(?:md|yaml|toml))`")
	recipes, named := 0, 0
	for i, line := range lines(t, ".github/CONTRIBUTING.md") {
		if strings.HasPrefix(line, "**") && strings.HasSuffix(line, "**") {
			recipes++
		}
		if !step.MatchString(line) && !strings.HasPrefix(line, "| `") {
			continue
		}
		for _, m := range path.FindAllStringSubmatch(line, -1) {
			named++
			if _, err := os.Stat(filepath.Join(root, m[1])); err != nil {
				t.Errorf("CONTRIBUTING.md:%d names %s: %v", i+1, m[1], err)
			}
		}
	}
	if recipes < 8 || named < 40 {
		t.Errorf("%d recipes name %d files, want at least 8 and 40", recipes, named)
	}
	link := regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)
	for _, name := range docs.Files(t) {
		for _, m := range link.FindAllStringSubmatch(strings.Join(lines(t, name), "\n"), -1) {
			if _, err := os.Stat(filepath.Join(root, filepath.Dir(name), m[1])); err != nil {
				t.Errorf("%s links to %s: %v", name, m[1], err)
			}
		}
	}
}

// Each alarm has a section of the runbook, under its own name.
func TestEachAlarmHasItsPage(t *testing.T) {
	template := strings.Join(lines(t, "template.yaml"), "\n")
	runbook := "\n" + strings.Join(lines(t, "pkg/ops/README.md"), "\n")
	found := regexp.MustCompile(`\n  (\w+):\n    Type: AWS::CloudWatch::Alarm`).FindAllStringSubmatch(template, -1)
	if len(found) < 20 {
		t.Fatalf("template.yaml has %d alarms", len(found))
	}
	for _, m := range found {
		if !strings.Contains(runbook, "\n### "+m[1]+"\n\n") {
			t.Errorf("pkg/ops/README.md has no section ### %s", m[1])
		}
	}
	if sections := strings.Count(runbook, "\n### "); sections != len(found) {
		t.Errorf("the runbook has %d sections of alarms for %d alarms", sections, len(found))
	}
}
