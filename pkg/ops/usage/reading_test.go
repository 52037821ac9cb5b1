package usage_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"connexease-functions/pkg/ops/usage"
)

func open(t *testing.T, folder string, q usage.Query) *usage.Reading {
	t.Helper()
	r, err := usage.Open(folder, "asked", q)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// read reads a whole month.
func read(t *testing.T, m usage.Source, q usage.Query) *usage.Report {
	t.Helper()
	return watched(t, m, q, func(int64) {}, func(int64) {})
}

// watched reads a whole month, and calls page for each page that was read and record for each record
// of the report.
func watched(t *testing.T, m usage.Source, q usage.Query, page, record func(int64)) *usage.Report {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "usage")
	r := open(t, folder, q)
	if err := r.Read(t.Context(), m, page); err != nil {
		t.Fatal(err)
	}
	report, err := r.Report(t.Context(), record)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Remove(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(folder); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("its folder is still there: %v", err)
	}
	return report
}

func TestAMonthIsCountedExactly(t *testing.T) {
	m := &month{n: 5_000, since: october}
	m.equal(t, read(t, m, m.query()))
}

// peak returns the most memory that counting a month needs, in bytes, apart from what there was. It
// is what something still refers to, measured while the reading waits: the rest depends on how busy
// the machine is.
func peak(t *testing.T, n int) (most uint64) {
	t.Helper()
	m := &month{n: n, since: october}
	needed := func() uint64 {
		var now runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&now)
		return now.HeapAlloc
	}
	before := needed()
	q := m.query()
	q.By = []string{usage.Client, usage.Day}
	every := func(n int) func(int64) {
		calls := 0
		return func(int64) {
			if calls++; calls%n == 0 {
				most = max(most, needed())
			}
		}
	}
	report := watched(t, m, q, every(8), every(1999))
	_, all, without := m.want()
	if report.Total != all || report.WithoutSend != without {
		t.Errorf("the total is %+v and %+v, want %+v and %+v", report.Total, report.WithoutSend, all, without)
	}
	return most - min(most, before)
}

func TestTenTimesTheMessagesNeedNoMoreMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("not with -short: it counts many messages")
	}
	const (
		few, many = 10_000, 100_000 // whose buckets are partly so large that they are divided
		growth    = 4 << 20
	)
	peak(t, 1_000) // what is loaded once
	small, large := peak(t, few), peak(t, many)
	t.Logf("%d messages: %d kB, %d: %d kB", few, small>>10, many, large>>10)
	if large > small+growth {
		t.Errorf("%d messages need %d bytes, %d need %d", few, small, many, large)
	}
}

