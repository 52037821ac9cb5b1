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
		"one that ended without an outcome": {map[string]Attempt{"a": {Lease: at(1)}}, "process_ended"},
		"one that is unknown":               {map[string]Attempt{"a": {Lease: at(1), Outcome: unknown("timeout")}}, "timeout"},
		"the last of two":                   {map[string]Attempt{"a": {Lease: at(2), Outcome: unknown("timeout")}, "b": {Lease: at(1), Outcome: unknown("reset")}, "c": {Lease: at(0)}}, "timeout"},
		"the last has no outcome":           {map[string]Attempt{"a": {Lease: at(1), Outcome: unknown("timeout")}, "b": {Lease: at(2)}}, "process_ended"},
		"a released one after it says nothing": {
			map[string]Attempt{"a": {Lease: at(1), Outcome: unknown("timeout")}, "b": {Lease: at(2), Outcome: &Outcome{State: Released, Reason: "not_reached"}}}, "timeout",
		},
	} {
		if got := (&Send{Attempts: c.attempts}).UnknownReason(); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
