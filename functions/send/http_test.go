package main

import (
	"strings"
	"testing"

	"connexease-functions/pkg/proof/harness"
)

func TestASendLeavesOnceAndARepeatHasTheSameAnswer(t *testing.T) {
	w := newWorld(t)
	first := w.post(hello, "idempotency-key", "idem-1")
	again := w.post(hello, "idempotency-key", "idem-1")
	if first.Status != 200 || first.Headers["idempotent-replayed"] != "" || first.Headers["x-ratelimit-sec-limit"] == "" {
		t.Errorf("returned %+v", first)
	}
	if again.Status != 200 || again.Body != first.Body || again.Headers["idempotent-replayed"] != "true" || again.Headers["message-id"] != first.Headers["message-id"] {
		t.Errorf("repeat returned %+v, want %+v", again, first)
	}
	posted := w.gateway.Messages()
	if len(posted) != 1 || !strings.Contains(first.Body, posted[0].Wamid) {
		t.Fatalf("the Gateway accepted %+v", posted)
	}
	id := first.Headers["message-id"]
	if want := hello[:len(hello)-1] + `,"biz_opaque_callback_data":"` + id + "."; !strings.HasPrefix(string(posted[0].Body), want) {
		t.Errorf("sent %s", posted[0].Body)
	}
	if s := w.lookUp(id); s.State != "accepted" || s.Wamid != posted[0].Wamid || s.Attempts != 1 || s.Answer.HTTP != 200 {
		t.Errorf("look-up shows %+v", s)
	}
	row := harness.Items(t, w.table)[id+" send"]
	for name, want := range map[string]string{
		"kind": "send", "direction": "out", "type": "text", "text": "Hello", "client": "crm", "contact": "15550100001",
		"timeline_pk": "contact#15550100001", "sent_wamid": posted[0].Wamid, "message_id": id, "payload": hello, "v": "2", "wamid": "",
	} {
		if got := row.Text(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}
