package ledger

import (
	"testing"
	"time"
)

// A receipt that comes within moments settles what would otherwise leave a second time.
func TestAResendLeavesTimeForAReceipt(t *testing.T) {
	for name, c := range map[string]struct {
		age, want time.Duration
	}{"at once": {0, 30 * time.Second}, "after an hour": {time.Hour, 6 * time.Minute}} {
		r := wanting(Record, Resend)
		r.Sent = at(5).Add(-c.age)
		v, _ := Begin(r, at(5))
		v.Wrote(at(5), Result{})
		v.Posted(at(5), Outcome{State: Unknown, Reason: "timeout"}, 0)
		if a := v.Wrote(at(5), Result{}); a.Do != DoLater || a.Delay != c.want || a.Spread <= 0 {
			t.Errorf("%s: %s, after %v + %v, want %v", name, say(a), a.Delay, a.Spread, c.want)
		}
	}
}
