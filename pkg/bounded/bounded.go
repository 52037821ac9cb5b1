// Package bounded does several things at once, but not too many.
package bounded

import (
	"context"
	"sync"

	"golang.org/x/sync/errgroup"
)

// Each calls do with every index below n, at most so many at a time, and returns once all have
// returned.
func Each(n, atOnce int, do func(i int)) {
	slots := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	for i := range n {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			do(i)
		})
	}
	all.Wait()
}

// Try calls do with every index below n, at most so many at a time, and returns the first error,
// which also ends the context of the others.
func Try(ctx context.Context, n, atOnce int, do func(ctx context.Context, i int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i := range n {
		group.Go(func() error { return do(ctx, i) })
	}
	return group.Wait()
}
