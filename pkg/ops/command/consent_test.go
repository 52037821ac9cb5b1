package command

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"connexease-functions/pkg/proof/harness"
	"connexease-functions/pkg/whatsapp"
)

// marketing is what ops consent prints of a person.
func (w *world) marketing(typed string, arguments ...string) (string, error) {
	w.t.Helper()
	return ops(w.t, w.state, w.stack, typed, append([]string{"consent"}, arguments...)...)
}

func TestAnOperatorSeesAndSetsAConsent(t *testing.T) {
	w := newWorld(t)
	expect := func(out string, err error, ok bool, want ...string) {
		t.Helper()
		if (err == nil) != ok {
			t.Errorf("%v %s", err, out)
		}
		for _, text := range want {
			if !strings.Contains(out, text) {
				t.Errorf("no %q in: %s", text, out)
			}
		}
	}
	const person = "+1 (555) 010-0001"
	out, err := w.marketing("", person)
	expect(out, err, true, "has said nothing about marketing messages: they are sent.")
	for _, wrong := range [][]string{{}, {person, "halt"}, {person, "stop"}, {person, "stop", "-why", strings.Repeat("x", 300)}, {"1555*", "stop", "-why", "x"}} {
		if out, err := w.marketing(person+"\n", wrong...); err == nil || strings.Count(out, "\n") != 1 {
			t.Errorf("%v: %v %s", wrong, err, out)
		}
	}
	out, err = w.marketing("no\n", person, "stop", "-why", "asked by phone")
	expect(out, err, false, "Nothing was changed")
	if len(harness.Items(t, w.table)) != 0 {
		t.Error("it was stored without a confirmation")
	}
	out, err = w.marketing(person+"\n", person, "stop", "-why", `asked "by" phone`, "-who", "ada")
	expect(out, err, true, person+": stop since 20", `by ada: asked "by" phone, under 15550100001; marketing messages are refused, others are not.`)
	out, err = w.marketing("", "15550100001")
	expect(out, err, true, "15550100001: stop since 20", `by ada: asked "by" phone`)
	it := harness.Items(t, w.table)["contact#15550100001 consent"]
	if it.Text("line") != "asked 'by' phone" || it.Text("client") != "ada" || it.Text("reason") != "operator" || it.Text("detail_type") != "WhatsApp Consent Changed" || it["expires_at"] != nil {
		t.Errorf("%v", it)
	}
	t.Setenv("YES", "1")
	out, err = w.marketing("", "-contact", "15550100001", "-set", "resume", "-why", "asked for it")
	expect(out, err, true, "resume since 20", "marketing messages are sent.")

	// What the person said themselves, in a time that has not come yet, is newer.
	put(t, w.table, preference("stop", 4102444800)...)
	out, err = w.marketing("", "15550100001", "resume", "-why", "asked for it")
	expect(out, err, false, "Nothing was changed: what they said is newer", "stop since 2100-01-01T00:00:00Z, by the switch in WhatsApp")
}

func TestAConsentOfADeployedStackNeedsWhatTheHelpSays(t *testing.T) {
	w := newWorld(t)
	inCloud(t, w.table)
	w.stack = "demo"
	t.Setenv("YES", "1")
	if out, err := w.marketing("", "15550100001", "stop", "-why", "asked by phone"); err != nil || !strings.Contains(out, "stop since") {
		t.Fatalf("%v %s", err, out)
	}
}

