package httpapi

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"connexease-functions/pkg/local/sim/lambda"
)

// binary is the function under sim/lambda's testdata/echo: it does what a request's headers say.
var binary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "httpapi")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		binary = filepath.Join(dir, "bootstrap")
		build := exec.Command("go", "build", "-tags", "lambda.norpc", "-o", binary, "../lambda/testdata/echo")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "%s\n", out)
			return 1
		}
		return m.Run()
	}())
}

func newFunction(t testing.TB, change func(*lambda.Config)) *lambda.Function {
	t.Helper()
	c := lambda.Config{Name: "EchoFunction", Command: []string{binary}, Timeout: 20 * time.Second}
	if change != nil {
		change(&c)
	}
	f := lambda.New(c)
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func pid(t testing.TB, f *lambda.Function) int {
	t.Helper()
	r, err := f.Invoke(t.Context(), []byte(`{"do":"pid"}`))
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(string(r.Payload))
	if err != nil || r.FunctionError != "" {
		t.Fatalf("pid: %s %s", r.FunctionError, r.Payload)
	}
	return n
}
