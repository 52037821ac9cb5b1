package command

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"connexease-functions/pkg/proof/harness"
	"connexease-functions/pkg/table"
	"connexease-functions/pkg/whatsapp"
)

// marks counts the events of the bus by their replay's mark, empty for none.
func (r *running) marks() (marks map[string]int, all int) {
	r.t.Helper()
	var answer struct {
		Events []struct{ Detail map[string]string }
	}
	r.JSON("GET", "/events", "", &answer)
	marks = map[string]int{}
	for _, e := range answer.Events {
		marks[e.Detail["replay"]]++
	}
	return marks, len(answer.Events)
}

func TestAReplayCountsThenMarksAndResumesWhereItStopped(t *testing.T) {
	r := start(t)
	const deliveries = 30
	for range deliveries {
		r.Try("POST", r.Env["CONTROL_URL"]+"/trigger/text?fresh=1", "")
	}
	r.Trigger("status-read")
	r.Until("the bus has them", func() bool { _, all := r.marks(); return all == deliveries+1 })

	out, err := r.command("replay", "-kind", "message").CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), fmt.Sprintf("%d events", deliveries)) {
		t.Fatalf("%s %v", out, err)
	}
	if marks, all := r.marks(); all != deliveries+1 || len(marks) != 1 {
		t.Errorf("counting put events on the bus: %v", marks)
	}

	// Interrupted halfway: at one a second, the second batch is ten seconds away.
	slow := r.command("replay", "-kind", "message", "-rate", "1", "-since", "48h", "-apply")
	if err := slow.Start(); err != nil {
		t.Fatal(err)
	}
	r.Until("the first batch is there", func() bool { _, all := r.marks(); return all > deliveries+1 })
	r.Until("its progress is kept", func() bool { _, err := os.Stat(filepath.Join(r.State, "replay.json")); return err == nil })
	_ = slow.Process.Signal(os.Interrupt)
	if err := slow.Wait(); err == nil {
		t.Error("a replay that was ended says that it is done")
	}
	out, err = r.command("replay", "-kind", "message", "-rate", "400", "-since", "48h", "-apply").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "Resuming after ") || !strings.Contains(string(out), fmt.Sprintf("%d events are on the bus", deliveries)) {
		t.Errorf("%s %v", out, err)
	}
	marks, _ := r.marks()
	delete(marks, "")
	if len(marks) != 1 {
		t.Fatalf("marks are %v", marks)
	}
	for _, n := range marks {
		if n != deliveries {
			t.Errorf("%d events were replayed, want %d", n, deliveries)
		}
	}
	if _, err := os.Stat(filepath.Join(r.State, "replay.json")); err == nil {
		t.Error("a finished replay left its progress behind")
	}

	one := r.Items("?kind=status").Items[0]["pk"].(string)
	out, err = r.command("replay", "-key", one, "-apply", "-until", time.Now().Format(time.RFC3339)).CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), "1 events") {
		t.Errorf("%s %v", out, err)
	}
	for _, wrong := range [][]string{{"-rate", "0"}, {"-since", "soon"}, {"-stack", "connexease-prod"}, {"more"}} {
		if out, err := r.command(append([]string{"replay"}, wrong...)...).CombinedOutput(); err == nil || len(out) == 0 {
			t.Errorf("%v: %s %v", wrong, out, err)
		}
	}
}

func TestSinceMeansTheArrivalWhereTheTableKnowsIt(t *testing.T) {
	r := start(t)
	began := time.Now().Add(-2 * time.Second)
	r.Trigger("text") // the update's own time is long ago
	r.Trigger("status-read")
	r.Until("the stream has them", func() bool { _, all := r.marks(); return all == 2 })
	count := func(want int, arguments ...string) string {
		t.Helper()
		out, err := r.ops("", "replay", arguments...)
		if err != nil || !strings.HasPrefix(out, fmt.Sprintf("%d events", want)) {
			t.Errorf("%v: want %d events, says %s %v", arguments, want, out, err)
		}
		return out
	}
	if out := count(2, "-since", "24h"); strings.Contains(out, "selected by") {
		t.Errorf("the stream's knowledge is %s", out)
	}
	count(2, "-since", began.Format(time.RFC3339))
	count(0, "-since", time.Now().Add(time.Hour).Format(time.RFC3339))
	count(0, "-until", began.Add(-time.Minute).Format(time.RFC3339))
	count(2, "-until", time.Now().Add(time.Minute).Format(time.RFC3339))
	count(1, "-since", "1h", "-kind", "message")
}

// TestItemsOlderThanTheStreamAreChosenByDay uses a table whose stream does not have its items.
func TestItemsOlderThanTheStreamAreChosenByDay(t *testing.T) {
	w := newWorld(t)
	today := time.Now().UTC().Truncate(24 * time.Hour)
	a := &arrivals{table: table.New(harness.Backends.DB, w.table, days), horizon: time.Now().Add(-24 * time.Hour)}
	stored := func(day time.Time) item {
		db := harness.NewTable(t)
		if r := table.New(harness.Backends.DB, db, days).Put(t.Context(), whatsapp.Split(compact(t, "text")), day); r.Err != nil {
			t.Fatal(r.Err)
		}
		for _, it := range harness.Items(t, db) {
			return it
		}
		return nil
	}
	old := stored(today.AddDate(0, 0, -5).Add(13 * time.Hour))
	for name, c := range map[string]struct {
		since, until time.Time
		want         bool
	}{
		"before its day":             {today.AddDate(0, 0, -6), time.Time{}, true},
		"in its day":                 {today.AddDate(0, 0, -5).Add(20 * time.Hour), time.Time{}, true},
		"after its day":              {today.AddDate(0, 0, -4), time.Time{}, false},
		"until the day before":       {time.Time{}, today.AddDate(0, 0, -5).Add(-time.Second), false},
		"until an hour of its day":   {time.Time{}, today.AddDate(0, 0, -5).Add(time.Hour), true},
		"a day on which it was sent": {time.Unix(1_700_000_000, 0), time.Unix(1_764_000_000, 0), false},
	} {
		a.byDay = 0
		if got := a.takes(old, c.since, c.until); got != c.want || c.want && a.byDay != 1 {
			t.Errorf("%s: %v, %d by the day", name, got, a.byDay)
		}
	}
	// The stream has yesterday's arrivals of the last 24 hours, so an item that it lacks arrived
	// before.
	if a.takes(stored(today.AddDate(0, 0, -1)), a.horizon.Add(2*time.Second), time.Time{}) {
		t.Error("an item that arrived more than a day ago counts as one of the last day")
	}
	forever := &arrivals{table: table.New(harness.Backends.DB, w.table, 0)}
	if !forever.takes(old, time.Unix(old.Number("timestamp"), 0), time.Time{}) || forever.byUpdate != 1 {
		t.Error("for a table that keeps items forever, replay does not say that it uses the time of the update")
	}
	var out strings.Builder
	r := &replay{program: &program{terminal: newTerminal(strings.NewReader(""), &out, &out)}}
	r.says(&arrivals{byDay: 3, byUpdate: 4})
	if text := out.String(); !strings.Contains(text, "3 of them") || !strings.Contains(text, "by their day") || !strings.Contains(text, "4 of them") || !strings.Contains(text, "RetentionDays=0") {
		t.Errorf("says %s", text)
	}
}
