package secret

import (
	"sync"
	"time"
)

// Cooldown lets something happen a few times at once and then once in a time: bad tokens
// and refused keys must not cause calls.
type Cooldown struct {
	every time.Duration
	burst int
	now   func() time.Time

	mu   sync.Mutex
	free time.Time // when the whole burst is available
}

// NewCooldown returns a Cooldown that allows burst times at once and one more each time
// that every has passed.
func NewCooldown(every time.Duration, burst int, now func() time.Time) *Cooldown {
	return &Cooldown{every: every, burst: burst, now: Wall(now)}
}

// Allow reports whether it may happen now, and counts it if so.
func (c *Cooldown) Allow() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	longest := time.Duration(c.burst) * c.every
	if c.free.Before(now) || c.free.Sub(now) > longest { // the clock was set back
		c.free = now
	}
	next := c.free.Add(c.every)
	if next.Sub(now) > longest {
		return false
	}
	c.free = next
	return true
}
