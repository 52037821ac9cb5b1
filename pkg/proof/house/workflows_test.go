package house

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
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

// A push that is slow to be checked, or a run that is started again, must not replace what a newer
// push has deployed.
func TestTheWorkflowsDeployInTheOrderOfThePushes(t *testing.T) {
	type concurrency struct {
		Group  string
		Cancel string `yaml:"cancel-in-progress"`
	}
	read := func(name string) (jobs map[string]struct {
		Needs       string
		Concurrency concurrency
		Steps       []struct{ Run string }
	}) {
		text, err := os.ReadFile("../../../.github/workflows/" + name)
		if err != nil {
			t.Fatal(err)
		}
		var workflow struct{ Jobs yaml.Node }
		if err := yaml.Unmarshal(text, &workflow); err != nil {
			t.Fatal(err)
		}
		if err := workflow.Jobs.Decode(&jobs); err != nil {
			t.Fatal(err)
		}
		return jobs
	}
	all := read("deploy.yml")
	// Not one that is dispatched or started again, which may be of an older commit.
	want := "${{ github.event_name == 'push' && github.run_attempt == '1' }}"
	if c := all["check"].Concurrency; c.Group == "" || strings.Contains(c.Group, "$") || c.Cancel != want {
		t.Errorf("not only a push ends the check of the one before: %+v", c)
	}
	if all["dev"].Needs != "check" || all["prod"].Needs != "dev" {
		t.Errorf("the jobs are not in a row: %+v", all)
	}
	job := read("stack.yml")["deploy"]
	if job.Concurrency != (concurrency{"deploy-${{ inputs.stack }}", "false"}) {
		t.Errorf("two jobs deploy one stack at once, or one ends another: %+v", job.Concurrency)
	}
	guard := ""
	for n, step := range job.Steps {
		if strings.HasPrefix(step.Run, "sam deploy") {
			guard = job.Steps[n-1].Run
		}
	}
	folder := t.TempDir()
	for _, c := range []struct {
		gh     string
		passes bool
	}{{"echo this", true}, {"echo newer", false}, {"exit 1", false}} {
		if err := os.WriteFile(filepath.Join(folder, "gh"), []byte("#!/bin/sh\n"+c.gh+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		command := exec.CommandContext(t.Context(), "bash", "-e", "-c", guard) // as GitHub runs it
		command.Env = append(os.Environ(), "PATH="+folder+":"+os.Getenv("PATH"), "GITHUB_SHA=this", "GITHUB_REPOSITORY=owner/name")
		if out, err := command.CombinedOutput(); guard == "" || (err == nil) != c.passes {
			t.Errorf("%s: the step before sam deploy says %v %s", c.gh, err, out)
		}
	}
}
