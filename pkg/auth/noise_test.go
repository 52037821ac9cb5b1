package auth

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"connexease-functions/pkg/proof/frozen"
	"connexease-functions/pkg/secret"
)

// source is a secret of two versions whose reading lasts a moment.
type source struct {
	mu    sync.Mutex
	now   func() time.Time
	lasts time.Duration
	calls atomic.Int64
	value map[string]secret.Version
}

func (s *source) put(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.value == nil {
		s.value = map[string]secret.Version{}
	}
	if v, is := s.value[secret.Current]; is {
		s.value[secret.Previous] = v
	}
	s.value[secret.Current] = secret.Version{Value: secret.NewValue(text), Created: s.now()}
}

func (s *source) Fetch(_ context.Context, stage string) (secret.Version, error) {
	s.calls.Add(1)
	s.mu.Lock()
	v, is := s.value[stage]
	s.mu.Unlock()
	if s.lasts > 0 {
		<-time.After(s.lasts)
	}
	if !is {
		return secret.Version{}, secret.ErrMissing
	}
	return v, nil
}

func TestANewKeyWorksAtOnceUnderAnyNoise(t *testing.T) {
	for name, c := range map[string]struct {
		token   func(n int) string
		every   time.Duration
		refused int // of the good requests, one each 20 ms
		calls   int64
	}{
		"one bad token, 60 a second":             {func(int) string { return "bad" }, time.Second / 60, 0, 5},
		"four bad tokens, 60 a second":           {func(n int) string { return fmt.Sprint("bad", n%4) }, time.Second / 60, 0, 16},
		"a new bad token each second":            {func(n int) string { return fmt.Sprint("bad", n) }, time.Second, 0, 70},
		"60 bad tokens a second, never the same": {func(n int) string { return fmt.Sprint("bad", n) }, time.Second / 60, 50, 70},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &source{lasts: 30 * time.Millisecond, now: time.Now}
				s.put(`{"crm":"old"}`)
				cache := secret.NewCache(Clients(s), secret.DefaultLimits, time.Now)
				v := NewVerifier(cache, time.Now)
				if _, err := v.Verify(t.Context(), "Bearer old"); err != nil {
					t.Fatal(err)
				}
				over := make(chan struct{})
				var noise sync.WaitGroup
				noise.Go(func() {
					for n := 0; ; n++ {
						select {
						case <-over:
							return
						case <-time.After(c.every):
						}
						if _, err := v.Verify(t.Context(), "Bearer "+c.token(n)); !errors.Is(err, ErrWrong) {
							t.Error(err)
						}
					}
				})
				<-time.After(30*time.Second + 300*time.Millisecond)
				s.put(`{"crm":["new","old"]}`)
				refused := 0
				for range 1500 {
					<-time.After(20 * time.Millisecond)
					if _, err := v.Verify(t.Context(), "Bearer new"); err != nil {
						refused++
					}
				}
				close(over)
				noise.Wait()
				t.Logf("%d of 1500 good requests refused, %d calls in a minute", refused, s.calls.Load())
				if refused > c.refused || s.calls.Load() > c.calls {
					t.Errorf("%d of 1500 good requests refused, at most %d allowed; %d calls, at most %d", refused, c.refused, s.calls.Load(), c.calls)
				}
			})
		})
	}
}

func TestATokenIsOnlyRememberedAsRefusedByAReadingThatBeganAfterItCame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{now: time.Now}
		s.put(`{"crm":"old"}`)
		cache := secret.NewCache(Clients(s), secret.DefaultLimits, time.Now)
		v := NewVerifier(cache, time.Now)
		if _, err := v.Verify(t.Context(), "Bearer old"); err != nil {
			t.Fatal(err)
		}
		s.lasts = time.Second
		var first sync.WaitGroup
		first.Go(func() { _, _ = v.Verify(t.Context(), "Bearer bad") })
		<-time.After(500 * time.Millisecond)
		s.put(`{"crm":"new"}`) // the reading under way has the old value
		if _, err := v.Verify(t.Context(), "Bearer new"); !errors.Is(err, ErrWrong) {
			t.Errorf("%v", err)
		}
		first.Wait()
		if _, err := v.Verify(t.Context(), "Bearer new"); err != nil {
			t.Errorf("a good key is remembered as refused: %v", err)
		}
		<-time.After(time.Minute) // more than a token is remembered for
		s.put(`{"crm":"bad"}`)
		if _, err := v.Verify(t.Context(), "Bearer bad"); err != nil {
			t.Errorf("a token is remembered for ever: %v", err)
		}
	})
}

func TestTheLastGoodSecretServesWhileTheNewOneCannotStandInAHeader(t *testing.T) {
	for _, bad := range []string{"two words", "\ufeffsecret", `{"key":"secret"}`, "line\nbreak", "schlüssel"} {
		synctest.Test(t, func(t *testing.T) {
			s := &source{now: time.Now}
			s.put("good")
			cache := secret.NewCache(Rotating(s, time.Hour, time.Now), secret.DefaultLimits, time.Now)
			v := NewVerifier(cache, time.Now)
			if _, err := v.Verify(t.Context(), "Bearer good"); err != nil {
				t.Fatal(err)
			}
			s.put(bad)
			<-time.After(10 * time.Minute)
			if r, err := v.Verify(t.Context(), "Bearer good"); err != nil || r.Stale == 0 {
				t.Errorf("%q: %+v %v", bad, r, err)
			}
			cold := NewVerifier(secret.NewCache(Rotating(s, time.Hour, time.Now), secret.DefaultLimits, time.Now), time.Now)
			if _, err := cold.Verify(t.Context(), "Bearer good"); !errors.Is(err, secret.ErrUnusable) {
				t.Errorf("%q in a new process: %v", bad, err)
			}
			s.put("better") // the bad one is the previous version now
			<-time.After(10 * time.Minute)
			if r, err := v.Verify(t.Context(), "Bearer better"); err != nil || r.Stale != 0 {
				t.Errorf("after %q: %+v %v", bad, r, err)
			}
		})
	}
}

func TestTheGraceOfThePreviousSecretCountsWhileTheProcessIsFrozen(t *testing.T) {
	clock := &frozen.Clock{}
	s := &source{now: clock.Now}
	s.put("old")
	s.put("new")
	cache := secret.NewCache(Rotating(s, time.Minute, clock.Now), secret.DefaultLimits, clock.Now)
	v := NewVerifier(cache, clock.Now)
	if _, err := v.Verify(t.Context(), "Bearer old"); err != nil {
		t.Error(err)
	}
	clock.Freeze(2 * time.Minute) // the cache is fresh still
	if _, err := v.Verify(t.Context(), "Bearer old"); !errors.Is(err, ErrWrong) {
		t.Errorf("after the grace: %v", err)
	}
	// So do the memory of refused tokens and the pace of early refreshes.
	calls := s.calls.Load()
	clock.Freeze(time.Minute)
	if _, _ = v.Verify(t.Context(), "Bearer old"); s.calls.Load() == calls {
		t.Error("a token is remembered by the clock that stands still")
	}
}
