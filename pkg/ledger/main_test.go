package ledger

import (
	"os"
	"runtime/debug"
	"testing"
)

// The search throws away millions of small worlds and keeps almost nothing: collecting
// rarely makes it several times faster, as long as there is memory.
func TestMain(m *testing.M) {
	debug.SetGCPercent(2000)
	debug.SetMemoryLimit(2 << 30)
	os.Exit(m.Run())
}
