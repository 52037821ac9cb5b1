package ledger

import (
	"os"
	"runtime"
	"runtime/debug"
	"testing"
)

// The search throws away millions of small worlds and keeps almost nothing: collecting
// rarely makes it several times faster, as long as there is memory.
func TestMain(m *testing.M) {
	debug.SetGCPercent(2000)
	debug.SetMemoryLimit(2 << 30)
	runtime.MemProfileRate = 0 // sampling what is thrown away took a seventh of the time
	os.Exit(m.Run())
}
