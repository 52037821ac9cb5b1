package await

import (
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

// recorder is a test that ends where it fails.
type recorder struct {
	testing.TB
	said string
}

func (r *recorder) Helper() {}

func (r *recorder) Fatalf(format string, values ...any) {
	r.said = fmt.Sprintf(format, values...)
	runtime.Goexit()
}

func TestAWaitEndsWithItsCondition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		started := time.Now()
		Until(t, "a second is over", func() bool { return time.Since(started) >= time.Second })
		if took := time.Since(started); took < time.Second || took > 2*time.Second {
			t.Errorf("it waited %v", took)
		}
	})
}

func TestAWaitInVainFailsItsTest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, started := &recorder{TB: t}, time.Now()
		ended := make(chan bool)
		go func() {
			defer close(ended)
			Until(r, "pigs fly", func() bool { return false })
			ended <- true
		}()
		if <-ended || r.said != "waited too long until pigs fly" || time.Since(started) < patience {
			t.Errorf("it says %q after %v", r.said, time.Since(started))
		}
	})
}
