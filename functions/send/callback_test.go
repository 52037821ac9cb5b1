package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/local/sim/connexease"
	"connexease-functions/pkg/proof/await"
	"connexease-functions/pkg/proof/harness"
	"connexease-functions/pkg/whatsapp"
)

// status is one of WhatsApp's, of a message.
type status struct {
	status, wamid, opaque string
	at                    int64
	errors                string
}

// callback stores statuses as the webhook does (WhatsApp Cloud API: status messages webhook).
func (w *world) callback(all ...status) {
	w.t.Helper()
	var statuses []string
	for _, s := range all {
		one := fmt.Sprintf(`{"id":%q,"status":%q,"timestamp":"%d","recipient_id":"15550100001"`, s.wamid, s.status, s.at)
		if s.opaque != "" {
			one += fmt.Sprintf(`,"biz_opaque_callback_data":%q`, s.opaque)
		}
		if s.errors != "" {
			one += `,"errors":` + s.errors
		}
		statuses = append(statuses, one+"}")
	}
	events := whatsapp.Split([]byte(`{"object":"whatsapp_business_account","entry":[{"id":"102","changes":[{"field":"messages","value":{"messaging_product":"whatsapp",` +
		`"metadata":{"display_phone_number":"15550100009","phone_number_id":"106"},"statuses":[` + strings.Join(statuses, ",") + `]}}]}]}`))
	if r := w.handler.table.Put(w.t.Context(), events, time.Now()); len(events) != len(all) || len(r.Unsaved) != 0 {
		w.t.Fatalf("%d events, stored %+v", len(events), r)
	}
}

// opaque is the opaque data that the Gateway got with its last message.
func (w *world) opaque() string {
	w.t.Helper()
	all := w.gateway.Messages()
	var m struct {
		Opaque string `json:"biz_opaque_callback_data"`
	}
	if err := json.Unmarshal(all[len(all)-1].Body, &m); err != nil || m.Opaque == "" {
		w.t.Fatalf("%s: %v", all[len(all)-1].Body, err)
	}
	return m.Opaque
}

const undeliverable = `[{"code":131026,"title":"Message undeliverable","message":"Message undeliverable","error_data":{"details":"Receiver is incapable of receiving this message"}}]`

// lost sends a message whose response is lost, and returns the id and the opaque data
// under which it is known.
func (w *world) lost(key string) (id, opaque string) {
	w.t.Helper()
	w.spoil(connexease.Fault{Kind: connexease.ResetAfter})
	a := w.post(hello, "idempotency-key", key)
	w.spoil()
	responds(w.t, "lost", a, 504, "SEND_001")
	id = a.Headers["message-id"]
	if s := w.lookUp(id); s.State != "unknown" || s.Wamid != "" || len(s.Statuses) != 0 {
		w.t.Errorf("look-up shows %+v", s)
	}
	return id, w.opaque()
}

func TestACallbackSettlesALostAnswer(t *testing.T) {
	for _, kind := range []string{"sent", "delivered", "read", "failed", "held_for_review"} {
		w := newWorld(t)
		id, opaque := w.lost("idem-lost")
		one := status{status: kind, wamid: "wamid.A", opaque: opaque, at: 1767225600}
		if kind == "failed" {
			one.errors = undeliverable
		}
		w.callback(one)
		if s := w.lookUp(id); s.State != "accepted" || s.Wamid != "wamid.A" || len(s.Statuses) != 1 || s.Statuses[0].Status != kind || s.Failed != (kind == "failed") || s.Reason != "" {
			t.Errorf("%s: look-up shows %+v", kind, s)
		}
		want := `{"isSuccess":true,"data":{"messaging_product":"whatsapp","messages":[{"id":"wamid.A"}]}}`
		for _, choice := range []string{"hold", "resend"} {
			a := w.post(hello, "idempotency-key", "idem-lost", "on-unknown", choice)
			if a.Status != 200 || a.Body != want || a.Headers["idempotent-replayed"] != "true" || a.Headers["message-id"] != id || w.posted() != 1 {
				t.Errorf("%s: repeat with %s returned %+v, posted %d", kind, choice, a, w.posted())
			}
		}
	}
}

