package main

import (
	"strings"
	"testing"

	"connexease-functions/pkg/proof/harness"
)

func TestANumberLeavesAsWrittenAndIsStoredAsItsDigits(t *testing.T) {
	w := newWorld(t)
	for i, to := range []string{`"+1 (555) 010-7001"`, `"1-555-010-7001"`, `"15550107001"`, `15550107001`} {
		body := strings.Replace(hello, `"+15550100001"`, to, 1)
		a := w.post(body)
		responds(t, to, a, 200, "")
		sameBody(t, to, []byte(body), w.gateway.Messages()[i].Body, a.Headers["message-id"])
		row := harness.Items(t, w.table)[a.Headers["message-id"]+" send"]
		if row.Text("contact") != "15550107001" || row.Text("timeline_pk") != "contact#15550107001" {
			t.Errorf("%s is stored as %q in %q", to, row.Text("contact"), row.Text("timeline_pk"))
		}
	}
}

func TestAnIDThatWouldNeverArriveInToIsRefused(t *testing.T) {
	const group = "Y2FwaV9ncm91cDoxNzA1NTU1MDEzOToxMjAzNjM0MDQ2OTQyMzM4MjAZD"
	w := newWorld(t)
	for to, path := range map[string]string{"US.13491208655302741918": "to", group: "recipient_type"} {
		body := strings.Replace(hello, "+15550100001", to, 1)
		a := w.post(body)
		responds(t, to, a, 400, "MSG_001")
		rule, _ := params(t, a)[path].(string)
		if want := map[string]string{"to": "recipient with a business-scoped user id", "recipient_type": "group"}[path]; !strings.Contains(rule, want) {
			t.Errorf("%s: faults %v, want %s", to, params(t, a), want)
		}
		if again := w.sqs(body); again != nil {
			t.Errorf("%s: %v retried", to, again)
		}
	}
	w.sent(0)
	for _, body := range []string{
		strings.Replace(hello, `"to":"+15550100001"`, `"recipient":"US.13491208655302741918"`, 1),
		strings.Replace(hello, `"to":"+15550100001"`, `"recipient_type":"group","to":"`+group+`"`, 1),
	} {
		responds(t, body, w.post(body), 200, "")
	}
	for _, m := range w.sent(2) {
		if m.Undelivered != "" {
			t.Errorf("%s does not arrive: %s", m.Body, m.Undelivered)
		}
	}
}
