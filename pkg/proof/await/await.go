// Package await waits in tests for what other processes and goroutines do.
package await

import (
	"context"
	"testing"
	"time"

	"connexease-functions/pkg/local/pause"
)

// patience is much longer than anything takes on a busy machine: it only bounds a test that has
// failed.
const patience = 2 * time.Minute

// Until returns once a condition holds; what says in words what it is.
func Until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if !pause.Until(ctx, 5*time.Millisecond, holds) {
		t.Fatalf("waited too long until %s", what)
	}
}