func TestAForgedCallbackChangesNothing(t *testing.T) {
	w := newWorld(t)
	id, opaque := w.lost("idem-forged")
	forged := ledger.Opaque(id, strings.Repeat("a", 16))
	w.callback(
		status{status: "delivered", wamid: "wamid.F", opaque: forged, at: 1767225600},
		status{status: "failed", wamid: "wamid.F", opaque: forged, at: 1767225601, errors: undeliverable},
		status{status: "read", wamid: "wamid.F", opaque: id, at: 1767225602},
		status{status: "read", wamid: "wamid.F", opaque: opaque + "x", at: 1767225603},
		status{status: "read", wamid: "wamid.F", opaque: strings.ToUpper(opaque), at: 1767225604},
	)
	if s := w.lookUp(id); s.State != "unknown" || s.Wamid != "" || s.Status != "" || len(s.Statuses) != 0 || s.Failed {
		t.Errorf("look-up shows %+v", s)
	}
	if responds(t, "repeat", w.post(hello, "idempotency-key", "idem-forged"), 504, "SEND_001"); w.posted() != 1 {
		t.Errorf("posted %d", w.posted())
	}
	w.callback(status{status: "sent", wamid: "wamid.T", opaque: opaque, at: 1767225605})
	if s := w.lookUp(id); s.State != "accepted" || s.Wamid != "wamid.T" || s.Status != "sent" || len(s.Statuses) != 1 {
		t.Errorf("look-up shows %+v", s)
	}
}

func TestACallbackProvesARefusalWrong(t *testing.T) {
	w := newWorld(t)
	w.spoil(connexease.Fault{Kind: connexease.Answer, Status: 502, Body: refusedAs("GW_001"), Taken: true})
	a := w.post(hello, "idempotency-key", "idem-refused")
	responds(t, "refused", a, 502, "GW_001")
	w.callback(status{status: "delivered", wamid: "wamid.A", opaque: w.opaque(), at: 1767225600})
	if s := w.lookUp(a.Headers["message-id"]); s.State != "accepted" || s.Status != "delivered" || s.Answer.HTTP != 200 || s.Reason != "" {
		t.Errorf("look-up shows %+v", s)
	}
	if again := w.post(hello, "idempotency-key", "idem-refused"); again.Status != 200 || !strings.Contains(again.Body, "wamid.A") || w.posted() != 1 {
		t.Errorf("repeat returned %+v, posted %d", again, w.posted())
	}
}

func TestAFailureThatWhatsAppTellsKeepsTheStoredAnswer(t *testing.T) {
	w := newWorld(t)
	a := w.post(hello, "idempotency-key", "idem-failed")
	wamid := w.gateway.Messages()[0].Wamid
	w.callback(status{status: "failed", wamid: wamid, opaque: w.opaque(), at: 1767225600, errors: undeliverable})
	s := w.lookUp(a.Headers["message-id"])
	if s.State != "accepted" || !s.Failed || s.Status != "" || string(s.Statuses[0].Errors) != undeliverable || !strings.Contains(s.Explanation, "Receiver is incapable of receiving this message.") {
		t.Errorf("look-up shows %+v", s)
	}
	if again := w.post(hello, "idempotency-key", "idem-failed"); again.Status != 200 || again.Body != a.Body || w.posted() != 1 {
		t.Errorf("repeat returned %+v, posted %d", again, w.posted())
	}
}

