// Package lambdasim runs the real function binaries on a laptop as Lambda does,
// behind an HTTP API as API Gateway's.
package lambdasim

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// Limits of AWS Lambda and API Gateway (AWS: "Lambda quotas", "HTTP API quotas").
const (
	maxPayload         = 6 << 20
	defaultInitTimeout = 10 * time.Second
	defaultProcesses   = 10
)

// Errors of Invoke: no process had the request.
var (
	ErrClosed   = errors.New("function is closed")
	ErrTooLarge = errors.New("request is larger than 6 MiB")
)

// Config describes a function, as template.yaml does.
type Config struct {
	Name         string
	Command      []string
	Env          map[string]string // nothing of the host's environment is added
	Timeout      time.Duration     // of one invocation
	MemoryMB     int
	MaxProcesses int       // default 10; further invocations wait
	Logs         io.Writer // standard output and error of the processes
}

// Result is what an invocation came to.
type Result struct {
	Payload       []byte
	FunctionError string // "" or "Unhandled", as in Lambda's X-Amz-Function-Error
	RequestID     string
}

// Status tells who is at work.
type Status struct {
	Name        string `json:"name"`
	PIDs        []int  `json:"pids"`
	Invocations int    `json:"invocations"`
}

// Function is a pool of processes of one binary, each serving one request at a time.
type Function struct {
	config Config
	slots  chan struct{} // one for each invocation under way
	logs   *lines

	mu          sync.Mutex
	idle        []*process
	all         map[*process]bool
	invocations int
	closed      bool
}

// New returns a function. Processes start when requests come.
func New(c Config) *Function {
	if c.MaxProcesses == 0 {
		c.MaxProcesses = defaultProcesses
	}
	return &Function{config: c, slots: make(chan struct{}, c.MaxProcesses), all: map[*process]bool{}, logs: &lines{w: c.Logs}}
}

// Invoke runs one invocation and waits for its end. The error says that no process
// took it: ErrTooLarge, ErrClosed, or the context's.
func (f *Function) Invoke(ctx context.Context, payload []byte) (Result, error) {
	if len(payload) > maxPayload {
		return Result{}, ErrTooLarge
	}
	select {
	case f.slots <- struct{}{}:
		defer func() { <-f.slots }()
	case <-ctx.Done():
		return Result{}, ctx.Err()
	}
	inv := &invocation{id: requestID(), payload: payload, timeout: f.config.Timeout, done: make(chan Result, 1)}
	for {
		p, fresh, err := f.take()
		if err != nil {
			return Result{}, err
		}
		result, taken := p.run(inv)
		if !taken && !fresh {
			continue // it had died while idle: the request is as good as new
		}
		result.RequestID = inv.id
		f.release(p)
		return result, nil
	}
}

// take returns an idle process, the one used last first, or a fresh one.
func (f *Function) take() (p *process, fresh bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, false, ErrClosed
	}
	for len(f.idle) > 0 {
		p = f.idle[len(f.idle)-1]
		f.idle = f.idle[:len(f.idle)-1]
		if p.alive() {
			return p, false, nil
		}
	}
	p, err = start(f.config, f.logs)
	if err != nil {
		return nil, false, fmt.Errorf("start %s: %w", f.config.Name, err)
	}
	f.all[p] = true
	go func() {
		<-p.exited
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.all, p)
	}()
	return p, true, nil
}

func (f *Function) release(p *process) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.invocations++
	if p.alive() && !f.closed {
		f.idle = append(f.idle, p)
	}
}

// Status returns the processes that live now and how many invocations ended.
func (f *Function) Status() Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := Status{Name: f.config.Name, PIDs: []int{}, Invocations: f.invocations}
	for p := range f.all {
		if p.alive() {
			s.PIDs = append(s.PIDs, p.command.Process.Pid)
		}
	}
	return s
}

// Close ends every process and waits for them.
func (f *Function) Close() {
	f.mu.Lock()
	f.closed = true
	all := make([]*process, 0, len(f.all))
	for p := range f.all {
		all = append(all, p)
	}
	f.mu.Unlock()
	for _, p := range all {
		p.kill()
	}
	for _, p := range all {
		<-p.exited
	}
}

func requestID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (Go: crypto/rand)
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// failure is a result as Lambda reports a function that did not answer.
func failure(kind, message string) Result {
	payload, _ := json.Marshal(map[string]string{"errorType": kind, "errorMessage": message})
	return Result{Payload: payload, FunctionError: "Unhandled"}
}

// lines keeps whole writes of several processes apart.
type lines struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.w == nil {
		return len(b), nil
	}
	return l.w.Write(b)
}
