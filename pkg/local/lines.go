package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"connexease-functions/pkg/gateway"
	"connexease-functions/pkg/local/control"
	"connexease-functions/pkg/local/sim/httpapi"
	simlambda "connexease-functions/pkg/local/sim/lambda"
	"connexease-functions/pkg/local/stack"
)

// printExchange prints and records a request's line: its route, never its path, which may contain a
// phone number.
func printExchange(x httpapi.Exchange, seen *summaries) {
	route, what := x.RouteKey, ""
	var r struct{ Errors *gateway.Error }
	switch err := json.Unmarshal(x.Response, &r); {
	case x.RouteKey == "":
		route = x.Method + " " + masked(x.Path)
		what = "no such route; the routes are POST /webhook, POST /v1/wa/message, GET /v1/wa/message/{id}"
	case err != nil:
	case r.Errors != nil:
		what = refusal(x.RouteKey, r.Errors)
	case x.Status >= http.StatusInternalServerError:
		what = "the function failed -> see .local/functions.log"
	default:
		what = strings.Join(seen.of(x.FunctionRequestID, 1), ", ")
	}
	seen.recorded.Exchange(x, route, what)
	fmt.Printf("%s  %s  %d  %d ms  %s\n", x.Time.Format(time.TimeOnly), route, x.Status, x.Duration.Milliseconds(), what)
}

// printBatch prints the line of a queue's batch.
func printBatch(b stack.Batch, seen *summaries) {
	what, again := "", ""
	if b.Failed > 0 {
		again = fmt.Sprintf(", %d to be retried", b.Failed)
	}
	switch {
	case b.Err != nil:
		what = "the function did not run: " + masked(b.Err.Error())
	case b.FunctionError != "":
		what = "the function failed -> see .local/functions.log"
	default:
		what = strings.Join(seen.of(b.RequestID, b.Records), ", ")
	}
	seen.recorded.Batch(b, strings.TrimSpace(fmt.Sprintf("records %d%s  %s", b.Records, again, what)))
	fmt.Printf("%s  %s  records %d%s  %d ms  %s\n", b.Time.Format(time.TimeOnly), b.Queue, b.Records, again, b.Duration.Milliseconds(), what)
}

// printInvocation prints the line of a run that the Lambda endpoint caused.
func printInvocation(i simlambda.Invocation, seen *summaries) {
	how, what := "invoke", ""
	if i.Attempt > 0 {
		how = fmt.Sprintf("invoke (event, attempt %d)", i.Attempt)
	}
	if i.Result.FunctionError == "" {
		what = strings.Join(seen.of(i.Result.RequestID, 1), ", ")
	} else {
		var e struct{ ErrorType string }
		_ = json.Unmarshal(i.Result.Payload, &e) // a failure, even without a type
		what = "failed: " + masked(e.ErrorType)
	}
	seen.recorded.Invocation(i, strings.TrimSpace(how+"  "+what))
	fmt.Printf("%s  %s %s  %d ms  %s\n", i.Time.Format(time.TimeOnly), how, i.Function, i.Duration.Milliseconds(), what)
}

// longNumber matches what may be a phone number: the Gateway's descriptions may contain one.
var longNumber = regexp.MustCompile(`\d{7,}`)

func masked(text string) string { return longNumber.ReplaceAllString(text, "…") }

// refusal says why a request was refused, and how to fix it on a laptop.
func refusal(routeKey string, e *gateway.Error) string {
	what := e.Error()
	if e.Code == "MSG_001" {
		for _, path := range slices.Sorted(maps.Keys(e.Params)) {
			what += fmt.Sprintf(" %s: %v;", path, e.Params[path])
		}
		what = strings.TrimSuffix(what, ";")
	}
	what = masked(what)
	table := sendFixes
	if strings.HasSuffix(routeKey, " /webhook") {
		table = webhookFixes
	}
	if fix := table[e.Code]; fix != "" {
		if id, ok := e.Params["id"].(string); ok {
			fix = strings.ReplaceAll(fix, "<id>", id)
		}
		what += " -> " + fix
	}
	return what
}