func TestAnInterruptedReadingGoesOnToTheSameTotals(t *testing.T) {
	m := &month{n: 6_000, since: october}
	folder, runs := filepath.Join(t.TempDir(), "usage"), 0
	for done := false; !done; runs++ {
		r := open(t, folder, m.query())
		pages, ctx := rand.IntN(6)+1, t.Context()
		ctx, stop := context.WithCancel(ctx)
		err := r.Read(ctx, m, func(int64) {
			if pages--; pages == 0 {
				stop()
			}
		})
		stop()
		if done = err == nil; done {
			ctx, stop := context.WithCancel(t.Context())
			if _, err := r.Report(ctx, func(n int64) {
				if n == 10_000 { // of more
					stop()
				}
			}); !errors.Is(err, context.Canceled) {
				t.Errorf("a report that was interrupted: %v", err)
			}
			report, err := r.Report(t.Context(), func(int64) {})
			if err != nil {
				t.Fatal(err)
			}
			m.equal(t, report)
			// A report that could not be written is made again.
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			r = open(t, folder, m.query())
			if err := r.Read(t.Context(), nil, nil); err != nil {
				t.Fatal(err)
			}
			if report, err = r.Report(t.Context(), func(int64) {}); err != nil {
				t.Fatal(err)
			}
			m.equal(t, report)
		} else if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if runs < 3 {
		t.Errorf("it was interrupted %d times only", runs-1)
	}
}

// A process that is killed leaves the position of some page, and files that are longer.
func TestAReadingThatWasKilledGoesOnToTheSameTotals(t *testing.T) {
	m := &month{n: 4_000, since: october}
	folder, killed := filepath.Join(t.TempDir(), "usage"), filepath.Join(t.TempDir(), "killed")
	r := open(t, folder, m.query())
	pages, at := 0, 4+rand.IntN(20)
	if err := r.Read(t.Context(), m, func(int64) {
		if pages++; pages == at {
			if err := os.CopyFS(killed, os.DirFS(folder)); err != nil {
				t.Error(err)
			}
			for _, spill := range []string{"messages", "others"} { // what had not been written
				for _, name := range []string{"03", "47"} {
					f, err := os.OpenFile(filepath.Join(killed, spill, name), os.O_APPEND|os.O_WRONLY, 0o600)
					if err == nil {
						_, err = f.WriteString(`{"k":"torn`)
					}
					if err := errors.Join(err, f.Close()); err != nil {
						t.Error(err)
					}
				}
			}
		}
	}); err != nil {
		t.Fatal(err)
	}
	again := open(t, killed, m.query())
	if again.Items() >= r.Items() {
		t.Errorf("it has %d of %d items", again.Items(), r.Items())
	}
	if err := again.Read(t.Context(), m, func(int64) {}); err != nil {
		t.Fatal(err)
	}
	report, err := again.Report(t.Context(), func(int64) {})
	if err != nil {
		t.Fatal(err)
	}
	m.equal(t, report)
	if again.Items() != r.Items() {
		t.Errorf("%d items were read, in one go %d", again.Items(), r.Items())
	}
	if err := errors.Join(again.Remove(), r.Remove()); err != nil {
		t.Error(err)
	}
}

func TestAFolderOfAnotherQueryIsRefused(t *testing.T) {
	m := &month{n: 10, since: october}
	folder := filepath.Join(t.TempDir(), "usage")
	r := open(t, folder, m.query())
	if _, err := usage.Open(folder, "asked", m.query()); err == nil {
		t.Error("two read in one folder")
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(q *usage.Query) string{
		"stack": func(q *usage.Query) string { q.Stack = "other"; return "asked" },
		"table": func(q *usage.Query) string { q.Table = "other"; return "asked" },
		"by":    func(q *usage.Query) string { q.By = []string{usage.Day}; return "asked" },
		"time":  func(*usage.Query) string { return "other" },
	} {
		q := m.query()
		asked := change(&q)
		if _, err := usage.Open(folder, asked, q); !errors.Is(err, usage.ErrOther) {
			t.Errorf("a different %s: %v", name, err)
		}
	}
	q := m.query()
	q.Until = q.Until.AddDate(0, 0, 1) // the time of the second run
	if r = open(t, folder, q); !r.Query().Until.Equal(m.query().Until) {
		t.Error("the second run's time counts")
	}
	foreign := filepath.Join(t.TempDir(), "mine")
	if err := errors.Join(r.Close(), os.MkdirAll(filepath.Join(foreign, "messages"), 0o700)); err != nil {
		t.Fatal(err)
	}
	if _, err := usage.Open(foreign, "asked", q); err == nil {
		t.Error("a folder of something else is accepted")
	}
	if err := os.WriteFile(filepath.Join(folder, "position.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := usage.Open(folder, "asked", q); err == nil {
		t.Error("a position that is not JSON is accepted")
	}
}

// What is on disk meanwhile has neither numbers nor WhatsApp's ids, which contain them.
func TestWhatIsOnDiskNamesNobody(t *testing.T) {
	m := &month{n: 100, since: october}
	folder := filepath.Join(t.TempDir(), "usage")
	r := open(t, folder, m.query())
	if err := r.Read(t.Context(), m, func(int64) {}); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	bytes := 0
	for _, list := range []string{"messages", "others"} {
		files, err := os.ReadDir(filepath.Join(folder, list))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			text, err := os.ReadFile(filepath.Join(folder, list, f.Name()))
			if err != nil {
				t.Fatal(err)
			}
			bytes += len(text)
			for _, p := range people {
				if strings.Contains(string(text), p[0]) || strings.Contains(string(text), "wamid") {
					t.Fatalf("%s: %s", f.Name(), text)
				}
			}
		}
	}
	if bytes == 0 {
		t.Error("there is nothing on disk")
	}
}
