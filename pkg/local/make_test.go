package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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
