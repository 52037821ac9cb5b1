package secret

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestASecretCannotBePrinted(t *testing.T) {
	v := NewValue("open sesame")
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "v", v, "p", &v, "s", []Value{v})
	asJSON, err := json.Marshal(map[string]any{"v": v, "p": &v, "s": []Value{v}})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{fmt.Sprint(v, &v), fmt.Sprintf("%v %+v %#v %s %q %x %d", v, v, v, v, v, v, v), fmt.Sprintf("%+v", struct{ V Value }{v}), string(asJSON), log.String()} {
		if strings.Contains(text, "sesame") || !strings.Contains(text, "secret") || strings.Contains(text, fmt.Sprintf("%x", "sesame")) {
			t.Errorf("printed as %s", text)
		}
	}
	if v.Reveal() != "open sesame" {
		t.Error("it cannot be revealed")
	}
}

func TestNameTakesTheAccountOutOfAnARN(t *testing.T) {
	for id, want := range map[string]string{
		"webhook": "webhook", "my-secret-abcdef": "my-secret-abcdef",
		"arn:aws:secretsmanager:eu-west-1:123456789012:secret:dev-Webhook-AbCdEf": "dev-Webhook",
		"arn:aws:secretsmanager:eu-west-1:123456789012:secret:plain":              "plain",
	} {
		if got := Name(id); got != want {
			t.Errorf("%s: got %s, want %s", id, got, want)
		}
	}
}

// loader counts loads and returns what it is set to.
type loader struct {
	calls atomic.Int64
	err   atomic.Pointer[error]
	lasts time.Duration
}

func (l *loader) load(ctx context.Context) (int64, error) {
	n := l.calls.Add(1)
	select {
	case <-time.After(l.lasts):
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	if err := l.err.Load(); err != nil {
		return 0, *err
	}
	return n, nil
}

func (l *loader) fail(err error) { l.err.Store(&err) }

// pass lets time go by on the test's own clock.
func pass(d time.Duration) { <-time.After(d) }

var errAway = errors.New("away")

func TestManyCallersShareOneLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &loader{lasts: 100 * time.Millisecond}
		c := NewCache(l.load, DefaultLimits, time.Now)
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				if v, stale, err := c.Get(t.Context()); v != 1 || stale != 0 || err != nil {
					t.Errorf("got %d, %v, %v", v, stale, err)
				}
			})
		}
		all.Wait()
		if l.calls.Load() != 1 {
			t.Errorf("%d loads", l.calls.Load())
		}
	})
}

func TestACallersContextEndsItsWaitOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &loader{lasts: time.Second}
		c := NewCache(l.load, DefaultLimits, time.Now)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		if _, _, err := c.Get(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the short caller: %v", err)
		}
		if v, _, err := c.Get(t.Context()); v != 1 || err != nil {
			t.Errorf("the patient caller: %d, %v", v, err)
		}
		if l.calls.Load() != 1 {
			t.Errorf("%d loads", l.calls.Load())
		}
	})
}

func TestAStaleValueServesUntilItsBoundAndNoLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &loader{}
		c := NewCache(l.load, DefaultLimits, time.Now)
		if _, _, err := c.Get(t.Context()); err != nil {
			t.Fatal(err)
		}
		l.fail(errAway)
		pass(10 * time.Minute)
		v, stale, err := c.Get(t.Context())
		if v != 1 || err != nil || stale < 5*time.Minute || stale > 6*time.Minute {
			t.Errorf("got %d, %v, %v", v, stale, err)
		}
		calls := l.calls.Load()
		for range 20 {
			_, _, _ = c.Get(t.Context())
		}
		if l.calls.Load() != calls {
			t.Error("a failed load is repeated without a pause")
		}
		pass(DefaultLimits.MaxStale)
		if v, _, err := c.Get(t.Context()); v != 0 || !errors.Is(err, errAway) {
			t.Errorf("past the bound: %d, %v", v, err)
		}
		l.lasts = time.Hour
		pass(DefaultLimits.Retry)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, _, err := c.Get(ctx); err == nil {
			t.Error("past the bound and out of time, there is no error")
		}
		pass(DefaultLimits.Load) // the load that is under way ends
	})
}

func TestACallerWithAStaleValueWaitsShortlyForAFreshOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &loader{}
		c := NewCache(l.load, DefaultLimits, time.Now)
		_, _, _ = c.Get(t.Context())
		pass(6 * time.Minute)
		l.lasts = 2 * time.Second
		start := time.Now()
		if v, stale, err := c.Get(t.Context()); v != 1 || stale == 0 || err != nil || time.Since(start) != DefaultLimits.Wait {
			t.Errorf("got %d, %v, %v after %v", v, stale, err, time.Since(start))
		}
		pass(2 * time.Second)
		if v, stale, err := c.Get(t.Context()); v != 2 || stale != 0 || err != nil {
			t.Errorf("then %d, %v, %v", v, stale, err)
		}
	})
}
