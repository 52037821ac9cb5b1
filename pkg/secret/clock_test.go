package secret

import (
	"testing"
	"time"

	"connexease-functions/pkg/proof/frozen"
)

func TestTimeCountsWhileTheProcessIsFrozen(t *testing.T) {
	clock := &frozen.Clock{}
	l := &loader{}
	c := NewCache(l.load, DefaultLimits, clock.Now)
	get := func(what string, want int64, stale bool) {
		t.Helper()
		if v, late, err := c.Get(t.Context()); v != want || late > 0 != stale || err != nil {
			t.Errorf("%s: %d, %v past its time, %v", what, v, late, err)
		}
	}
	get("first", 1, false)
	clock.Freeze(4 * time.Minute)
	get("within the time to live", 1, false)
	clock.Freeze(time.Minute)
	get("after it", 2, false)

	l.fail(errAway)
	clock.Freeze(5 * time.Minute)
	get("stale", 2, true)
	calls := l.calls.Load()
	get("within the pause after a failure", 2, true)
	if l.calls.Load() != calls {
		t.Error("a failed load is repeated without a pause")
	}
	clock.Freeze(DefaultLimits.Retry)
	get("after the pause", 2, true)
	if l.calls.Load() != calls+1 {
		t.Error("the pause after a failed load outlasts a freeze")
	}
	clock.Freeze(DefaultLimits.MaxStale)
	if _, _, err := c.Get(t.Context()); err == nil {
		t.Error("a value serves past its bound")
	}

	cooldown := NewCooldown(time.Minute, 1, clock.Now)
	for i, want := range []bool{true, false, true, false} {
		if cooldown.Allow() != want {
			t.Errorf("call %d: %t", i, !want)
		}
		if i == 1 {
			clock.Freeze(time.Minute)
		}
	}
}

func TestACooldownHasItsBurstAndThenItsPace(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	c := NewCooldown(time.Second, 3, func() time.Time { return now })
	allowed := func(times int) (n int) {
		for range times {
			if c.Allow() {
				n++
			}
		}
		return n
	}
	for i, step := range []struct {
		passes time.Duration
		want   int
	}{{0, 3}, {0, 0}, {999 * time.Millisecond, 0}, {time.Millisecond, 1}, {2 * time.Second, 2}, {time.Hour, 3}, {-time.Hour, 3}, {0, 0}} {
		now = now.Add(step.passes)
		if n := allowed(10); n != step.want {
			t.Errorf("step %d: %d of 10, want %d", i, n, step.want)
		}
	}
}
