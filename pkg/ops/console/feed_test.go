package console_test

import (
	"bufio"
	"context"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"connexease-functions/pkg/ops/console"
)

// patience bounds the waiting for a line that never comes.
const patience = 2 * time.Minute

// follower is a page's stream, without a browser.
type follower struct {
	t     *testing.T
	lines *bufio.Scanner
	id    string   // of the last line
	came  []string // the lines' names
}

func listen(t *testing.T, address, lastID string) *follower {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	if lastID != "" {
		r.Header.Set("Last-Event-ID", lastID)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	return &follower{t: t, lines: bufio.NewScanner(response.Body)}
}

// until reads up to a line, and returns the names of those that came so far.
func (f *follower) until(name string) string {
	f.t.Helper()
	for f.lines.Scan() {
		if id, is := strings.CutPrefix(f.lines.Text(), "id: "); is {
			f.id = id
		}
		if what := whatCell.FindStringSubmatch(f.lines.Text()); what != nil {
			if f.came = append(f.came, what[1]); what[1] == name {
				return strings.Join(f.came, " ")
			}
		}
	}
	f.t.Fatalf("%s did not come, after %q: %v", name, f.came, f.lines.Err())
	return ""
}

var (
	whatCell = regexp.MustCompile(`^data: .*<td class="what"><a [^>]+>([^<]+)</a></td>`)
	streamOf = regexp.MustCompile(`data-stream="([^"]+)"`)
)

// TestNoLineIsLostOrDoubled makes lines at the moments at which no stream is connected: after a page
// was made, after a connection broke, and in a console that was started again.
func TestNoLineIsLostOrDoubled(t *testing.T) {
	l := newLaptop(t)
	say := func(feed *console.Feed, name string) { feed.Add(console.Line{Kind: console.Invoked, What: name}) }
	say(l.console.Feed, "on-the-page")
	_, page := l.do(http.MethodGet, l.url+"/", "", map[string]string{"Accept": "text/html"})
	address := streamOf.FindStringSubmatch(page)
	if address == nil || strings.Count(page, "on-the-page") != 1 {
		t.Fatalf("the page: %s", page)
	}
	say(l.console.Feed, "before-it-listens")
	first := listen(t, l.url+address[1], "")
	first.until("before-it-listens")
	say(l.console.Feed, "while-it-listens")
	if came := first.until("while-it-listens"); came != "before-it-listens while-it-listens" {
		t.Errorf("after the page: %s", came)
	}
	say(l.console.Feed, "while-it-is-away")
	again := listen(t, l.url+address[1], first.id)
	again.until("while-it-is-away")
	say(l.console.Feed, "back")
	if came := again.until("back"); came != "while-it-is-away back" {
		t.Errorf("after the connection broke: %s", came)
	}

	// The same address, of a console with other lines, and fewer.
	restarted := l.console.Config
	restarted.Feed = console.NewFeed()
	fresh, err := console.New(restarted)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = fresh.Close() })
	server := httptest.NewServer(fresh)
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections)
	say(restarted.Feed, "of-the-other")
	after := listen(t, server.URL+address[1], again.id)
	after.until("of-the-other")
	say(restarted.Feed, "back")
	if came := after.until("back"); came != "of-the-other back" {
		t.Errorf("after the console was started again: %s", came)
	}
}
