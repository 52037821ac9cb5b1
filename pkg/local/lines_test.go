package main

import (
	"bytes"
	"strings"
	"testing"

	"connexease-functions/pkg/gateway"
)

func TestEveryRefusalOfOursNamesItsFix(t *testing.T) {
	for code := range strings.FieldsSeq("AUTH_001 AUTH_002 AUTH_003 REQ_001 REQ_002 SVC_001 SVC_002") {
		if text := refusal("POST /webhook", &gateway.Error{Code: code}); !strings.Contains(text, " -> ") || strings.Contains(text, "CLIENT_KEY") {
			t.Errorf("webhook: %s", text)
		}
	}
	for code := range strings.FieldsSeq("AUTH_001 AUTH_002 AUTH_003 AUTH_006 REQ_001 REQ_002 REQ_003 MSG_001 IDEM_001 IDEM_002 IDEM_003 SENDER_001 WINDOW_001 " +
		"SEND_001 SEND_002 SEND_003 SEND_004 SEND_005 CANCEL_001 SVC_001 SVC_002 SVC_003 SVC_004 SVC_005") {
		if text := refusal("GET /v1/wa/message/{id}", &gateway.Error{Code: code}); !strings.Contains(text, " -> ") || strings.Contains(text, "WEBHOOK_SECRET") {
			t.Errorf("send: %s", text)
		}
	}
	for want, e := range map[string]gateway.Error{
		"MSG_001: broken a: long; b: short -> fix the named members; nothing was sent or claimed":                          {Code: "MSG_001", Description: "broken", Params: map[string]any{"b": "short", "a": "long"}},
		`SEND_001: unknown -> see what is known: curl $API_URL/v1/wa/message/msg_a -H "Authorization: Bearer $CLIENT_KEY"`: {Code: "SEND_001", Description: "unknown", Params: map[string]any{"id": "msg_a"}},
		"GW_001: invalid recipient +…": {Code: "GW_001", Description: "invalid recipient +15550100001"},
	} {
		if got := refusal("POST /v1/wa/message", &e); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestALineShowsWhatAnInvocationContained(t *testing.T) {
	var log bytes.Buffer
	s := &summaries{next: &log}
	text := `{"message":"delivery","requestId":"1","Messages":2,"Statuses":1,"Duration":3}
no JSON
{"message":"send","requestId":"2","source":"sqs","outcome":"accepted","reason":"accepted","messageId":"msg_a"}
{"message":"send","requestId":"2","source":"sqs","outcome":"rejected","code":"GW_001","messageId":"msg_b"}
{"message":"something else","requestId":"3"}
`
	if n, err := s.Write([]byte(text)); n != len(text) || err != nil || log.String() != text {
		t.Errorf("%d, %v, passed on %s", n, err, log.String())
	}
	for id, want := range map[string]string{"1": "messages 2, statuses 1", "2": "accepted msg_a; rejected GW_001 msg_b", "3": "", "": ""} {
		if got := strings.Join(s.of(id, len(strings.Split(want, ";"))), "; "); got != want {
			t.Errorf("%s held %q, want %q", id, got, want)
		}
	}
	if len(s.held) != 0 {
		t.Errorf("still held: %v", s.held)
	}
}
