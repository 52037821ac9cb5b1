package command

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"connexease-functions/pkg/proof/laptop"
)

// TestAFailedBuildDoesNotRunAnOldBinary has a binary of an earlier build for each target, and a
// compiler that fails.
func TestAFailedBuildDoesNotRunAnOldBinary(t *testing.T) {
	if testing.Short() {
		t.Skip("not with -short: it runs make many times")
	}
	text, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	var targets []string
	for _, m := range regexp.MustCompile(`(?m)^([a-z-]+):.*\n\t@?\$\(call (?:built|ops),`).FindAllStringSubmatch(string(text), -1) {
		targets = append(targets, m[1])
	}
	if len(targets) < 8 {
		t.Fatalf("only %v build and run", targets)
	}
	if loose := regexp.MustCompile(`(?m)^\t.*go build -o \.local.*$`).FindAllString(string(text), -1); len(loose) > 0 {
		t.Errorf("these build what they run on their own: %q", loose)
	}
	folder, bin := laptop.Project(t, root), t.TempDir()
	old := filepath.Join(folder, ".local", "bin")
	if err := os.MkdirAll(old, 0o750); err != nil {
		t.Fatal(err)
	}
	marker := filepath.Join(folder, "old")
	for _, name := range []string{"local", "ops", "soak", "samtest", "bench"} {
		if err := os.WriteFile(filepath.Join(old, name), []byte("#!/bin/sh\ntouch "+marker+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, tool := range []string{"go", "docker", "java", "npm", "sam", "python3", "busybox"} {
		if err := os.WriteFile(filepath.Join(bin, tool), []byte("#!/bin/sh\n[ \"$1\" = build ] || exit 0\necho zz.go:2:13: syntax error >&2\nexit 1\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, target := range targets {
		command := exec.Command("make", target, "STACK=local", "CONTACT=1", "PICK=all", "APPLY=1", "YES=1")
		command.Dir = folder
		command.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))
		out, err := command.CombinedOutput()
		if err == nil || !strings.Contains(string(out), "syntax error") {
			t.Errorf("make %s: %v %s", target, err, out)
		}
		if _, err := os.Stat(marker); err == nil {
			t.Errorf("make %s ran the program of an earlier build: %s", target, out)
			_ = os.Remove(marker)
		}
	}
}

func TestEachCommandHasATargetAndDocumentsItsPermissions(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	for _, add := range commands {
		name := add(&program{}).Name()
		if !strings.Contains(string(text), "$(call ops,"+name) {
			t.Errorf("make has no target for %s", name)
		}
		out, err := ops(t, t.TempDir(), local, "", name, "-help")
		if err != nil || !strings.Contains(out, "IAM actions") || name != "policy" && !strings.Contains(out, "cloudformation:DescribeStacks") {
			t.Errorf("%s: %v %s", name, err, out)
		}
	}
}
