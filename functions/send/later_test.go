package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda/messages"

	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/local/sim/connexease"
	simscheduler "connexease-functions/pkg/local/sim/scheduler"
	"connexease-functions/pkg/proof/await"
	"connexease-functions/pkg/proof/harness"
)

// in is a time from now, as callers write it.
func (w *world) in(d time.Duration) string { return w.now().Add(d).Format(time.RFC3339) }

// fires lets time pass until no schedule is left.
func (w *world) fires(d time.Duration) {
	w.t.Helper()
	w.pass(d)
	await.Until(w.t, "all schedules have fired", func() bool { return len(w.scheduler.Schedules()) == 0 })
}

func (w *world) cancel(key, id string) harness.Answer {
	w.t.Helper()
	e := harness.Event(routeCancel, "Bearer "+key, "")
	e["pathParameters"] = map[string]string{"id": id}
	return w.request(e)
}

// Whatever the source, a message with a time leaves at that time, once.
func TestAMessageWithATimeLeavesThen(t *testing.T) {
	envelope := func(w *world, more string) string {
		return `{"message":` + hello + `,"sendAt":"` + w.in(2*time.Hour) + `","reader":"crm","idempotencyKey":"k"` + more + `}`
	}
	http := func(t *testing.T, w *world, a harness.Answer) string {
		t.Helper()
		id := a.Headers["message-id"]
		if want := `{"isSuccess":true,"data":{"id":"` + id + `","status":"scheduled"}}`; a.Status != 202 || a.Body != want {
			t.Errorf("returned %d %s, want %s", a.Status, a.Body, want)
		}
		return id
	}
	for name, send := range map[string]func(t *testing.T, w *world) (id string){
		"HTTP": func(t *testing.T, w *world) string { return http(t, w, w.post(hello, "send-at", w.in(2*time.Hour))) },
		"HTTP, with a key": func(t *testing.T, w *world) string {
			return http(t, w, w.post(hello, "send-at", w.in(2*time.Hour), "idempotency-key", "k"))
		},
		"HTTP, an envelope": func(t *testing.T, w *world) string {
			return http(t, w, w.post(strings.Replace(envelope(w, ""), `,"reader":"crm"`, "", 1)))
		},
		"HTTP, not waiting": func(t *testing.T, w *world) string {
			a := w.post(hello, "send-at", w.in(2*time.Hour), "prefer", "respond-async")
			if a.Headers["preference-applied"] != "respond-async" {
				t.Errorf("returned %+v", a)
			}
			return http(t, w, a)
		},
		"direct": func(t *testing.T, w *world) string {
			out, err := w.direct(envelope(w, ""))
			id := ledger.ID("direct", "k")
			if err != nil || !strings.Contains(string(out), `"data":{"id":"`+id+`","status":"scheduled"}`) {
				t.Errorf("returned %s %v", out, err)
			}
			return id
		},
		"a record": func(t *testing.T, w *world) string {
			if again := w.sqs(envelope(w, "")); again != nil {
				t.Errorf("%v retried", again)
			}
			return ledger.ID("sqs", "k")
		},
		"an event": func(t *testing.T, w *world) string {
			if again := w.sqs(eventOf("e1", "shop", envelope(w, ""))); again != nil {
				t.Errorf("%v retried", again)
			}
			return ledger.ID("event/shop", "k")
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			id := send(t, w)
			all := w.scheduler.Schedules()
			if len(all) != 1 || all[0].Group != "schedules" || all[0].Input != `{"id":"`+id+`"}` || all[0].Target != w.env["QUEUE_ARN"] {
				t.Fatalf("the schedules are %+v", all)
			}
			if s := w.lookUp(id); s.State != "scheduled" || !s.SendAt.Equal(all[0].At) || s.Attempts != 0 {
				t.Errorf("look-up shows %+v", s)
			}
			if valid := w.row(id).Number("valid_until") - all[0].At.UnixMilli(); valid != (24 * time.Hour).Milliseconds() {
				t.Errorf("it is valid for %d ms from its time on", valid)
			}
			w.drain()
			w.sent(0)
			w.fires(2*time.Hour + time.Second)
			w.drain()
			w.sent(1)
			if s := w.lookUp(id); s.State != "accepted" || s.Attempts != 1 {
				t.Errorf("look-up shows %+v", s)
			}
		})
	}
}

