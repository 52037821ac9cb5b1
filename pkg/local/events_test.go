package main

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"connexease-functions/pkg/events"
	"connexease-functions/pkg/events/schema"
	simeventbridge "connexease-functions/pkg/local/sim/eventbridge"
	"connexease-functions/pkg/proof/docs"
	"connexease-functions/pkg/proof/harness"
)

// rule returns README's rule.
func rule(t *testing.T) simeventbridge.Rule {
	t.Helper()
	r, _ := harness.Rule(t, "AnswerEveryText")
	return r
}

// address is a user's server, which fails at first.
type address struct {
	mu     sync.Mutex
	fails  int // before the path that redirects
	led    int // how often a redirect was followed
	posted []simeventbridge.Event
}

func (a *address) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var e simeventbridge.Event
	if r.URL.Path == "/elsewhere" {
		a.led++
		return
	}
	if a.fails--; a.fails == -1 {
		http.Redirect(w, r, "/elsewhere", http.StatusFound)
		return
	}
	if a.fails >= 0 || json.NewDecoder(r.Body).Decode(&e) != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	a.posted = append(a.posted, e)
}

func (a *address) events() []simeventbridge.Event {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]simeventbridge.Event{}, a.posted...)
}

// The customer's message is delivered ten times: one event reaches the address, README's rule sends
// one reply, and every event follows the schema.
func TestATextReachesTheUsersAddressOnceAndARuleRepliesOnce(t *testing.T) {
	a := &address{fails: 1}
	server := httptest.NewServer(a)
	defer server.Close()
	r := share(t, "-forward", server.URL)
	control := r.Env["CONTROL_URL"]

	listening, err := http.Get(control + "/events?follow=1&kind=message&contact=15550100001")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listening.Body.Close() }()
	body, err := json.Marshal(rule(t))
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Try(http.MethodPut, control+"/rules/answer", string(body)); !strings.Contains(got, `"answer"`) {
		t.Fatalf("the rule: %s", got)
	}
	r.Try(http.MethodPost, control+"/trigger/text?repeat=10", "")

	kinds := func() map[string]int {
		all := map[string]int{}
		for _, e := range a.events() {
			all[e.DetailType]++
		}
		return all
	}
	r.Until("the message, its reply's outcome and its three statuses are there", func() bool {
		k := kinds()
		return k[events.Received] == 1 && k[events.Outcome] == 1 && k[events.StatusChanged] == 3
	})
	for _, e := range a.events() {
		if faults := schema.Validate(e.DetailType, e.Detail); faults != nil {
			t.Errorf("%s: %v", e.JSON(), faults)
		}
	}
	var gateway struct {
		Messages []struct{ Body json.RawMessage }
	}
	if err := json.Unmarshal([]byte(r.Try(http.MethodGet, control+"/gateway/messages", "")), &gateway); err != nil {
		t.Fatal(err)
	}
	if len(gateway.Messages) != 1 || !strings.Contains(string(gateway.Messages[0].Body), `"to":"15550100001"`) {
		t.Errorf("the Gateway accepted %s", gateway.Messages)
	}
	line, err := bufio.NewReader(listening.Body).ReadString('\n')
	if err != nil || line != string(a.events()[0].JSON())+"\n" {
		t.Errorf("the follower got %s %v", line, err)
	}
	var last struct {
		Count  int
		Events []simeventbridge.Event
	}
	if err := json.Unmarshal([]byte(r.Try(http.MethodGet, control+"/events?kind=status&limit=2", "")), &last); err != nil || last.Count != 3 || len(last.Events) != 2 {
		t.Errorf("the last events are %+v, %v", last, err)
	}
	for path, want := range map[string]string{"/events?limit=x": "whole number", "/rules": `"answer"`} {
		if got := r.Try(http.MethodGet, control+path, ""); !strings.Contains(got, want) {
			t.Errorf("%s: %s", path, got)
		}
	}
	for body, want := range map[string]string{`{"pattern":{"a":1}}`: "a: must be a list", `{"patern":{}}`: "pattern, transformer"} {
		if got := r.Try(http.MethodPut, control+"/rules/bad", body); !strings.Contains(got, want) {
			t.Errorf("%s: %s", body, got)
		}
	}
	if got := r.Try(http.MethodDelete, control+"/rules/answer", ""); got != "{\"rules\":{}}\n" {
		t.Errorf("after its removal: %s", got)
	}
	_ = listening.Body.Close()
	r.Stop() // its output is complete now
	if a.led != 0 {
		t.Error("a redirect was followed")
	}
	for _, want := range []string{"forward WhatsApp Message Received  503", " -> retried in 500ms\n", "302 redirects to /elsewhere, which is not followed", "forward WhatsApp Message Received  200", "forward WhatsApp Message Outcome  200"} {
		if !strings.Contains(r.Output.String(), want) {
			t.Errorf("no line has %q: %s", want, r.Output.String())
		}
	}
}

func TestARedirectIsNotADelivery(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/" {
				http.Redirect(w, r, "/events/", status)
			}
		}))
		what, taken := newForwarder(server.URL, io.Discard).post(t.Context(), simeventbridge.Event{Detail: json.RawMessage("{}")})
		if want := strconv.Itoa(status) + " redirects to /events/, which is not followed"; taken || !strings.HasPrefix(what, want) {
			t.Errorf("%d: delivered %v, said %q", status, taken, what)
		}
		server.Close()
	}
}

func TestAnInvalidForwardAddressIsRefusedAtOnce(t *testing.T) {
	for _, bad := range []string{"localhost:3000", "ftp://h", "http://"} {
		out, err := exec.Command(program, "-forward", bad).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "FORWARD must be an address") {
			t.Errorf("%s: %s %v", bad, out, err)
		}
	}
}

func TestReadmeDescribesTheEventsThatTheSchemaAllows(t *testing.T) {
	text := docs.Text(t)
	for _, want := range []string{schema.Types(), schema.Table()} {
		if !strings.Contains(text, want) {
			t.Errorf("README lacks:\n%s", want)
		}
	}
	if _, err := simeventbridge.Compile(rule(t)); err != nil {
		t.Error(err)
	}
}
