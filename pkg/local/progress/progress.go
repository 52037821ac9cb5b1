// Package progress reports a slow step while it runs, so that it does not seem to hang.
package progress

import (
	"sync"
	"time"
)

// Interval stays under the 5 seconds after which users begin to wonder.
const Interval = 4 * time.Second

// While runs do, and at each Interval until it returns passes a line for the time so far to say.
// say may be nil.
func While(say func(string), what func(after time.Duration) string, do func() error) error {
	if say == nil {
		return do()
	}
	var speaking sync.WaitGroup
	ended := make(chan struct{})
	speaking.Go(func() {
		start, tick := time.Now(), time.NewTicker(Interval)
		defer tick.Stop()
		for {
			select {
			case <-ended:
				return
			case <-tick.C:
				say(what(time.Since(start).Round(time.Second)))
			}
		}
	})
	defer speaking.Wait()
	defer close(ended)
	return do()
}
