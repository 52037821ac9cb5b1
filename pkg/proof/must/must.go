// Package must ends a run of a proof or a measurement at its first error: nothing that follows
// would mean anything. Deferred functions still end what was started.
package must

import "fmt"

// stopped is what a run that has ended panics with, and nothing else does.
type stopped struct{ error }

// OK ends the run if there is an error.
func OK(err error) {
	if err != nil {
		panic(stopped{err})
	}
}

// Get returns a value, or ends the run if there is an error.
func Get[T any](v T, err error) T {
	OK(err)
	return v
}

// Hold ends the run with a sentence unless a condition holds.
func Hold(holds bool, format string, args ...any) {
	if !holds {
		OK(fmt.Errorf(format, args...))
	}
}

// Try runs do in the same goroutine, and returns the error that ended it. Any other panic goes on.
func Try(do func()) (err error) {
	defer func() {
		failed := recover()
		if s, ok := failed.(stopped); ok {
			err = s.error
		} else if failed != nil {
			panic(failed)
		}
	}()
	do()
	return nil
}
