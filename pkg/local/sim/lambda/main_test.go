package lambda

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// binary is the function under testdata/echo.
var binary string

const helperVariable = "LAMBDASIM_TEST_HELPER"

func TestMain(m *testing.M) {
	if path := os.Getenv(helperVariable); path != "" {
		helper(path)
	}
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "lambda")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		binary = filepath.Join(dir, "bootstrap")
		build := exec.Command("go", "build", "-tags", "lambda.norpc", "-o", binary, "./testdata/echo")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "%s\n", out)
			return 1
		}
		return m.Run()
	}())
}

// helper is a stack that does not end in order: it says which process it started, and stays.
func helper(path string) {
	f := New(Config{Name: "Helper", Command: []string{path}})
	r, err := f.Invoke(context.Background(), []byte(`{"do":"pid"}`))
	if err != nil {
		os.Exit(1)
	}
	fmt.Println(string(r.Payload))
	_, _ = os.Stdin.Read(make([]byte, 1))
}

func newFunction(t testing.TB, change func(*Config)) *Function {
	t.Helper()
	c := Config{Name: "EchoFunction", Command: []string{binary}, Timeout: 20 * time.Second}
	if change != nil {
		change(&c)
	}
	f := New(c)
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func do(kind string, more ...any) []byte {
	o := map[string]any{"do": kind}
	for i := 0; i < len(more); i += 2 {
		o[more[i].(string)] = more[i+1]
	}
	b, err := json.Marshal(o)
	if err != nil {
		panic(err)
	}
	return b
}

func invoke(t testing.TB, f *Function, payload []byte) Result {
	t.Helper()
	r, err := f.Invoke(t.Context(), payload)
	if err != nil {
		t.Fatalf("Invoke(%.80s): %v", payload, err)
	}
	return r
}

func pid(t testing.TB, f *Function) int {
	t.Helper()
	r := invoke(t, f, do("pid"))
	n, err := strconv.Atoi(string(r.Payload))
	if err != nil || r.FunctionError != "" {
		t.Fatalf("pid: %s %s", r.FunctionError, r.Payload)
	}
	return n
}

// expectError checks the shape of a failed invocation and returns its message.
func expectError(t testing.TB, r Result, kind string) string {
	t.Helper()
	var e struct {
		Type    string `json:"errorType"`
		Message string `json:"errorMessage"`
	}
	if err := json.Unmarshal(r.Payload, &e); err != nil || r.FunctionError != "Unhandled" || e.Type != kind {
		t.Fatalf("got FunctionError %q, payload %.300s; want Unhandled with errorType %s", r.FunctionError, r.Payload, kind)
	}
	return e.Message
}

func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.NewTimer(15 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("not within 15 s: %s", what)
		}
	}
}

// gone reports whether a process has ended; an orphan that nobody has reaped counts as ended.
func gone(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return true
	}
	out, err := exec.Command("ps", "-o", "stat=", "-p", strconv.Itoa(pid)).Output()
	return err != nil || strings.HasPrefix(string(bytes.TrimSpace(out)), "Z")
}
