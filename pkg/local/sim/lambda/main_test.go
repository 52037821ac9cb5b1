package lambda

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"connexease-functions/pkg/local/sim/echo"
)

const helperVariable = "LAMBDASIM_TEST_HELPER"

func TestMain(m *testing.M) {
	if path := os.Getenv(helperVariable); path != "" {
		helper(path)
	}
	os.Exit(echo.Run(m))
}

// helper is a stack that is killed: it prints the id of the process that it started, and waits.
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
	c := Config{Name: "EchoFunction", Command: []string{echo.Binary}, Timeout: 20 * time.Second}
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

// gone reports whether a process has ended; an unreaped orphan counts as ended.
func gone(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return true
	}
	s := processState(pid) // one that ended meanwhile has none
	return s == "" || s == "Z"
}

// processState returns a process's state as ps prints it, in one letter; empty where there is none.
// Linux has it in /proc, for a minimal Debian has no ps.
func processState(pid int) string {
	if stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil {
		// The name before it is in parentheses and may contain anything.
		_, rest, _ := strings.Cut(string(stat[bytes.LastIndexByte(stat, ')'):]), " ")
		return rest[:1]
	}
	out, err := exec.Command("ps", "-o", "stat=", "-p", strconv.Itoa(pid)).Output()
	if err != nil || len(bytes.TrimSpace(out)) == 0 {
		return ""
	}
	return string(bytes.TrimSpace(out)[:1])
}

func BenchmarkWarmInvocation(b *testing.B) {
	f := newFunction(b, nil)
	payload := []byte(`{"x":"` + strings.Repeat("x", 1000) + `"}`)
	invoke(b, f, payload)
	for b.Loop() {
		invoke(b, f, payload)
	}
}
