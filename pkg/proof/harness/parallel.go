package harness

import (
	"os"
	"sync"
	"testing"
)

var environment sync.Mutex

// WithEnvironment sets variables while it calls what reads them, for tests that run at the same
// time.
func WithEnvironment(values map[string]string, during func()) {
	environment.Lock()
	defer environment.Unlock()
	for name, value := range values {
		if before, was := os.LookupEnv(name); was {
			defer func() { _ = os.Setenv(name, before) }()
		} else {
			defer func() { _ = os.Unsetenv(name) }()
		}
		_ = os.Setenv(name, value)
	}
	during()
}

// AtOnce runs a subtest for each case, all at the same time: they wait rather than compute.
func AtOnce[C any](t *testing.T, cases map[string]C, run func(*testing.T, C)) {
	t.Helper()
	var all sync.WaitGroup
	for name, c := range cases {
		all.Go(func() { t.Run(name, func(t *testing.T) { run(t, c) }) })
	}
	all.Wait()
}
