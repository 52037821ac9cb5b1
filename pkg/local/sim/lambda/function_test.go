package lambda

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"connexease-functions/pkg/local/sim/echo"
	"connexease-functions/pkg/proof/await"
)

func TestAnEventIsEchoedByteForByteByOneWarmProcess(t *testing.T) {
	f := newFunction(t, nil)
	for _, payload := range []string{`{"a":"<&>\u2028 ü"}`, `[1,2,3]`, `"` + strings.Repeat("y", 2<<20) + `"`} {
		if r := invoke(t, f, []byte(payload)); string(r.Payload) != payload || r.FunctionError != "" || r.Duration <= 0 {
			t.Errorf("%.40s came back as %.40s (%q, %v)", payload, r.Payload, r.FunctionError, r.Duration)
		}
	}
	want := Status{Name: "EchoFunction", PIDs: []int{pid(t, f)}, Invocations: 4}
	if got := f.Status(); !reflect.DeepEqual(got, want) {
		t.Errorf("Status %+v, want %+v", got, want)
	}
	if b, err := json.Marshal(New(Config{Name: "N"}).Status()); err != nil || string(b) != `{"name":"N","pids":[],"invocations":0}` {
		t.Errorf("Status as JSON: %s %v", b, err)
	}
}

func TestAFunctionFindsItsInvocationInTheContext(t *testing.T) {
	f := newFunction(t, func(c *Config) { c.Env = map[string]string{"AWS_REGION": "eu-central-1"} })
	r := invoke(t, f, do("context"))
	var got struct {
		ID, ARN, Trace string
		Left           float64
	}
	if err := json.Unmarshal(r.Payload, &got); err != nil {
		t.Fatal(err)
	}
	if got.ID != r.RequestID || got.ARN != "arn:aws:lambda:eu-central-1:123456789012:function:EchoFunction" ||
		!strings.HasPrefix(got.Trace, "Root=1-") || math.Abs(got.Left-10) > 10 {
		t.Errorf("context %+v of request %s", got, r.RequestID)
	}
}

