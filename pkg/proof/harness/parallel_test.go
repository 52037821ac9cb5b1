package harness

import (
	"os"
	"sync"
	"testing"
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
	var met sync.WaitGroup
	met.Add(3) // each waits for the others
	AtOnce(t, map[string]int{"one": 1, "two": 2, "three": 3}, func(*testing.T, int) {
		met.Done()
		met.Wait()
	})
}
