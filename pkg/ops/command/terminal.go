package command

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// terminal is a command's input and output: results go to out, everything else to messages.
type terminal struct {
	in            *bufio.Reader
	out, messages io.Writer
	interactive   bool          // messages go to a terminal
	patience      time.Duration // time before progress is shown
	interval      time.Duration // time between two lines of progress without a terminal
}

func newTerminal(in io.Reader, out, messages io.Writer) *terminal {
	c := &terminal{in: bufio.NewReader(in), out: out, messages: messages, patience: 2 * time.Second, interval: 5 * time.Second}
	if f, ok := messages.(*os.File); ok {
		c.interactive = term.IsTerminal(int(f.Fd())) // #nosec G115 -- a file descriptor
	}
	return c
}

func (c *terminal) printf(format string, values ...any) { _, _ = fmt.Fprintf(c.out, format, values...) }

// confirm asks for a name to be typed.
func (p *program) confirm(question, name string) bool {
	if p.yes {
		return true
	}
	p.printf("%s", question)
	return p.typed() == name
}

// typed returns a line of input; empty at its end.
func (c *terminal) typed() string {
	text, _ := c.in.ReadString('\n')
	return strings.TrimSpace(text)
}

// progress shows the progress of a step that takes longer than patience: a bar on a terminal, a
// line now and then elsewhere.
type progress struct {
	terminal *terminal
	what     string
	total    int64 // 0: unknown

	mu    sync.Mutex
	done  int64
	ended chan struct{}
	gone  sync.WaitGroup
}

func (c *terminal) progress(what string, total int64) *progress {
	p := &progress{terminal: c, what: what, total: total, ended: make(chan struct{})}
	p.gone.Go(p.show)
	return p
}

func (p *progress) add(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done += int64(n)
}

func (p *progress) set(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done = n
}

// end removes the bar.
func (p *progress) end() {
	close(p.ended)
	p.gone.Wait()
}

func (p *progress) show() {
	first := time.NewTimer(p.terminal.patience)
	defer first.Stop()
	select {
	case <-first.C:
	case <-p.ended:
		return
	}
	every, step := p.terminal.interval, p.line
	if p.terminal.interactive {
		bar := p.bar()
		defer func() { _ = bar.Clear() }()
		every, step = 100*time.Millisecond, func() { p.move(bar) }
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		step()
		select {
		case <-tick.C:
		case <-p.ended:
			return
		}
	}
}

func (p *progress) bar() *progressbar.ProgressBar {
	total := p.total
	if total <= 0 {
		total = -1 // a spinner
	}
	return progressbar.NewOptions64(total, progressbar.OptionSetWriter(p.terminal.messages), progressbar.OptionSetDescription(p.what),
		progressbar.OptionShowCount(), progressbar.OptionSetSpinnerChangeInterval(0), progressbar.OptionSetPredictTime(total > 0))
}

func (p *progress) move(bar *progressbar.ProgressBar) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.total > 0 && p.done > p.total { // the total is an estimate
		p.total = p.done
		bar.ChangeMax64(p.total)
	}
	_ = bar.Set64(p.done) // a failure to draw does no harm
}

func (p *progress) line() {
	p.mu.Lock()
	defer p.mu.Unlock()
	text := fmt.Sprintf("%s: %d", p.what, p.done)
	if p.total > 0 {
		text += fmt.Sprintf(" of about %d", max(p.total, p.done))
	}
	_, _ = fmt.Fprintln(p.terminal.messages, text)
}
