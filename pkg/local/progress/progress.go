// Package progress says what is under way while it lasts, so that nobody takes a slow step for one
// that hangs.
package progress

import (
	"sync"
	"time"
)

// Interval is under the 5 seconds after which people begin to wonder.
const Interval = 4 * time.Second

// While runs do, and each Interval until it returns it passes say what there is to say after that
// long. say may be nil.
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
