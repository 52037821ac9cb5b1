package main

import (
	"encoding/json"
	"strings"
	"testing"

	"connexease-functions/pkg/proof/harness"
)

func TestACampaignIsShownByLookUpAndItsOutcomesAndIsNoPartOfTheRequest(t *testing.T) {
	w := newWorld(t)
	out := harness.NewOut(t, w.table)
	envelope := func(key, campaign string) string {
		return `{"idempotencyKey":"` + key + `","reader":"crm","campaign":` + campaign + `,"message":` + hello + `}`
	}
	first := w.post(envelope("spring-1", `"Spring_2026.eu-1"`))
	again := w.post(envelope("spring-1", `"other"`))
	none := w.post(hello, "idempotency-key", "spring-1")
	if first.Status != 200 || again.Body != first.Body || none.Body != first.Body || w.posted() != 1 {
		t.Errorf("%+v, then %+v and %+v; posted %d", first, again, none, w.posted())
	}
	id := first.Headers["message-id"]
	if s := w.lookUp(id); s.Campaign != "Spring_2026.eu-1" || w.row(id).Text("campaign") != "Spring_2026.eu-1" {
		t.Errorf("look-up shows %+v, the row has %v", s, w.row(id).Text("campaign"))
	}
	queued := w.post(envelope("spring-2", `"spring"`), "prefer", "respond-async").Headers["message-id"]
	w.sqs(envelope("spring-3", `"spring"`))
	w.drain()
	w.post(`{"campaign":null,"message":` + hello + `}`)
	if s := w.lookUp(queued); s.State != "accepted" || s.Campaign != "spring" {
		t.Errorf("the queued one: %+v", s)
	}
	var named []string
	_, came := outcomes(t, out)
	for _, e := range came {
		var d map[string]string
		if err := json.Unmarshal(e.Detail, &d); err != nil {
			t.Fatal(err)
		}
		named = append(named, d["campaign"])
	}
	count := func(name string) (n int) {
		for _, one := range named {
			if one == name {
				n++
			}
		}
		return n
	}
	if len(named) != 4 || count("Spring_2026.eu-1") != 1 || count("spring") != 2 || count("") != 1 {
		t.Errorf("outcomes are of %q", named)
	}
	w.sent(4)
	for _, bad := range []string{`""`, `"a b"`, `"a\"b"`, `"kampañe"`, `"` + strings.Repeat("a", 65) + `"`, `7`} {
		a := w.post(envelope("bad", bad))
		responds(t, bad, a, 400, "MSG_001")
		if rule := params(t, a); len(rule) != 1 || rule["campaign"] == nil {
			t.Errorf("%s: %v", bad, rule)
		}
	}
	w.sent(4)
}
