package command

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"connexease-functions/pkg/local/loopback"
	"connexease-functions/pkg/proof/harness"
	"connexease-functions/pkg/proof/laptop"
)

// built builds a command of the project, once.
func built(t *testing.T, folder string) string {
	t.Helper()
	build, _ := builds.LoadOrStore(folder, sync.OnceValues(func() (string, error) {
		path := filepath.Join(binaries, filepath.Base(folder))
		command := exec.Command("go", "build", "-o", path, "./"+folder)
		command.Dir = root
		if out, err := command.CombinedOutput(); err != nil {
			return "", fmt.Errorf("%s%w", out, err)
		}
		return path, nil
	}))
	path, err := build.(func() (string, error))()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var (
	builds   sync.Map
	binaries string // folder, which TestMain makes
)

// running is the laptop's stack as started by make run, with its functions.
type running struct {
	*laptop.Stack
	t *testing.T
}

// start starts it with the package's DynamoDB Local and with functions that are linked once. Its table
// begins empty, so only one may run at a time.
func start(t *testing.T) *running {
	t.Helper()
	laptop.NeedsJava(t)
	harness.DropTable(t)
	state, linked := t.TempDir(), filepath.Join(binaries, "functions")
	if err := errors.Join(os.MkdirAll(linked, 0o750), os.Symlink(linked, filepath.Join(state, "bin"))); err != nil {
		t.Fatal(err)
	}
	return startIn(t, state, "-dynamodb", harness.Backends.DynamoDBURL)
}

func startIn(t *testing.T, state string, arguments ...string) *running {
	t.Helper()
	laptop.NeedsJava(t)
	port, err := loopback.FreePorts(2)
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(built(t, "pkg/local"), append(arguments, "-port", strconv.Itoa(port), "-state", state)...)
	command.Dir = root
	return &running{laptop.Start(t, state, command), t}
}

// project returns a folder of make's for all tests: what it builds there is built once.
func project(t *testing.T) string {
	t.Helper()
	folder := filepath.Join(binaries, "project")
	if _, err := os.Stat(folder); err != nil {
		if err := os.Rename(laptop.Project(t, root), folder); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

// ops runs a command against it.
func (r *running) ops(typed, command string, arguments ...string) (string, error) {
	r.t.Helper()
	return ops(r.t, r.State, local, typed, append([]string{command}, arguments...)...)
}

// command returns the program as a process of its own, in a folder of its own.
func (r *running) command(arguments ...string) *exec.Cmd {
	r.t.Helper()
	path, err := filepath.Abs(filepath.Join(root, "template.yaml"))
	if err != nil {
		r.t.Fatal(err)
	}
	command := exec.Command(built(r.t, "pkg/ops"), append(arguments, "-state", r.State, "-template", path)...)
	command.Dir = r.t.TempDir()
	return command
}