func TestAConsentIsExportedErasedAndNoItemOfEarlierVersions(t *testing.T) {
	w := newWorld(t)
	put(t, w.table, preference("stop", 1764000000)...)
	if out, err := w.ops("upgrade"); err != nil || !strings.Contains(out, "0 of 2 items") || !strings.Contains(out, "There is nothing to do.") {
		t.Errorf("%v %s", err, out)
	}
	folder := t.TempDir()
	if out, err := w.ops("export", "15550100001", "-out", folder); err != nil || !strings.Contains(out, "has 2 items") {
		t.Fatalf("%v %s", err, out)
	}
	var all exported
	text, err := os.ReadFile(filepath.Join(folder, "export-15550100001.json"))
	if err != nil || json.Unmarshal(text, &all) != nil || all.Counts["consent"] != 1 {
		t.Errorf("%v %v", err, all.Counts)
	}
	page, err := os.ReadFile(filepath.Join(folder, "export-15550100001.html"))
	if err != nil || !strings.Contains(string(page), "Marketing messages: stop since 2025-11-24T16:00:00Z, by the switch in WhatsApp") {
		t.Errorf("%v %s", err, page)
	}
	t.Setenv("YES", "1")
	out, err := w.ops("erase", "-contact", "15550100001")
	if err != nil || !strings.Contains(out, "2 items were removed. ") || !strings.Contains(out, "What they said about marketing messages (stop) is one of them: none is refused any more.") {
		t.Errorf("%v %s", err, out)
	}
	if left := harness.Items(t, w.table); len(left) != 0 {
		t.Errorf("%v", left)
	}
	put(t, w.table, preference("", 1764000000)...)
	if out, err := w.ops("erase", "-contact", "15550100001"); err != nil || strings.Contains(out, "marketing") {
		t.Errorf("without a consent: %v %s", err, out)
	}
}

// Names expire, and what was said under one of them does not.
func TestAConsentIsErasedByANameThatNothingElseHas(t *testing.T) {
	w := newWorld(t)
	events := preference("stop", 1764000000)
	events[0].UserID = "US.77001"
	put(t, w.table, events...)
	for key, it := range harness.Items(t, w.table) {
		if pk, sk := it.Key(); sk != "consent" {
			if err := w.proxied().Delete(t.Context(), pk, sk); err != nil {
				t.Fatal(key, err)
			}
		}
	}
	t.Setenv("YES", "1")
	out, err := w.ops("erase", "-contact", "US.77001")
	if left := harness.Items(t, w.table); err != nil || len(left) != 0 {
		t.Errorf("%v %s %v", err, out, left)
	}
}

// preference returns the events of a user's preference.
func preference(value string, at int) []whatsapp.Event {
	return whatsapp.Split(fmt.Appendf(nil, `{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"user_preferences","value":{"metadata":{"phone_number_id":"2"},`+
		`"user_preferences":[{"wa_id":"15550100001","category":"marketing_messages","value":%q,"timestamp":%d}]}}]}]}`, value, at))
}

// A stack of before knows what people said only by the items that said so.
func TestAnUpgradeRemembersWhatPeopleSaidBefore(t *testing.T) {
	w := newWorld(t)
	w.variable("OPT_OUT_WORDS", "HALT")
	put(t, w.table, preference("stop", 1764000000)...)
	put(t, w.table, preference("resume", 1763000000)...)
	put(t, w.table, whatsapp.Split([]byte(`{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages","value":{"metadata":{"phone_number_id":"2"},`+
		`"messages":[{"from":"15550100002","id":"wamid.1","timestamp":"1764000000","type":"text","text":{"body":"halt"}}]}}]}]}`))...)
	db := w.proxied()
	if err := db.Delete(t.Context(), "contact#15550100001", "consent"); err != nil {
		t.Fatal(err)
	}
	before := harness.Items(t, w.table)
	if out, err := w.ops("upgrade"); err != nil || !strings.Contains(out, "What 2 people said about marketing messages is not in the table.") ||
		len(harness.Items(t, w.table)) != len(before) {
		t.Errorf("%v %s", err, out)
	}
	if out, err := w.ops("upgrade", "-apply"); err != nil || !strings.Contains(out, "All of that is rewritten.") {
		t.Errorf("%v %s", err, out)
	}
	for _, person := range []string{"15550100001", "15550100002"} {
		if it := harness.Items(t, w.table)["contact#"+person+" consent"]; it.Text("status") != "stop" || it.Text("timestamp") != "1764000000" || it["detail_type"] != nil {
			t.Errorf("%s: %v", person, it)
		}
	}
	if out, err := w.ops("upgrade"); err != nil || !strings.Contains(out, "There is nothing to do.") {
		t.Errorf("%v %s", err, out)
	}
}
