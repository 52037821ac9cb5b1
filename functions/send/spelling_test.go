package main

import (
	"encoding/json"
	"strings"
	"testing"

	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/proof/harness"
)

func TestANameInAnotherSpellingIsRefusedInsteadOfIgnored(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct{ query, header, rule string }{
		"isFake": {query: "isFake"}, "is-fake": {query: "is-fake"}, "IsFake": {query: "IsFake"}, "isfake": {query: "isfake"}, "IS_FAKE": {query: "IS_FAKE"},
		"Is-Fake": {query: "Is-Fake"}, "is_Fake": {query: "is_Fake"}, "is__fake": {query: "is__fake"}, "is.fake": {query: "is.fake"},
		"mm-lite": {query: "mm-lite", rule: "the query parameter mmlite"}, "mm_lite": {query: "mm_lite", rule: "the query parameter mmlite"},
		"mmLite": {query: "mmLite", rule: "the query parameter mmlite"}, "MMLITE": {query: "MMLITE", rule: "the query parameter mmlite"},
		"is_fake": {query: "is_fake ", rule: "the query parameter is_fake"},

		"idempotency_key": {query: "idempotency_key", rule: "the header Idempotency-Key"}, "idempotencyKey": {query: "idempotencyKey", rule: "the header Idempotency-Key"},
		"onUnknown": {query: "onUnknown", rule: "the header On-Unknown"}, "Valid-For": {query: "Valid-For", rule: "the header Valid-For"},

		"idempotencykey": {header: "idempotencykey", rule: "the header Idempotency-Key"}, "Idempotency_Key": {header: "Idempotency_Key", rule: "the header Idempotency-Key"},
		"x-idempotency-key": {header: "x-idempotency-key", rule: "the header Idempotency-Key"}, "validfor": {header: "validfor", rule: "the header Valid-For"},
		"on_unknown": {header: "on_unknown", rule: "the header On-Unknown"}, "x-is-fake": {header: "x-is-fake"}, "MM-Lite": {header: "MM-Lite", rule: "the query parameter mmlite"},
	} {
		for _, value := range []string{"true", "false", ""} {
			e := w.event(hello)
			if c.header != "" {
				e["headers"].(map[string]string)[c.header] = value
			} else {
				e["queryStringParameters"] = map[string]string{c.query: value}
			}
			if c.rule == "" {
				c.rule = "the query parameter is_fake"
			}
			a := w.request(e)
			responds(t, name, a, 400, "MSG_001")
			if got := params(t, a); len(got) != 1 || got[name] != c.rule {
				t.Errorf("%s: faults %v, want %s", name, got, c.rule)
			}
		}
	}
	for _, name := range []string{"isFake", "is_fake", "mmLite", "idempotencyKey", "Idempotency-Key", "valid_for", "onUnknown"} {
		for what, body := range map[string]string{"true": "true", "a text": `"k-1"`, "null": "null"} {
			a := w.post(hello[:len(hello)-1] + `,"` + name + `":` + body + `}`)
			responds(t, name+" of "+what+" in a message", a, 400, "MSG_001")
			if params(t, a)[name] == nil {
				t.Errorf("%s: faults %v", name, params(t, a))
			}
		}
	}
	w.untouched()
}

func TestNamesOfOtherLettersAreNobodysBusiness(t *testing.T) {
	w := newWorld(t)
	e := w.event(hello[:len(hello)-1]+`,"fake":true,"is_fake_":{"x":1}}`, "x-request-id", "r", "IDEMPOTENCY-KEY", "idem-1", "valid-for-sure", "yes")
	e["queryStringParameters"] = map[string]string{"fake": "true", "trace": "", "is_fake": "TRUE"}
	a := w.request(e)
	responds(t, "the exact name with another", a, 400, "MSG_001") // is_fake_ is is_fake in a message
	e["body"] = hello[:len(hello)-1] + `,"fake":true}`
	a = w.request(e)
	responds(t, "other names", a, 200, "")
	if sent := w.sent(1); !sent[0].IsFake || a.Headers["message-id"] != ledger.ID("http/crm", "idem-1") {
		t.Errorf("sent %+v as %s", sent, a.Headers["message-id"])
	}
}

func TestAHeaderGivenTwiceIsRefusedUnlessItIsAList(t *testing.T) {
	w := newWorld(t)
	const key = "idem-18"
	responds(t, "once", w.post(hello, "idempotency-key", key), 200, "")
	for _, c := range []struct{ header, value, code string }{
		{"idempotency-key", key + "," + key, "IDEM_003"}, {"idempotency-key", key + ", " + key, "IDEM_003"}, {"idempotency-key", key + ",", "IDEM_003"},
		{"idempotency-key", ",", "IDEM_003"}, {"idempotency-key", key + ",idem-19", "IDEM_003"},
		{"valid-for", "60,60", "MSG_001"}, {"valid-for", "60, 60", "MSG_001"}, {"on-unknown", "hold,hold", "MSG_001"}, {"on-unknown", "hold, resend", "MSG_001"},
	} {
		responds(t, c.header+" "+c.value, w.post(hello, c.header, c.value), 400, c.code)
	}
	responds(t, "Authorization", w.post(hello, "authorization", "Bearer "+clientKey+",Bearer "+clientKey), 401, "AUTH_003")
	w.sent(1)
	a := w.post(hello, "prefer", "wait=10, respond-async,respond-async", "idempotency-key", "idem-20")
	responds(t, "Prefer is a list", a, 202, "")
	// Elsewhere nothing joins keys: a comma in one stays a character.
	if again := w.sqs(`{"idempotencyKey":"idem-1,2","message":` + hello + `}`); again != nil {
		t.Errorf("%v retried", again)
	}
	w.sent(2)
}

