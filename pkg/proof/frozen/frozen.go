// Package frozen provides the clock of a process that Lambda has frozen: its wall clock has
// advanced, its monotonic clock has not.
package frozen

import (
	"sync/atomic"
	"time"
	"unsafe"
)

// Clock is such a clock. The zero Clock was never frozen.
type Clock struct{ by atomic.Int64 }

// Freeze advances the wall clock alone by d.
func (c *Clock) Freeze(d time.Duration) { c.by.Add(int64(d)) }

// Now returns the time. Sub and Before of its times use the monotonic clock, as package time
// prefers it.
func (c *Clock) Now() time.Time {
	d := time.Duration(c.by.Load())
	now := time.Now()
	t := now.Add(d)
	// Package time cannot move one reading alone; this is time.Time's layout.
	(*struct {
		wall uint64
		ext  int64
		loc  *time.Location
	})(unsafe.Pointer(&t)).ext -= int64(d) // #nosec G103 -- test code; checked below
	if t.Sub(now) != 0 || t.Round(0).Sub(now.Round(0)) != d {
		panic("frozen: time.Time has a different layout")
	}
	return t
}