func TestATimeIsCheckedAndRefusedByItsName(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, at := range []string{
		"", "tomorrow", "1764000000", "2026-12-24T09:00:00", "2026-12-24 09:00:00Z", w.in(35*24*time.Hour + time.Minute), w.in(59 * time.Second), w.in(-time.Hour),
	} {
		for name, a := range map[string]harness.Answer{
			"without a key": w.post(hello, "send-at", at),
			"with a key":    w.post(hello, "send-at", at, "idempotency-key", "time-"+at),
			"an envelope":   w.post(`{"message":` + hello + `,"sendAt":"` + at + `"}`),
		} {
			responds(t, name+" "+at, a, 400, "MSG_001")
			if !strings.Contains(a.Body, "35 days ahead") {
				t.Errorf("%s %q: returned %s", name, at, a.Body)
			}
		}
		if out, err := w.direct(`{"message":` + hello + `,"idempotencyKey":"k","sendAt":"` + at + `"}`); err == nil {
			t.Errorf("direct, %q: %s", at, out)
		}
	}
	responds(t, "spelt otherwise", w.post(hello, "sendat", w.in(time.Hour)), 400, "MSG_001")
	responds(t, "two times", w.post(`{"message":`+hello+`,"sendAt":"`+w.in(time.Hour)+`"}`, "send-at", w.in(2*time.Hour)), 400, "MSG_001")
	responds(t, "a receipt", w.post(`{"messaging_product":"whatsapp","status":"read","message_id":"wamid.1"}`, "send-at", w.in(time.Hour)), 400, "MSG_001")
	w.untouched()
	if all := w.scheduler.Schedules(); len(all) > 0 {
		t.Errorf("the schedules are %+v", all)
	}
	responds(t, "over before its schedule", w.post(hello, "send-at", w.in(time.Hour), "valid-for", "119"), 400, "MSG_001")
	responds(t, "35 days", w.post(hello, "send-at", w.in(35*24*time.Hour-time.Minute)), 202, "")
	responds(t, "another zone", w.post(hello, "send-at", w.now().Add(time.Hour).In(time.FixedZone("", 19800)).Format(time.RFC3339Nano)), 202, "")
	// A record that is too far is refused for good; one that is near needs no schedule.
	scheduled := len(w.scheduler.Schedules())
	if again := w.sqs(`{"message":` + hello + `,"sendAt":"` + w.in(36*24*time.Hour) + `"}`); again != nil {
		t.Errorf("%v retried", again)
	}
	w.sqs(`{"message":` + hello + `,"sendAt":"9999-12-31T00:00:00Z"}`)
	for _, it := range harness.Items(t, w.table) {
		if days := (it.Number("expires_at") - w.now().Unix()) / 86400; days > 35+365+1 {
			t.Errorf("%v is kept for %d days", it["pk"], days)
		}
	}
	for key, at := range map[string]string{"near": w.in(30 * time.Second), "past": w.in(-time.Hour)} {
		if again := w.sqs(fmt.Sprintf(`{"message":%s,"idempotencyKey":%q,"sendAt":%q}`, hello, key, at)); again != nil {
			t.Errorf("%s: %v retried", key, again)
		}
	}
	if _, again := w.poll(); len(again) != 1 || w.posted() != 1 || len(w.scheduler.Schedules()) != scheduled {
		t.Errorf("%v retried, posted %d, %+v", again, w.posted(), w.scheduler.Schedules())
	}
	w.drain()
	w.sent(2)
}

