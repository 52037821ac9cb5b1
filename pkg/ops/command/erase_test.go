package command

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestErasingAContactRemovesAllItsItemsAndNothingElse(t *testing.T) {
	r := start(t)
	r.Trigger("batch")
	r.Trigger("status-contact")
	r.Try("POST", r.Env["API_URL"]+"/webhook", `{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages","value":{"metadata":{"phone_number_id":"2"},`+
		`"messages":[{"id":"wamid.large","from":"15550100001","timestamp":"1764000000","type":"text","text":{"body":"`+strings.Repeat("large ", 100_000)+`"}}]}}]}]}`)
	mine, all := r.Items("?contact=15550100001").Count, r.Items("").Count
	if mine < 3 || all == mine {
		t.Fatalf("%d of %d items are the contact's", mine, all)
	}
	for _, wrong := range [][]string{{}, {"-contact", "1555*"}, {"-contact", "no-such-contact", "-yes"}} {
		if out, err := r.ops("", "erase", wrong...); err == nil || strings.Count(out, "\n") != 1 {
			t.Errorf("%v: %v %s", wrong, err, out)
		}
	}
	if out, err := r.ops("no\n", "erase", "-contact", "15550100001"); err == nil || r.Items("").Count != all {
		t.Errorf("without confirmation: %v %s", err, out)
	}
	out, err := r.ops("15550100001\n", "erase", "-contact", "15550100001")
	if left := r.Items(""); err != nil || left.Count != all-mine || r.Items("?contact=15550100001").Count != 0 {
		t.Errorf("%v %s, %d of %d items are left", err, out, left.Count, all)
	}
	r.Trigger("status-contact")
	t.Setenv("YES", "1")
	if out, err := r.ops("", "erase", "-contact", "15550100001"); err != nil || r.Items("?contact=15550100001").Count != 0 || strings.Contains(out, "Type") {
		t.Errorf("from a script: %v %s", err, out)
	}
}

// A person is written about under a number in several forms, and under a user id.
func TestErasingAPersonLeavesNoByteOfAnyName(t *testing.T) {
	r := start(t)
	webhook := func(field, value string) {
		t.Helper()
		if out := r.Try("POST", r.Env["API_URL"]+"/webhook", `{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"`+field+`","value":{`+
			`"metadata":{"display_phone_number":"15550100099","phone_number_id":"2"},`+value+`}}]}]}`); !strings.Contains(out, "true") {
			t.Fatal(out)
		}
	}
	webhook("messages", `"contacts":[{"wa_id":"15550103002","user_id":"US.3002"}],"messages":[{"from":"15550103002","id":"wamid.1","type":"text","text":{"body":"a"}}]`)
	webhook("messages", `"messages":[{"from_user_id":"US.3002","id":"wamid.2","type":"text","text":{"body":"b"}}]`)
	webhook("messages", `"contacts":[{"wa_id":"+1 555 010-3002"}]`)
	webhook("messages", `"messages":[{"from":"15550103002","id":"wamid.3","type":"system","system":{"type":"user_changed_number","wa_id":"15550103003","body":"15550103002 is 15550103003"}}]`)
	webhook("smb_app_state_sync", `"state_sync":[{"type":"contact","contact":{"phone_number":"+1 (555) 010-3002"}}]`)
	webhook("group_participants_update", `"groups":[{"group_id":"G","added_participants":[{"wa_id":"15550103002"},{"wa_id":"15550109999"}]}]`)
	r.Try("POST", r.Env["API_URL"]+"/webhook", "not JSON: 1 555 010 3002")
	r.Trigger("text")
	names := []string{"15550103002", "010-3002", "010 3002", "US.3002", "15550103003"}
	left := func() (found []string) {
		all := r.Try("GET", r.Env["CONTROL_URL"]+"/items", "")
		for _, name := range names {
			if strings.Contains(all, name) {
				found = append(found, name)
			}
		}
		return found
	}
	if found := left(); len(found) != len(names) {
		t.Fatalf("only %q are there", found)
	}
	out, err := r.ops("US.3002\n", "erase", "-contact", "US.3002")
	if err != nil || !strings.Contains(out, "1 that name other people too") || strings.Join(left(), " ") != "15550103002" {
		t.Errorf("%v %s: %q are left", err, out, left())
	}
	t.Setenv("YES", "1")
	if out, err := r.ops("", "erase", "-contact", "+1 (555) 010-3002", "-others"); err != nil || len(left()) != 0 {
		t.Errorf("%v %s: %q are left", err, out, left())
	}
	if r.Items("?contact=15550100001").Count == 0 {
		t.Error("a different person is erased too")
	}
}

func TestErasingAPersonDeletesTheirSchedules(t *testing.T) {
	r := start(t)
	for to, key := range map[string]string{"15550103004": "a", "15550103005": "b"} {
		request, err := http.NewRequest(http.MethodPost, r.Env["API_URL"]+"/v1/wa/message", strings.NewReader(
			`{"idempotencyKey":"`+key+`","sendAt":"`+time.Now().Add(time.Hour).Format(time.RFC3339)+`","message":{"messaging_product":"whatsapp","to":"`+to+`","type":"text","text":{"body":"a"}}}`))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+r.Env["CLIENT_KEY"])
		if response, err := http.DefaultClient.Do(request); err != nil || response.Body.Close() != nil || response.StatusCode != http.StatusAccepted {
			t.Fatal(err, response)
		}
	}
	schedules := func() string { return r.Try(http.MethodGet, r.Env["CONTROL_URL"]+"/schedules", "") }
	if all := schedules(); !strings.Contains(all, `"count":2`) {
		t.Fatalf("before: %s", all)
	}
	t.Setenv("YES", "1")
	if out, err := r.ops("", "erase", "-contact", "15550103004"); err != nil || !strings.Contains(schedules(), `"count":1`) {
		t.Errorf("%v %s, then %s", err, out, schedules())
	}
}
