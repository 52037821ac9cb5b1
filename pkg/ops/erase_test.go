package main

import (
	"strings"
	"testing"
)

func TestErasingAContactRemovesAllOfItAndNothingElse(t *testing.T) {
	r := start(t)
	r.trigger("batch")
	r.trigger("status-contact")
	r.try("POST", r.env["API_URL"]+"/webhook", `{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages","value":{"metadata":{"phone_number_id":"2"},`+
		`"messages":[{"id":"wamid.large","from":"15550100001","timestamp":"1764000000","type":"text","text":{"body":"`+strings.Repeat("large ", 100_000)+`"}}]}}]}]}`)
	mine, all := r.items("?contact=15550100001").Count, r.items("").Count
	if mine < 3 || all == mine {
		t.Fatalf("%d of %d items are the contact's", mine, all)
	}
	for _, wrong := range [][]string{{}, {"-contact", "1555*"}, {"-contact", "no-such-contact", "-yes"}} {
		if out, err := r.ops("", "erase", wrong...); err == nil || strings.Count(out, "\n") != 1 {
			t.Errorf("%v: %v %s", wrong, err, out)
		}
	}
	if out, err := r.ops("no\n", "erase", "-contact", "15550100001"); err == nil || r.items("").Count != all {
		t.Errorf("without confirmation: %v %s", err, out)
	}
	out, err := r.ops("15550100001\n", "erase", "-contact", "15550100001")
	if left := r.items(""); err != nil || left.Count != all-mine || r.items("?contact=15550100001").Count != 0 {
		t.Errorf("%v %s, %d of %d items are left", err, out, left.Count, all)
	}
	r.trigger("status-contact")
	t.Setenv("YES", "1")
	if out, err := r.ops("", "erase", "-contact", "15550100001"); err != nil || r.items("?contact=15550100001").Count != 0 || strings.Contains(out, "Type") {
		t.Errorf("from a script: %v %s", err, out)
	}
}
