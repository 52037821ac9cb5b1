// Command suite runs go test with its arguments, and reports progress: a line per package, a line
// every few seconds of a long package, the whole output of failed tests and, at the end, why tests
// were skipped. Arguments after another -- are those of a second go test, which runs beside the
// first.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"
)

// beat is the longest time without output.
const beat = 15 * time.Second

func main() {
	whole := flag.Bool("no-skips", false, "fail where a test was skipped")
	flag.Parse()
	r := &report{out: os.Stdout, now: time.Now, output: map[string][]string{}, running: map[string]time.Time{}, skipped: map[string][]string{}}
	stop := r.speak()
	all := runs(flag.Args())
	errs := make([]error, len(all))
	var running sync.WaitGroup
	for n, arguments := range all {
		running.Go(func() { errs[n] = r.test(arguments) })
	}
	running.Wait()
	stop()
	r.end()
	if errors.Join(errs...) != nil || *whole && len(r.skipped) > 0 {
		os.Exit(1)
	}
}

// runs splits arguments at each --.
func runs(arguments []string) (all [][]string) {
	for {
		at := slices.Index(arguments, "--")
		if at < 0 {
			return append(all, arguments)
		}
		all, arguments = append(all, arguments[:at]), arguments[at+1:]
	}
}

// test runs go test, and reports what it does.
func (r *report) test(arguments []string) error {
	command := exec.Command("go", append([]string{"test", "-json"}, arguments...)...)
	command.Env = ownEnvironment(os.Environ())
	command.Stderr = os.Stderr
	out, err := command.StdoutPipe()
	if err == nil {
		err = command.Start()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return err
	}
	return errors.Join(r.read(out), command.Wait())
}

// event is a line of go test -json (go doc test2json).
type event struct {
	Action, Package, ImportPath, Test, Output string
	Elapsed                                   float64
}

// report prints lines for events.
type report struct {
	out io.Writer
	now func() time.Time

	mu      sync.Mutex
	said    time.Time
	current string
	output  map[string][]string  // output by package and test, until its end
	running map[string]time.Time // running tests, with their start
	skipped map[string][]string  // tests by reason
	failed  []string
	passed  int
}

// ownEnvironment leaves out what a shell has of AWS, be it the operator's own account or a laptop
// stack's .local/env: tests bring their own.
func ownEnvironment(all []string) []string {
	return slices.DeleteFunc(all, func(variable string) bool { return strings.HasPrefix(variable, "AWS_") })
}

// speak reports at every beat what runs, until the returned function is called.
func (r *report) speak() (stop func()) {
	ended := make(chan struct{})
	var speaking sync.WaitGroup
	speaking.Go(func() {
		tick := time.NewTicker(beat / 5)
		defer tick.Stop()
		for {
			select {
			case <-ended:
				return
			case <-tick.C:
				r.beat()
			}
		}
	})
	return func() { close(ended); speaking.Wait() }
}

// beat reports what runs, if nothing was printed for a while.
func (r *report) beat() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.now().Sub(r.said) < beat {
		return
	}
	oldest := ""
	for test, since := range r.running {
		if oldest == "" || since.Before(r.running[oldest]) {
			oldest = test
		}
	}
	switch {
	case oldest != "":
		r.line("...   %s, for %.0f s", oldest, r.now().Sub(r.running[oldest]).Seconds())
	case r.current != "":
		r.line("...   %s", r.current)
	default:
		r.line("...   building the tests")
	}
}

func (r *report) line(format string, args ...any) {
	r.said = r.now()
	_, _ = fmt.Fprintf(r.out, format+"\n", args...)
}

// read handles all events.
func (r *report) read(from io.Reader) error {
	lines := bufio.NewReader(from)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			r.take(line)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (r *report) take(line []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var e event
	if json.Unmarshal(line, &e) != nil { // go test's own output
		r.line("%s", strings.TrimRight(string(line), "\n"))
		return
	}
	name := strings.TrimSpace(short(e.Package) + " " + e.Test)
	switch e.Action {
	case "start":
		r.current = name
	case "run", "cont":
		r.running[name] = r.now()
	case "build-output":
		r.line("%s", strings.TrimRight(e.Output, "\n"))
	case "output":
		r.output[name] = append(r.output[name], e.Output)
	case "pass", "fail", "skip":
		r.finish(name, e)
	}
}

func (r *report) finish(name string, e event) {
	text := r.output[name]
	delete(r.output, name)
	// Tests of a package that was killed have no end of their own.
	maps.DeleteFunc(r.running, func(test string, _ time.Time) bool {
		return test == name || e.Test == "" && strings.HasPrefix(test, name+" ")
	})
	switch {
	case e.Test != "" && e.Action == "fail":
		r.failed = append(r.failed, name)
		r.line("%s", strings.TrimRight(strings.Join(text, ""), "\n"))
	case e.Test != "" && e.Action == "skip":
		why := reason(text)
		r.skipped[why] = append(r.skipped[why], name)
	case e.Test != "":
		r.passed++
	case e.Action == "fail":
		r.failed = append(r.failed, name)
		r.line("%s", strings.TrimRight(strings.Join(text, ""), "\n"))
		r.line("FAIL  %s  %.1f s", name, e.Elapsed)
	case e.Action == "pass":
		r.line("ok    %s  %.1f s", name, e.Elapsed)
	}
}

// reason returns the message of a skipped test: the last thing that it wrote.
func reason(output []string) string {
	for _, line := range slices.Backward(output) {
		line = strings.TrimSpace(line)
		// The testing package writes it as file_test.go:12: the reason
		if file, why, found := strings.Cut(line, ": "); found && strings.Contains(file, ".go:") {
			return why
		}
	}
	return "no reason was given"
}

// end lists why tests were skipped, and the failed tests.
func (r *report) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	skipped := 0
	for _, why := range slices.Sorted(maps.Keys(r.skipped)) {
		tests := r.skipped[why]
		skipped += len(tests)
		if len(tests) == 1 {
			r.line("skip  %s: %s", tests[0], why)
		} else {
			r.line("skip  %d tests, such as %s: %s", len(tests), slices.Min(tests), why)
		}
	}
	r.line("%d passed, %d skipped, %d failed", r.passed, skipped, len(r.failed))
	for _, f := range r.failed {
		r.line("FAIL  %s", f)
	}
}

// short returns a package's path without the module's name.
func short(path string) string { return strings.TrimPrefix(path, "connexease-functions/") }
