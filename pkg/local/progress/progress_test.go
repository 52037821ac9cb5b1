package progress

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestASlowStepIsReportedUntilItEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failed := errors.New("failed")
		var said []string
		err := While(func(line string) { said = append(said, line) }, func(after time.Duration) string { return fmt.Sprint("busy for ", after) }, func() error {
			<-time.After(13 * time.Second)
			return failed
		})
		<-time.After(time.Minute)
		if want := []string{"busy for 4s", "busy for 8s", "busy for 12s"}; err != failed || !slices.Equal(said, want) {
			t.Errorf("%v, said %q, want %q", err, said, want)
		}
		if err := While(nil, nil, func() error { return failed }); err != failed {
			t.Errorf("without a listener: %v", err)
		}
	})
}
