package console

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// kept is how many lines a feed keeps.
	kept = 2000
	// beat keeps connections open, and finds those that are gone.
	beat = 15 * time.Second
	// linger is how long the stack is followed after the last page was left, so that the next one
	// misses nothing.
	linger = 30 * time.Second
)

// Kinds of lines.
const (
	Request = "request"
	Records = "records" // a queue's batch
	Invoked = "invoked"
	Came    = "event" // on the bus, or for it
)

// Line is one thing that happened.
type Line struct {
	At     time.Time
	Kind   string
	What   string // the route, queue, function or detail type
	Status int    // of a response
	Took   time.Duration
	Note   string // without personal data
	Failed bool
	Event  *Event // of the kind Came

	RequestID string // of a request: API Gateway's
	RunID     string // of the function's run: Lambda's, as in its log
	Send      string // id of the message that it led to; Note may name others
	Items     []Item // that it led to
	More      int    // how many of them Items lacks

	n int // counts all lines
}

// Item is an item of the table: what it is, in words, and its key.
type Item struct{ What, PK, SK string }

// Event is an event as it is on the bus: the facts of an item, and its key.
type Event struct {
	DetailType string
	Facts      map[string]string
}

// NewEvent returns the line of an event.
func NewEvent(at time.Time, detailType string, detail []byte) Line {
	return Line{At: at, Kind: Came, What: detailType, Event: &Event{DetailType: detailType, Facts: factsOfDetail(detail)}}
}

// factsOfDetail returns the members of an event's detail, which is flat.
func factsOfDetail(detail []byte) map[string]string {
	var members map[string]any
	_ = json.Unmarshal(detail, &members) // of what is not an object there are none
	facts := map[string]string{}
	for name, v := range members {
		switch v := v.(type) {
		case string:
			facts[name] = v
		case nil, map[string]any, []any:
		default:
			facts[name] = fmt.Sprint(v)
		}
	}
	return facts
}

// Feed keeps the last lines, for followers. A place in it is its run and the number of its lines
// until there.
type Feed struct {
	run string // tells it from the feed of a console that ran earlier at the same address

	mu      sync.Mutex
	lines   []Line
	count   int
	changed chan struct{}
}

// NewFeed returns an empty feed.
func NewFeed() *Feed { return &Feed{run: NewToken(), changed: make(chan struct{})} }

// Add adds a line.
func (f *Feed) Add(l Line) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.count++
	l.n = f.count
	f.lines = append(f.lines, l)
	if len(f.lines) > 2*kept {
		f.lines = slices.Clone(f.lines[len(f.lines)-kept:])
	}
	close(f.changed)
	f.changed = make(chan struct{})
}

// last returns the newest lines that a filter takes, newest first.
func (f *Feed) last(limit int, takes func(Line) bool) []Line {
	found, _ := f.until(limit, takes)
	return found
}

// until returns what last does, and the place up to which these are all.
func (f *Feed) until(limit int, takes func(Line) bool) (found []Line, place string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, l := range slices.Backward(f.lines) {
		if len(found) == limit {
			break
		}
		if takes(l) {
			found = append(found, l)
		}
	}
	return found, f.place(f.count)
}

func (f *Feed) place(count int) string { return fmt.Sprintf("%s-%d", f.run, count) }

// seen returns how many lines are before a place. Of a place in an earlier run's feed none is: a
// page that shows lines of that one lacks all of this one's.
func (f *Feed) seen(place string) (count int) {
	run, text, _ := strings.Cut(place, "-")
	count, err := strconv.Atoi(text)
	if run != f.run || err != nil || count < 0 {
		return 0
	}
	return count
}

// at returns the line at a place; there is none where the feed does not keep it any more.
func (f *Feed) at(place string) (l Line, there bool) {
	n := f.seen(place)
	f.mu.Lock()
	defer f.mu.Unlock()
	if i := len(f.lines) - 1 - (f.count - n); n > 0 && i >= 0 && i < len(f.lines) {
		return f.lines[i], true
	}
	return l, false
}

