package bounded

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestEachIsDoneOnceAndNoMoreAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var done []int
		now, most := 0, 0
		started := time.Now()
		Each(10, 3, func(i int) {
			mu.Lock()
			now++
			most = max(most, now)
			done = append(done, i)
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			now--
			mu.Unlock()
		})
		slices.Sort(done)
		if most != 3 || now != 0 || !slices.Equal(done, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}) {
			t.Errorf("%d at a time, %d go on, done were %v", most, now, done)
		}
		if took := time.Since(started); took != 4*time.Second {
			t.Errorf("ten in threes took %v of a second each", took)
		}
	})
	Each(0, 3, func(int) { t.Error("nothing is to be done") })
}

func TestTheFirstErrorIsReturnedAndEndsTheOthers(t *testing.T) {
	broken := errors.New("broken")
	err := Try(t.Context(), 3, 3, func(ctx context.Context, i int) error {
		if i == 1 {
			return broken
		}
		<-ctx.Done()
		return ctx.Err()
	})
	if !errors.Is(err, broken) {
		t.Errorf("returned %v", err)
	}
}
