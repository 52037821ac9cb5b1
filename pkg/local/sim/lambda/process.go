package lambda

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// termGrace is how long a process may take to end on SIGTERM. Lambda allows 500 ms (AWS: Lambda
	// execution environment lifecycle).
	termGrace = 500 * time.Millisecond
	// pipeGrace bounds the wait for output after a process has ended, in case one of its children
	// still holds the pipe.
	pipeGrace = time.Second
	// connGrace bounds the wait for the connection of an ended process, which normally ends at
	// once.
	connGrace = time.Second
)

type state int

const (
	starting  state = iota // no "next" yet
	idle                   // blocked in "next", listed in Function.idle
	busy                   // is running an invocation
	finishing              // has responded, has not called "next" yet
	dying                  // will be reaped, accepts nothing any more
)

// process is one execution environment: a child process and the Runtime API for it alone. The
// function's mutex guards the fields below it.
type process struct {
	f      *Function
	cmd    *exec.Cmd
	proc   *os.Process
	server *http.Server
	work   chan *invocation // room for the one invocation that an idle process is given

	state     state
	inv       *invocation // of a busy or finishing process
	conn      *apiConn    // the connection of the last "next"
	timer     *time.Timer // of the init phase, then of the invocation
	initError []byte      // the process's report of its failed init
	initOver  bool        // the init phase took too long
	outdated  bool        // started before the last Recycle: it gets no further invocation
	stopping  atomic.Bool
}

// run starts one process and returns once it is reaped.
func (f *Function) run() {
	p, listener, err := f.launch()
	if err != nil {
		f.mu.Lock()
		f.live--
		f.coming--
		f.failOldest(func(inv *invocation) {
			inv.done <- outcome{result: Result{RequestID: inv.id}, err: fmt.Errorf("%s: cannot be started: %w", f.cfg.Name, err)}
		})
		f.dispatch()
		f.mu.Unlock()
		return
	}
	// Serving begins only now, so that no request of the child meets a half-initialised process;
	// until then the kernel queues its connection.
	f.running.Go(func() { _ = p.server.Serve(listener) })
	p.reap()
}

func (f *Function) launch() (*process, net.Listener, error) {
	if len(f.cfg.Command) == 0 {
		return nil, nil, errors.New("no command")
	}
	path, err := exec.LookPath(f.cfg.Command[0])
	if err != nil {
		return nil, nil, err
	}
	if path, err = filepath.Abs(path); err != nil {
		return nil, nil, err
	}
	tcp, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, nil, fmt.Errorf("listen for the Runtime API: %w", err)
	}
	p := &process{f: f, work: make(chan *invocation, 1)}
	p.server = newAPIServer(p)

	p.cmd = exec.Command(path, f.cfg.Command[1:]...)
	p.cmd.Env = environment(f.cfg, tcp.Addr().String(), filepath.Dir(path), time.Now())
	p.cmd.Dir = filepath.Dir(path)
	// A group of its own: Ctrl-C in a terminal reaches the stack, which then ends its functions in
	// order.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.cmd.WaitDelay = pipeGrace
	if f.cfg.Logs != nil {
		lines := &lineWriter{sink: f.logs}
		p.cmd.Stdout, p.cmd.Stderr = lines, lines
	}
	if err := p.cmd.Start(); err != nil {
		_ = tcp.Close()
		return nil, nil, err
	}
	p.proc = p.cmd.Process

	f.mu.Lock()
	defer f.mu.Unlock()
	f.procs[p] = struct{}{}
	p.timer = time.AfterFunc(f.cfg.InitTimeout, p.expireInit)
	if f.closed {
		p.terminate()
	}
	return p, &apiListener{tcp}, nil
}

// reap waits for the process to end and settles what it leaves behind.
func (p *process) reap() {
	f := p.f
	cause := p.cmd.Wait()
	if lines, ok := p.cmd.Stdout.(*lineWriter); ok {
		lines.flush()
	}

	f.mu.Lock()
	f.unlist(p) // from here on nothing new is handed to it
	open := p.state == busy
	conn := p.conn
	f.mu.Unlock()
	// An invocation that was left unread in the socket has not begun, so it goes to a new process.
	// The connection ends with the old one.
	unread := open && conn != nil && conn.endedUnread(connGrace)
	_ = p.server.Close()

	f.mu.Lock()
	defer f.mu.Unlock()
	p.timer.Stop()
	delete(f.procs, p)
	f.live--
	was := p.state
	p.state = dying
	switch was {
	case starting:
		f.coming--
		f.failOldest(func(inv *invocation) { f.answer(inv, p.initFailure(inv.id, cause), unhandled) })
		if !f.closed {
			f.logs.platform("platform.initRuntimeDone", "", p.initStatus())
		}
	case finishing:
		f.coming--
	case busy:
		switch inv := p.inv; {
		case unread:
			f.handBack(p)
		case f.closed:
			f.refuse(inv)
		default:
			f.answer(inv, exitError(inv.id, cause), unhandled)
			f.logs.platform("platform.runtimeDone", inv.id, "error")
		}
	}
	f.dispatch()
}

// unlist removes a process from the idle ones, so that dispatch does not use it. The mutex is held.
func (f *Function) unlist(p *process) {
	if p.state != idle {
		return
	}
	p.state = dying
	if i := slices.Index(f.idle, p); i >= 0 {
		f.idle = slices.Delete(f.idle, i, i+1)
	}
}

// expire ends a process whose invocation took too long, including one that has responded but does
// not ask for work: in AWS the time runs until the next request for work.
func (p *process) expire(inv *invocation) {
	f := p.f
	f.mu.Lock()
	if p.inv != inv {
		f.mu.Unlock()
		return
	}
	switch p.state {
	case busy:
		f.answer(inv, timedOut(inv.id, f.cfg.Timeout), unhandled)
	case finishing:
		f.coming--
	}
	p.state, p.inv = dying, nil
	f.mu.Unlock()
	f.logs.platform("platform.runtimeDone", inv.id, "timeout")
	p.kill()
}

func (p *process) expireInit() {
	p.f.mu.Lock()
	over := p.state == starting
	p.initOver = over
	p.f.mu.Unlock()
	if over {
		p.kill()
	}
}

func (p *process) initFailure(id string, cause error) []byte {
	switch {
	case p.initError != nil:
		return p.initError
	case p.initOver:
		return timedOut(id, p.f.cfg.InitTimeout)
	}
	return exitError(id, cause)
}

func (p *process) initStatus() string {
	if p.initOver {
		return "timeout"
	}
	return "error"
}

func (p *process) kill() { _ = p.proc.Kill() }

// terminate sends SIGTERM, and kills the process after a grace period.
func (p *process) terminate() {
	if p.stopping.Swap(true) {
		return
	}
	if p.proc.Signal(syscall.SIGTERM) == nil {
		time.AfterFunc(termGrace, p.kill)
	}
}
