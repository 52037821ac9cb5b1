package must

import (
	"errors"
	"testing"
)

func TestTheFirstErrorEndsARun(t *testing.T) {
	lost := errors.New("lost")
	for name, do := range map[string]func(){
		"an error":                  func() { OK(lost) },
		"a value with an error":     func() { Get(0, lost) },
		"a condition":               func() { Hold(false, "it is %w", lost) },
		"the error of a deeper run": func() { OK(Try(func() { OK(lost) })) },
	} {
		ended, went := false, false
		err := Try(func() {
			defer func() { ended = true }()
			do()
			went = true
		})
		if !errors.Is(err, lost) || went || !ended {
			t.Errorf("%s: got %v, went on: %t, ended what it started: %t", name, err, went, ended)
		}
	}
	if err := Try(func() { OK(nil); Hold(true, "no") }); err != nil {
		t.Errorf("without an error: %v", err)
	}
}

func TestAPanicOfTheProgramIsNotHidden(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("it is hidden")
		}
	}()
	_ = Try(func() { panic("index out of range") })
}
