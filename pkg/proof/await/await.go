// Package await waits in tests for what other processes and goroutines do.
package await

import (
	"testing"
	"time"
)

// patience is much longer than anything takes on a busy machine: it only bounds a test that has
// failed.
const patience = 2 * time.Minute

// Until returns once a condition holds; what says in words what it is.
func Until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	end := time.After(patience)
	for !holds() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("waited too long until %s", what)
		}
	}
}