// How to fix a refusal, by its code.
var (
	webhookFixes = map[string]string{
		"AUTH_001": "use the secret of this run: . .local/env",
		"AUTH_002": `add -H "Authorization: Bearer $WEBHOOK_SECRET" (after . .local/env)`,
		"AUTH_003": "send exactly one value of the form: Bearer <token>",
		"REQ_001":  "send the body in valid base64, or the body itself",
		"REQ_002":  "send less than 4 MiB",
		"SVC_001":  "put a secret: curl -X PUT $CONTROL_URL/secrets/webhook",
		"SVC_002":  "see .local/functions.log",
	}
	sendFixes = map[string]string{
		"AUTH_001":   "use the client key of this run, $CLIENT_KEY: . .local/env",
		"AUTH_002":   `add -H "Authorization: Bearer $CLIENT_KEY" (after . .local/env)`,
		"AUTH_003":   "send exactly one value of the form: Bearer <client key>",
		"AUTH_006":   `use the key of a client whose entry has "read":"all": functions/send/README.md, Conversations`,
		"REQ_001":    "send WhatsApp's message, a JSON object, as the body",
		"REQ_002":    "refer to media by id or link; the body must not contain them",
		"REQ_003":    "use the response's Message-Id, and the key of the client that sent it",
		"MSG_001":    "fix the named members; nothing was sent or claimed",
		"IDEM_001":   "repeat it after the response's Retry-After",
		"IDEM_002":   "use a different Idempotency-Key, or repeat the first request unchanged",
		"IDEM_003":   "use 1 to 255 visible ASCII characters",
		"SENDER_001": "name a sender of the secret GatewayKeySecret that the client may use: functions/send/README.md, Several numbers",
		"WINDOW_001": "send a template, or wait for the person's message: curl -X POST $CONTROL_URL/trigger/text",
		"SEND_001":   `see what is known: curl $API_URL/v1/wa/message/<id> -H "Authorization: Bearer $CLIENT_KEY"`,
		"SEND_002":   "repeat the request; curl $CONTROL_URL/gateway/faults shows what the simulated Gateway does",
		"SEND_003":   "curl $CONTROL_URL/gateway/faults shows what the simulated Gateway does",
		"SEND_005":   "send it as a new message, with a new key",
		"CANCEL_001": "see what became of it: curl $API_URL/v1/wa/message/<id> -H \"Authorization: Bearer $CLIENT_KEY\"",
		"SEND_004":   "send it as a new message, with a new key or a longer Valid-For",
		"SVC_001":    "put the secret: curl -X PUT $CONTROL_URL/secrets/gateway (or clients)",
		"SVC_002":    "see .local/functions.log",
		"SVC_003":    "give both sides a new key: curl -X PUT $CONTROL_URL/secrets/gateway",
		"SVC_005":    "repeat the request with the same Idempotency-Key",
		"SVC_004":    "repeat the request with the same Idempotency-Key",
		"RATE_001":   "wait for params.retry_after; curl $CONTROL_URL/gateway/faults shows whether the limit is a fault",
	}
)

// summaries passes the functions' log on and remembers what each invocation contained.
type summaries struct {
	next     io.Writer
	recorded *control.Recorder
	mu       sync.Mutex
	held     map[string][]string // by request id, until read
}

// contents lists the metrics of a delivery's line that count its updates.
var contents = []struct{ metric, name string }{
	{"Messages", "messages"}, {"Statuses", "statuses"}, {"OtherEvents", "other events"}, {"Quarantined", "quarantined"}, {"Merged", "merged"},
}

func (s *summaries) Write(b []byte) (int, error) {
	for line := range bytes.Lines(b) {
		var summary map[string]any
		if json.Unmarshal(line, &summary) != nil {
			continue
		}
		id, _ := summary["requestId"].(string)
		s.mu.Lock()
		if len(s.held) > 1000 || s.held == nil { // never read
			s.held = map[string][]string{}
		}
		switch summary["message"] {
		case "delivery":
			s.held[id] = append(s.held[id], delivered(summary))
		case "send":
			s.held[id] = append(s.held[id], sent(summary))
		}
		s.mu.Unlock()
	}
	return s.next.Write(b)
}

func delivered(summary map[string]any) string {
	var parts []string
	for _, c := range contents {
		if n, ok := summary[c.metric].(float64); ok {
			parts = append(parts, fmt.Sprintf("%s %.0f", c.name, n))
		}
	}
	return strings.Join(parts, ", ")
}

// sent describes a message's result: outcome, reason and id.
func sent(summary map[string]any) string {
	var parts []string
	for _, name := range []string{"outcome", "reason", "code", "messageId"} {
		if text, _ := summary[name].(string); text != "" && !slices.Contains(parts, text) {
			parts = append(parts, text)
		}
	}
	return strings.Join(parts, " ")
}

// of returns the contents of an invocation once it has want lines. The log takes a different path
// than the response, so it may be a moment late.
func (s *summaries) of(requestID string, want int) []string {
	for wait := 50; ; wait-- {
		s.mu.Lock()
		held := s.held[requestID]
		if len(held) >= want || wait == 0 {
			delete(s.held, requestID)
			s.mu.Unlock()
			return held
		}
		s.mu.Unlock()
		time.Sleep(2 * time.Millisecond)
	}
}