func TestTheSameKeyMakesSureOfItsSchedule(t *testing.T) {
	t.Parallel()
	harness.AtOnce(t, map[string]simscheduler.Faults{"away": {Away: true}, "lost": {Lost: true}}, func(t *testing.T, f simscheduler.Faults) {
		w := newWorld(t)
		at := w.in(time.Hour)
		send := func(key, at string) harness.Answer { return w.post(hello, "send-at", at, "idempotency-key", key) }
		record := fmt.Sprintf(`{"message":%s,"idempotencyKey":"record","sendAt":%q}`, hello, at)
		w.scheduler.SetFaults(f)
		a := send("key", at)
		responds(t, "unconfirmed", a, 503, "SVC_005")
		if a.Headers["retry-after"] == "" || w.lookUp(a.Headers["message-id"]).State != "scheduled" {
			t.Errorf("returned %+v", a)
		}
		keyless := w.post(hello, "send-at", at)
		responds(t, "without a key", keyless, 504, "SEND_001")
		if id := params(t, keyless)["id"]; id != keyless.Headers["message-id"] {
			t.Errorf("returned %+v", keyless)
		}
		responds(t, "without a key, cancelled", w.cancel(clientKey, keyless.Headers["message-id"]), 200, "")
		if again := w.sqs(record); len(again) != 1 {
			t.Error("the record is acknowledged")
		}
		w.scheduler.SetFaults(simscheduler.Faults{})
		responds(t, "again", send("key", at), 202, "")
		responds(t, "once more", send("key", at), 202, "")
		if again := w.sqs(record); again != nil {
			t.Errorf("%v retried", again)
		}
		responds(t, "another time", send("key", w.in(2*time.Hour)), 422, "IDEM_002")
		responds(t, "without a time", w.post(hello, "idempotency-key", "key"), 422, "IDEM_002")
		responds(t, "queued", w.post(hello, "idempotency-key", "queued", "prefer", "respond-async"), 202, "")
		responds(t, "queued, with a time", send("queued", at), 422, "IDEM_002")
		w.drain()
		w.sent(1)
		// What is scheduled stays so when its time comes near, and what was sent has its response.
		w.pass(59*time.Minute + 30*time.Second)
		responds(t, "thirty seconds before", send("key", at), 202, "")
		responds(t, "thirty seconds before, a new one", send("new", at), 400, "MSG_001")
		w.fires(time.Minute)
		w.drain()
		w.sent(3) // each key once
		if a := send("key", at); a.Status != 200 || a.Headers["idempotent-replayed"] != "true" {
			t.Errorf("after it was sent: %+v", a)
		}
	})
}

func TestAScheduleThatFiresEarlyOrTwiceSendsOnceAndInTime(t *testing.T) {
	w := newWorld(t)
	w.scheduler.SetFaults(simscheduler.Faults{Twice: true})
	id := w.post(hello, "send-at", w.in(time.Hour)).Headers["message-id"]
	watch := w.watchDelays()
	early := w.enqueue(`{"id":"` + id + `"}`)
	if _, again := w.poll(); len(again) != 1 || watch.of(early) < 59*time.Minute || watch.of(early) > time.Hour+10*time.Second {
		t.Errorf("%v retried, after %v", again, watch.of(early))
	}
	w.sent(0)
	w.fires(time.Hour + time.Minute)
	w.drain()
	w.sent(1)
}

func TestCancelling(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	scheduled := func(key string) string {
		return w.post(hello, "send-at", w.in(time.Hour), "idempotency-key", key).Headers["message-id"]
	}
	id := scheduled("scheduled")
	responds(t, "another client", w.cancel(otherKey, id), 404, "REQ_003")
	responds(t, "an id that is none", w.cancel(clientKey, "msg_1"), 404, "REQ_003")
	responds(t, "an id that is nobody's", w.cancel(clientKey, ledger.ID("http/crm", "never")), 404, "REQ_003")
	for range 2 {
		if a := w.cancel(clientKey, id); a.Status != 200 || a.Body != `{"isSuccess":true,"data":{"id":"`+id+`","state":"cancelled"}}` {
			t.Errorf("returned %+v", a)
		}
	}
	if all := w.scheduler.Schedules(); len(all) != 0 {
		t.Errorf("the schedules are %+v", all)
	}
	if s := w.lookUp(id); s.State != "cancelled" || s.CancelledBy != "crm" || s.CancelledAt == nil {
		t.Errorf("look-up shows %+v", s)
	}
	if row := w.row(id); row.Text("detail_type") != "WhatsApp Message Outcome" || row.Text("outcome") != "cancelled" {
		t.Errorf("the row is %+v", row)
	}
	again := w.post(hello, "send-at", w.in(time.Hour), "idempotency-key", "other")
	responds(t, "another key", again, 202, "")
	at := w.lookUp(id).SendAt.Format(time.RFC3339)
	responds(t, "the key again", w.post(hello, "send-at", at, "idempotency-key", "scheduled"), 410, "SEND_005")
	// A schedule that cannot be deleted finds it cancelled, however late.
	kept := scheduled("kept")
	w.scheduler.SetFaults(simscheduler.Faults{Away: true})
	responds(t, "with Scheduler away", w.cancel(clientKey, kept), 200, "")
	w.scheduler.SetFaults(simscheduler.Faults{})
	w.fires(time.Hour + time.Minute)
	w.drain()
	w.sent(1) // the other key's

	queued := w.post(hello, "idempotency-key", "queued", "prefer", "respond-async").Headers["message-id"]
	responds(t, "queued", w.cancel(clientKey, queued), 200, "")
	w.drain()
	w.sent(1)
	responds(t, "queued, repeated", w.post(hello, "idempotency-key", "queued", "prefer", "respond-async"), 410, "SEND_005")
	responds(t, "queued, repeated by one who waits", w.post(hello, "idempotency-key", "queued"), 410, "SEND_005")

	w.sqs(`{"message":` + hello + `,"idempotencyKey":"nobody","sendAt":"` + w.in(time.Hour) + `"}`)
	responds(t, "without a reader", w.cancel(clientKey, ledger.ID("sqs", "nobody")), 404, "REQ_003")
	if _, err := w.direct(`{"message":` + hello + `,"idempotencyKey":"direct","reader":"crm","sendAt":"` + w.in(2*time.Hour) + `"}`); err != nil {
		t.Fatal(err)
	}
	direct := w.lookUp(ledger.ID("direct", "direct"))
	responds(t, "a direct one", w.cancel(clientKey, direct.ID), 200, "")
	_, err := w.direct(`{"message":` + hello + `,"idempotencyKey":"direct","sendAt":"` + direct.SendAt.Format(time.RFC3339) + `"}`)
	if e, is := err.(messages.InvokeResponse_Error); !is || e.Type != "Rejected" || !strings.Contains(e.Message, "SEND_005") { //nolint:errorlint // as Lambda reads it
		t.Errorf("the direct key again: %v", err)
	}
}

