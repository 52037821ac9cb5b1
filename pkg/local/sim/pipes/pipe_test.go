package pipes

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// bus accepts entries as a test says, and remembers them.
type bus struct {
	taken []string
	calls int
	fails func(call int, detail string) bool
}

func (b *bus) put(_ context.Context, entries []Entry) []error {
	b.calls++
	failed := make([]error, len(entries))
	for i, e := range entries {
		if b.fails != nil && b.fails(b.calls, e.Detail) {
			failed[i] = errors.New("not accepted")
			continue
		}
		b.taken = append(b.taken, e.DetailType+e.Detail)
	}
	return failed
}

func made(t *testing.T, b *bus, dead *[]string) *Pipe {
	t.Helper()
	p, err := New(Config{
		Name: "P", Filters: []string{`{"take":[true]}`}, MaxRetries: 4, MaxAge: time.Hour, Source: "s", DetailType: "$.type", InputTemplate: `{"n":"<$.n>"}`,
		Put: b.put, DeadLetter: func(body []byte) { *dead = append(*dead, string(body)) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func records(n int) (all []Record) {
	for i := range n {
		all = append(all, Record{Body: fmt.Appendf(nil, `{"take":true,"type":"T","n":"%d"}`, i), Shard: "shard", Sequence: fmt.Sprint(i), Stream: "arn", Created: time.Now()})
	}
	return all
}

func move(t *testing.T, p *Pipe, all []Record) {
	t.Helper()
	if err := p.Move(t.Context(), all); err != nil {
		t.Fatal(err)
	}
}

func TestRecordsThatPassTheFilterArePublishedInOrder(t *testing.T) {
	b, dead := &bus{}, []string{}
	all := records(5)
	all[2].Body = []byte(`{"take":false,"type":"T"}`)
	move(t, made(t, b, &dead), all)
	if got := strings.Join(b.taken, " "); got != `T{"n":"0"} T{"n":"1"} T{"n":"3"} T{"n":"4"}` || b.calls != 4 || len(dead) != 0 {
		t.Errorf("%s in %d calls, dead %v", got, b.calls, dead)
	}
}

func TestWhileTheBusIsAwayRecordsWaitAndNoneIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, dead := &bus{fails: func(call int, _ string) bool { return call <= 4 }}, []string{}
		move(t, made(t, b, &dead), records(3))
		if got := strings.Join(b.taken, " "); got != `T{"n":"0"} T{"n":"1"} T{"n":"2"}` || len(dead) != 0 {
			t.Errorf("accepted %s, dead-lettered %v", got, dead)
		}
	})
}

func TestOneRefusedRecordDoesNotFailOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, dead := &bus{fails: func(_ int, detail string) bool { return strings.Contains(detail, `"1"`) }}, []string{}
		move(t, made(t, b, &dead), records(4))
		if got := strings.Join(b.taken, " "); got != `T{"n":"0"} T{"n":"2"} T{"n":"3"}` {
			t.Errorf("accepted %s", got)
		}
		if len(dead) != 1 || !strings.Contains(dead[0], `"startSequenceNumber":"1"`) || !strings.Contains(dead[0], `"condition":"RetryAttemptsExhausted"`) {
			t.Errorf("dead-lettered %v", dead)
		}
	})
}

func TestARecordThatIsTooOldIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, dead := &bus{fails: func(int, string) bool { return true }}, []string{}
		all := records(1)
		all[0].Created = time.Now().Add(-2 * time.Hour)
		move(t, made(t, b, &dead), all)
		if len(dead) != 1 || b.calls != 1 || !strings.Contains(dead[0], "RecordAgeExceeded") {
			t.Errorf("%d calls, dead-lettered %v", b.calls, dead)
		}
	})
}

func TestARecordThatCannotBecomeAnEventIsGivenUpAtOnce(t *testing.T) {
	b, dead := &bus{}, []string{}
	all := records(3)
	all[0].Body = []byte(`{"take":true,"n":"0"}`)               // no detail type
	all[1].Body = []byte(`{"take":true,"type":"T","n":"a\"b"}`) // its detail is not JSON
	move(t, made(t, b, &dead), all)
	if len(dead) != 2 || strings.Join(b.taken, "") != `T{"n":"2"}` {
		t.Errorf("accepted %v, dead-lettered %v", b.taken, dead)
	}
}

func TestAPipeStopsDuringARetryDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, dead := &bus{fails: func(int, string) bool { return true }}, []string{}
		p := made(t, b, &dead)
		ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
		defer cancel()
		if err := p.Move(ctx, records(1)); !errors.Is(err, context.DeadlineExceeded) || len(dead) != 0 {
			t.Errorf("%v, dead-lettered %v", err, dead)
		}
	})
}

func TestAnInvalidPipeIsRefused(t *testing.T) {
	fine := Config{Name: "P", Source: "s", DetailType: "T", InputTemplate: "{}"}
	for want, spoil := range map[string]func(*Config){
		"not JSON": func(c *Config) { c.Filters = []string{"{"} }, "neither a JSON path": func(c *Config) { c.InputTemplate = "<x>" },
		"it needs": func(c *Config) { c.DetailType = "$.a[*]" },
	} {
		c := fine
		spoil(&c)
		if _, err := New(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want …%s…", err, want)
		}
	}
	if _, err := New(fine); err != nil {
		t.Error(err)
	}
}

func TestLinesOfTextAreNotAnEventsDetail(t *testing.T) {
	p, err := New(Config{Name: "P", Source: "s", DetailType: "T", InputTemplate: "\"one\"\n\"two\""})
	if err != nil {
		t.Fatal(err)
	}
	if e, err := p.Entry([]byte(`{}`)); err == nil || !strings.Contains(err.Error(), "lines of text") {
		t.Errorf("%+v %v", e, err)
	}
}
