package main

import (
	"context"

	"connexease-functions/pkg/secret"
)

// apiKey is the Gateway's API key.
type apiKey struct {
	cache *secret.Cache[secret.Value]
	early *secret.Cooldown // of refreshes after a refusal
}

// replacement returns a different key than the one that the Gateway refused, if there is one by
// now.
func (k *apiKey) replacement(ctx context.Context, refused secret.Value) (secret.Value, bool) {
	get := k.cache.Get
	if k.early.Allow() {
		get = k.cache.Refresh
	}
	v, _, err := get(ctx)
	return v, err == nil && v != refused
}
