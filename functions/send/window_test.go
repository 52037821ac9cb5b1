package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"connexease-functions/pkg/local/sim/connexease"
	"connexease-functions/pkg/proof/harness"
	"connexease-functions/pkg/whatsapp"
)

const order24 = `{"messaging_product":"whatsapp","to":"15550100001","type":"template","template":{"name":"order_shipped","language":{"code":"en"}}}`

// inbound stores a person's message as the webhook does. who is its members that name the person.
func (w *world) inbound(who string, age time.Duration, more string) time.Time {
	w.t.Helper()
	return w.inboundTo("106", who, age, more)
}

// inboundTo is one that came to a number of the business.
func (w *world) inboundTo(number, who string, age time.Duration, more string) time.Time {
	w.t.Helper()
	at := w.now().Add(-age).Truncate(time.Second).UTC()
	body := fmt.Sprintf(`{"object":"whatsapp_business_account","entry":[{"id":"102","changes":[{"field":"messages","value":{"messaging_product":"whatsapp",`+
		`"metadata":{"display_phone_number":"15550100009","phone_number_id":%q},"messages":[{%s,"id":%q,"timestamp":"%d","type":"text","text":{"body":"Hi"}%s}]}}]}]}`,
		number, who, "wamid."+harness.Name("in"), at.Unix(), more)
	if r := w.handler.table.Put(w.t.Context(), whatsapp.Split([]byte(body)), w.now()); len(r.Unsaved) != 0 {
		w.t.Fatal(r.Err)
	}
	return at
}

const fromNumber = `"from":"15550100001"`

func TestFreeTextIsRefusedOnlyOutsideOfTheWindow(t *testing.T) {
	t.Parallel()
	const referral = `,"referral":{"source_type":"ad","source_id":"1"}`
	for what, c := range map[string]struct {
		age            time.Duration // of the last message; 0: none
		more           string
		choice, nobody string
		body           string
		sent           bool
	}{
		"open":                        {time.Hour, "", "refuse", "", hello, true},
		"just open":                   {24*time.Hour - time.Minute, "", "refuse", "", hello, true},
		"just closed":                 {24*time.Hour + time.Second, "", "refuse", "", hello, false},
		"closed, and not asked":       {25 * time.Hour, "", "", "", hello, true},
		"closed, and to be sent":      {25 * time.Hour, "", "send", "closed", hello, true},
		"closed, a template":          {25 * time.Hour, "", "refuse", "", order24, true},
		"unknown":                     {0, "", "Refuse", "", hello, true},
		"unknown, which counts":       {0, "", "refuse", "closed", hello, false},
		"unknown, which is open":      {0, "", "refuse", "open", hello, true},
		"from an advertisement":       {71 * time.Hour, referral, "refuse", "", hello, true},
		"long from an advertisement":  {73 * time.Hour, referral, "refuse", "", hello, false},
		"open, and unknown is closed": {time.Hour, "", "refuse", "closed", hello, true},
	} {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t)
			var at time.Time
			if c.age > 0 {
				w.inbound(fromNumber, c.age+time.Hour, "") // an older one decides nothing
				at = w.inbound(fromNumber, c.age, c.more)
			}
			a := w.post(c.body, "idempotency-key", "idem-window", "on-closed-window", c.choice, "on-unknown-window", c.nobody)
			if c.sent {
				responds(t, what, a, 200, "")
				w.sent(1)
				return
			}
			responds(t, what, a, 409, "WINDOW_001")
			var r struct {
				Errors struct{ Params map[string]string }
			}
			if err := json.Unmarshal([]byte(a.Body), &r); err != nil {
				t.Fatal(err)
			}
			want := map[string]string{"window": "unknown"}
			if c.age > 0 {
				want = map[string]string{"window": "closed", "last_inbound": at.Format(time.RFC3339), "closed_at": at.Add(24 * time.Hour).Format(time.RFC3339)}
			}
			if fmt.Sprint(r.Errors.Params) != fmt.Sprint(want) {
				t.Errorf("params %v, want %v", r.Errors.Params, want)
			}
			w.sent(0)
			// The key is free, and once it is settled the window does not matter.
			responds(t, "the key is free", w.post(c.body, "idempotency-key", "idem-window"), 200, "")
			again := w.post(c.body, "idempotency-key", "idem-window", "on-closed-window", "refuse", "on-unknown-window", "closed")
			if responds(t, "settled", again, 200, ""); again.Headers["idempotent-replayed"] != "true" {
				t.Errorf("returned %+v", again)
			}
			w.sent(1)
		})
	}
}

func TestTheWindowIsAPersonsUnderAnyName(t *testing.T) {
	w := newWorld(t)
	w.inbound(fromNumber+`,"from_user_id":"US.1349"`, 30*time.Hour, "") // both are one person
	w.inbound(`"from":"15550100002","from_user_id":"US.1349"`, 40*time.Hour, "")
	refuse := []string{"on-closed-window", "refuse"}
	for _, contact := range []string{"15550100001", "US.1349", "+1 555 010-0002"} {
		responds(t, contact, w.post(`{"contact":"`+contact+`","message":{"messaging_product":"whatsapp","type":"text","text":{"body":"Hello"}}}`, refuse...), 409, "WINDOW_001")
	}
	w.inbound(`"from_user_id":"US.1349"`, time.Hour, "")
	for _, contact := range []string{"15550100001", "US.1349", "15550100002"} {
		responds(t, contact, w.post(`{"onClosedWindow":"refuse","contact":"`+contact+`","message":{"messaging_product":"whatsapp","type":"text","text":{"body":"Hello"}}}`), 200, "")
	}
	w.sent(3)
}

