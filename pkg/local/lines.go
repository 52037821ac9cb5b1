package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"connexease-functions/pkg/gateway"
	"connexease-functions/pkg/local/lambdasim"
)

// mends says what to do about a refusal on a laptop.
var mends = map[string]string{
	"AUTH_001": "use the secret of this run: . .local/env",
	"AUTH_002": `add -H "Authorization: Bearer $WEBHOOK_SECRET" (after . .local/env)`,
	"AUTH_003": "send exactly one value of the form: Bearer <token>",
	"REQ_002":  "send less than 4 MiB",
	"SVC_001":  "put a secret: curl -X PUT $CONTROL_URL/secrets/webhook",
	"SVC_002":  "see .local/functions.log",
}

// printExchange prints a request's line.
func printExchange(x lambdasim.Exchange, seen *summaries) {
	what := ""
	var r struct{ Errors *gateway.Error }
	switch err := json.Unmarshal(x.Response, &r); {
	case err != nil:
	case x.RouteKey == "":
		what = "no such route; there is POST /webhook"
	case r.Errors != nil:
		what = r.Errors.Error()
		if mend := mends[r.Errors.Code]; mend != "" {
			what += " -> " + mend
		}
	case x.Status >= http.StatusInternalServerError:
		what = "the function failed -> see .local/functions.log"
	default:
		what = seen.of(x.FunctionRequestID)
	}
	fmt.Printf("%s  %s %s  %d  %d ms  %s\n", x.Time.Format(time.TimeOnly), x.Method, x.Path, x.Status, x.Duration.Milliseconds(), what)
}

// summaries passes the functions' log on and remembers what each delivery held.
type summaries struct {
	next io.Writer
	mu   sync.Mutex
	held map[string]string // by request id, until asked for
}

// contents are the metrics of a summary line that count what was in a delivery.
var contents = []struct{ metric, name string }{
	{"Messages", "messages"}, {"Statuses", "statuses"}, {"OtherEvents", "other events"}, {"Quarantined", "quarantined"}, {"Merged", "merged"},
}

func (s *summaries) Write(b []byte) (int, error) {
	for line := range bytes.Lines(b) {
		var summary map[string]any
		if json.Unmarshal(line, &summary) != nil {
			continue
		}
		var parts []string
		for _, c := range contents {
			if n, ok := summary[c.metric].(float64); ok {
				parts = append(parts, fmt.Sprintf("%s %.0f", c.name, n))
			}
		}
		id, _ := summary["requestId"].(string)
		s.mu.Lock()
		if len(s.held) > 1000 || s.held == nil { // nobody asked for those
			s.held = map[string]string{}
		}
		s.held[id] = strings.Join(parts, ", ")
		s.mu.Unlock()
	}
	return s.next.Write(b)
}

// of returns what a request's delivery held. The log line travels by another way than
// the answer, so it may be a moment late.
func (s *summaries) of(requestID string) string {
	for range 50 {
		s.mu.Lock()
		text, ok := s.held[requestID]
		delete(s.held, requestID)
		s.mu.Unlock()
		if ok {
			return text
		}
		time.Sleep(2 * time.Millisecond)
	}
	return ""
}
