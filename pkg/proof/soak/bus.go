package main

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"connexease-functions/pkg/local/pause"
)

// heard counts the bus's events by the key of their item, and sends separately, as each settled
// attempt has one.
type heard struct {
	mu     sync.Mutex
	events map[string]int
	missed error
}

// follow reads the bus until ctx ends.
func (s *soak) follow(ctx context.Context) {
	for seen := 0; ; {
		events, now, err := s.stack.Bus.Next(ctx, seen)
		if ctx.Err() != nil {
			return
		}
		s.heard.mu.Lock()
		s.heard.missed = errors.Join(s.heard.missed, err)
		for _, e := range events {
			var d struct{ PK, SK, Kind string }
			if json.Unmarshal(e.Detail, &d) == nil && d.Kind != "send" {
				s.heard.events[d.PK+" "+d.SK]++
			}
		}
		s.heard.mu.Unlock()
		seen = now
	}
}

// count compares the events with the items that should have one each.
func (h *heard) count(items []string) (missing, doubled, foreign int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	expected := map[string]bool{}
	for _, key := range items {
		expected[key] = true
	}
	return compare(expected, h.events)
}

// auditBus waits until the pipe has published everything, and checks that it did so once.
func (s *soak) auditBus(ctx context.Context, t stored) {
	waiting, cancel := context.WithTimeout(ctx, receiptLimit)
	defer cancel()
	var missing, doubled, foreign int
	pause.Until(waiting, 100*time.Millisecond, func() bool {
		missing, doubled, foreign = s.heard.count(t.events)
		return missing == 0
	})
	s.say("%d items have an event on the bus: %d events are missing, %d were repeated, %d belong to no item", len(t.events), missing, doubled, foreign)
	if missing+doubled+foreign > 0 || s.heard.missed != nil {
		s.fault("the bus does not have each item's event exactly once: %v", s.heard.missed)
	}
}
