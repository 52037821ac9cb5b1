package main

import (
	"context"
	"sync"
	"time"

	"connexease-functions/pkg/secret"
)

// apiKey is the Gateway's API key.
type apiKey struct {
	cache *secret.Cache[secret.Value]
	now   func() time.Time

	mu    sync.Mutex
	early time.Time // when a refusal last refreshed
}

// other returns another key than one that the Gateway refused, if there is one by
// now. It refreshes at most once per cooldown: a wrong key buys no calls.
func (k *apiKey) other(ctx context.Context, refused secret.Value) (secret.Value, bool) {
	get := k.cache.Get
	if k.mayRefresh() {
		get = k.cache.Refresh
	}
	v, _, err := get(ctx)
	return v, err == nil && v != refused
}

func (k *apiKey) mayRefresh() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.now()
	if !k.early.IsZero() && now.Before(k.early.Add(keyCooldown)) {
		return false
	}
	k.early = now
	return true
}
