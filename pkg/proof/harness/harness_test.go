package harness

import (
	"strings"
	"testing"
)

func TestTheLeakScanFindsEachLeakButNotTimesAndIds(t *testing.T) {
	const number, secret = "15550100001", "the-secret"
	harmless := `{"timestamp":"2026-11-26T03:15:55.010000115Z","Timestamp":15550100001,"messageId":"msg_15550100001","requestId":"r-15550100001"}` + "\n"
	if found := Scan(harmless, []string{number, secret}); found != nil {
		t.Errorf("found %q", found)
	}
	for _, line := range []string{`{"to":"+15550100001"}`, `{"messageId":"msg_a","wamid":"15550100001"}`, "panic: 15550100001"} {
		if found := Scan(harmless+line+"\n"+harmless, []string{number, secret}); len(found) != 1 || !strings.Contains(found[0], number) {
			t.Errorf("%s: found %q", line, found)
		}
	}
	if found := Scan(number+secret, []string{number, secret}); len(found) != 2 {
		t.Errorf("of two leaks found %q", found)
	}
}
