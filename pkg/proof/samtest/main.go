// Command samtest tests with the official SAM CLI what is deployed: it validates and builds
// template.yaml, and runs the functions in SAM's own containers against the laptop's backends. make
// sam-test runs it; with -serve it runs sam local start-api for interactive use (make sam-local).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"connexease-functions/pkg/local/dynamodblocal"
	"connexease-functions/pkg/local/loopback"
	"connexease-functions/pkg/local/output"
	"connexease-functions/pkg/local/parent"
	"connexease-functions/pkg/local/pause"
	"connexease-functions/pkg/proof/must"
)

// limit bounds the whole test, including its first downloads: 4 minutes on two cores.
const limit = 15 * time.Minute

func main() {
	serve := flag.Bool("serve", false, "start the API for interactive use, until Ctrl-C")
	port := flag.Int("port", 0, "port of the API; the backends' control address has the next one; 0 picks free ones")
	starter := flag.Int("parent", 0, "process id of the parent; this process ends with it")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	go parent.Follow(*starter, stop)
	if err := run(ctx, *serve, *port); err != nil {
		stop()
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// checkNeeds returns an error for missing tools, before minutes of downloads and builds.
func checkNeeds(ctx context.Context) error {
	_, _, engine := lookForEngine(ctx)
	if _, err := execute(ctx, "", os.Environ(), "python3", "-c", "import ensurepip"); err != nil && ctx.Err() == nil {
		return errors.Join(engine, errors.New("python3 with venv is not installed; it runs the SAM CLI. Fix it with: sudo apt-get install python3-venv (Debian, Ubuntu) or brew install python (macOS)"))
	}
	return engine
}

// project holds the folders and ports of a run.
type project struct {
	root  string // the checkout
	state string // folder for generated files, binaries and logs
	cache string // folder that outlives the checkout
	arch  string // of this machine, as SAM names it
	port  int    // of the API
}

func run(ctx context.Context, serve bool, port int) error {
	if err := checkNeeds(ctx); err != nil {
		return err
	}
	return must.Try(func() {
		p := newProject(serve)
		defer p.clear()()
		if p.port = port; port == 0 {
			p.port = must.Get(loopback.FreePorts(2))
		}
		if !serve {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, limit)
			defer cancel()
		}
		err := must.Try(func() { p.test(ctx, serve) })
		if err == nil || serve && ctx.Err() != nil {
			return
		}
		p.printLogs(os.Stderr)
		if ctx.Err() != nil {
			err = fmt.Errorf("%w (%w)", err, context.Cause(ctx))
		}
		must.OK(fmt.Errorf("FAIL %w", err))
	})
}

func (p *project) test(ctx context.Context, serve bool) {
	started := time.Now()
	s := steps{last: started}
	sam := installSAM(ctx, p.cache)
	s.done("SAM CLI %s", samVersion)
	if !serve {
		p.proveDeployed(ctx, sam, &s)
	}
	p.startLocal(ctx, sam, &s, serve)
	if !serve {
		fmt.Printf("PASS in %.0f s; everything that was started has ended\n", time.Since(started).Seconds())
	}
}

func newProject(serve bool) *project {
	if _, err := os.Stat("template.yaml"); err != nil {
		must.OK(fmt.Errorf("run it in the project's folder, as make sam-test does: %w", err))
	}
	root := must.Get(os.Getwd())
	p := &project{root: root, state: filepath.Join(root, ".local", "sam-test"), cache: must.Get(dynamodblocal.Cache()), arch: "arm64"}
	if serve {
		p.state = filepath.Join(root, ".local", "sam")
	}
	if runtime.GOARCH == "amd64" {
		p.arch = x86
	}
	return p
}

// clear removes what an earlier run left behind, and locks the folder.
func (p *project) clear() (unlock func()) {
	must.OK(os.MkdirAll(p.state, 0o755))
	lock := must.Get(os.Create(p.state + ".lock"))
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		must.OK(fmt.Errorf("a run already uses this folder: %w", err))
	}
	must.OK(os.RemoveAll(p.state))
	must.OK(os.MkdirAll(filepath.Join(p.state, "tmp"), 0o755))
	return func() { _ = lock.Close() }
}

// steps prints a line for each proven statement.
type steps struct{ last time.Time }

func (s *steps) done(format string, args ...any) {
	now := time.Now()
	fmt.Printf("ok %5.1f s  %s\n", now.Sub(s.last).Seconds(), fmt.Sprintf(format, args...))
	s.last = now
}

// printLogs prints the end of each log of this run.
func (p *project) printLogs(w io.Writer) {
	logs, _ := filepath.Glob(filepath.Join(p.state, "*.log"))
	for _, log := range logs {
		if filepath.Base(log) == "dockerd.log" && len(logs) > 1 {
			continue // the engine's log is of no interest
		}
		if text, err := os.ReadFile(log); err == nil && len(text) > 0 {
			fmt.Fprintf(w, "--- the end of %s\n%s\n", log, output.LastLines(string(text), 25))
		}
	}
}

// until repeats a check until it succeeds or can no longer succeed, and returns its last error.
func until(ctx context.Context, limit time.Duration, check func(context.Context) error) error {
	within, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		err := check(within)
		if err == nil || errors.Is(err, errFinal) {
			return err
		}
		if pause.For(within, 250*time.Millisecond) != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return fmt.Errorf("not within %s: %w", limit, err)
		}
	}
}
