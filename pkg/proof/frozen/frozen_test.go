package frozen

import (
	"testing"
	"time"
)

func TestAFreezeMovesTheWallClockAlone(t *testing.T) {
	var c Clock
	before := c.Now()
	c.Freeze(time.Hour)
	after := c.Now()
	if wall := after.Round(0).Sub(before.Round(0)); wall < time.Hour {
		t.Errorf("by the wall clock %v have passed", wall)
	}
	if monotonic := after.Sub(before); monotonic < 0 || monotonic >= time.Hour {
		t.Errorf("by the monotonic clock %v have passed", monotonic)
	}
}
