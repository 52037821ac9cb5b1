package whatsapp

import (
	"reflect"
	"testing"
)

// permutations calls each with every order of some statuses.
func permutations(all []Event, each func([]Event)) {
	var place func(n int)
	place = func(n int) {
		if n == len(all) {
			each(all)
			return
		}
		for i := n; i < len(all); i++ {
			all[n], all[i] = all[i], all[n]
			place(n + 1)
			all[n], all[i] = all[i], all[n]
		}
	}
	place(0)
}

func TestStatusesSayTheSameInAnyOrderAndAnyNumberOfTimes(t *testing.T) {
	status := func(words ...string) (all []Event) {
		for _, w := range words {
			e := Event{Status: w}
			if w == "failed" {
				e.ErrorCode = "131026"
			}
			all = append(all, e)
		}
		return all
	}
	codes := []string{"131026"}
	for _, c := range []struct {
		statuses []Event
		want     Folded
	}{
		{nil, Folded{}},
		{status("sent"), Folded{State: "sent"}},
		{status("sent", "delivered", "read"), Folded{State: "read"}},
		{status("sent", "read"), Folded{State: "read"}},
		{status("sent", "delivered", "read", "played"), Folded{State: "played"}},
		{status("failed"), Folded{Failed: true, ErrorCodes: codes}},
		{status("failed", "delivered"), Folded{State: "delivered", Failed: true, ErrorCodes: codes}},
		{status("sent", "failed", "delivered", "failed", "read"), Folded{State: "read", Failed: true, ErrorCodes: codes}},
		{status("deleted", "sent", "deleted", "warning"), Folded{State: "sent", Others: []string{"deleted", "warning"}}},
	} {
		permutations(c.statuses, func(all []Event) {
			if got := Fold(all); !reflect.DeepEqual(got, c.want) {
				t.Errorf("%v: %+v, want %+v", all, got, c.want)
			}
		})
	}
	two := []Event{{Status: "failed", ErrorCode: "2"}, {Status: "failed", ErrorCode: "1"}, {Status: "failed"}}
	permutations(two, func(all []Event) {
		if got := Fold(all); !reflect.DeepEqual(got, Folded{Failed: true, ErrorCodes: []string{"1", "2"}}) {
			t.Errorf("two failures: %+v", got)
		}
	})
}

func TestStatusesOfOneTimeAreRanked(t *testing.T) {
	for n, word := range []string{"sent", "delivered", "read", "played", "failed"} {
		if got := Rank(word); got != n {
			t.Errorf("%s has rank %d, want %d", word, got, n)
		}
	}
	if Rank("deleted") != Rank("failed") {
		t.Error("others are ranked")
	}
}
