// Package lambda runs real Lambda binaries with a local Runtime API and Invoke API, so that a
// laptop runs the binary that is deployed, called the way AWS calls it: one request at a time per
// process, killed on timeout, restarted after a crash.
package lambda

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"connexease-functions/pkg/local/sim/uuid"
)

// Limits of a synchronous invocation (AWS: Lambda quotas). The response may be 100 bytes larger
// than the request, as in AWS.
const (
	MaxRequestBytes  = 6 << 20
	MaxResponseBytes = 6<<20 + 100
)

// Defaults of a Config. AWS ends an init phase at 10 s (AWS: Lambda execution environment
// lifecycle) and a function without a Timeout at 3 s.
const (
	defaultTimeout      = 3 * time.Second
	defaultInitTimeout  = 10 * time.Second
	defaultMemoryMB     = 128
	defaultMaxProcesses = 10
)

// maxHandings bounds how often an invocation is handed to a process, where the previous one died
// without having read it.
const maxHandings = 3

// The errors of Invoke where there is no Result.
var (
	// ErrClosed means that the function was closed before or while the invocation ran.
	ErrClosed = errors.New("the function is closed")
	// ErrTooLarge means that the request is over MaxRequestBytes; nothing ran.
	ErrTooLarge = errors.New("the request payload is over 6 MB")
	// ErrAbandoned means that the caller's context ended after a process had received the
	// invocation, which continues; its result is dropped.
	ErrAbandoned = errors.New("the invocation continues without its caller")
)

// Config of one function, as in template.yaml.
type Config struct {
	// Name is the function's (logical) name.
	Name string
	// Command is the binary and its arguments. The process runs in the binary's folder.
	Command []string
	// Env is the template's environment plus endpoints. Apart from the variables that Lambda itself
	// sets, nothing else reaches the process.
	Env map[string]string
	// Timeout bounds one invocation; 0 means AWS's default of 3 s.
	Timeout time.Duration
	// InitTimeout bounds the time from the start of a process to its first request for work; 0
	// means 10 s.
	InitTimeout time.Duration
	// MemoryMB is the memory size that the function sees; it is not enforced. 0 means 128.
	MemoryMB int
	// MaxProcesses bounds the concurrent processes; further invocations wait until their context
	// ends. 0 means 10.
	MaxProcesses int
	// Logs receives the output of the processes, in whole lines, one Write at a time, even where
	// functions share it; nil discards it.
	Logs io.Writer
}

// Result is Lambda's response to a synchronous invocation.
type Result struct {
	// Payload is the function's response, or the error object {"errorType","errorMessage",…}.
	Payload []byte
	// FunctionError is Lambda's X-Amz-Function-Error: "" or "Unhandled".
	FunctionError string
	// RequestID is the invocation's id, as in the function's context.
	RequestID string
	// Duration is the time from handing the event to a process until its response, without the wait
	// for a process.
	Duration time.Duration
}

// Status is a function's state at one moment.
type Status struct {
	Name        string `json:"name"`
	PIDs        []int  `json:"pids"`
	Invocations int64  `json:"invocations"`
}

// Function is one Lambda function with its processes. Its methods may be called concurrently.
type Function struct {
	cfg  Config
	logs *logSink

	mu      sync.Mutex
	closed  bool
	pending []*invocation         // without a process, oldest first
	idle    []*process            // waiting in "next", most recently used last
	procs   map[*process]struct{} // started and not yet reaped
	live    int                   // processes being started or not yet reaped
	coming  int                   // those of them that will ask for work soon: starting, or responded and on the way to "next"
	count   int64
	running sync.WaitGroup

	description, revision string // of the configuration
}

// invocation is one request. The function's mutex guards its fields, except those that never change
// after Invoke.
type invocation struct {
	id      string
	payload []byte
	done    chan outcome // receives exactly one outcome

	taken     time.Time
	handings  int
	answered  bool
	abandoned bool
}

type outcome struct {
	result Result
	err    error
}

// New returns a function that starts its processes when invocations need them. Close ends it.
func New(cfg Config) *Function {
	cfg.Timeout, cfg.InitTimeout = cmp.Or(cfg.Timeout, defaultTimeout), cmp.Or(cfg.InitTimeout, defaultInitTimeout)
	cfg.MemoryMB, cfg.MaxProcesses = cmp.Or(cfg.MemoryMB, defaultMemoryMB), cmp.Or(cfg.MaxProcesses, defaultMaxProcesses)
	return &Function{cfg: cfg, logs: &logSink{out: cfg.Logs}, procs: map[*process]struct{}{}}
}

// Name returns the function's configured name.
func (f *Function) Name() string { return f.cfg.Name }

// Invoke runs the function once and waits for its response. A failure of the function (an error, a
// crash, a timeout) is a Result with a FunctionError; an error is returned only where there is no
// result: ErrTooLarge, ErrClosed, the context's error if it ended first (with ErrAbandoned where a
// process is already at work), or that the binary cannot be started. The payload must not be
// changed afterwards.
func (f *Function) Invoke(ctx context.Context, payload []byte) (Result, error) {
	return f.invoke(ctx, uuid.New(), payload)
}

