// Package bounded does several things at once, but not too many.
package bounded

import "sync"

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
