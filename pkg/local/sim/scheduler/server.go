// Package scheduler simulates EventBridge Scheduler: one-time schedules that put a message into a
// queue, with faults and a time that can be moved on.
package scheduler

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	region  = "us-east-1"
	account = "000000000000"
)

// Schedule is a schedule that has not completed.
type Schedule struct {
	Name    string    `json:"name"`
	Group   string    `json:"group"`
	At      time.Time `json:"at"`
	Target  string    `json:"target"` // the queue's ARN
	Input   string    `json:"input"`
	Tries   int       `json:"tries"`   // how often the target failed
	Invoked bool      `json:"invoked"` // it has fired and is kept: ActionAfterCompletion is NONE

	in      input
	created time.Time
	next    time.Time // of the next try
}

// Faults are what callers and targets meet; the zero value ends them.
type Faults struct {
	Away  bool `json:"away"`  // every call fails, without an effect
	Lost  bool `json:"lost"`  // every call has its effect, and its response is lost
	Held  bool `json:"held"`  // no schedule fires
	Twice bool `json:"twice"` // each schedule fires twice: Scheduler delivers at least once
}

// Deliver puts a message into the queue with this ARN.
type Deliver func(ctx context.Context, queueARN, body string) error

// Server holds schedules in memory and is their http.Handler. Its methods may be called
// concurrently.
type Server struct {
	clock   func() time.Time
	deliver Deliver

	mu        sync.Mutex
	ahead     time.Duration
	groups    map[string]bool
	schedules map[string]*Schedule // by ARN
	faults    Faults
	changed   chan struct{} // closed at each change that may concern Run
}

// New returns a server with the group "default", as in AWS. After moving the clock, call Wake.
func New(clock func() time.Time, deliver Deliver) *Server {
	return &Server{
		clock: clock, deliver: deliver, groups: map[string]bool{defaultGroup: true},
		schedules: map[string]*Schedule{}, changed: make(chan struct{}),
	}
}

// AddGroup adds a schedule group.
func (s *Server) AddGroup(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.groups[name] = true
}

// SetFaults sets the faults.
func (s *Server) SetFaults(f Faults) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = f
	s.wake()
}

// Faults returns the faults.
func (s *Server) Faults() Faults {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.faults
}

// Advance moves the server's time on, so that schedules fire early for everyone else.
func (s *Server) Advance(by time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ahead += by
	s.wake()
}

// Now returns the server's time.
func (s *Server) Now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now()
}

func (s *Server) now() time.Time { return s.clock().Add(s.ahead) }

// Wake makes Run look at the clock again.
func (s *Server) Wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wake()
}

func (s *Server) wake() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// Schedules returns the schedules, the earliest first.
func (s *Server) Schedules() []Schedule {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := []Schedule{}
	for _, one := range s.schedules {
		all = append(all, *one)
	}
	slices.SortFunc(all, func(a, b Schedule) int {
		return cmp.Or(a.At.Compare(b.At), strings.Compare(a.Name, b.Name))
	})
	return all
}

// Run fires schedules until ctx ends. AWS fires within a minute after a schedule's time; this
// fires at that time.
func (s *Server) Run(ctx context.Context) {
	for ctx.Err() == nil {
		due, wait, changed := s.due()
		for _, one := range due {
			s.fire(ctx, one)
		}
		if len(due) > 0 {
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-changed:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// longestWait bounds how long Run waits where nothing is due.
const longestWait = time.Hour

// due returns the schedules whose time has come, and how long it takes until the next one's; at
// least a millisecond, so that Run does not spin on a stopped clock.
func (s *Server) due() (due []*Schedule, wait time.Duration, changed chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, wait := s.now(), longestWait
	for _, one := range s.schedules {
		switch {
		case s.faults.Held || one.Invoked || one.in.State == disabled:
		case one.next.After(now):
			wait = min(wait, one.next.Sub(now))
		default:
			due = append(due, one)
		}
	}
	return due, max(wait, time.Millisecond), s.changed
}

// fire delivers a schedule's input. A target that fails is tried again, each time after twice the
// wait, until the retry policy ends; then the input goes to the dead-letter queue (AWS: EventBridge
// Scheduler, "Configuring a dead-letter queue").
func (s *Server) fire(ctx context.Context, one *Schedule) {
	times := 1
	if s.Faults().Twice {
		times = 2
	}
	var err error
	for range times {
		if err = s.deliver(ctx, one.Target, one.Input); err != nil {
			break
		}
	}
	s.mu.Lock()
	tries, age := one.in.Target.retries()
	if err != nil && one.Tries < tries {
		one.Tries++
		one.next = s.now().Add(min(time.Second<<min(one.Tries-1, 6), time.Minute))
		if one.next.Sub(one.At) < age {
			s.mu.Unlock()
			return
		}
	}
	if one.in.ActionAfterCompletion == deleteAfter {
		delete(s.schedules, arn(one.Group, one.Name))
	}
	one.Invoked = true
	s.mu.Unlock()
	if dead := one.in.Target.DeadLetterConfig; err != nil && dead != nil {
		_ = s.deliver(ctx, dead.Arn, one.Input) // lost where that fails too, as in AWS
	}
}

func arn(group, name string) string {
	return "arn:aws:scheduler:" + region + ":" + account + ":schedule/" + group + "/" + name
}