func TestADirectCallIsRefusedByName(t *testing.T) {
	w := newWorld(t)
	w.inbound(fromNumber, 25*time.Hour, "")
	envelope := `{"idempotencyKey":"idem-direct","onClosedWindow":"refuse","message":` + hello + `}`
	if _, err := w.direct(envelope); err == nil || !strings.Contains(err.Error(), "WINDOW_001") {
		t.Errorf("returned %v", err)
	}
	w.sent(0)
	w.inbound(fromNumber, time.Minute, "")
	if out, err := w.direct(envelope); err != nil || !strings.Contains(string(out), `"replayed":false`) {
		t.Errorf("returned %s %v", out, err)
	}
	w.sent(1)
}

func TestARecordOutsideOfTheWindowIsEndedInItsRow(t *testing.T) {
	w := newWorld(t)
	w.inbound(fromNumber, 25*time.Hour, "")
	envelope := `{"reader":"crm","onClosedWindow":"refuse","message":` + hello + `}`
	records := []any{w.record(harness.Name("record"), envelope, w.now())}
	name := harness.Name("record")
	keyed := w.record(name, strings.Replace(envelope, "{", `{"idempotencyKey":"idem-record",`, 1), w.now())
	event := w.record(harness.Name("record"), `{"detail-type":"x","source":"shop","id":"idem-event","detail":`+envelope+`}`, w.now())
	records = append(records, keyed, event)
	for range 2 { // at its arrival, and redelivered
		if again := w.batch(records); len(again) != 0 {
			t.Errorf("records %v are retried", again)
		}
	}
	w.inbound(fromNumber, time.Minute, "")
	w.batch(records) // what was ended stays ended
	w.sent(0)
	for _, query := range []map[string]string{{"idempotency_key": "idem-record", "scope": "sqs"}, {"idempotency_key": "idem-event", "scope": "event/shop"}} {
		a := w.find(clientKey, "", query)
		if a.Status != 200 || !strings.Contains(a.Body, `"state":"rejected"`) || !strings.Contains(a.Body, `"reason":"WINDOW_001"`) || !strings.Contains(a.Body, `"http":409`) {
			t.Errorf("%v: shown as %s", query, a.Body)
		}
	}
}

func TestWhatMayHaveLeftIsNeverSaidNotToBeSent(t *testing.T) {
	w := newWorld(t)
	w.inbound(fromNumber, 25*time.Hour, "")
	refuse := []string{"idempotency-key", "idem-left", "on-closed-window", "refuse", "on-unknown", "resend"}
	w.spoil(connexease.Fault{Kind: connexease.ResetAfter})
	responds(t, "lost", w.post(hello, "idempotency-key", "idem-left"), 504, "SEND_001")
	w.spoil()
	responds(t, "unknown", w.post(hello, refuse...), 504, "SEND_001")
	refuse[1] = "idem-flight"
	w.database.Set(deny("UpdateItem"))
	w.post(hello, refuse[:2]...)
	w.database.Set(nil)
	w.pass(time.Second)
	responds(t, "in flight", w.post(hello, refuse...), 409, "IDEM_001")
	refuse[1] = "idem-queued"
	responds(t, "queued", w.post(hello, "idempotency-key", "idem-queued", "prefer", "respond-async"), 202, "")
	responds(t, "queued, then refused", w.post(hello, refuse...), 409, "IDEM_001")
	refuse[1] = "idem-released"
	w.spoil(connexease.Fault{Kind: connexease.RateLimit})
	responds(t, "released", w.post(hello, refuse[:2]...), 429, "RATE_001")
	w.spoil()
	responds(t, "released, then refused", w.post(hello, refuse...), 409, "WINDOW_001")
	responds(t, "another message", w.post(order24, "idempotency-key", "idem-queued"), 422, "IDEM_002")
}

func TestAWindowThatCannotBeReadSendsNothing(t *testing.T) {
	w := newWorld(t)
	w.database.Set(deny("Query"))
	responds(t, "no table", w.post(hello, "on-closed-window", "refuse"), 503, "SVC_002")
	if again := w.sqs(`{"onClosedWindow":"refuse","message":` + hello + `}`); len(again) != 1 {
		t.Errorf("retried %v", again)
	}
	responds(t, "not asked", w.post(hello), 200, "")
	w.sent(1)
}

func TestChoicesAboutTheWindowAreChecked(t *testing.T) {
	w := newWorld(t)
	for want, a := range map[string]harness.Answer{
		`"On-Closed-Window":"send, refuse or fal`: w.post(hello, "on-closed-window", "fall"),
		`"On-Unknown-Window":"open or closed"`:    w.post(hello, "on-unknown-window", "refuse"),
		`"onClosedWindow":"send, refuse or fall`:  w.post(`{"onClosedWindow":"x","message":` + hello + `}`),
		`"onUnknownWindow":"a string`:             w.post(`{"onUnknownWindow":1,"message":` + hello + `}`),
		`"On-Closed-Window":"the same as`:         w.post(`{"onClosedWindow":"refuse","message":`+hello+`}`, "on-closed-window", "send"),
		`"OnClosedWindow":"the header`:            w.post(hello, "OnClosedWindow", "refuse"),
		`"onClosedWindow":"absent: it is not par`: w.post(strings.Replace(hello, "{", `{"onClosedWindow":"refuse",`, 1)),
	} {
		if a.Status != 400 || a.Code() != "MSG_001" || !strings.Contains(a.Body, want) {
			t.Errorf("%s: returned %+v", want, a)
		}
	}
	w.untouched()
}
