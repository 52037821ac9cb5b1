package secret

import (
	"sync"
	"time"
)

// Cooldown lets something happen at most once in a time: bad tokens and refused keys
// must buy no calls.
type Cooldown struct {
	every time.Duration
	now   func() time.Time

	mu   sync.Mutex
	last time.Time
}

// NewCooldown returns a Cooldown that is ready.
func NewCooldown(every time.Duration, now func() time.Time) *Cooldown {
	return &Cooldown{every: every, now: now}
}

// Ready tells whether it may happen now, and begins the next cooldown if so.
func (c *Cooldown) Ready() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if !c.last.IsZero() && now.Before(c.last.Add(c.every)) {
		return false
	}
	c.last = now
	return true
}
