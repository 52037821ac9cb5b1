package main

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"connexease-functions/pkg/api"
	"connexease-functions/pkg/gateway"
	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/local/sim/connexease"
	"connexease-functions/pkg/proof/harness"
	"connexease-functions/pkg/table"
)

func TestADirectCallReturnsTheUnifiedResponseWithTheMessagesID(t *testing.T) {
	w := newWorld(t)
	var results []map[string]json.RawMessage
	for range 2 {
		out, err := w.direct(keyed)
		if err != nil {
			t.Fatal(err)
		}
		result, _ := api.Members(out)
		results = append(results, result)
	}
	posted := w.sent(1)
	for i, r := range results {
		var all struct {
			IsSuccess bool
			Data      struct{ Messages []struct{ ID string } }
			MessageID string
			Replayed  *bool
		}
		b, _ := json.Marshal(r)
		if err := json.Unmarshal(b, &all); err != nil || !all.IsSuccess || all.Data.Messages[0].ID != posted[0].Wamid ||
			all.MessageID != ledger.ID("direct", "idem-1") || all.Replayed == nil || *all.Replayed != (i == 1) {
			t.Errorf("call %d returned %s", i, b)
		}
		if names := slices.Sorted(maps.Keys(r)); !slices.Equal(names, []string{"data", "isSuccess", "messageId", "replayed"}) {
			t.Errorf("call %d returned %v", i, names)
		}
	}
	if string(results[0]["data"]) != string(results[1]["data"]) {
		t.Errorf("the repeat returned %s, the first call %s", results[1]["data"], results[0]["data"])
	}
	if s := w.lookUp(ledger.ID("direct", "idem-1")); s.State != "accepted" || s.Attempts != 1 {
		t.Errorf("look-up shows %+v", s)
	}
}

func TestTheOptionsOfADirectCallCount(t *testing.T) {
	w := newWorld(t)
	for _, members := range []string{`"isFake":true`, `"mmlite":true`} {
		if out, err := w.direct(`{"idempotencyKey":"idem-` + members[1:4] + `",` + members + `,"message":` + hello + `}`); err != nil {
			t.Errorf("%s: %s %v", members, out, err)
		}
	}
	if posted := w.sent(2); !posted[0].IsFake || posted[0].MMLite || posted[1].IsFake || !posted[1].MMLite {
		t.Errorf("sent %+v", posted)
	}
}

func TestEveryFailureOfADirectCallHasAName(t *testing.T) {
	fault := func(f connexease.Fault) func(*world) { return func(w *world) { w.spoil(f) } }
	for name, c := range map[string]struct {
		before     func(*world) // nil: nothing
		envelope   string       // empty: keyed
		want, code string
		param      string // one that must be there
		left       int
	}{
		"a broken limit":          {nil, `{"idempotencyKey":"idem-1","message":{"to":"1"}}`, "InvalidMessage", "MSG_001", "to", 0},
		"a message that is none":  {nil, `{"idempotencyKey":"idem-1","message":"Hello"}`, "InvalidMessage", "REQ_001", "", 0},
		"a message of null":       {nil, `{"idempotencyKey":"idem-1","message":null}`, "InvalidMessage", "REQ_001", "", 0},
		"a message too large":     {nil, `{"idempotencyKey":"idem-1","message":"` + strings.Repeat("a", table.MaxSend) + `"}`, "InvalidMessage", "REQ_002", "", 0},
		"a misspelt member":       {nil, `{"idempotencykey":"idem-1","message":` + hello + `}`, "InvalidMessage", "MSG_001", "idempotencykey", 0},
		"a member of a bad value": {nil, `{"idempotencyKey":"idem-1","validFor":-1,"message":` + hello + `}`, "InvalidMessage", "MSG_001", "validFor", 0},
		"no key":                  {nil, `{"message":` + hello + `}`, "InvalidMessage", "IDEM_003", "", 0},
		"a key of null":           {nil, `{"idempotencyKey":null,"message":` + hello + `}`, "InvalidMessage", "IDEM_003", "", 0},
		"an empty key":            {nil, `{"idempotencyKey":"","message":` + hello + `}`, "InvalidMessage", "IDEM_003", "", 0},
		"a key with a space":      {nil, `{"idempotencyKey":"idem 1","message":` + hello + `}`, "InvalidMessage", "IDEM_003", "", 0},
		"a reused key": {func(w *world) {
			if _, err := w.direct(strings.Replace(keyed, "Hello", "Hello again", 1)); err != nil {
				w.t.Error(err)
			}
		}, "", "InvalidMessage", "IDEM_002", "", 1},
		"in flight": {func(w *world) {
			w.database.Set(loseOutcomes)
			if _, err := w.direct(keyed); err != nil { // leaves an attempt that nobody settled
				w.t.Error(err)
			}
			w.database.Set(nil)
		}, "", "InFlight", "IDEM_001", "id", 1},
		"a lost response":        {fault(connexease.Fault{Kind: connexease.ResetAfter}), "", "OutcomeUnknown", "SEND_001", "id", 1},
		"500":                    {fault(responding(500, "X_001")), "", "OutcomeUnknown", "SEND_001", "id", 0},
		"a refused connection":   {fault(connexease.Fault{Kind: connexease.Refuse}), "", "GatewayUnavailable", "SEND_002", "", 0},
		"AUTH_004":               {fault(responding(500, "AUTH_004")), "", "GatewayUnavailable", "AUTH_004", "", 0},
		"AUTH_005":               {fault(responding(500, "AUTH_005")), "", "GatewayUnavailable", "AUTH_005", "", 0},
		"too little time":        {func(w *world) { w.lambda = 10 * time.Second }, "", "GatewayUnavailable", "SEND_002", "", 0},
		"a refused API key":      {fault(responding(401, "AUTH_001")), "", "ServiceUnavailable", "SVC_003", "", 0},
		"no API key":             {func(w *world) { harness.Backends.Secrets.Delete(w.env["GATEWAY_KEY_SECRET_ID"]) }, "", "ServiceUnavailable", "SVC_001", "", 0},
		"no table":               {func(w *world) { w.database.Set(refuseAll) }, "", "ServiceUnavailable", "SVC_002", "", 0},
		"402":                    {fault(responding(402, "BILL_001")), "", "PaymentRequired", "BILL_001", "", 0},
		"402 without a body":     {fault(responding(402, "")), "", "PaymentRequired", "SEND_003", "", 0},
		"429":                    {fault(connexease.Fault{Kind: connexease.RateLimit}), "", "RateLimited", "RATE_001", "retry_after", 0},
		"400":                    {fault(responding(400, "X_001")), "", "Rejected", "X_001", "", 0},
		"403":                    {fault(responding(403, "X_001")), "", "Rejected", "X_001", "", 0},
		"401 of the account":     {fault(responding(401, "WABA_001")), "", "Rejected", "WABA_001", "", 0},
		"422 without a body":     {fault(responding(422, "")), "", "Rejected", "SEND_003", "", 0},
		"404 of another server":  {fault(responding(404, "")), "", "GatewayUnavailable", "SEND_002", "", 0},
		"GW_001":                 {fault(responding(502, "GW_001")), "", "Rejected", "GW_001", "", 0},
		"what came as no object": {fault(connexease.Fault{Kind: connexease.Answer, Status: 400, Body: `"no"`}), "", "Rejected", "SEND_003", "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			if c.before != nil {
				c.before(w)
			}
			if c.envelope == "" {
				c.envelope = keyed
			}
			out, err := w.direct(c.envelope)
			if name, code := failed(t, out, err); name != c.want || code != c.code {
				t.Errorf("failed as %s %s, want %s %s", name, code, c.want, c.code)
			}
			_, text := lambdaError(t, out, err)
			var r gateway.Response
			if err := json.Unmarshal([]byte(text), &r); err != nil || c.param != "" && r.Errors.Params[c.param] == nil {
				t.Errorf("says %s, want params.%s", text, c.param)
			}
			w.sent(c.left)
		})
	}
}

