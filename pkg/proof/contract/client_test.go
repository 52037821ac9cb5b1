//go:build client

package contract_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"connexease-functions/pkg/local/loopback"
	"connexease-functions/pkg/proof/contract"
	"connexease-functions/pkg/proof/docs"
	"connexease-functions/pkg/proof/laptop"
)

// TestAGeneratedClientSendsAndLooksUp generates a client with the generator that OAPI_CODEGEN names,
// in a folder that is removed afterwards, and lets it talk to the stack that make run starts.
func TestAGeneratedClientSendsAndLooksUp(t *testing.T) {
	root, folder := docs.Root(t), t.TempDir()
	run := func(dir string, env []string, name string, args ...string) string {
		t.Helper()
		command := exec.Command(name, args...)
		command.Dir, command.Env = dir, append(os.Environ(), env...)
		out, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	if err := os.CopyFS(folder, os.DirFS("testdata/client")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(folder, "api"), 0o750); err != nil {
		t.Fatal(err)
	}
	run(root, nil, "go", "run", os.Getenv("OAPI_CODEGEN"), "-generate", "types,client", "-package", "api", "-o", filepath.Join(folder, "api", "api.go"), contract.Path)
	run(folder, nil, "go", "build", "-o", "client", ".")

	port, err := loopback.FreePorts(2)
	if err != nil {
		t.Fatal(err)
	}
	state := t.TempDir()
	started := exec.Command("make", "run", "STATE="+state, "PORT="+strconv.Itoa(port))
	started.Dir = root
	stack := laptop.Start(t, state, started)
	var env []string
	for name, value := range stack.Env {
		env = append(env, name+"="+value)
	}
	t.Log(run(folder, env, "./client"))
}
