package lambdasim

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const runtimePath = "/2018-06-01/runtime/"

// invocation is one request on its way through a process.
type invocation struct {
	id      string
	payload []byte
	timeout time.Duration
	done    chan Result // takes the first result; later ones find it full
}

func (i *invocation) finish(r Result) {
	select {
	case i.done <- r:
	default:
	}
}

// process is one process of a function with a Runtime API of its own, so that an
// answer can only come from the process that was asked.
type process struct {
	name    string
	arn     string
	command *exec.Cmd
	server  *http.Server
	exited  chan struct{}
	work    chan *invocation // handed out by "next"

	mu      sync.Mutex
	current *invocation
}

// start starts a process. It serves once it has asked for its first invocation.
func start(c Config, logs io.Writer) (*process, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &process{
		name:   c.Name,
		arn:    "arn:aws:lambda:" + c.Env["AWS_REGION"] + ":000000000000:function:" + c.Name,
		exited: make(chan struct{}),
		work:   make(chan *invocation),
	}
	p.server = &http.Server{Handler: p, ReadHeaderTimeout: 5 * time.Second}
	p.command = exec.Command(c.Command[0], c.Command[1:]...)
	p.command.Env = environment(c, listener.Addr().String())
	p.command.Stdout, p.command.Stderr = logs, logs
	// In a group of its own a terminal's Ctrl-C reaches the stack only, which ends its
	// processes in order.
	p.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.command.Start(); err != nil {
		_ = listener.Close()
		return nil, err
	}
	go func() { _ = p.server.Serve(listener) }()
	go func() {
		_ = p.command.Wait()
		close(p.exited)
		_ = p.server.Close()
	}()
	return p, nil
}

// environment returns what Lambda sets (AWS: "Defined runtime environment
// variables") and the function's own.
func environment(c Config, runtimeAPI string) []string {
	memory := max(c.MemoryMB, 128)
	env := map[string]string{
		"AWS_LAMBDA_FUNCTION_NAME":        c.Name,
		"AWS_LAMBDA_FUNCTION_VERSION":     "$LATEST",
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": strconv.Itoa(memory),
		"AWS_LAMBDA_LOG_GROUP_NAME":       "/aws/lambda/" + c.Name,
		"AWS_LAMBDA_LOG_STREAM_NAME":      "local",
		"AWS_LAMBDA_LOG_FORMAT":           "JSON",
		"AWS_LAMBDA_INITIALIZATION_TYPE":  "on-demand",
		"AWS_EXECUTION_ENV":               "AWS_Lambda_provided.al2023",
		"LAMBDA_TASK_ROOT":                "/var/task",
		"TZ":                              ":UTC",
	}
	for k, v := range c.Env {
		env[k] = v
	}
	env["AWS_LAMBDA_RUNTIME_API"] = runtimeAPI
	list := make([]string, 0, len(env))
	for k, v := range env {
		list = append(list, k+"="+v)
	}
	return list
}

func (p *process) alive() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

func (p *process) kill() { _ = syscall.Kill(-p.command.Process.Pid, syscall.SIGKILL) }

// run gives the process an invocation and waits for its end. taken is false where
// the process ended without having asked for it.
func (p *process) run(inv *invocation) (r Result, taken bool) {
	initTimer := time.NewTimer(defaultInitTimeout)
	defer initTimer.Stop()
	select {
	case p.work <- inv:
	case <-p.exited:
		return failure("Runtime.ExitError", fmt.Sprintf("RequestId: %s Error: Runtime exited before it took the request", inv.id)), false
	case <-initTimer.C:
		p.kill()
		<-p.exited
		return failure("Sandbox.Timedout", fmt.Sprintf("RequestId: %s Error: init timed out after 10.00 seconds", inv.id)), true
	}
	timer := time.NewTimer(inv.timeout)
	defer timer.Stop()
	select {
	case r := <-inv.done:
		return r, true
	case <-timer.C:
		p.kill()
		<-p.exited
		return failure("Sandbox.Timedout", fmt.Sprintf("RequestId: %s Error: Task timed out after %.2f seconds", inv.id, inv.timeout.Seconds())), true
	case <-p.exited:
		select {
		case r := <-inv.done: // answered, then gone
			return r, true
		default:
		}
		return failure("Runtime.ExitError", fmt.Sprintf("RequestId: %s Error: Runtime exited with error: %s", inv.id, p.command.ProcessState)), true
	}
}

// ServeHTTP is the Runtime API (AWS: "Using the Lambda runtime API").
func (p *process) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, ok := strings.CutPrefix(r.URL.Path, runtimePath)
	switch {
	case !ok:
		http.NotFound(w, r)
	case path == "invocation/next" && r.Method == http.MethodGet:
		p.next(w, r)
	case path == "init/error" && r.Method == http.MethodPost:
		w.WriteHeader(http.StatusAccepted)
	case r.Method == http.MethodPost:
		parts := strings.Split(path, "/")
		if len(parts) != 3 || parts[0] != "invocation" {
			http.NotFound(w, r)
			return
		}
		p.end(w, r, parts[1], parts[2])
	default:
		http.NotFound(w, r)
	}
}

func (p *process) next(w http.ResponseWriter, r *http.Request) {
	select {
	case inv := <-p.work:
		p.mu.Lock()
		p.current = inv
		p.mu.Unlock()
		h := w.Header()
		h.Set("Content-Type", "application/json")
		h.Set("Lambda-Runtime-Aws-Request-Id", inv.id)
		h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(time.Now().Add(inv.timeout).UnixMilli(), 10))
		h.Set("Lambda-Runtime-Invoked-Function-Arn", p.arn)
		h.Set("Lambda-Runtime-Trace-Id", "Root=1-00000000-000000000000000000000000;Sampled=0")
		h.Set("Content-Length", strconv.Itoa(len(inv.payload)))
		_, _ = w.Write(inv.payload)
	case <-r.Context().Done():
	case <-p.exited:
	}
}

func (p *process) end(w http.ResponseWriter, r *http.Request, id, what string) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxPayload+1))
	p.mu.Lock()
	inv := p.current
	p.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	result := Result{Payload: body}
	switch {
	case inv == nil || inv.id != id:
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"errorType":"InvalidRequestID","errorMessage":"Invalid request ID"}`)
		return
	case err != nil: // the process died while it answered
		return
	case len(body) > maxPayload:
		inv.finish(failure("Function.ResponseSizeTooLarge", "Response payload size exceeded maximum allowed payload size (6291556 bytes)."))
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return
	case what == "error":
		result.FunctionError = "Unhandled"
	case what != "response":
		http.NotFound(w, r)
		return
	}
	w.WriteHeader(http.StatusAccepted)
	_, _ = io.WriteString(w, `{"status":"OK"}`)
	inv.finish(result)
}