func TestAMemberGivenTwiceIsRefusedFromEverySource(t *testing.T) {
	t.Parallel()
	twice := func(object, member string) string { return object[:len(object)-1] + "," + member + "}" }
	to := twice(hello, `"to":"+15550100002"`)
	deep := strings.Replace(hello, `{"body":"Hello"}`, `{"body":"Hello","b\u006fdy":"Hello"}`, 1)
	receipt := twice(hello, `"to":null,"type":null,"status":"read","message_id":"m"`)
	envelope := `{"reader":"crm","idempotencyKey":"idem-1","message":` + hello + `}`
	const id = `{"id":"msg_aaaaaaaaaaaaaaaaaaaaaaaaaa","id":"msg_aaaaaaaaaaaaaaaaaaaaaaaaaa"}`

	for name, c := range map[string]struct {
		source, body, path string
	}{
		"http":                   {"http", to, "to"},
		"http, deep":             {"http", deep, "text.body"},
		"http, a receipt":        {"http", receipt, "to"},
		"http, an unknown":       {"http", twice(hello, `"future":{"a":[{"n":1,"n":1}]}`), "future.a[0].n"},
		"sqs, bare":              {"sqs", twice(hello, `"to":"+15550100002"`), "to"},
		"sqs, in it":             {"sqs", strings.Replace(envelope, hello, deep, 1), "text.body"},
		"sqs, the key":           {"sqs", twice(envelope, `"idempotencyKey":"idem-2"`), "idempotencyKey"},
		"sqs, a bad key":         {"sqs", twice(strings.Replace(envelope, "idem-1", "", 1), `"idempotencyKey":""`), "idempotencyKey"},
		"sqs, the message":       {"sqs", twice(envelope, `"message":`+hello), "message"},
		"sqs, a switch":          {"sqs", twice(envelope, `"isFake":true,"isFake":false`), "isFake"},
		"sqs, the same":          {"sqs", twice(envelope, `"reader":"crm"`), "reader"},
		"sqs, escaped":           {"sqs", twice(envelope, `"read\u0065r":"crm"`), "reader"},
		"sqs, an id":             {"sqs", id, "id"},
		"event, its detail":      {"sqs", twice(eventOf("e-1", "shop.orders", hello), `"detail":`+hello), "detail"},
		"event, its id":          {"sqs", twice(eventOf("e-1", "shop.orders", envelope), `"id":"e-2"`), "id"},
		"event, in the detail":   {"sqs", eventOf("e-1", "shop.orders", twice(envelope, `"reader":"crm"`)), "reader"},
		"event, in the message":  {"sqs", eventOf("e-1", "shop.orders", strings.Replace(envelope, hello, to, 1)), "to"},
		"event, a bare message":  {"sqs", eventOf("e-1", "shop.orders", deep), "text.body"},
		"direct":                 {"direct", twice(envelope, `"message":`+hello), "message"},
		"direct, the key":        {"direct", twice(envelope, `"idempotencyKey":"idem-1"`), "idempotencyKey"},
		"direct, in the message": {"direct", strings.Replace(envelope, hello, to, 1), "to"},
		"direct, the fixture":    {"direct", string(fixture(t, nil, "repeated-member")), "message"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			of := map[string]any{}
			switch c.source {
			case "http":
				a := w.post(c.body, "idempotency-key", "idem-1")
				responds(t, name, a, 400, "MSG_001")
				of = params(t, a)
				w.untouched()
			case "direct":
				out, err := w.direct(c.body)
				if name, code := failed(t, out, err); name != "InvalidMessage" || code != "MSG_001" {
					t.Errorf("failed as %s %s", name, code)
				}
				_, text := lambdaError(t, out, err)
				of = params(t, harness.Answer{Body: text})
				w.untouched()
			case "sqs":
				record := harness.Name("record")
				if again := w.batch([]any{w.record(record, c.body, w.now())}); again != nil {
					t.Errorf("%v retried", again)
				}
				attempts, _ := json.Marshal(harness.Items(t, w.table)[ledger.ID("sqs", record)+" send"]["attempts"])
				if !strings.Contains(string(attempts), `\"`+c.path+`\"`) || !strings.Contains(string(attempts), "MSG_001") {
					t.Errorf("recorded as %s", attempts)
				}
				w.sent(0)
				return
			}
			if rule, _ := of[c.path].(string); !strings.Contains(rule, "more than once") {
				t.Errorf("faults %v, want %s", of, c.path)
			}
		})
	}
}