func TestStatusesAreShownInTheirOrderWhateverCameFirst(t *testing.T) {
	w := newWorld(t)
	a := w.post(hello)
	wamid, opaque := w.gateway.Messages()[0].Wamid, w.opaque()
	w.callback(
		status{status: "read", wamid: wamid, opaque: opaque, at: 1767225603},
		status{status: "failed", wamid: wamid, opaque: opaque, at: 1767225604, errors: undeliverable},
		status{status: "sent", wamid: wamid, opaque: opaque, at: 1767225601},
	)
	w.callback(status{status: "delivered", wamid: wamid, opaque: opaque, at: 1767225602})
	s := w.lookUp(a.Headers["message-id"])
	var order []string
	for _, one := range s.Statuses {
		order = append(order, one.Status)
		if (one.Status == "failed") != (len(one.Errors) > 0) {
			t.Errorf("%s has errors %s", one.Status, one.Errors)
		}
	}
	if strings.Join(order, " ") != "sent delivered read failed" || s.Status != "read" || !s.Failed || !strings.HasPrefix(s.Explanation, "It was read. ") {
		t.Errorf("look-up shows %+v", s)
	}
}

func TestStatusesWithTheCallersOwnOpaqueDataAreFoundByWhatsAppsID(t *testing.T) {
	w := newWorld(t)
	body := hello[:len(hello)-1] + `,"biz_opaque_callback_data":"order 4711"}`
	a := w.post(body)
	wamid := w.gateway.Messages()[0].Wamid
	w.callback(status{status: "delivered", wamid: wamid, opaque: "order 4711", at: 1767225602}, status{status: "sent", wamid: wamid, opaque: "order 4711", at: 1767225601})
	if s := w.lookUp(a.Headers["message-id"]); s.Status != "delivered" || len(s.Statuses) != 2 || s.Statuses[0].Status != "sent" || s.Wamid != wamid {
		t.Errorf("look-up shows %+v", s)
	}
	// Without a response only the caller can link such a status to its message.
	w.spoil(connexease.Fault{Kind: connexease.ResetAfter})
	b := w.post(body, "idempotency-key", "idem-own")
	w.spoil()
	w.callback(status{status: "delivered", wamid: w.gateway.Messages()[1].Wamid, opaque: "order 4711", at: 1767225605})
	if s := w.lookUp(b.Headers["message-id"]); s.State != "unknown" || len(s.Statuses) != 0 {
		t.Errorf("look-up shows %+v", s)
	}
	responds(t, "repeat", w.post(body, "idempotency-key", "idem-own"), 504, "SEND_001")
}

func TestACallbackBeforeTheAnswerIsTheAnswer(t *testing.T) {
	w := newWorld(t)
	w.spoil(connexease.Fault{Kind: connexease.Slow, DelayMS: 60_000})
	done := make(chan harness.Answer, 1)
	h := w.handler
	go func() {
		a, _ := harness.Request(t, h, w.lambda, w.event(hello, "idempotency-key", "idem-early"))
		done <- a
	}()
	await.Until(t, "it reaches the Gateway", func() bool { return w.posted() > 0 })
	busy := w.post(hello, "idempotency-key", "idem-early")
	responds(t, "in flight", busy, 409, "IDEM_001")
	id := busy.Headers["message-id"]
	if s := w.lookUp(id); s.State != "in_flight" || s.Explanation != "It is being sent." {
		t.Errorf("look-up shows %+v", s)
	}
	wamid := w.gateway.Messages()[0].Wamid
	w.callback(status{status: "sent", wamid: wamid, opaque: w.opaque(), at: 1767225600})
	if a := w.post(hello, "idempotency-key", "idem-early"); a.Status != 200 || !strings.Contains(a.Body, wamid) {
		t.Errorf("repeat returned %+v", a)
	}
	w.gateway.Close() // ends the call under way
	if a := <-done; a.Code() != "SEND_001" {
		t.Errorf("the first caller was returned %+v", a)
	}
	if s := w.lookUp(id); s.State != "accepted" {
		t.Errorf("look-up shows %+v", s)
	}
}
