package command

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"connexease-functions/pkg/local/loopback"
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

func start(t *testing.T) *running {
	t.Helper()
	laptop.NeedsJava(t)
	port, err := loopback.FreePorts(2)
	if err != nil {
		t.Fatal(err)
	}
	state := t.TempDir()
	command := exec.Command(built(t, "pkg/local"), "-port", strconv.Itoa(port), "-state", state)
	command.Dir = root
	return &running{laptop.Start(t, state, command), t}
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