func TestOnlyLambdasVariablesAndConfiguredOnesReachAProcess(t *testing.T) {
	t.Setenv("LAMBDASIM_OF_THE_HOST", "secret")
	f := newFunction(t, func(c *Config) {
		c.Env = map[string]string{"TABLE": "t", "AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "mine", "AWS_LAMBDA_FUNCTION_NAME": "forged"}
		c.MemoryMB = 256
	})
	var lines []string
	if err := json.Unmarshal(invoke(t, f, do("env")).Payload, &lines); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{}
	for _, l := range lines {
		name, value, _ := strings.Cut(l, "=")
		env[name] = value
	}
	for _, varying := range []string{"AWS_LAMBDA_RUNTIME_API", "AWS_LAMBDA_LOG_STREAM_NAME", "LAMBDA_TASK_ROOT"} {
		if env[varying] == "" {
			t.Errorf("%s is missing", varying)
		}
		delete(env, varying)
	}
	delete(env, "_X_AMZN_TRACE_ID") // aws-lambda-go sets it itself
	want := map[string]string{
		"TABLE": "t", "AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "mine", "AWS_SECRET_ACCESS_KEY": "local",
		"AWS_LAMBDA_FUNCTION_NAME": "EchoFunction", "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
		"AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/EchoFunction", "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
		"AWS_EXECUTION_ENV": "AWS_Lambda_provided.al2023", "AWS_LAMBDA_LOG_FORMAT": "JSON", "TZ": ":UTC",
	}
	if !reflect.DeepEqual(env, want) {
		t.Errorf("environment\n got %v\nwant %v", env, want)
	}
}

func TestAReturnedErrorIsAFunctionErrorAndTheProcessSurvives(t *testing.T) {
	f := newFunction(t, nil)
	before := pid(t, f)
	if m := expectError(t, invoke(t, f, do("fail", "text", "no luck")), "OutOfLuck"); m != "no luck" {
		t.Errorf("message %q", m)
	}
	if after := pid(t, f); after != before {
		t.Errorf("process %d gave way to %d", before, after)
	}
}

func TestAProcessThatEndsDuringAnInvocationIsAnExitErrorAndTheNextRequestGetsAFreshOne(t *testing.T) {
	for order, want := range map[string]string{"exit": "exit status 3", "kill": "signal: killed"} {
		f := newFunction(t, nil)
		before := pid(t, f)
		r := invoke(t, f, do(order))
		if m := expectError(t, r, "Runtime.ExitError"); m != "RequestId: "+r.RequestID+" Error: Runtime exited with error: "+want {
			t.Errorf("%s: message %q", order, m)
		}
		if after := pid(t, f); after == before {
			t.Errorf("%s: the dead process %d is still used", order, before)
		}
	}
}

func TestAPanicIsReportedByTheFunctionAndTheNextRequestGetsAFreshProcess(t *testing.T) {
	f := newFunction(t, nil)
	before := pid(t, f)
	if m := expectError(t, invoke(t, f, do("panic", "text", "boom")), "string"); m != "boom" {
		t.Errorf("message %q", m)
	}
	if after := pid(t, f); after == before {
		t.Errorf("process %d survived its panic", before)
	}
}

func TestAFunctionThatTakesTooLongIsKilled(t *testing.T) {
	var logs lockedBuffer
	f := newFunction(t, func(c *Config) { c.Timeout, c.Logs = 250*time.Millisecond, &logs })
	before := pid(t, f)
	r := invoke(t, f, do("hang"))
	if m := expectError(t, r, "Sandbox.Timedout"); m != "RequestId: "+r.RequestID+" Error: Task timed out after 0.25 seconds" {
		t.Errorf("message %q", m)
	}
	await.Until(t, "the process is gone", func() bool { return gone(before) })
	if after := pid(t, f); after == before {
		t.Errorf("the killed process %d is still used", before)
	}
	if !strings.Contains(logs.String(), `"record":{"requestId":"`+r.RequestID+`","status":"timeout"}`) {
		t.Errorf("the log does not report the timeout: %s", logs.String())
	}
}

func TestAFailedInitIsTheResultOfTheInvocationThatCausedIt(t *testing.T) {
	for init, want := range map[string]string{"exit": "Runtime.ExitError", "error": "NoConfig", "hang": "Sandbox.Timedout"} {
		f := newFunction(t, func(c *Config) { c.Env, c.InitTimeout = map[string]string{"INIT": init}, 5*time.Second })
		if init == "hang" {
			f.cfg.InitTimeout = 200 * time.Millisecond
		}
		for range 2 { // and each further one anew
			expectError(t, invoke(t, f, []byte(`{}`)), want)
		}
	}
}

func TestABinaryThatCannotStartIsAnError(t *testing.T) {
	f := New(Config{Name: "Lost", Command: []string{"./no/such/bootstrap"}})
	defer f.Close()
	if _, err := f.Invoke(t.Context(), nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

func TestSizesAreLimitedAsInLambda(t *testing.T) {
	f := newFunction(t, nil)
	if _, err := f.Invoke(t.Context(), make([]byte, MaxRequestBytes+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("request: %v", err)
	}
	if r := invoke(t, f, do("big", "size", MaxResponseBytes-2)); r.FunctionError != "" || len(r.Payload) != MaxResponseBytes {
		t.Errorf("the largest response: %q, %d bytes", r.FunctionError, len(r.Payload))
	}
	m := expectError(t, invoke(t, f, do("big", "size", MaxResponseBytes-1)), "Function.ResponseSizeTooLarge")
	if m != "Response payload size (6291557 bytes) exceeded maximum allowed payload size (6291556 bytes)." {
		t.Errorf("message %q", m)
	}
	pid(t, f)
}

func TestWrongCallsOfTheRuntimeAPIAreRefused(t *testing.T) {
	f := newFunction(t, nil)
	for path, want := range map[string]string{
		"/2018-06-01/runtime/invocation/8476a536-e9f4-11e8-9739-2dfe598c3fcd/response": "400",
		"/2018-06-01/runtime/invocation/8476a536-e9f4-11e8-9739-2dfe598c3fcd/error":    "400",
		"/2018-06-01/runtime/init/error":                                               "403",
		"/2018-06-01/runtime/elsewhere":                                                "404",
	} {
		if r := invoke(t, f, do("post", "url", path)); string(r.Payload) != want {
			t.Errorf("%s: %s, want %s", path, r.Payload, want)
		}
	}
	if r := invoke(t, f, do("next")); string(r.Payload) != "403" {
		t.Errorf("next before the response: %s", r.Payload)
	}
}

func TestConcurrentRequestsHaveTheirOwnProcessesUpToTheLimit(t *testing.T) {
	arrived, release := make(chan struct{}, 8), make(chan struct{})
	gate := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		arrived <- struct{}{}
		<-release
	}))
	defer gate.Close()
	f := newFunction(t, func(c *Config) { c.MaxProcesses = 2 })
	results := make(chan string, 3)
	for range 3 {
		go func() {
			r, err := f.Invoke(t.Context(), do("get", "url", gate.URL))
			if err != nil {
				results <- err.Error()
				return
			}
			results <- string(r.Payload)
		}()
	}
	<-arrived
	<-arrived
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := f.Invoke(ctx, do("pid")); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrAbandoned) {
		t.Errorf("with every process at work: %v", err)
	}
	if s := f.Status(); len(s.PIDs) != 2 || s.Invocations != 2 {
		t.Errorf("at the bound: %+v", s)
	}
	close(release)
	pids := map[string]bool{}
	for range 3 {
		pids[<-results] = true
	}
	if len(pids) != 2 {
		t.Errorf("three invocations ran in %v", pids)
	}
}

