package harness

import (
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"connexease-functions/pkg/proof/await"
)

func TestTheEnvironmentIsOfOneAtATimeAndIsPutBack(t *testing.T) {
	t.Setenv("HARNESS_WAS", "before")
	read := func() string {
		one, _ := os.LookupEnv("HARNESS_WAS")
		two, there := os.LookupEnv("HARNESS_NEW")
		if !there {
			two = "none"
		}
		return one + " " + two
	}
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			own := Name("own")
			WithEnvironment(map[string]string{"HARNESS_WAS": own, "HARNESS_NEW": own}, func() {
				if got := read(); got != own+" "+own {
					t.Errorf("%s reads %s", own, got)
				}
			})
		})
	}
	all.Wait()
	if got := read(); got != "before none" {
		t.Errorf("after that it is %s", got)
	}
}

func TestAllCasesRunAtOnce(t *testing.T) {
	var met atomic.Int64
	AtOnce(t, map[string]int{"one": 1, "two": 2, "three": 3}, func(t *testing.T, _ int) {
		met.Add(1)
		await.Until(t, "all have begun", func() bool { return met.Load() == 3 })
	})
}
