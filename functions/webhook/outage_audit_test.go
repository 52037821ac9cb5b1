package main

import (
	"maps"
	"net/http"
	"reflect"
	"slices"
	"time"

	"connexease-functions/pkg/proof/harness"
)

// gatewayWaits is how long the Gateway waits for a response (Connexease Gateway API, "Webhooks").
const gatewayWaits = 5 * time.Second

// summarise prints what the Gateway saw, phase by phase.
func (o *outage) summarise(all []phase) {
	o.t.Helper()
	for _, p := range append(all, phase{name: "between"}) {
		o.line(p.name, func(a attempt) bool { return a.phase == p.name })
	}
	o.line("in total", func(attempt) bool { return true })
	o.t.Logf("%d kills, overflow queue %+v, its dead-letter queue %+v", o.kills.Load(), o.stack.Queues.Depth("OverflowQueue"), o.stack.Queues.Depth("OverflowDeadLetters"))
}

func (o *outage) line(name string, is func(attempt) bool) {
	o.t.Helper()
	statuses := map[int]int{}
	var taken []time.Duration
	n, late := 0, 0
	for _, a := range o.attempts {
		if !is(a) {
			continue
		}
		n++
		statuses[a.status]++
		if a.status == http.StatusOK {
			taken = append(taken, a.took)
		}
		if a.took > gatewayWaits {
			late++
		}
		if a.took > apiLimit {
			o.t.Errorf("a response took %v, which API Gateway would have cut off", a.took)
		}
	}
	slices.Sort(taken)
	at := func(share float64) time.Duration {
		if len(taken) == 0 {
			return 0
		}
		return taken[int(share*float64(len(taken)-1))].Round(time.Millisecond)
	}
	o.t.Logf("%-15s %4d deliveries, statuses %v; the 200s: p50 %v, p99 %v, max %v; %d responses over %v", name, n, statuses, at(0.5), at(0.99), at(1), late, gatewayWaits)
}

// audit compares the table with one into which the same deliveries were written without an outage.
func (o *outage) audit() {
	o.t.Helper()
	accepted, refused, turnedAway := newWorld(o.t), newWorld(o.t), newWorld(o.t)
	for _, a := range o.attempts {
		to := refused
		switch {
		case a.status == http.StatusOK:
			to = accepted
		case a.within && a.phase == "queue away too":
			to = turnedAway
		}
		if a.within && a.phase == "queue away too" && a.status == http.StatusOK {
			o.t.Error("a delivery got 200 while neither the table nor the queue was available")
		}
		if answer := to.deliver(a.body); answer.Status != http.StatusOK {
			o.t.Fatalf("the comparison's delivery returned %d %s", answer.Status, answer.Body)
		}
	}
	want, may, not := bare(accepted.items()), bare(refused.items()), bare(turnedAway.items())
	have := bare(harness.Items(o.t, o.stack.TableName))
	lost, other, foreign, claimed, quarantined := 0, 0, 0, 0, 0
	for key, item := range want {
		switch got, there := have[key]; {
		case !there:
			lost++
		case !reflect.DeepEqual(got, item):
			other++
		}
	}
	for key, item := range have {
		if item.Text("kind") == "quarantine" {
			quarantined++
		}
		switch {
		case want[key] != nil || may[key] != nil:
		case not[key] != nil:
			claimed++
		default:
			foreign++
		}
	}
	o.t.Logf("%d items of deliveries that got 200: %d lost, %d changed; %d items in total, %d of no delivery, %d of deliveries refused while everything was away, %d quarantined",
		len(want), lost, other, len(have), foreign, claimed, quarantined)
	if lost+other+foreign+claimed+quarantined > 0 {
		o.t.Error("the table is not what the deliveries were")
	}
	if len(want) == 0 || len(not) == 0 {
		o.t.Error("the outage had no effect")
	}
	if !o.stack.Queues.Idle("OverflowDeadLetters") {
		o.t.Errorf("dead-letter queue: %+v", o.stack.Queues.Depth("OverflowDeadLetters"))
	}
	// Readers of the stream see each item once.
	if inserts, others := records(o.t, &world{table: o.stack.TableName}); inserts != len(have) || others != 0 {
		o.t.Errorf("the stream has %d inserts and %d other records for %d items", inserts, others, len(have))
	}
}

// bare returns a table without its days of expiry: the comparison may be written a day later.
func bare(items map[string]harness.Item) map[string]harness.Item {
	all := map[string]harness.Item{}
	for key, it := range items {
		all[key] = maps.Clone(it)
		delete(all[key], "expires_at")
	}
	return all
}
