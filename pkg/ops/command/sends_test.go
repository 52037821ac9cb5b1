package command

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/proof/harness"
	"connexease-functions/pkg/table"
	"connexease-functions/pkg/whatsapp"
)

// has writes the row of a send with these attempts' outcomes; nil: its lease is over.
func (w *world) has(key, client string, change func(*ledger.Send), outcomes ...*ledger.Outcome) string {
	w.t.Helper()
	at := time.Now().Add(-time.Hour)
	s := &ledger.Send{ID: ledger.ID("http/crm", key), Client: client, Fingerprint: "f", Payload: []byte(`{}`), Attempts: map[string]ledger.Attempt{}, ClaimedAt: at}
	for n, o := range outcomes {
		s.Attempts[strings.Repeat(string(rune('a'+n)), 16)] = ledger.Attempt{Lease: at, Outcome: o}
	}
	if change != nil {
		change(s)
	}
	write := ledger.Write{Step: ledger.Claim0, ID: s.ID, If: []ledger.Clause{{Kind: ledger.RowAbsent}}, Put: s}
	if result, err := table.New(harness.Backends.DB, w.table, days).WriteSend(w.t.Context(), write, table.About{Type: "text"}); err != nil || result.Refused {
		w.t.Fatal(result, err)
	}
	return s.ID
}

// Rows as earlier versions wrote them are in no index.
func TestSendsAreListedExactly(t *testing.T) {
	w := newWorld(t)
	valid := func(s *ledger.Send) { s.ValidUntil = time.Now().Add(time.Hour) }
	is := func(state ledger.State, reason ledger.Reason) *ledger.Outcome {
		return &ledger.Outcome{State: state, Reason: reason, At: time.Now()}
	}
	died, lost := w.has("died", "crm", nil, nil), w.has("lost", "", nil, is(ledger.Unknown, "timeout"))
	others := w.has("others", "shop", nil, is(ledger.Unknown, "connection_lost"))
	queued := w.has("queued", "crm", valid)
	released := w.has("released", "crm", valid, is(ledger.Released, "rate_limited"))
	scheduled := w.has("scheduled", "crm", func(s *ledger.Send) { valid(s); s.NotBefore = time.Now().Add(time.Hour) })
	w.has("accepted", "crm", nil, is(ledger.Accepted, ""))
	w.has("rejected", "crm", nil, is(ledger.Rejected, ""))
	w.has("expired", "crm", func(s *ledger.Send) { s.ValidUntil = time.Now().Add(-time.Hour) })
	w.has("cancelled", "crm", func(s *ledger.Send) { valid(s); s.Cancelled = &ledger.Cancellation{By: "crm", At: time.Now()} })
	settled := w.has("settled", "crm", nil, nil)
	events := whatsapp.Split([]byte(fmt.Sprintf(`{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages","value":{"statuses":[`+
		`{"id":"wamid.A","status":"sent","timestamp":"1764000000","biz_opaque_callback_data":%q}]}}]}]}`, ledger.Opaque(settled, strings.Repeat("a", 16)))))
	put(t, w.table, events...)
	for _, c := range []struct {
		arguments []string
		want      []string
	}{
		{nil, []string{died + " crm text process_ended", lost + " - text timeout", others + " shop text connection_lost"}},
		{[]string{"-is", "unknown", "-client", "crm"}, []string{died + " crm text process_ended"}},
		{[]string{"-is", "queued"}, []string{queued + " crm text", released + " crm text rate_limited"}},
		{[]string{"-is", "scheduled"}, []string{scheduled + " crm text"}},
		{[]string{"-is", "scheduled", "-client", "shop"}, nil},
	} {
		out, err := w.ops(append([]string{"sends"}, c.arguments...)...)
		lines := regexp.MustCompile(`(?m)^  msg_.*$`).FindAllString(out, -1)
		if err != nil || len(lines) != len(c.want) || !strings.Contains(out, fmt.Sprint(len(c.want), " messages are ")) || !strings.HasPrefix(out, "This reads the whole table") || !strings.Contains(out, "read units.") {
			t.Errorf("%v: %v %s", c.arguments, err, out)
		}
		found := strings.Join(strings.Fields(regexp.MustCompile(`\d{4}-\S+Z`).ReplaceAllString(strings.Join(lines, " "), "")), " ")
		for _, want := range c.want {
			if !strings.Contains(found, want) {
				t.Errorf("%v: no %q in %s", c.arguments, want, out)
			}
		}
	}
	for want, arguments := range map[string][]string{
		"Name a state":  {"-is", "accepted"},
		"Name a client": {"-client", "a b"},
	} {
		if out, err := w.ops(append([]string{"sends"}, arguments...)...); err == nil || !strings.HasPrefix(out, want) {
			t.Errorf("%v: %v %s", arguments, err, out)
		}
	}
}
