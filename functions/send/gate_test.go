package main

import (
	"encoding/json"
	"testing"

	"connexease-functions/pkg/local/sim/connexease"
	"connexease-functions/pkg/proof/harness"
)

func TestNoIDOfTheGatewayAddsMembersToAnEvent(t *testing.T) {
	w := newWorld(t)
	out := harness.NewOut(t, w.table)
	ids := []string{`wamid.x","client":"another`, `wamid.x\`, "wamid.x\ny", "wamid.x\u0000"}
	for _, id := range ids {
		body, err := json.Marshal(map[string]any{"isSuccess": true, "data": map[string]any{"messages": []map[string]string{{"id": id}}}})
		if err != nil {
			t.Fatal(err)
		}
		w.spoil(connexease.Fault{Kind: connexease.Answer, Status: 200, Body: string(body)})
		a := w.post(hello)
		responds(t, id, a, 200, "")
		if s := w.lookUp(a.Headers["message-id"]); s.State != "accepted" || s.Wamid != id {
			t.Errorf("look-up shows %+v", s)
		}
	}
	all, came := outcomes(t, out)
	if len(all) != len(ids) {
		t.Errorf("%d sends made the events %q", len(ids), all)
	}
	for _, e := range came {
		var d map[string]string
		if err := json.Unmarshal(e.Detail, &d); err != nil || d["client"] != "crm" || d["outcome"] != "accepted" || d["wamid"] != "" {
			t.Errorf("%s: %v", e.Detail, err)
		}
	}
}
