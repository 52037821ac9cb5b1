package command

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"connexease-functions/pkg/proof/harness"
	"connexease-functions/pkg/whatsapp"
)

// inCloud has a stack, demo, whose table is one of DynamoDB Local.
func inCloud(t *testing.T, db string) {
	t.Helper()
	c := &cloud{parameters: map[string]string{retentionID: "365"}, resources: map[string][2]string{tableID: {db, "AWS::DynamoDB::Table"}}}
	c.inTheCloud(t)
	t.Setenv("AWS_ENDPOINT_URL_DYNAMODB", harness.Backends.DynamoDBURL)
}

const hostileText = `<script>alert("1")</script> & 'quotes' {{.Contact}}`

// talk delivers a conversation of a person with three names, and others' items.
func talk(r *running) {
	webhook := func(field, value string) {
		r.t.Helper()
		if out := r.Try("POST", r.Env["API_URL"]+"/webhook", `{"object":"whatsapp_business_account","entry":[{"id":"1","time":1764000100,"changes":[{"field":"`+field+`","value":{`+
			`"metadata":{"display_phone_number":"15550100099","phone_number_id":"2"},`+value+`}}]}]}`); !strings.Contains(out, "true") {
			r.t.Fatal(out)
		}
	}
	text, _ := json.Marshal(hostileText)
	webhook("messages", `"contacts":[{"wa_id":"15550103002","user_id":"US.3002"}],"messages":[{"from":"15550103002","id":"wamid.1","timestamp":"1764000000","type":"text","text":{"body":`+string(text)+`}}]`)
	webhook("messages", `"messages":[{"from_user_id":"US.3002","id":"wamid.2","timestamp":"1764000001","type":"text","context":{"id":"wamid.1"},"text":{"body":"by id"}}]`)
	webhook("messages", `"messages":[{"from":"15550103002","id":"wamid.3","timestamp":"1764000002","type":"system","system":{"type":"user_changed_number","wa_id":"15550103003","body":"a new number"}}]`)
	webhook("messages", `"messages":[{"from":"15550103003","id":"wamid.4","timestamp":"1764000003","type":"text","text":{"body":"`+strings.Repeat("long ", 100_000)+`the end"}}]`)
	webhook("smb_message_echoes", `"message_echoes":[{"to":"15550103003","id":"wamid.5","timestamp":"1764000004","type":"text","text":{"body":"from the app"}}]`)
	webhook("messages", `"statuses":[{"id":"wamid.5","status":"delivered","timestamp":"1764000005","recipient_id":"15550103003"}]`)
	webhook("messages", `"statuses":[{"id":"wamid.5","status":"read","timestamp":"1764000006"}]`) // it names nobody
	webhook("messages", `"statuses":[{"id":"wamid.8","status":"read","timestamp":"1764000006"}]`) // of somebody else
	webhook("group_participants_update", `"groups":[{"group_id":"G","added_participants":[{"wa_id":"15550103002"},{"wa_id":"15550109999"}]}]`)
	r.Trigger("text")
}

func TestAnExportHasAllOfAPersonUnderAllNames(t *testing.T) {
	r := start(t)
	talk(r)
	for _, wrong := range [][]string{{}, {"1555*"}, {"15550107777"}} {
		if out, err := r.ops("", "export", wrong...); err == nil || strings.Count(out, "\n") != 1 {
			t.Errorf("%v: %v %s", wrong, err, out)
		}
	}
	for _, name := range []string{"US.3002", "+1 (555) 010-3003"} {
		folder := t.TempDir()
		out, err := r.ops("", "export", name, "-out", folder)
		if err != nil || !strings.Contains(out, "under 3 names") || !strings.Contains(out, "1 that name other people") || !strings.Contains(out, "not looked into") {
			t.Fatalf("%s: %v %s", name, err, out)
		}
		files, _ := filepath.Glob(filepath.Join(folder, "export-*.json"))
		if len(files) != 1 {
			t.Fatalf("files %v", files)
		}
		checkExport(t, files[0])
		checkPage(t, strings.TrimSuffix(files[0], ".json")+".html")
	}
}

func checkExport(t *testing.T, file string) {
	t.Helper()
	var got exported
	text, err := os.ReadFile(file)
	if err != nil || json.Unmarshal(text, &got) != nil {
		t.Fatalf("%v %.200s", err, text)
	}
	// Five messages, two statuses, and both items of two pairs of names.
	if want := map[string]int{"message": 5, "status": 2, "alias": 4}; len(got.Items) != 11 || len(got.OfOthersToo) != 1 || len(got.NotLookedInto) == 0 {
		t.Errorf("%d items %v, want %v; of others too: %v", len(got.Items), got.Counts, want, got.OfOthersToo)
	}
	found := false
	for _, it := range got.Items {
		if it["wamid"] == "wamid.4" {
			payload, _ := it["payload"].(string)
			found = strings.HasSuffix(payload, `the end"}}`) && it["timestamp"] == 1764000003.0 && it["time"] == "2025-11-24T16:00:03Z"
		}
	}
	if !found {
		t.Error("the long message is not there with its whole payload, number and time")
	}
}

func checkPage(t *testing.T, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	if loads := regexp.MustCompile(`(?i)(src|href|action)\s*=|url\(|@import|<script|<link|https?:`).FindAllString(page, -1); len(loads) > 0 {
		t.Errorf("the page would load or run something: %q", loads)
	}
	last := 0
	for _, want := range []string{"&lt;script&gt;alert", "by id", "a new number", "the end", "from the app", "read</small>"} {
		at := strings.Index(page, want)
		if at < last {
			t.Errorf("%q is at %d, after %d", want, at, last)
		}
		last = at
	}
	if !strings.Contains(page, "<blockquote>&lt;script&gt;") || strings.Contains(page, "15550109999") || !strings.Contains(page, "{{.Contact}}") {
		t.Error("the answered text is not quoted, another person is shown, or a text is not shown as it is")
	}
}

func TestAnErasureTakesStatusesThatNameNobody(t *testing.T) {
	r := start(t)
	talk(r)
	if out, err := r.ops("", "erase", "-contact", "15550103002", "-others", "-yes"); err != nil {
		t.Fatal(err, out)
	}
	for _, it := range r.Items("").Items {
		if it["wamid"] == "wamid.5" || it["contact"] == "15550103003" {
			t.Errorf("%v is left", it)
		}
	}
	if n := r.Items("?kind=status").Count; n != 1 {
		t.Errorf("%d statuses are left, not the one of somebody else", n)
	}
}

// TestAnExportOfADeployedStack finds the table by CloudFormation.
func TestAnExportOfADeployedStack(t *testing.T) {
	db := harness.NewTable(t)
	inCloud(t, db)
	put(t, db, whatsapp.Split([]byte(`{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages","value":{`+
		`"messages":[{"from":"15550103002","id":"wamid.1","timestamp":"1764000000","type":"text","text":{"body":"a"}}]}}]}]}`))...)
	folder := t.TempDir()
	out, err := ops(t, t.TempDir(), "demo", "", "export", "-contact", "1 555 010 3002", "-out", folder)
	if err != nil || !strings.Contains(out, "1 items") {
		t.Errorf("%v %s", err, out)
	}
	if text, err := os.ReadFile(filepath.Join(folder, "export-15550103002.json")); err != nil || !strings.Contains(string(text), "wamid.1") {
		t.Errorf("%v %s", err, text)
	}
}
