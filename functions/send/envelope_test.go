package main

import (
	"strings"
	"testing"

	"connexease-functions/pkg/proof/harness"
)

// enveloped is what HTTP, records and direct invocations all accept.
const enveloped = `{"idempotencyKey":"idem-envelope","validFor":60,"onUnknown":"resend","isFake":true,"mmlite":false,"reader":"crm","message":` + hello + `}`

func TestHTTPAcceptsTheEnvelope(t *testing.T) {
	w := newWorld(t)
	first := w.post(enveloped)
	responds(t, "the envelope", first, 200, "")
	w.sent(1)
	if m := w.gateway.Messages()[0]; !m.IsFake || m.MMLite {
		t.Errorf("left as %+v", m)
	}
	sameBody(t, "the envelope", []byte(hello), w.gateway.Messages()[0].Body, first.Headers["message-id"])

	// The same wishes, said elsewhere or twice, are the same request.
	bare := w.event(hello, "idempotency-key", "idem-envelope")
	bare["queryStringParameters"] = map[string]string{"is_fake": "true"}
	both := w.event(enveloped, "idempotency-key", "idem-envelope", "valid-for", "60", "on-unknown", "Resend")
	both["queryStringParameters"] = map[string]string{"is_fake": "true", "mmlite": "false"}
	for what, a := range map[string]harness.Answer{"the envelope again": w.post(enveloped), "headers": w.request(bare), "both": w.request(both)} {
		if a.Status != 200 || a.Body != first.Body || a.Headers["idempotent-replayed"] != "true" || a.Headers["message-id"] != first.Headers["message-id"] {
			t.Errorf("%s: returned %+v", what, a)
		}
	}
	w.sent(1)
	// Contact and group are for HTTP too, and so is the queue.
	responds(t, "a contact", w.post(`{"contact":"US.1349","message":{"messaging_product":"whatsapp","type":"text","text":{"body":"Hello"}}}`), 200, "")
	if got := recipients(t, w.gateway.Messages()[1].Body); got != "to= recipient=US.1349 type=" {
		t.Errorf("left to %s", got)
	}
	responds(t, "queued", w.post(`{"message":`+hello+`}`, "prefer", "respond-async"), 202, "")
	w.drain()
	w.sent(3)
}

func TestAHeaderAndAMemberMayNotDisagree(t *testing.T) {
	w := newWorld(t)
	for place, value := range map[string]string{
		"Idempotency-Key": "idem-other", "Valid-For": "61", "On-Unknown": "hold", "is_fake": "false", "mmlite": "true",
	} {
		e := w.event(enveloped)
		if strings.Contains(place, "-") {
			e = w.event(enveloped, strings.ToLower(place), value)
		} else {
			e["queryStringParameters"] = map[string]string{place: value}
		}
		a := w.request(e)
		responds(t, place, a, 400, "MSG_001")
		if !strings.Contains(a.Body, `"`+place+`":"the same as the envelope's `) {
			t.Errorf("%s: returned %s", place, a.Body)
		}
	}
	for body, want := range map[string]string{
		strings.Replace(enveloped, `"reader":"crm"`, `"reader":"shop"`, 1): `"reader":"absent, or your own name`,
		`{"message":` + hello + `,"retries":3}`:                            `"retries":"absent: an envelope has `,
		`{"message":` + hello + `,"validFor":0}`:                           `"validFor":"a whole number`,
		`{"message":{"to":"1"}}`:                                           `"to":`,
	} {
		if a := w.post(body); a.Status != 400 || a.Code() != "MSG_001" || !strings.Contains(a.Body, want) {
			t.Errorf("%s: returned %+v", body, a)
		}
	}
	responds(t, "a malformed key", w.post(`{"idempotencyKey":"a b","message":`+hello+`}`), 400, "IDEM_003")
	responds(t, "no message", w.post(`{"message":null}`), 400, "REQ_001")
	w.untouched()
}
