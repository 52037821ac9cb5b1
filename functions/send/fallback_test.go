package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/local/sim/connexease"
	"connexease-functions/pkg/proof/harness"
)

const fallback24 = `{"messaging_product":"whatsapp","type":"template","template":{"name":"order_shipped","language":{"code":"en"}}}`

// refused is a response of the Gateway that lets the same key be tried again.
var refused = connexease.Fault{Kind: connexease.Answer, Status: http.StatusPaymentRequired, Body: `{"isSuccess":false,"errors":{"code":"PAYMENT_001"}}`}

// cell is one place of the matrix: a person of its own, a key of its own.
type cell struct {
	*world
	window, choice, source, state string
	contact, key                  string
}

// leaves is the type of the message that may leave; empty: none.
func (c *cell) leaves() string {
	switch {
	case c.window == "open" || c.window == "entry point" || c.choice == "send":
		return "text"
	case c.window == "unknown" && c.source == "async" && c.state == "released":
		return "text" // what is queued keeps the choices with which it was queued
	case c.choice == "fallback":
		return "template"
	}
	return ""
}

func (c *cell) id() string {
	scope := map[string]string{"http": "http/crm", "async": "http/crm", "sqs": "sqs", "event": "event/shop", "direct": "direct"}[c.source]
	return ledger.ID(scope, c.key)
}

// say makes the request, by its source, and says in one word what came of it: sent, replayed,
// refused, busy, unknown, released, later or done. unknown is how a person counts without a message.
func (c *cell) say(unknown string) string {
	c.t.Helper()
	envelope := fmt.Sprintf(`{"idempotencyKey":%q,"reader":"crm","onClosedWindow":%q,"onUnknownWindow":%q,`+
		`"message":{"messaging_product":"whatsapp","to":%q,"type":"text","text":{"body":"Hello"}}`, c.key, c.choice, unknown, c.contact)
	if c.choice == "fallback" {
		envelope += `,"fallback":` + fallback24
	}
	envelope += "}"
	http := func(headers ...string) string {
		a := c.post(envelope, headers...)
		instead := c.leaves() == "template" && c.state != "settled" && a.Status == 200
		if got := a.Headers["sent-instead"] == "fallback"; got != instead && unknown == "closed" {
			c.t.Errorf("Sent-Instead is %t of %d %s", got, a.Status, a.Body)
		}
		return word(a.Status, a.Code(), a.Headers["idempotent-replayed"] != "")
	}
	records := func(body string) string {
		if len(c.batch([]any{c.record("record-"+c.key, body, c.now())})) > 0 {
			return "later"
		}
		return "done"
	}
	switch c.source {
	case "http":
		return http()
	case "async":
		said := http("prefer", "respond-async")
		if said == "queued" || said == "busy" || said == "unknown" {
			return said + ", " + records(`{"id":"`+c.id()+`"}`)
		}
		return said
	case "sqs":
		return records(envelope)
	case "event":
		return records(eventOf("event-"+c.key, "shop", envelope))
	}
	out, err := c.direct(envelope)
	if err != nil {
		for code, status := range map[string]int{"WINDOW_001": 409, "IDEM_001": 409, "SEND_001": 504, "PAYMENT_001": 402} {
			if strings.Contains(err.Error(), code) {
				return word(status, code, false)
			}
		}
		return err.Error()
	}
	var r struct {
		Replayed    bool
		SentInstead string
	}
	if err := json.Unmarshal(out, &r); err != nil {
		c.t.Fatal(err)
	}
	if instead := c.leaves() == "template" && c.state != "settled"; (r.SentInstead == "fallback") != instead && unknown == "closed" {
		c.t.Errorf("sentInstead is %q of %s", r.SentInstead, out)
	}
	return word(200, "", r.Replayed)
}

func word(status int, code string, replayed bool) string {
	switch {
	case code == "WINDOW_001":
		return "refused"
	case code == "IDEM_001":
		return "busy"
	case code == "SEND_001":
		return "unknown"
	case status == 402:
		return "released"
	case status == 202:
		return "queued"
	case status == 200 && replayed:
		return "replayed"
	case status == 200:
		return "sent"
	}
	return fmt.Sprint(status, code)
}

