package secret

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// Limits of a Cache. All are above zero.
type Limits struct {
	TTL      time.Duration // how long a value is fresh; up to a tenth less at random
	MaxStale time.Duration // how long after its TTL a value is still used while loading fails
	Wait     time.Duration // how long a caller with a stale value waits for a fresh one
	Retry    time.Duration // pause after a failed load; at most a second where no value can be used
	Load     time.Duration // how long one load may last
}

// With DefaultLimits a changed secret is in use everywhere within six minutes, and a
// day's outage of Secrets Manager does not reach the callers.
var DefaultLimits = Limits{
	TTL: 5 * time.Minute, MaxStale: 24 * time.Hour, Wait: 500 * time.Millisecond,
	Retry: 15 * time.Second, Load: 3 * time.Second,
}

// Cache keeps what load returns. At most one load runs at a time; every caller
// waits for it no longer than its own context allows.
type Cache[T any] struct {
	load   func(context.Context) (T, error)
	limits Limits
	now    func() time.Time

	mu      sync.Mutex
	value   T
	have    bool
	began   time.Time // the load that returned value
	expires time.Time
	failed  time.Time
	err     error
	flight  chan struct{} // closed when the load under way has ended; nil without one
}

// NewCache returns an empty cache. Nothing is loaded before the first Get.
func NewCache[T any](load func(context.Context) (T, error), limits Limits, now func() time.Time) *Cache[T] {
	return &Cache[T]{load: load, limits: limits, now: Wall(now)}
}

// Get returns the value and for how long it has been past its TTL: zero where it
// is fresh. Where no value can be used, it returns the last load's error, or the
// context's.
func (c *Cache[T]) Get(ctx context.Context) (value T, stale time.Duration, err error) {
	c.mu.Lock()
	now := c.now()
	if c.have && now.Before(c.expires) {
		defer c.mu.Unlock()
		return c.value, 0, nil
	}
	usable := c.usable(now)
	pause := c.limits.Retry
	if !usable {
		pause = min(pause, time.Second)
	}
	if c.flight == nil && c.err != nil && now.Before(c.failed.Add(pause)) {
		defer c.mu.Unlock()
		return c.result(now, nil)
	}
	flight := c.start(ctx)
	c.mu.Unlock()

	if usable {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.limits.Wait)
		defer cancel()
	}
	return c.wait(ctx, flight)
}

// Refresh loads now, or waits for the load that is under way, and returns as Get
// does.
func (c *Cache[T]) Refresh(ctx context.Context) (value T, stale time.Duration, err error) {
	c.mu.Lock()
	flight := c.start(ctx)
	c.mu.Unlock()
	return c.wait(ctx, flight)
}

// Began returns when the load began that returned the value; zero before the first.
func (c *Cache[T]) Began() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.began
}

func (c *Cache[T]) wait(ctx context.Context, flight <-chan struct{}) (T, time.Duration, error) {
	var late error
	select {
	case <-flight:
	case <-ctx.Done():
		late = ctx.Err()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.result(c.now(), late)
}

func (c *Cache[T]) usable(now time.Time) bool {
	return c.have && now.Before(c.expires.Add(c.limits.MaxStale))
}

// result returns the value where it may be used, else why there is none.
func (c *Cache[T]) result(now time.Time, late error) (value T, stale time.Duration, err error) {
	switch {
	case c.usable(now):
		return c.value, max(0, now.Sub(c.expires)), nil
	case late != nil:
		return value, 0, late
	}
	return value, 0, c.err
}

// start begins a load unless one is under way. The load outlives the caller that
// began it, because others wait for it too.
func (c *Cache[T]) start(ctx context.Context) <-chan struct{} {
	if c.flight != nil {
		return c.flight
	}
	flight := make(chan struct{})
	c.flight = flight
	began := c.now()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.limits.Load)
	go func() {
		defer cancel()
		value, err := c.load(ctx)
		c.mu.Lock()
		defer c.mu.Unlock()
		now := c.now()
		if c.err = err; err == nil {
			jitter := time.Duration(rand.Int64N(int64(c.limits.TTL)/10 + 1)) // #nosec G404 -- spreads loads, keeps nothing secret
			c.value, c.have, c.began, c.expires = value, true, began, now.Add(c.limits.TTL-jitter)
		} else {
			c.failed = now
		}
		c.flight = nil
		close(flight)
	}()
	return flight
}