func TestTheProcessUsedLastIsUsedNext(t *testing.T) {
	arrived, release := make(chan struct{}, 2), make(chan struct{})
	gate := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		arrived <- struct{}{}
		<-release
	}))
	defer gate.Close()
	f := newFunction(t, nil)
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() { _, _ = f.Invoke(t.Context(), do("get", "url", gate.URL)) })
	}
	<-arrived
	<-arrived
	close(release)
	both.Wait()
	// A process is idle only once it has asked for work again, a moment after its response.
	settled := func() bool { f.mu.Lock(); defer f.mu.Unlock(); return len(f.idle) == 2 }
	await.Until(t, "both are idle", settled)
	first := pid(t, f)
	for range 3 {
		await.Until(t, "both are idle", settled)
		if next := pid(t, f); next != first {
			t.Fatalf("process %d, then %d", first, next)
		}
	}
}

func TestACallerThatGivesUpLeavesTheInvocationRunning(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	gate := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		arrived <- struct{}{}
		<-release
	}))
	defer gate.Close()
	f := newFunction(t, nil)
	before := pid(t, f)
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error)
	go func() { _, err := f.Invoke(ctx, do("get", "url", gate.URL)); failed <- err }()
	<-arrived
	cancel()
	if err := <-failed; !errors.Is(err, ErrAbandoned) || !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	close(release)
	await.Until(t, "the process is idle again", func() bool { f.mu.Lock(); defer f.mu.Unlock(); return len(f.idle) == 1 })
	if after := pid(t, f); after != before {
		t.Errorf("process %d was replaced by %d", before, after)
	}
}

