package ledger

import (
	"testing"
	"time"
)

func TestWhyASendIsUnknownIsTheReasonOfItsLastOpenAttempt(t *testing.T) {
	at := func(minutes int) time.Time {
		return time.Unix(1_764_000_000, 0).Add(time.Duration(minutes) * time.Minute)
	}
	unknown := func(reason Reason) *Outcome { return &Outcome{State: Unknown, Reason: reason} }
	for name, c := range map[string]struct {
		attempts map[string]Attempt
		want     Reason
	}{
		"one that ended without an outcome": {map[string]Attempt{"a": {at(1), nil}}, "process_ended"},
		"one that is unknown":               {map[string]Attempt{"a": {at(1), unknown("timeout")}}, "timeout"},
		"the last of two":                   {map[string]Attempt{"a": {at(2), unknown("timeout")}, "b": {at(1), unknown("reset")}, "c": {at(0), nil}}, "timeout"},
		"the last has no outcome":           {map[string]Attempt{"a": {at(1), unknown("timeout")}, "b": {at(2), nil}}, "process_ended"},
		"a released one after it says nothing": {
			map[string]Attempt{"a": {at(1), unknown("timeout")}, "b": {at(2), &Outcome{State: Released, Reason: "not_reached"}}}, "timeout",
		},
	} {
		if got := (&Send{Attempts: c.attempts}).UnknownReason(); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
