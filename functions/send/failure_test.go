package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"connexease-functions/pkg/local/sim/connexease"
	"connexease-functions/pkg/whatsapp"
)

// explains fails the test unless a look-up shows exactly this code in words.
func explains(t *testing.T, s seen, code int) {
	t.Helper()
	want, _ := whatsapp.Explain(code)
	if !slices.Equal(s.Failures, []whatsapp.Failure{want}) || !strings.HasSuffix(s.Explanation, " "+want.Meaning+" "+want.Do) {
		t.Errorf("%d: shown as %v, %q", code, s.Failures, s.Explanation)
	}
}

func TestEveryFailureIsExplained(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for n, code := range whatsapp.FailureCodes() {
		a := w.post(hello, "idempotency-key", fmt.Sprint("idem-failure-", code))
		if responds(t, "sent", a, 200, ""); t.Failed() {
			return
		}
		written := fmt.Sprint(code)
		if n%2 == 0 { // some senders write numbers as text
			written = `"` + written + `"`
		}
		sent := w.gateway.Messages()
		one := status{status: "failed", wamid: sent[len(sent)-1].Wamid, opaque: w.opaque(), at: 1767225600, errors: `[{"code":` + written + `,"title":"Title"}]`}
		again := one
		again.at++
		w.callback(one, again) // of a second device: said once
		s := w.lookUp(a.Headers["message-id"])
		if !s.Failed || !strings.Contains(s.Explanation, "Title.") {
			t.Errorf("%d: look-up shows %+v", code, s)
		}
		explains(t, s, code)
	}
}

func TestEveryRefusalByMetaIsExplained(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, code := range whatsapp.FailureCodes() {
		for _, inParams := range []bool{false, true} {
			w.spoil(connexease.Fault{Kind: connexease.MetaLimit, MetaCode: code, InParams: inParams})
			if code == 0 { // what the simulated Gateway has no number for
				w.spoil(connexease.Fault{Kind: connexease.Answer, Status: 502, Body: `{"isSuccess":false,"errors":{"code":"GW_001","description":"(#0) AuthException"}}`})
			}
			a := w.post(hello)
			responds(t, fmt.Sprint(code), a, 502, "GW_001")
			explains(t, w.lookUp(a.Headers["message-id"]), code)
		}
	}
}

func TestAFailureWithoutAKnownCodeKeepsItsOwnWords(t *testing.T) {
	w := newWorld(t)
	for errors, want := range map[string]string{
		`[{"code":999999,"title":"A new one"}]`:                   "A new one.",
		`[{"title":"No code"}]`:                                   "No code.",
		`[{"code":{"is":"strange"},"message":"Strange"}]`:         "Strange.",
		`[{"code":131047.5,"error_data":{"details":"Fraction"}}]`: "Fraction.",
	} {
		id := w.post(hello).Headers["message-id"]
		sent := w.gateway.Messages()
		w.callback(status{status: "failed", wamid: sent[len(sent)-1].Wamid, opaque: w.opaque(), at: 1767225600, errors: errors})
		if s := w.lookUp(id); len(s.Failures) != 0 || !strings.HasSuffix(s.Explanation, want) {
			t.Errorf("%s: look-up shows %+v", errors, s)
		}
	}
	// A refusal that is not Meta's has codes of its own.
	w.spoil(connexease.Fault{Kind: connexease.Answer, Status: 400, Body: `{"isSuccess":false,"errors":{"code":"BAD_REQUEST","description":"(#131047)"}}`})
	if s := w.lookUp(w.post(hello).Headers["message-id"]); len(s.Failures) != 0 || s.Explanation != "It was refused; answer says why." {
		t.Errorf("look-up shows %+v", s)
	}
}
