// Package pause waits where the wait must end with its context.
package pause

import (
	"context"
	"time"
)

// For waits for d. It returns the context's error if that ends first.
func For(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Until calls done at each interval until it returns true, and reports whether it did before the
// context ended.
func Until(ctx context.Context, interval time.Duration, done func() bool) bool {
	for !done() {
		if For(ctx, interval) != nil {
			return false
		}
	}
	return true
}
