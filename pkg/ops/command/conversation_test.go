package command

import (
	"regexp"
	"strings"
	"testing"

	"connexease-functions/pkg/whatsapp"
)

func TestAnOperatorReadsAConversationPageByPage(t *testing.T) {
	w := newWorld(t)
	put(t, w.table, whatsapp.Split([]byte(`{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[
		{"field":"messages","value":{"metadata":{"phone_number_id":"2"},"contacts":[{"wa_id":"15550100001","user_id":"US.1349"}],"messages":[
		{"from":"15550100001","id":"wamid.1","timestamp":"1764000000","type":"text","text":{"body":"first\u001b[2J\nline"}},
		{"from":"15550100001","id":"wamid.2","timestamp":"1764000060","type":"reaction","reaction":{"message_id":"wamid.0","emoji":"👍"}},
		{"from":"15550100001","group_id":"G1","id":"wamid.3","timestamp":"1764000120","type":"text","text":{"body":"in the group"}}]}},
		{"field":"smb_message_echoes","value":{"metadata":{"phone_number_id":"2"},"message_echoes":[
		{"from":"15550100099","to":"15550100001","id":"wamid.4","timestamp":"1764000180","type":"text","text":{"body":"an answer"}}]}},
		{"field":"messages","value":{"metadata":{"phone_number_id":"2"},"statuses":[
		{"id":"wamid.4","status":"failed","timestamp":"1764000181","recipient_id":"15550100001","errors":[{"code":131026,"title":"x"}]}]}}]}]}`))...)
	put(t, w.table, preference("stop", 1763000000)...)
	read := func(arguments ...string) (string, error) {
		t.Helper()
		return ops(t, w.state, w.stack, "", append([]string{"conversation"}, arguments...)...)
	}
	const header = `15550100001, US.1349: window closed, last message or call 2025-11-24T16:01:00Z, marketing messages: stop since 2025-11-13T02:13:20Z.`
	newest, err := read("+1 (555) 010-0001", "-limit", "2")
	older := regexp.MustCompile(`\nOlder: -before (\S+)\n$`).FindStringSubmatch(newest)
	if want := header + "\n2025-11-24T16:01:00Z  in   15550100001      reaction 👍\n2025-11-24T16:03:00Z  out  -                an answer (failed, 131026 The message cannot be delivered"; err != nil || !strings.HasPrefix(newest, want) || older == nil {
		t.Fatalf("%v\n%s\nwant\n%s", err, newest, want)
	}
	if out, err := read("-contact", "15550100001", "-before", older[1]); err != nil || !strings.HasSuffix(out, "\n2025-11-24T16:00:00Z  in   15550100001      first[2J line\n") {
		t.Errorf("%v\n%q", err, out)
	}
	if out, err := read("-group", "G1"); err != nil || out != "2025-11-24T16:02:00Z  in   15550100001      in the group\n" {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err := read("15550100009"); err != nil || out != "15550100009: window unknown.\nNothing is stored.\n" {
		t.Errorf("%v\n%s", err, out)
	}
	for want, wrong := range map[string][]string{
		"Name a person or a group":    {},
		"Name a person or":            {"15550100001", "-group", "G1"},
		"-limit: 1 to 100":            {"15550100001", "-limit", "101"},
		"-before: the value of befor": {"15550100001", "-before", "x"},
	} {
		if out, err := read(wrong...); err == nil || !strings.HasPrefix(out, want) {
			t.Errorf("%v: %v %s", wrong, err, out)
		}
	}
}
