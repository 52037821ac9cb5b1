package command

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"connexease-functions/pkg/proof/harness"
)

func TestProgressIsShownForStepsLongerThanTwoSeconds(t *testing.T) {
	for name, c := range map[string]struct {
		lasts time.Duration
		total int64
		want  string // of output without a terminal
	}{
		"short":         {1900 * time.Millisecond, 10, ""},
		"long":          {3 * time.Second, 10, "Reading: 3 of about 10\n"},
		"longer":        {8 * time.Second, 10, "Reading: 3 of about 10\nReading: 3 of about 10\n"},
		"without total": {3 * time.Second, 0, "Reading: 3\n"},
		"more than all": {3 * time.Second, 2, "Reading: 3 of about 3\n"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var out, messages harness.Buffer
				p := newTerminal(strings.NewReader(""), &out, &messages).progress("Reading", c.total)
				p.add(3)
				end := time.NewTimer(c.lasts)
				<-end.C
				p.end()
				if messages.String() != c.want || out.String() != "" {
					t.Errorf("%q and %q, want %q", out.String(), messages.String(), c.want)
				}
			})
			synctest.Test(t, func(t *testing.T) {
				var messages harness.Buffer
				screen := newTerminal(strings.NewReader(""), &messages, &messages)
				screen.interactive = true
				p := screen.progress("Reading", c.total)
				p.add(3)
				end := time.NewTimer(c.lasts)
				<-end.C
				p.end()
				if got := messages.String(); strings.Contains(got, "Reading") != (c.want != "") {
					t.Errorf("a terminal shows %q", got)
				}
			})
		})
	}
}

func TestFlagsAcceptOneDashOrTwo(t *testing.T) {
	got := strings.Join(long([]string{"redrive", "-stack", "a", "--yes", "-pick=all", "-5m", "-", "-h", "--", "-stack"}), " ")
	if want := "redrive --stack a --yes --pick=all -5m - -h -- -stack"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
