package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"connexease-functions/pkg/conversation"
	"connexease-functions/pkg/local/sim/connexease"
	simlambda "connexease-functions/pkg/local/sim/lambda"
	"connexease-functions/pkg/local/stack"
	"connexease-functions/pkg/proof/must"
)

// people have a conversation each: the first one's is read again and again, those of the others once.
const people = 61

// page compares a page of a conversation, half of it messages that were sent and read, with a handler
// that returns the same items as one Query of the index has them.
func page(b *bench) string {
	b.stack.Gateway.SetLimits(connexease.Limits{PerSecond: 1e6, PerMinute: 1e9})
	const reader, sent, each = "reader-key", conversation.Usual / 2, 3 // sent, delivered, read
	b.stack.Secrets.Put(stack.ClientKeysSecret, fmt.Sprintf(`{"default":%q,"reader":{"keys":%q,"read":"all"}}`, b.stack.ClientKey(), reader))
	const one = "15550100001" // in the bodies
	person := func(n int) string { return fmt.Sprint(15550100001 + n) }
	for who := range people {
		for n := range conversation.Usual - sent {
			b.invoke(b.webhook(), b.event(b.secret, strings.ReplaceAll(message(who*conversation.Usual+n), one, person(who))))
		}
		for n := range sent {
			b.invoke(b.send(), b.sendEvent(strings.ReplaceAll(hello(n), one, person(who)), ""))
		}
	}
	for began := time.Now(); len(b.stored()) < people*(conversation.Usual+sent*each); time.Sleep(100 * time.Millisecond) {
		if time.Since(began) > time.Minute {
			must.OK(errors.New("the statuses did not come"))
		}
	}
	ask := func(n int) []byte {
		var event map[string]any
		must.OK(json.Unmarshal(request("GET /v1/wa/conversation/{contact}", reader, "", nil), &event))
		event["pathParameters"] = map[string]string{"contact": person(n)}
		return must.Get(json.Marshal(event))
	}
	again, first := func(int) []byte { return ask(0) }, func(n int) []byte { return ask(n + 1) }
	url, stop := away(b.stack.DynamoDBURL)
	defer stop()
	var rows []string
	for _, at := range []struct {
		what, endpoint string
		warming        int // the virtual machine of DynamoDB Local warms up, for statements later than for a Query
	}{
		{"a page of 25, half of it sent", b.stack.DynamoDBURL, 2000},
		{fmt.Sprintf("each call to DynamoDB %v longer", delay), url, 100},
	} {
		start := func(binary string) *simlambda.Function {
			env := b.stack.Environment()
			maps.Copy(env, b.sendVariables())
			maps.Copy(env, map[string]string{"AWS_ENDPOINT_URL_DYNAMODB": at.endpoint, "CALLS": "page", "ITEM": "{}"})
			return simlambda.New(simlambda.Config{Name: "page", Command: []string{binary}, Env: env, Timeout: 28 * time.Second, MemoryMB: 512, Logs: io.Discard})
		}
		ours, bare := start(filepath.Join(b.state, "bin", "send")), start(b.empty)
		b.alternate(ours, bare, at.warming, again)
		o, q := b.alternate(ours, bare, 1000, again)
		rows = append(rows, row(at.what+", p50", o, q, "3 x the same items, by one Query"))
		o, q = b.alternate(ours, bare, people-1, first)
		rows = append(rows, row("  messages that its process does not know", o, q, ""))
		must.OK(errors.Join(ours.Close(), bare.Close()))
	}
	return strings.Join(rows, "\n")
}

// alternate returns the medians of two functions' times for the same events.
func (b *bench) alternate(ours, bare *simlambda.Function, times int, event func(n int) []byte) (o, q time.Duration) {
	var all, floor []time.Duration
	for n := range times {
		payload := event(n)
		all, floor = append(all, b.invoke(ours, payload)), append(floor, b.invoke(bare, payload))
	}
	return median(all), median(floor)
}

// delay is about what a call to DynamoDB takes from Lambda, where many at once take no longer. DynamoDB
// Local has them wait for two processors.
const delay = 4 * time.Millisecond

// away serves an endpoint whose calls take longer.
func away(endpoint string) (at string, stop func()) {
	proxy := httputil.NewSingleHostReverseProxy(must.Get(url.Parse(endpoint)))
	proxy.Transport = &http.Transport{MaxIdleConnsPerHost: 100}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(delay)
		proxy.ServeHTTP(w, r)
	}))
	return server.URL, server.Close
}
