package main

import (
	"testing"

	"connexease-functions/pkg/proof/harness"
)

// A caller that writes ?is_fake wants no real message, with any value.
func TestASwitchThatSaysNeitherTrueNorFalseSendsNothing(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"is_fake", "mmlite"} {
		for _, value := range []string{"", " ", "1", "0", "yes", "no", "null", "true ", "true,false", "false,false", "tru"} {
			e := w.event(hello, "idempotency-key", "idem-"+harness.Name("switch"))
			e["queryStringParameters"] = map[string]string{name: value}
			responds(t, name+"="+value, w.request(e), 400, "MSG_001")
		}
	}
	if w.posted() != 0 || len(harness.Items(t, w.table)) != 0 {
		t.Errorf("%d were sent", w.posted())
	}
	for value, want := range map[string]bool{"true": true, "TRUE": true, "false": false, "False": false} {
		before := w.posted()
		e := w.event(hello)
		e["queryStringParameters"] = map[string]string{"is_fake": value, "mmlite": value, "other": ""}
		responds(t, value, w.request(e), 200, "")
		if m := w.sent(before + 1)[before]; m.IsFake != want || m.MMLite != want {
			t.Errorf("%s: sent %+v", value, m)
		}
	}
}

func TestNobodyLooksAnothersMessageUpByItsKeyAndScope(t *testing.T) {
	w := newWorld(t)
	const key = "idem-1"
	envelope := `{"message":` + hello + `,"idempotencyKey":"` + key + `","reader":"crm"}`
	responds(t, "HTTP", w.post(hello, "idempotency-key", key), 200, "")
	if again := w.sqs(envelope, eventOf("e-1", "shop.orders", envelope)); again != nil {
		t.Fatalf("%v retried", again)
	}
	if out, err := w.direct(envelope); err != nil {
		t.Fatalf("%s %v", out, err)
	}
	for _, scope := range []string{"", "http/crm", "sqs", "event/shop.orders", "direct"} {
		query := map[string]string{"idempotency_key": key, "scope": scope}
		responds(t, "the reader, scope "+scope, w.find(clientKey, "", query), 200, "")
		none := w.find(otherKey, "", map[string]string{"idempotency_key": "idem-none", "scope": scope})
		a := w.find(otherKey, "", query)
		if responds(t, "another, scope "+scope, a, 404, "REQ_003"); a.Body != none.Body {
			t.Errorf("scope %s: returned %s, and %s of none", scope, a.Body, none.Body)
		}
	}
}
