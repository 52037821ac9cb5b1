// Package frozen makes the clock of a process that Lambda had frozen: its wall clock has gone
// on, its monotonic clock has not.
package frozen

import (
	"sync/atomic"
	"time"
	"unsafe"
)

// Clock is such a clock. The zero Clock was never frozen.
type Clock struct{ by atomic.Int64 }

// Freeze lets d pass by the wall clock alone.
func (c *Clock) Freeze(d time.Duration) { c.by.Add(int64(d)) }

// Now returns the time. Of two of its times, Sub and Before count by the monotonic clock, as
// package time prefers it.
func (c *Clock) Now() time.Time {
	d := time.Duration(c.by.Load())
	now := time.Now()
	t := now.Add(d)
	// Package time has no way to move one reading alone; this is time.Time's layout.
	(*struct {
		wall uint64
		ext  int64
		loc  *time.Location
	})(unsafe.Pointer(&t)).ext -= int64(d) // #nosec G103 -- test code; checked below
	if t.Sub(now) != 0 || t.Round(0).Sub(now.Round(0)) != d {
		panic("frozen: time.Time has another layout")
	}
	return t
}