func TestAnInvocationIsNotLostToAnIdleProcessThatIsKilled(t *testing.T) {
	f := newFunction(t, nil)
	for range 25 { // right after the kill: its death is noticed before, while or after the invocation is handed over
		if err := syscall.Kill(pid(t, f), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	pid(t, f)
}

func TestAnInvocationThatAProcessDiedWithoutReadingIsGivenToANewOne(t *testing.T) {
	f := newFunction(t, nil)
	stopped := pid(t, f)
	await.Until(t, "it is idle", func() bool { f.mu.Lock(); defer f.mu.Unlock(); return len(f.idle) == 1 })
	if err := syscall.Kill(stopped, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	await.Until(t, "it is stopped", func() bool { return processState(stopped) == "T" })
	got := make(chan Result)
	go func() { r, _ := f.Invoke(t.Context(), do("pid")); got <- r }()
	await.Until(t, "the invocation is in the socket of the stopped process", func() bool { return f.Status().Invocations == 2 })
	if err := syscall.Kill(stopped, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if r := <-got; r.FunctionError != "" || string(r.Payload) == strconv.Itoa(stopped) {
		t.Errorf("%q %s", r.FunctionError, r.Payload)
	}
}

func TestCloseLeavesNoProcessAndNoGoroutine(t *testing.T) {
	before := runtime.NumGoroutine()
	arrived := make(chan struct{}, 1)
	gate := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-r.Context().Done()
	}))
	f := New(Config{Name: "Echo", Command: []string{echo.Binary}, Timeout: time.Minute, Env: map[string]string{"STUBBORN": "1"}})
	failed := make(chan error)
	go func() { _, err := f.Invoke(t.Context(), do("get", "url", gate.URL)); failed <- err }()
	<-arrived
	pid(t, f)
	pids := f.Status().PIDs
	if len(pids) != 2 {
		t.Fatalf("processes %v", pids)
	}
	if err := errors.Join(f.Close(), f.Close()); err != nil {
		t.Error(err)
	}
	if err := <-failed; !errors.Is(err, ErrClosed) {
		t.Errorf("the invocation at work: %v", err)
	}
	for _, p := range pids {
		if syscall.Kill(p, 0) == nil {
			t.Errorf("process %d is not reaped", p)
		}
	}
	if _, err := f.Invoke(t.Context(), nil); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if s := f.Status(); len(s.PIDs) != 0 {
		t.Errorf("after Close: %+v", s)
	}
	gate.Close()
	http.DefaultClient.CloseIdleConnections()
	await.Until(t, "the goroutines are gone", func() bool { return runtime.NumGoroutine() <= before })
}

func TestProcessesExitWhenTheirStackIsKilled(t *testing.T) {
	stack := exec.Command(os.Args[0])
	stack.Env = append(os.Environ(), helperVariable+"="+echo.Binary)
	stdin, err := stack.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	out, err := stack.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := stack.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	child, numeric := strconv.Atoi(strings.TrimSpace(line))
	if err != nil || numeric != nil || gone(child) {
		t.Fatalf("the helper said %q, %v", line, err)
	}
	_ = stack.Process.Kill()
	_ = stack.Wait()
	await.Until(t, "the function's process is gone", func() bool { return gone(child) })
}

func TestLogsAreWholeLinesOfOneProcessAtATime(t *testing.T) {
	var logs lockedBuffer
	sink := &logSink{out: &logs}
	a, b := &lineWriter{sink: sink}, &lineWriter{sink: sink}
	for _, step := range []struct {
		w    *lineWriter
		text string
	}{{a, "one, "}, {b, "two\nthree "}, {a, "still one\n\n"}, {b, "still three"}} {
		if n, err := step.w.Write([]byte(step.text)); n != len(step.text) || err != nil {
			t.Errorf("Write(%q): %d, %v", step.text, n, err)
		}
	}
	a.flush()
	b.flush()
	if want := "two\none, still one\n\nthree still three\n"; logs.String() != want {
		t.Errorf("got %q, want %q", logs.String(), want)
	}
}

func TestTheLastOutputOfAProcessIsNotLost(t *testing.T) {
	var logs lockedBuffer
	f := newFunction(t, func(c *Config) { c.Logs = &logs })
	invoke(t, f, do("print", "text", "first\nunfinished"))
	_ = f.Close()
	if logs.String() != "first\nunfinished\n" {
		t.Errorf("logged %q", logs.String())
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
