// Command soak runs the whole product on this machine under mixed load for a while, and then audits
// that nothing was lost, duplicated or left behind: make soak.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/go-resty/resty/v2"

	"connexease-functions/pkg/local/pause"
	"connexease-functions/pkg/local/sim/connexease"
	"connexease-functions/pkg/local/stack"
)

func main() {
	minutes := flag.Float64("minutes", 10, "how long the load lasts")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := logged(ctx, time.Duration(*minutes*float64(time.Minute))); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// logged keeps the functions' logs, to find the cause of a fault.
func logged(ctx context.Context, length time.Duration) error {
	const name = ".local/soak.log"
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	logs, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() { _ = logs.Close() }()
	if err := run(ctx, ".", length, os.Stdout, logs); err != nil {
		return fmt.Errorf("%w; the functions' log is %s", err, name)
	}
	return nil
}

// shortest leaves time for both rotations.
const shortest = 10 * time.Second

// soak is one run.
type soak struct {
	saying sync.Mutex
	out    io.Writer
	stack  *stack.Stack
	client *resty.Client
	began  time.Time
	length time.Duration
	number atomic.Int64 // of the last delivery

	mu         sync.Mutex
	webhook    credential
	sender     credential
	accepted   []int          // deliveries that got 200
	refused    []int          // deliveries with a bad token
	held       []int          // held deliveries, so that they arrive out of order
	answers    map[string]int // to deliveries with a good token, by status and code
	repeats    int            // repeats of accepted deliveries
	early      int            // refusals of a new credential that a process did not know yet
	deliveries []time.Duration
	sends      []time.Duration
	messages   []sent
	faults     []string // faults found so far
	samples    []sample
	pids       map[int]bool

	heard     heard
	listening sync.WaitGroup
	stop      context.CancelFunc // ends the listening
}

// credential is a token in use and, after a rotation, the other one that is accepted too.
type credential struct {
	now, other string
	switched   bool // now is the new one
}

// run returns an error if the load could not be generated, or the audit found a fault.
func run(ctx context.Context, root string, length time.Duration, out, logs io.Writer) error {
	if length < shortest {
		return fmt.Errorf("a soak lasts at least %v", shortest)
	}
	s, err := open(ctx, root, length, out, logs)
	if err != nil {
		return err
	}
	defer s.close()
	s.say("Load for %v on %s ...", length, s.stack.APIURL)
	s.load(ctx)
	if ctx.Err() != nil {
		return errors.New("the soak was interrupted")
	}
	if err := s.settle(ctx); err != nil {
		return err
	}
	s.report()
	if err := s.audit(ctx); err != nil {
		return err
	}
	s.stack.Close()
	s.leaked()
	if len(s.faults) > 0 {
		for _, f := range s.faults {
			s.say("FAULT: %s", f)
		}
		return fmt.Errorf("the audit found %d faults", len(s.faults))
	}
	s.say("The audit is clean.")
	return nil
}

// open starts a stack whose Gateway misbehaves. logs may be nil. Call close.
func open(ctx context.Context, root string, length time.Duration, out, logs io.Writer) (_ *soak, err error) {
	s := &soak{
		out: out, length: length, answers: map[string]int{}, pids: map[int]bool{}, heard: heard{events: map[string]int{}},
		client: resty.NewWithClient(&http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 32}}),
	}
	s.stack, err = stack.Start(ctx, stack.Options{Root: root, Logs: logs, Progress: func(line string) { s.say("%s", line) }})
	if err != nil {
		return nil, err
	}
	listening, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	s.listening.Go(func() { s.follow(listening) })
	s.webhook.now, _ = s.stack.Secrets.Current(stack.WebhookSecret)
	s.sender.now = s.stack.ClientKey()
	err = errors.Join(s.stack.Gateway.SetFaults(gatewayFaults), s.stack.Gateway.SetCallbacks(connexease.Callbacks{Shuffle: true, Repeat: 1, DelayMS: 20}))
	if err != nil {
		s.close()
	}
	return s, err
}

func (s *soak) close() {
	s.stop()
	s.listening.Wait()
	s.stack.Close()
	s.client.GetClient().CloseIdleConnections()
}

func (s *soak) say(format string, values ...any) {
	s.saying.Lock()
	defer s.saying.Unlock()
	_, _ = fmt.Fprintf(s.out, format+"\n", values...)
}

// fault records a fault. It keeps the first few only.
func (s *soak) fault(format string, values ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	const most = 20
	if len(s.faults) < most {
		s.faults = append(s.faults, fmt.Sprintf(format, values...))
	}
}

// every calls do at about this interval until ctx ends. The jitter keeps loaders out of step.
func every(ctx context.Context, interval time.Duration, do func()) {
	for {
		if pause.For(ctx, interval/2+rand.N(interval)) != nil {
			return
		}
		do()
	}
}
