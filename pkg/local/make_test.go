package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

// ofMake is make's own line, with its level where make runs the tests.
var ofMake = regexp.MustCompile(`(?m)^make(\[\d+\])?: \*\*\*.*\n`)

// makes runs a target, and returns what it printed apart from make's own line at the end.
func makes(t *testing.T, env []string, args ...string) string {
	t.Helper()
	command := exec.Command("make", append([]string{"-s"}, args...)...)
	command.Dir, command.Env = root, append(os.Environ(), env...)
	out, err := command.CombinedOutput()
	if err == nil {
		t.Errorf("make %s succeeds: %s", strings.Join(args, " "), out)
	}
	return ofMake.ReplaceAllString(string(out), "")
}

func TestTargetsSayWhatIsMissingInOneLineAndWriteNothing(t *testing.T) {
	dead, tools := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(dead, "env"), []byte("export CONTROL_URL='http://127.0.0.1:1'\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"go", "sh", "make", "test", "curl"} {
		path, err := exec.LookPath(name)
		if err == nil {
			err = os.Symlink(path, filepath.Join(tools, name))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	without, nowhere := "PATH="+tools, "TMPDIR="+filepath.Join(t.TempDir(), "none")
	const noFolder = "which is not a folder that can be written to. Fix it with: unset TMPDIR\n"
	for what, c := range map[string]struct {
		env  string
		args []string
		want string
	}{
		"no stack, trigger":    {"A=", []string{"trigger", "STATE=" + t.TempDir()}, "Nothing runs here. Start it with: make run\n"},
		"dead stack, trigger":  {"A=", []string{"trigger", "NAME=text", "STATE=" + dead}, "nothing answers at http://127.0.0.1:1. Start it with: make run\n"},
		"dead stack, listen":   {"A=", []string{"listen", "STATE=" + dead}, "nothing answers at http://127.0.0.1:1. Start it with: make run\n"},
		"no Docker, sam-test":  {without, []string{"sam-test"}, "Docker is not installed"},
		"no Docker, sam-local": {without, []string{"sam-local"}, "Docker is not installed"},
		"no TMPDIR, smoke":     {nowhere, []string{"smoke", "STACK=local"}, noFolder},
		"no TMPDIR, erase":     {nowhere, []string{"erase", "STACK=local", "CONTACT=15550100001"}, noFolder},
		"no TMPDIR, run":       {nowhere, []string{"run"}, noFolder},
		"no TMPDIR, redrive":   {nowhere, []string{"redrive"}, noFolder},
	} {
		t.Run(what, func(t *testing.T) {
			if said := makes(t, []string{c.env}, c.args...); !strings.Contains(said, c.want) || strings.Count(said, "\n") != 1 {
				t.Errorf("got %q, want one line with %q", said, c.want)
			}
		})
	}
}

// TestTheCheckoutsOwnerAndTheShellsGoSettingsDoNotMatter runs each kind of go command of the
// Makefile in a small project that has its packages, and in a shell in which go alone fails.
func TestTheCheckoutsOwnerAndTheShellsGoSettingsDoNotMatter(t *testing.T) {
	if testing.Short() {
		t.Skip("not with -short: it runs make many times")
	}
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	suite, err := os.ReadFile(filepath.Join(root, "pkg", "proof", "suite", "main.go"))
	if err != nil {
		t.Fatal(err)
	}
	outer, tools := t.TempDir(), t.TempDir()
	folder := filepath.Join(outer, "project")
	files := map[string]string{
		"Makefile": string(makefile), "go.mod": "module connexease-functions\n\ngo 1.26\n\nrequire example.org/x v1.0.0\n\nreplace example.org/x => ./x\n", "x/go.mod": "module example.org/x\n",
		"pkg/local/sim/sqs/sqs.go": "package sqs\n", "functions/send/main_test.go": "package main\n\nimport \"testing\"\n\nfunc TestIt(*testing.T) {}\n",
	}
	for _, name := range regexp.MustCompile(`\./((?:functions|pkg)/[a-z/]*[a-z])`).FindAllStringSubmatch(string(makefile), -1) {
		files[name[1]+"/main.go"] = "package main\n\nfunc main() { println(`ran`) }\n"
	}
	files["pkg/ops/main.go"] = "package main\n\nimport _ \"connexease-functions/pkg/local/sim/sqs\"\n\nfunc main() { println(`ran`) }\n"
	files["pkg/proof/suite/main.go"] = string(suite)
	put := func(path, text string) {
		t.Helper()
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o750), os.WriteFile(path, []byte(text), 0o700)); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range files {
		put(filepath.Join(folder, name), text)
	}
	hostile := map[string]struct {
		env   []string
		files map[string]string
	}{
		"the checkout belongs to another user": {[]string{"PATH=" + tools + ":" + os.Getenv("PATH")}, map[string]string{
			filepath.Join(folder, ".git", "HEAD"): "ref: refs/heads/main\n",
			filepath.Join(tools, "git"):           "#!/bin/sh\necho fatal: detected dubious ownership in repository >&2\nexit 128\n",
		}},
		"a folder above has a go.work":   {nil, map[string]string{filepath.Join(outer, "go.work"): "go 1.26\n"}},
		"GOFLAGS":                        {[]string{"GOFLAGS=-mod=vendor"}, nil},
		"GO111MODULE, of before modules": {[]string{"GO111MODULE=off"}, nil},
		"GOOS and GOARCH":                {[]string{"GOOS=plan9", "GOARCH=mips"}, nil},
	}
	run := func(env []string, name string, args ...string) (string, error) {
		command := exec.Command(name, args...)
		command.Dir = folder
		command.Env = append(append(os.Environ(), "MAKEFLAGS=", "GOENV=off", "GOWORK=", "GOFLAGS="), env...)
		out, err := command.CombinedOutput()
		return string(out), err
	}
	out, err := run(nil, "go", "build", "-o", "built", "./pkg/ops")
	if err != nil {
		t.Fatalf("go fails without them: %s", out)
	}
	var all []string
	for what, h := range hostile {
		for path, text := range h.files {
			put(path, text)
		}
		if out, err := run(h.env, "go", "build", "-o", "built", "./pkg/ops"); err == nil {
			t.Errorf("%s: go builds with it: %s", what, out)
		}
		for path := range h.files {
			_ = os.Remove(path)
		}
		_ = os.Remove(filepath.Join(folder, ".git"))
		all = append(all, h.env...)
	}
	for _, h := range hostile {
		for path, text := range h.files {
			put(path, text)
		}
	}
	for target, want := range map[string]string{
		"run": "ran", "smoke": "ran", "bench": "ran", "build": "", "test-short": "ok    functions/send",
	} {
		if out, err := run(all, "make", target, "LAMBDA_ARCH="+runtime.GOARCH); err != nil || !strings.Contains(out, want) {
			t.Errorf("make %s: %v: %s", target, err, out)
		}
	}
}