// invoke is Invoke with a given request id, which repeats of an asynchronous invocation keep.
func (f *Function) invoke(ctx context.Context, id string, payload []byte) (Result, error) {
	if len(payload) > MaxRequestBytes {
		return Result{}, fmt.Errorf("%s: %w (%d bytes)", f.cfg.Name, ErrTooLarge, len(payload))
	}
	if err := ctx.Err(); err != nil {
		return Result{}, fmt.Errorf("%s: not invoked: %w", f.cfg.Name, err)
	}
	inv := &invocation{id: id, payload: payload, done: make(chan outcome, 1)}

	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		return Result{}, fmt.Errorf("%s: %w", f.cfg.Name, ErrClosed)
	}
	f.pending = append(f.pending, inv)
	f.dispatch()
	f.mu.Unlock()

	select {
	case o := <-inv.done:
		return o.result, o.err
	case <-ctx.Done():
	}

	f.mu.Lock()
	inv.abandoned = true
	waiting := slices.Index(f.pending, inv)
	if waiting >= 0 {
		f.pending = slices.Delete(f.pending, waiting, waiting+1)
	}
	f.mu.Unlock()
	if waiting >= 0 {
		return Result{RequestID: inv.id}, fmt.Errorf("%s: no process was free: %w", f.cfg.Name, ctx.Err())
	}
	select {
	case o := <-inv.done: // if both happen at once, the result wins
		return o.result, o.err
	default:
		return Result{RequestID: inv.id}, fmt.Errorf("%s: %w: %w", f.cfg.Name, ErrAbandoned, ctx.Err())
	}
}

// Status returns the processes and the number of invocations handed to one so far.
func (f *Function) Status() Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := Status{Name: f.cfg.Name, PIDs: make([]int, 0, len(f.procs)), Invocations: f.count}
	for p := range f.procs {
		s.PIDs = append(s.PIDs, p.proc.Pid)
	}
	slices.Sort(s.PIDs)
	return s
}

// Kill ends every process at once, as a crash does, and returns their ids.
func (f *Function) Kill() []int {
	f.mu.Lock()
	defer f.mu.Unlock()
	pids := make([]int, 0, len(f.procs))
	for p := range f.procs {
		p.kill()
		pids = append(pids, p.proc.Pid)
	}
	return pids
}

// Close ends every process and returns when all are reaped. Waiting and running invocations return
// ErrClosed. It may be called more than once.
func (f *Function) Close() error {
	f.mu.Lock()
	if !f.closed {
		f.closed = true
		for _, inv := range f.pending {
			f.refuse(inv)
		}
		f.pending = nil
		for p := range f.procs {
			p.terminate()
		}
	}
	f.mu.Unlock()
	f.running.Wait()
	return nil
}

// dispatch gives waiting invocations to idle processes and starts processes for the rest. The mutex
// is held.
func (f *Function) dispatch() {
	for len(f.pending) > 0 && len(f.idle) > 0 {
		last := len(f.idle) - 1
		p := f.idle[last]
		f.idle[last] = nil
		f.idle = f.idle[:last]
		p.work <- f.hand(p)
	}
	for !f.closed && f.coming < len(f.pending) && f.live < f.cfg.MaxProcesses {
		f.live++
		f.coming++
		f.running.Go(f.run)
	}
}

// hand moves the oldest waiting invocation to p, whose time runs from now. The mutex is held.
func (f *Function) hand(p *process) *invocation {
	inv := f.pending[0]
	f.pending[0] = nil
	f.pending = f.pending[1:]
	if inv.handings == 0 {
		f.count++
	}
	inv.handings++
	inv.taken = time.Now()
	p.state, p.inv = busy, inv
	p.timer = time.AfterFunc(f.cfg.Timeout, func() { p.expire(inv) })
	return inv
}

// handBack takes an unread invocation away from p and queues it first. The mutex is held.
func (f *Function) handBack(p *process) {
	inv := p.inv
	p.inv = nil
	p.timer.Stop()
	switch {
	case f.closed:
		f.refuse(inv)
	case inv.abandoned:
	case inv.handings >= maxHandings:
		f.answer(inv, exitError(inv.id, nil), unhandled)
	default:
		f.pending = slices.Insert(f.pending, 0, inv)
		f.dispatch()
	}
}

func (f *Function) answer(inv *invocation, payload []byte, functionError string) {
	inv.answered = true
	r := Result{Payload: payload, FunctionError: functionError, RequestID: inv.id}
	if !inv.taken.IsZero() {
		r.Duration = time.Since(inv.taken)
	}
	inv.done <- outcome{result: r}
}

func (f *Function) refuse(inv *invocation) {
	inv.answered = true
	inv.done <- outcome{result: Result{RequestID: inv.id}, err: fmt.Errorf("%s: %w", f.cfg.Name, ErrClosed)}
}

// failOldest fails the oldest waiting invocation, because the process that was started for it did
// not come up. The mutex is held.
func (f *Function) failOldest(fail func(*invocation)) {
	if len(f.pending) == 0 {
		return
	}
	inv := f.pending[0]
	f.pending = f.pending[1:]
	fail(inv)
}