// next waits for lines after the first seen ones.
func (f *Feed) next(ctx context.Context, seen int) []Line {
	for {
		f.mu.Lock()
		count, changed, at := f.count, f.changed, len(f.lines)
		if count > seen {
			defer f.mu.Unlock()
			return slices.Clone(f.lines[max(0, at-(count-seen)):])
		}
		f.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// watch follows the stack until leave is called, and a moment longer.
func (c *Console) watch() (leave func()) {
	if c.Follow == nil {
		return func() {}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.watchers++
	if c.leaving != nil {
		c.leaving.Stop()
		c.leaving = nil
	}
	if c.stop == nil {
		var ctx context.Context
		ctx, c.stop = context.WithCancel(c.open)
		go func() {
			err := c.Follow(ctx, c.Feed, c.met)
			if err != nil && ctx.Err() == nil {
				c.met(err)
			}
			c.mu.Lock()
			defer c.mu.Unlock()
			if ctx.Err() == nil { // the next page tries again
				c.stop = nil
			}
		}()
	}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.watchers--; c.watchers == 0 {
			c.leaving = time.AfterFunc(linger, c.leave)
		}
	}
}

// met remembers what keeps the feed from being filled.
func (c *Console) met(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trouble, c.troubleAt = err, time.Now()
}

// recently returns what kept the feed from being filled in the last minute; nil if nothing did.
func (c *Console) recently() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.troubleAt) > time.Minute {
		return nil
	}
	return c.trouble
}

// leave ends the following of the stack where nobody watches any more.
func (c *Console) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.watchers == 0 && c.stop != nil {
		c.stop()
		c.stop = nil
	}
}

// live sends lines as they come, as rows of the overview (HTML Living Standard: server-sent events):
// those after the place that the page has in its address of the stream or, where its connection
// broke, after the last one that it got. More than the feed keeps are more than a page shows.
func (c *Console) live(w http.ResponseWriter, r *http.Request) {
	defer c.watch()()
	s := sessionOf(r.Context())
	w.Header().Set("Content-Type", "text/event-stream")
	flush := http.NewResponseController(w)
	seen := c.Feed.seen(cmp.Or(r.Header.Get("Last-Event-ID"), r.URL.Query().Get("after")))
	_, _ = fmt.Fprint(w, ": listening\n\n")
	_ = flush.Flush()
	for {
		ctx, cancel := context.WithTimeout(r.Context(), beat)
		lines := c.Feed.next(ctx, seen)
		cancel()
		if r.Context().Err() != nil {
			return
		}
		if lines == nil {
			_, _ = fmt.Fprint(w, ": still here\n\n")
		}
		for _, l := range lines {
			seen = l.n
			var row bytes.Buffer
			if err := looks(s.isMasked())["overview"].ExecuteTemplate(&row, "line", c.row(l)); err != nil {
				return
			}
			if _, err := fmt.Fprintf(w, "id: %s\ndata: %s\n\n", c.Feed.place(l.n), strings.ReplaceAll(row.String(), "\n", " ")); err != nil {
				return
			}
		}
		if flush.Flush() != nil {
			return
		}
	}
}

// row is a line with where it leads: to its item, or else to what is known of it.
type row struct {
	Line
	Ref, Place string
}

func (c *Console) row(l Line) row {
	r := row{Line: l}
	if l.Event == nil {
		r.Place = c.Feed.place(l.n)
	} else if l.Event.Facts["pk"] != "" {
		r.Ref = c.Ref(l.Event.Facts["pk"], l.Event.Facts["sk"])
	}
	return r
}

func (c *Console) rows(lines []Line) []row {
	all := []row{}
	for _, l := range lines {
		all = append(all, c.row(l))
	}
	return all
}