// refuseAll refuses everything, at once and for good.
func refuseAll(rw http.ResponseWriter, _ string, _ []byte) bool {
	harness.Refuse(rw, 400, "AccessDeniedException")
	return true
}

func TestAnInvalidDirectCallClaimsNothing(t *testing.T) {
	w := newWorld(t)
	for _, envelope := range []string{
		`{"message":` + hello + `}`, `{"idempotencyKey":"idem-1","message":{"to":"1"}}`, `{"idempotencyKey":"idem-1","retries":3,"message":` + hello + `}`,
	} {
		if _, err := w.direct(envelope); err == nil {
			t.Errorf("%s is accepted", envelope)
		}
	}
	w.untouched()
}

func TestAFailureThatSentNothingIsMendedByTheSameCall(t *testing.T) {
	for name, f := range map[string]connexease.Fault{
		"402": responding(402, "BILL_001"), "429": {Kind: connexease.RateLimit}, "401": responding(401, "AUTH_001"), "no connection": {Kind: connexease.Refuse},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.spoil(f)
			if _, err := w.direct(keyed); err == nil {
				t.Error("no failure")
			}
			w.spoil()
			if out, err := w.direct(keyed); err != nil || !strings.Contains(string(out), `"replayed":false`) {
				t.Errorf("the repeat returned %s %v", out, err)
			}
			w.sent(1)
		})
	}
}

func TestAnAnswerThatIsFinalIsToldAgain(t *testing.T) {
	for name, f := range map[string]connexease.Fault{
		"a rejection": responding(400, "X_001"), "a refusal of Meta": responding(502, "GW_001"), "an unknown outcome": responding(500, ""),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.spoil(f)
			_, first := w.direct(keyed)
			w.spoil()
			if out, err := w.direct(keyed); err == nil || err.Error() != first.Error() {
				t.Errorf("the repeat returned %s %v, the first call %v", out, err, first)
			}
			w.sent(0)
		})
	}
}

func TestADirectCallMayAskToResend(t *testing.T) {
	w := newWorld(t)
	w.spoil(responding(500, ""))
	resend := strings.Replace(keyed, `"reader"`, `"onUnknown":"resend","reader"`, 1)
	if _, err := w.direct(keyed); err == nil {
		t.Error("no failure")
	}
	w.spoil()
	if out, err := w.direct(resend); err != nil {
		t.Errorf("returned %s %v", out, err)
	}
	w.sent(1)
}
