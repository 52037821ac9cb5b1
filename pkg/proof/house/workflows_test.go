package house

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestWorkflowsRunOnlyWhatWasReviewed looks for actions that a tag could change, and for more rights than
// a workflow needs. make lint has actionlint for the rest.
func TestWorkflowsRunOnlyWhatWasReviewed(t *testing.T) {
	files, err := filepath.Glob("../../../.github/workflows/*.yml")
	if err != nil || len(files) == 0 {
		t.Fatal(err, "no workflows")
	}
	pinned := regexp.MustCompile(`^(\./\.github/workflows/[a-z]+\.yml|[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+(\.\d+)*)$`)
	used := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !regexp.MustCompile(`(?m)^permissions:\n  contents: read\n\n`).Match(text) {
			t.Errorf("%s has other permissions than to read", file)
		}
		for _, right := range regexp.MustCompile(`(?m)^\s+([a-z-]+): write\b`).FindAllSubmatch(text, -1) {
			if string(right[1]) != "id-token" {
				t.Errorf("%s may write %s", file, right[1])
			}
		}
		if strings.Contains(string(text), "secrets.") || strings.Contains(string(text), "pull_request_target") {
			t.Errorf("%s has secrets, or runs a stranger's code with rights", file)
		}
		for _, m := range regexp.MustCompile(`(?m)uses: (.*)$`).FindAllStringSubmatch(string(text), -1) {
			name, at, _ := strings.Cut(m[1], "@")
			if !pinned.MatchString(m[1]) {
				t.Errorf("%s: %s is not pinned by its commit and named by its version", file, m[1])
			}
			if before, there := used[name]; there && before != at {
				t.Errorf("%s: two versions of %s", file, name)
			}
			used[name] = at
		}
	}
}