func TestWhatMayHaveLeftCannotBeCancelled(t *testing.T) {
	w := newWorld(t)
	for state, f := range map[string]func() string{
		"accepted": func() string { return w.post(hello).Headers["message-id"] },
		"unknown":  func() string { id, _ := w.lost("unknown"); return id },
		"expired": func() string {
			id := w.post(hello, "prefer", "respond-async", "valid-for", "1").Headers["message-id"]
			w.pass(2 * time.Minute)
			return id
		},
	} {
		id := f()
		a := w.cancel(clientKey, id)
		responds(t, state, a, 409, "CANCEL_001")
		if p := params(t, a); p["state"] != state || p["id"] != id {
			t.Errorf("%s: returned %s", state, a.Body)
		}
		if s := w.lookUp(id); s.State != state {
			t.Errorf("%s: look-up shows %+v", state, s)
		}
	}
}

func TestAMessageWaitsForAnother(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	envelope := func(key, after, more string) string {
		return fmt.Sprintf(`{"message":%s,"idempotencyKey":%q,"after":%q%s}`, hello, key, after, more)
	}
	// A chain of three that arrives the wrong way round.
	for _, record := range []string{envelope("c", "b", ""), envelope("b", "a", "")} {
		if again := w.sqs(record); len(again) != 1 {
			t.Errorf("it is not retried: %s", record)
		}
	}
	w.sent(0)
	// How long it waits raises no alarm.
	if again := w.batch([]any{w.record("old", envelope("c", "b", ""), w.now().Add(-time.Hour))}); len(again) != 1 || len(w.values("RecordAge", 0)) > 0 {
		t.Errorf("%v retried, ages %v", again, w.values("RecordAge", 0))
	}
	w.sqs(`{"message":` + hello + `,"idempotencyKey":"a"}`)
	w.sqs(envelope("c", "b", ""))
	w.sent(1)
	w.sqs(envelope("b", "a", ""))
	w.sqs(envelope("c", "b", ""))
	w.sent(3)

	// Over HTTP: what is queued or scheduled waits, by key or id; a repeat that does not say so too.
	first := w.post(hello, "send-at", w.in(time.Hour), "idempotency-key", "first").Headers["message-id"]
	byKey := w.post(envelope("second", "first", ""), "prefer", "respond-async")
	byID := w.post(envelope("third", first, ""), "prefer", "respond-async")
	if s := w.lookUp(byKey.Headers["message-id"]); byKey.Status != 202 || byID.Status != 202 || s.After != first || s.State != "queued" {
		t.Errorf("%+v %+v, look-up shows %+v", byKey, byID, s)
	}
	watch := w.watchDelays()
	came, again := w.poll()
	if len(came) != 2 || len(again) != 2 || watch.of(again[0]) < time.Second || watch.of(again[0]) > 5*time.Second {
		t.Errorf("%d came, %v retried, after %v", len(came), again, watch.of(again[0]))
	}
	responds(t, "a repeat that does not say it", w.post(hello, "idempotency-key", "second"), 409, "IDEM_001")
	w.sent(3)
	responds(t, "cancelled", w.cancel(clientKey, first), 200, "")
	w.drain()
	w.sent(5)

	// Of another client, and of nobody: it is as if it were not there, until its validity ends.
	e := harness.Event(routeSend, "Bearer "+otherKey, envelope("foreign", first, `,"validFor":60`))
	e["headers"].(map[string]string)["prefer"] = "respond-async"
	foreign := w.request(e)
	never := w.post(envelope("never", "missing", `,"validFor":60`), "prefer", "respond-async")
	w.drain()
	w.pass(2 * time.Minute)
	w.sent(5)
	if s := w.lookUp(never.Headers["message-id"]); s.State != "expired" || foreign.Status != 202 {
		t.Errorf("%+v, look-up shows %+v", foreign, s)
	}

	responds(t, "itself, by key", w.post(envelope("self", "self", ""), "prefer", "respond-async"), 400, "MSG_001")
	responds(t, "itself, by id", w.post(envelope("self", ledger.ID("http/crm", "self"), ""), "prefer", "respond-async"), 400, "MSG_001")
	responds(t, "a header's key", w.post(`{"message":`+hello+`,"after":"self"}`, "prefer", "respond-async", "idempotency-key", "self"), 400, "MSG_001")
	responds(t, "a caller that waits", w.post(envelope("waits", "first", "")), 400, "MSG_001")
	responds(t, "no key", w.post(envelope("blank", "a b", ""), "prefer", "respond-async"), 400, "MSG_001")
	if out, err := w.direct(envelope("direct", "first", "")); err == nil {
		t.Errorf("a direct invocation that waits: %s", out)
	}
	if again := w.sqs(envelope("self", "self", "")); again != nil {
		t.Errorf("a record that waits for itself is retried: %v", again)
	}
	w.sent(5)
}

