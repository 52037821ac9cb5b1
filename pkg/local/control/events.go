package control

import (
	"encoding/json"
	"errors"
	"net/http"

	simeventbridge "connexease-functions/pkg/local/sim/eventbridge"
)

// events returns the last events of the bus or, with follow, each event as it arrives, one line of
// JSON each.
func (c *Control) events(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	wanted := func(e simeventbridge.Event) bool {
		var about struct{ Kind, Contact string }
		_ = json.Unmarshal(e.Detail, &about) // events from other sources have neither
		return (q.Get("kind") == "" || q.Get("kind") == about.Kind) && (q.Get("contact") == "" || q.Get("contact") == about.Contact)
	}
	if q.Get("follow") != "" && q.Get("follow") != "0" {
		c.follow(w, r, wanted)
		return
	}
	found := []simeventbridge.Event{}
	for _, e := range c.stack.Bus.Events() {
		if wanted(e) {
			found = append(found, e)
		}
	}
	if limit, ok := atMost(w, q, len(found)); ok {
		answer(w, http.StatusOK, map[string]any{"count": len(found), "events": found[len(found)-limit:]})
	}
}

func (c *Control) follow(w http.ResponseWriter, r *http.Request, wanted func(simeventbridge.Event) bool) {
	seen := c.stack.Bus.Seen() // before the caller knows that it is listening
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.WriteHeader(http.StatusOK)
	flush := http.NewResponseController(w)
	_ = flush.Flush()
	for {
		events, next, err := c.stack.Bus.Next(r.Context(), seen)
		if r.Context().Err() != nil {
			return
		}
		if err != nil {
			line, _ := json.Marshal(map[string]string{"error": err.Error()})
			_, _ = w.Write(append(line, '\n'))
		}
		for _, e := range events {
			if wanted(e) {
				if _, err := w.Write(append(e.JSON(), '\n')); err != nil {
					return
				}
			}
		}
		seen = next
		_ = flush.Flush()
	}
}

func (c *Control) rules(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, map[string]any{"rules": c.stack.Bus.Rules()})
}

// putRule creates a rule whose target is the outbound queue.
func (c *Control) putRule(w http.ResponseWriter, r *http.Request) {
	var rule simeventbridge.Rule
	if !read(w, r, &rule, rule, "a JSON object") {
		return
	}
	if err := c.stack.PutRule(r.PathValue("name"), rule); err != nil {
		fail(w, http.StatusBadRequest, err)
		return
	}
	c.rules(w, r)
}

func (c *Control) deleteRule(w http.ResponseWriter, r *http.Request) {
	if !c.stack.Bus.RemoveRule(r.PathValue("name")) {
		fail(w, http.StatusNotFound, errors.New("there is no such rule"))
		return
	}
	c.rules(w, r)
}
