package secret

import "time"

// Wall returns a clock without the monotonic reading, which stops while Lambda has a process
// frozen: a time to live counted by it would outlive its minutes.
func Wall(now func() time.Time) func() time.Time {
	return func() time.Time { return now().Round(0) }
}