// Whatever the Gateway does to it, and in whatever order its records come, a chain leaves in its
// order, and each of its messages once.
func TestAChainLeavesInItsOrderUnderFaults(t *testing.T) {
	t.Parallel()
	const chains, length = 12, 3
	w := newWorld(t)
	w.spoil(
		connexease.Fault{Kind: connexease.RateLimit, Share: 0.15}, connexease.Fault{Kind: connexease.ResetBefore, Share: 0.1},
		connexease.Fault{Kind: connexease.ResetAfter, Share: 0.15}, connexease.Fault{Kind: connexease.Cut, Share: 0.1},
		connexease.Fault{Kind: connexease.Answer, Status: 500, Body: "oops", Share: 0.1},
		connexease.Fault{Kind: connexease.Answer, Status: 503, Body: `{"isSuccess":false,"errors":{"code":"AUTH_004"}}`, Share: 0.1},
	)
	waiting := map[string]string{} // records by key
	key := func(chain, link int) string { return fmt.Sprintf("chain-%d-%d", chain, link) }
	for n := range chains * length {
		chain, link := n/length, n%length
		after := ""
		if link > 0 {
			after = fmt.Sprintf(`,"after":%q`, key(chain, link-1))
		}
		waiting[key(chain, link)] = fmt.Sprintf(`{"message":%s,"idempotencyKey":%q,"reader":"crm"%s}`, numbered(n), key(chain, link), after)
	}
	for round := 0; len(waiting) > 0; round++ {
		if round == 60 {
			t.Fatalf("%d records are still retried", len(waiting))
		}
		for k, record := range waiting { // a map's order is a different one each time
			if again := w.sqs(record); len(again) == 0 {
				delete(waiting, k)
			}
		}
		w.pass(10 * time.Second)
	}
	next, states := make([]int, chains), map[string]int{}
	for _, m := range w.gateway.Messages() {
		var body struct{ Text struct{ Body string } }
		var n int
		if err := json.Unmarshal(m.Body, &body); err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Sscanf(body.Text.Body, "Hello %d", &n); err != nil || m.Times != 1 || n%length < next[n/length] {
			t.Errorf("%v: message %d left for the %d. time, as link %d after %d", err, n, m.Times, n%length, next[n/length])
		}
		next[n/length] = n%length + 1
	}
	for n := range chains * length {
		states[w.lookUp(ledger.ID("sqs", key(n/length, n%length))).State]++
	}
	if states["accepted"] == 0 || states["unknown"] == 0 || states["accepted"]+states["unknown"] != chains*length {
		t.Errorf("they became %v", states)
	}
}

// scheduled rows are read as they were written, whatever the process.
func TestARowWithoutATimeReadsAsBefore(t *testing.T) {
	w := newWorld(t)
	id := w.post(hello, "prefer", "respond-async").Headers["message-id"]
	row, err := json.Marshal(w.row(id))
	for _, name := range []string{"not_before", `"after"`, "cancelled"} {
		if err != nil || strings.Contains(string(row), name) {
			t.Errorf("the row has %s: %s", name, row)
		}
	}
}
