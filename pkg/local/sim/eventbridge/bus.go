// Package eventbridge simulates an EventBridge event bus on a laptop: it accepts events, keeps the
// most recent ones, and runs rules that target a queue.
package eventbridge

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"time"

	"connexease-functions/pkg/local/sim/pipes"
	"connexease-functions/pkg/local/sim/uuid"
)

const (
	region  = "us-east-1"
	account = "000000000000"
	// kept is how many events are kept. Slower followers miss some, and get ErrMissed.
	kept = 10_000
	// maxDetailType is AWS's, in characters.
	maxDetailType = 128
)

// Event is an event as rules' targets get it (Amazon EventBridge: "AWS service event metadata").
type Event struct {
	Version    string          `json:"version"`
	ID         string          `json:"id"`
	DetailType string          `json:"detail-type"`
	Source     string          `json:"source"`
	Account    string          `json:"account"`
	Time       string          `json:"time"`
	Region     string          `json:"region"`
	Resources  []string        `json:"resources"`
	Detail     json.RawMessage `json:"detail"`

	ingested string // when the bus received it, as opposed to the sender's Time
}

// JSON returns the whole envelope.
func (e Event) JSON() []byte {
	text, _ := json.Marshal(e) // the detail is valid JSON
	return text
}

// Failure says why an entry was refused.
type Failure struct{ Code, Message string }

func (f *Failure) Error() string { return f.Code + ": " + f.Message }

// Server is one bus, and its http.Handler.
type Server struct {
	name string
	now  func() time.Time

	mu      sync.Mutex
	events  []Event // the most recent ones
	gone    int     // how many came before them
	changed chan struct{}
	refuse  func(pipes.Entry) error
	rules   map[string]*rule
	running sync.WaitGroup
	ended   context.Context
	end     context.CancelFunc
}

// New returns an empty bus.
func New(name string, now func() time.Time) *Server {
	s := &Server{name: name, now: now, changed: make(chan struct{}), rules: map[string]*rule{}}
	s.ended, s.end = context.WithCancel(context.Background())
	return s
}

// Close ends the rules.
func (s *Server) Close() {
	s.end()
	s.running.Wait()
}

// Name returns the bus's name.
func (s *Server) Name() string { return s.name }

// ARN returns the ARN of a bus.
func ARN(name string) string {
	return "arn:aws:events:" + region + ":" + account + ":event-bus/" + name
}

// Refuse makes the bus refuse the entries for which f returns an error; nil ends that.
func (s *Server) Refuse(f func(pipes.Entry) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse = f
}

// Put accepts or refuses each entry on its own; the errors are in the entries' order, nil for those
// accepted.
func (s *Server) Put(_ context.Context, entries []pipes.Entry) (failed []error) {
	for _, e := range entries {
		_, err := s.put(e)
		failed = append(failed, err)
	}
	return failed
}

func (s *Server) put(e pipes.Entry) (id string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.check(e); err != nil {
		return "", err
	}
	now := s.now()
	at := e.Time
	if at.IsZero() {
		at = now
	}
	id = uuid.New()
	s.events = append(s.events, Event{
		Version: "0", ID: id, DetailType: e.DetailType, Source: e.Source, Account: account, Region: region, Time: at.UTC().Format(time.RFC3339),
		Resources: append([]string{}, e.Resources...), Detail: json.RawMessage(e.Detail), ingested: now.UTC().Format(time.RFC3339),
	})
	if more := len(s.events) - kept; more > 0 {
		s.events, s.gone = s.events[more:], s.gone+more
	}
	close(s.changed)
	s.changed = make(chan struct{})
	return id, nil
}

func (s *Server) check(e pipes.Entry) error {
	if s.refuse != nil {
		if err := s.refuse(e); err != nil {
			return err
		}
	}
	var detail map[string]json.RawMessage
	for _, one := range []struct{ name, value string }{{"Source", e.Source}, {"DetailType", e.DetailType}, {"Detail", e.Detail}} {
		if one.value == "" {
			return &Failure{"InvalidArgument", "Parameter " + one.name + " is not valid. Reason: " + one.name + " is a required argument."}
		}
	}
	switch {
	case strings.HasPrefix(e.Source, "aws."): // reserved for AWS's own services
		return &Failure{"NotAuthorizedForSourceException", "Not authorized for the source."}
	case len(e.DetailType) > maxDetailType:
		return &Failure{"InvalidArgument", "Parameter DetailType is not valid. Reason: longer than 128 characters."}
	case json.Unmarshal([]byte(e.Detail), &detail) != nil || detail == nil:
		return &Failure{"MalformedDetail", "Detail is malformed."}
	case entrySize(e) > maxEntries:
		return &Failure{"InvalidArgument", "The entry is larger than 1 MB."}
	}
	return nil
}

// Seen returns how many events were accepted so far.
func (s *Server) Seen() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gone + len(s.events)
}

// Events returns the events that are kept, oldest first.
func (s *Server) Events() []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Event{}, s.events...)
}

// ErrMissed means that events were dropped between two calls of Next.
var ErrMissed = errors.New("events were missed: more than 10,000 came meanwhile")

// Next waits for events after the first seen ones, and returns them with the new count. With
// ErrMissed, it returns those that are still kept.
func (s *Server) Next(ctx context.Context, seen int) ([]Event, int, error) {
	for {
		s.mu.Lock()
		total, changed := s.gone+len(s.events), s.changed
		if total > seen {
			defer s.mu.Unlock()
			if seen < s.gone {
				return append([]Event{}, s.events...), total, ErrMissed
			}
			return append([]Event{}, s.events[seen-s.gone:]...), total, nil
		}
		s.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, seen, ctx.Err()
		}
	}
}
