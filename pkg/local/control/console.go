package control

import (
	"cmp"
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"time"

	simeventbridge "connexease-functions/pkg/local/sim/eventbridge"
	"connexease-functions/pkg/local/stack"
	"connexease-functions/pkg/ops/command"
	"connexease-functions/pkg/ops/console"
)

// NewConsole returns the console of a running stack whose environment file is in the folder state.
// It shows the bus's events until ctx ends.
func NewConsole(ctx context.Context, s *stack.Stack, root, state string, recorded *Recorder) (*console.Console, error) {
	operator, err := command.Operate(ctx, state, filepath.Join(root, "template.yaml"))
	if err != nil {
		return nil, err
	}
	go recorded.listen(ctx, s.Bus)
	return console.New(console.Config{Operator: operator, Feed: recorded.Feed, Series: recorded.series, Laptop: &laptop{stack: s}})
}

// laptop is the part of the console that only the laptop has.
type laptop struct {
	stack  *stack.Stack
	routes http.Handler // of the control address
}

// Control implements console.Laptop.
func (l *laptop) Control(ctx context.Context, method, path, body string) (status int, text []byte) {
	r, err := http.NewRequestWithContext(ctx, method, path, strings.NewReader(body))
	if err != nil {
		return http.StatusBadRequest, []byte(err.Error())
	}
	w := httptest.NewRecorder()
	l.routes.ServeHTTP(w, r)
	return w.Code, w.Body.Bytes()
}

// Rules implements console.Laptop.
func (l *laptop) Rules() map[string]simeventbridge.Listed { return l.stack.Bus.Rules() }

// PutRule implements console.Laptop.
func (l *laptop) PutRule(name string, r simeventbridge.Rule) error { return l.stack.PutRule(name, r) }

// RemoveRule implements console.Laptop.
func (l *laptop) RemoveRule(name string) bool { return l.stack.Bus.RemoveRule(name) }

// Rates implements console.Laptop.
func (l *laptop) Rates() (all []console.Rate) {
	for _, u := range l.stack.Gateway.Usage() {
		all = append(all, console.Rate{
			Number: u.Number, LastSecond: u.LastSecond, PerSecond: u.Limits.PerSecond, LastMinute: u.LastMinute, PerMinute: u.Limits.PerMinute,
		})
	}
	slices.SortFunc(all, func(a, b console.Rate) int { return cmp.Compare(a.Number, b.Number) })
	return all
}

// listen adds the bus's events to the feed.
func (r *Recorder) listen(ctx context.Context, bus *simeventbridge.Server) {
	for seen := 0; ctx.Err() == nil; {
		events, next, _ := bus.Next(ctx, seen) // those that were missed are too many to be shown
		seen = next
		for _, e := range events {
			at, err := time.Parse(time.RFC3339, e.Time)
			if err != nil {
				at = time.Now()
			}
			r.Feed.Add(console.NewEvent(at, e.DetailType, e.Detail))
		}
	}
}
