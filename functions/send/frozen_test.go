package main

import (
	"testing"
	"time"

	"connexease-functions/pkg/local/sim/connexease"
	"connexease-functions/pkg/proof/frozen"
	"connexease-functions/pkg/proof/harness"
)

func TestWhatIsRememberedEndsOnTimeThoughTheProcessWasFrozen(t *testing.T) {
	w := newWorld(t)
	clock := &frozen.Clock{}
	w.clientsBy(clock.Now)
	responds(t, "before", w.as("Bearer client-key-old"), 200, "")
	harness.Backends.Secrets.Put(w.env["CLIENT_KEYS_SECRET_ID"], `{"crm":"`+clientKey+`"}`)
	clock.Freeze(5 * time.Minute)
	responds(t, "a revoked key after five minutes", w.as("Bearer client-key-old"), 401, "AUTH_001")

	calls := w.countCalls() // by a process of its own
	w.handler.now = clock.Now
	w.spoil(connexease.Fault{Kind: connexease.RateLimit, RetryAfter: "60s", Times: 1})
	now := func() string { return w.env["CLIENT_KEYS_SECRET_ID"] + clock.Now().Format(time.RFC3339Nano) }
	for i, c := range []struct {
		calls int64
		again int
	}{{1, 1}, {1, 1}, {2, 0}} {
		if again := w.batch([]any{w.record(now(), hello, clock.Now())}); len(again) != c.again || calls.Load() != c.calls {
			t.Errorf("record %d: %v retried after %d calls, logged %s", i, again, calls.Load(), w.logs.String())
		}
		if i == 1 {
			clock.Freeze(61 * time.Second)
		}
	}
}
