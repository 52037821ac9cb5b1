// Package sqs simulates SQS on a laptop, with the event source mapping that invokes a Lambda
// function with a queue's messages, which no other emulator offers offline.
package sqs

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"sync"
	"sync/atomic"
	"time"
)

const (
	region  = "us-east-1"
	account = "000000000000"

	// AWS: Amazon SQS message quotas.
	maxMessageBytes = 1 << 20
	maxDelay        = 15 * time.Minute
	maxVisibility   = 12 * time.Hour
	maxRetention    = 14 * 24 * time.Hour
	maxWait         = 20 * time.Second
	maxBatch        = 10
	maxReceives     = 1000
)

var queueName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,80}$`)

// QueueConfig describes a standard queue as template.yaml does. Zero values mean AWS's defaults:
// visibility 30 s, retention 4 days, no delay, no dead-letter queue.
type QueueConfig struct {
	Name              string
	VisibilityTimeout time.Duration // up to 12 h
	Delay             time.Duration // of messages without a delay of their own; up to 15 min
	Retention         time.Duration // 1 min to 14 days
	DeadLetter        string        // name of the queue for messages that were received too often
	MaxReceiveCount   int           // 1 to 1,000, with DeadLetter
}

// Depth counts a queue's messages by state.
type Depth struct {
	Visible  int `json:"visible"`
	InFlight int `json:"in_flight"`
	Delayed  int `json:"delayed"`
}

// Server holds queues in memory and is their http.Handler.
type Server struct {
	now  func() time.Time
	away atomic.Bool

	mu      sync.Mutex
	queues  map[string]*queue
	base    string
	changed chan struct{} // closed at each change that may concern a waiting receiver
}

// New returns a server without queues. Waits use the time package's timers, so pass time.Now in a
// testing/synctest bubble; with a different clock, call Wake after moving it.
func New(now func() time.Time) *Server {
	return &Server{now: now, queues: map[string]*queue{}, base: "http://127.0.0.1", changed: make(chan struct{})}
}

// AddQueue adds a queue; add a dead-letter queue before the queues that name it. The error lists
// everything that AWS would refuse.
func (s *Server) AddQueue(c QueueConfig) error {
	c.VisibilityTimeout = cmp.Or(c.VisibilityTimeout, 30*time.Second)
	c.Retention = cmp.Or(c.Retention, 4*24*time.Hour)
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []error
	check := func(ok bool, what string) {
		if !ok {
			all = append(all, fmt.Errorf("queue %q: %s", c.Name, what))
		}
	}
	check(queueName.MatchString(c.Name), "name must be 1 to 80 letters, digits, - and _")
	check(s.queues[c.Name] == nil, "it already exists")
	check(c.VisibilityTimeout >= 0 && c.VisibilityTimeout <= maxVisibility, "visibility timeout must be between 0 and 12 h")
	check(c.Delay >= 0 && c.Delay <= maxDelay, "delay must be between 0 and 15 min")
	check(c.Retention >= time.Minute && c.Retention <= maxRetention, "retention must be between 1 min and 14 days")
	if c.DeadLetter != "" {
		check(s.queues[c.DeadLetter] != nil, "its dead-letter queue does not exist")
		check(c.MaxReceiveCount >= 1 && c.MaxReceiveCount <= maxReceives, "maxReceiveCount must be between 1 and 1,000")
	}
	if len(all) > 0 {
		return errors.Join(all...)
	}
	s.queues[c.Name] = &queue{QueueConfig: c, created: s.now(), byID: map[string]*message{}}
	return nil
}

// SetBase sets the address that queue URLs start with, such as http://127.0.0.1:9324.
func (s *Server) SetBase(url string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.base = url
}

// URL returns a queue's URL under the base.
func (s *Server) URL(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return queueURL(s.base, name)
}

func queueURL(base, name string) string { return base + "/" + account + "/" + name }

// ARN returns a queue's ARN.
func ARN(name string) string { return "arn:aws:sqs:" + region + ":" + account + ":" + name }

// Depth returns the depth of a queue; zero for an unknown one.
func (s *Server) Depth(name string) Depth {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.queues[name]
	if q == nil {
		return Depth{}
	}
	return q.depth(s.now())
}

// Idle reports whether a queue holds no message, visible, in flight or delayed.
func (s *Server) Idle(name string) bool { return s.Depth(name) == Depth{} }

// Away makes every call fail as if the service were down, until it is reset. Mappings keep polling.
func (s *Server) Away(away bool) { s.away.Store(away) }

// Wake makes waiting receivers check again, after the clock was moved.
func (s *Server) Wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wake()
}

// EndVisibility makes every message of a queue visible now, as if visibility timeouts and delays
// had passed; but none that a mapping's function has in hand, which ends before the timeout does (AWS:
// Using Lambda with Amazon SQS). It would be received again, and its deletion be void.
func (s *Server) EndVisibility(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, now := s.queues[name], s.now()
	if q == nil {
		return
	}
	for _, m := range q.messages {
		if m.visibleAt.After(now) && m.handled == 0 {
			m.visibleAt, m.inFlight = now, false
		}
	}
	s.wake()
}

func (s *Server) wake() {
	close(s.changed)
	s.changed = make(chan struct{})
}
