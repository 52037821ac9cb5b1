package ledger

import (
	"os"
	"runtime/debug"
	"testing"
)

// The search throws away millions of small worlds and keeps almost nothing: collecting
// rarely makes it several times faster.
func TestMain(m *testing.M) {
	debug.SetGCPercent(2000)
	os.Exit(m.Run())
}