// arrive brings the key into its state, while nothing is known of the person: the text is tried.
func (c *cell) arrive() {
	c.t.Helper()
	switch c.state {
	case "new":
		return
	case "released":
		c.spoil(refused)
	case "in flight": // its outcome cannot be written
		c.database.Set(func(w http.ResponseWriter, action string, body []byte) bool {
			if action == "UpdateItem" && strings.Contains(string(body), `":came"`) {
				harness.Refuse(w, 400, "AccessDeniedException")
				return true
			}
			return false
		})
	case "unknown":
		c.spoil(connexease.Fault{Kind: connexease.ResetAfter})
	}
	c.say("open")
	c.spoil()
	c.database.Set(nil)
}

// posted returns the types of the messages to the person that the Gateway accepted.
func (c *cell) posted() (types []string) {
	for _, m := range c.gateway.Messages() {
		var body struct{ To, Type string }
		if json.Unmarshal(m.Body, &body) == nil && body.To == c.contact {
			types = append(types, body.Type)
		}
	}
	return types
}

// want is what the request comes to, and what has left in the end.
func (c *cell) want() (said string, left []string, state string) {
	record := c.source == "sqs" || c.source == "event"
	by := func(http, async, record, direct string) string {
		return map[string]string{"http": http, "async": async, "sqs": record, "event": record, "direct": direct}[c.source]
	}
	switch leaves := c.leaves(); {
	case c.state == "settled":
		return by("replayed", "replayed", "done", "replayed"), []string{"text"}, "accepted"
	case c.state == "in flight":
		return by("busy", "busy, later", "later", "busy"), []string{"text"}, "in_flight"
	case c.state == "unknown":
		return by("unknown", "unknown, done", "done", "unknown"), []string{"text"}, "unknown"
	case leaves != "":
		return by("sent", "queued, done", "done", "sent"), []string{leaves}, "accepted"
	case record || c.source == "async":
		return by("", "queued, done", "done", ""), nil, "rejected"
	case c.state == "released":
		return "refused", nil, "not_sent"
	}
	return "refused", nil, ""
}

func TestTheWindowDecidesFromEverySourceInEveryState(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := 0
	for _, window := range []string{"open", "closed", "unknown", "entry point"} {
		for _, choice := range []string{"send", "refuse", "fallback"} {
			for _, source := range []string{"http", "async", "sqs", "event", "direct"} {
				for _, state := range []string{"new", "settled", "released", "in flight", "unknown"} {
					n++
					c := &cell{w, window, choice, source, state, fmt.Sprintf("1555010%04d", n), fmt.Sprintf("idem-%d", n)}
					t.Run(strings.Join([]string{window, choice, source, state}, "/"), func(t *testing.T) {
						w.t = t
						defer func() { w.t = nil }()
						c.arrive()
						from := fmt.Sprintf(`"from":%q`, c.contact)
						switch window {
						case "open":
							w.inbound(from, time.Hour, "")
						case "closed":
							w.inbound(from, 25*time.Hour, "")
						case "entry point":
							w.inbound(from, 71*time.Hour, `,"referral":{"source_type":"ad","source_id":"1"}`)
						}
						said, left, end := c.want()
						if got := c.say("closed"); got != said {
							t.Errorf("came to %q, want %q", got, said)
						}
						if got := c.posted(); fmt.Sprint(got) != fmt.Sprint(left) {
							t.Errorf("%q left, want %q", got, left)
						}
						if end == "" {
							if a := w.find(clientKey, c.id(), nil); a.Status != 404 {
								t.Errorf("the key is spent: %s", a.Body)
							}
							return
						}
						s := w.lookUp(c.id())
						instead, seen := "", ""
						if state == "new" || state == "released" {
							if seen = map[string]string{"entry point": "open"}[window]; seen == "" {
								seen = window
							}
							if end == "not_sent" { // nobody claimed since
								seen = "unknown"
							}
						} else if choice != "send" {
							seen = "unknown" // when it was tried
						}
						if choice == "send" {
							seen = ""
						}
						if end == "accepted" && left[0] == "template" {
							instead = "fallback"
						}
						if s.State != end || s.SentInstead != instead || s.Window != seen || end == "rejected" && s.Reason != "WINDOW_001" {
							t.Errorf("look-up shows %+v, want %s %q %q", s, end, instead, seen)
						}
					})
				}
			}
		}
	}
}
