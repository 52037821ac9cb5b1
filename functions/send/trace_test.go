package main

import (
	"encoding/json"
	"net"
	"strings"
	"testing"

	"connexease-functions/pkg/proof/harness"
)

// One id finds a request: in the access log, in the function's lines, in the row and in its event,
// also once the message has waited in the queue. A repeat under the same key has its own in its
// line, and the row keeps that of the request that made it.
func TestTheIdOfARequestIsInItsLinesItsRowAndItsEvent(t *testing.T) {
	w := newWorld(t)
	out := harness.NewOut(t, w.table)
	e := w.event(hello, "idempotency-key", "idem-1", "prefer", "respond-async")
	const first, again = "JKJaXmPLvHcESHA=", "JKJbYnQMwIdFTIB="
	e["requestContext"].(map[string]any)["requestId"] = first
	id := w.request(e).Headers["message-id"]
	w.drain()
	e["requestContext"].(map[string]any)["requestId"] = again
	if a := w.request(e); a.Headers["message-id"] != id {
		t.Fatalf("the repeat is %+v", a)
	}
	var lines []string
	for l := range strings.Lines(w.logs.String()) {
		var line struct{ MessageID, Source, APIRequestID string }
		if err := json.Unmarshal([]byte(l), &line); err != nil {
			t.Fatal(err)
		}
		if line.MessageID == id {
			lines = append(lines, line.Source+" "+line.APIRequestID)
		}
	}
	if got, want := strings.Join(lines, ", "), "http "+first+", sqs "+first+", http "+again; got != want {
		t.Errorf("the lines are %s, want %s", got, want)
	}
	if got := w.row(id).Text("request_id"); got != first {
		t.Errorf("the row has %q", got)
	}
	w.sqs(`{"idempotencyKey":"idem-2","message":` + hello + `}`)
	_, came := outcomes(t, out)
	var named []string
	for _, e := range came {
		var d map[string]string
		if err := json.Unmarshal(e.Detail, &d); err != nil {
			t.Fatal(err)
		}
		named = append(named, d["request_id"])
	}
	if len(named) != 2 || named[0] != first || named[1] != "" {
		t.Errorf("the events have %q", named)
	}
}

// With Tracing=yes Lambda writes the trace; what a function wrote itself would go to its daemon.
func TestAFunctionAddsNothingToATrace(t *testing.T) {
	daemon, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = daemon.Close() }()
	t.Setenv("AWS_XRAY_DAEMON_ADDRESS", daemon.LocalAddr().String())
	t.Setenv("_X_AMZN_TRACE_ID", "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1")
	t.Setenv("AWS_LAMBDA_FUNCTION_NAME", "send")
	w := newWorld(t)
	w.post(hello, "idempotency-key", "idem-1")
	w.post(hello, "idempotency-key", "idem-2", "prefer", "respond-async")
	w.drain()
	w.post(`{"to":`, "idempotency-key", "idem-3")
	w.sent(2)
	if _, err := daemon.WriteTo([]byte("the end"), daemon.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	segment := make([]byte, 1<<16)
	if n, _, err := daemon.ReadFrom(segment); err != nil || string(segment[:n]) != "the end" {
		t.Errorf("the trace's daemon got %s, %v", segment[:n], err)
	}
}
