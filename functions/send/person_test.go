package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/local/sim/connexease"
	"connexease-functions/pkg/proof/harness"
	"connexease-functions/pkg/table"
	"connexease-functions/pkg/whatsapp"
)

// recipients are the members of a message that say whom it is for.
func recipients(t testing.TB, body []byte) string {
	t.Helper()
	var m struct {
		To        string
		Recipient string
		Kind      string `json:"recipient_type"`
	}
	if err := json.Unmarshal(body, &m); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("to=%s recipient=%s type=%s", m.To, m.Recipient, m.Kind)
}

// One rule replies to people, under any name, and nobody else.
func TestReadmesRuleAnswersPeopleByAnyNameAndNobodyElse(t *testing.T) {
	const own = `"messaging_product":"whatsapp","metadata":{"display_phone_number":"15550100099","phone_number_id":"3"},`
	compiled := readmesRule(t)
	for what, c := range map[string]struct{ field, value, want string }{
		"a number":                {"messages", `"messages":[{"from":"15550100001","ID","type":"text","text":{"body":"a"}}]`, "to=15550100001 recipient= type="},
		"a number in other words": {"messages", `"messages":[{"from":"+1 555 010-0001","ID","type":"text","text":{"body":"a"}}]`, "to=15550100001 recipient= type="},
		"a user id alone":         {"messages", `"messages":[{"from_user_id":"US.1349","ID","type":"text","text":{"body":"a"}}]`, "to= recipient=US.1349 type="},
		"a user id in contacts":   {"messages", `"contacts":[{"user_id":"US.1349"}],"messages":[{"ID","type":"text","text":{"body":"a"}}]`, "to= recipient=US.1349 type="},
		"a group":                 {"messages", `"messages":[{"from":"15550100001","group_id":"G1","ID","type":"text","text":{"body":"a"}}]`, ""},
		"standby":                 {"standby", `"standby":{"messages":[{"from":"15550100001","ID","type":"text","text":{"body":"a"}}]}`, ""},
		"an echo":                 {"smb_message_echoes", `"message_echoes":[{"from":"15550100099","to":"15550100001","ID","type":"text","text":{"body":"a"}}]`, ""},
		"history":                 {"history", `"history":[{"threads":[{"id":"15550100001","messages":[{"from":"15550100001","ID","type":"text","text":{"body":"a"}}]}]}]`, ""},
		"a reaction":              {"messages", `"messages":[{"from":"15550100001","ID","type":"reaction","reaction":{"message_id":"w","emoji":"👍"}}]`, ""},
		"the business's number":   {"messages", `"messages":[{"from":"15550100099","to":"15550100001","ID","type":"text","text":{"body":"a"}}]`, ""},
	} {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t)
			out := harness.NewOut(t, w.table)
			value := strings.Replace(c.value, `"ID"`, `"id":"wamid.1","timestamp":"1764000000"`, 1)
			body := `{"object":"whatsapp_business_account","entry":[{"id":"4","changes":[{"field":"` + c.field + `","value":{` + own + value + `}}]}]}`
			if r := table.New(harness.Backends.DB, w.table, 30).Put(t.Context(), whatsapp.Split([]byte(body)), time.Now()); len(r.Unsaved) > 0 {
				t.Fatal(r.Err)
			}
			for _, e := range out.Events(t) {
				if !compiled.Matches(e.JSON()) {
					continue
				}
				record, err := compiled.Target(e.JSON())
				if err != nil {
					t.Fatal(err)
				}
				w.enqueue(string(record))
			}
			w.drain()
			var got []string
			for _, m := range w.gateway.Messages() {
				got = append(got, recipients(t, m.Body))
			}
			if strings.Join(got, ", ") != c.want {
				t.Errorf("returned %q, want %q", got, c.want)
			}
		})
	}
}

func TestAnEnvelopeSaysWhomItsMessageIsFor(t *testing.T) {
	const text = `"messaging_product":"whatsapp","type":"text","text":{"body":"a"}`
	for envelope, want := range map[string]string{
		`"contact":"+1 (555) 010-0001","message":{` + text + `}`:                                              "to=15550100001 recipient= type=",
		`"contact":"US.1349","group":"","message":{` + text + `}`:                                             "to= recipient=US.1349 type=",
		`"group":"G1","contact":"","message":{` + text + `}`:                                                  "to=G1 recipient= type=group",
		`"group":"G1","message":{` + text + `,"recipient_type":"group"}`:                                      "to=G1 recipient= type=group",
		`"contact":null,"message":{` + text + `,"to":"15550100001"}`:                                          "to=15550100001 recipient= type=",
		`"contact":"15550100001","message":{` + text + `,"to":"15550100002"}`:                                 "fault to",
		`"contact":"15550100001","message":{` + text + `,"recipient":"US.1"}`:                                 "fault recipient",
		`"contact":"someone","message":{` + text + `}`:                                                        "fault contact",
		`"contact":"","message":{` + text + `}`:                                                               "fault contact",
		`"contact":7,"message":{` + text + `}`:                                                                "fault contact",
		`"contact":"15550100001","group":"G1","message":{` + text + `}`:                                       "fault group",
		`"group":"G1","message":{` + text + `,"recipient_type":"individual"}`:                                 "fault recipient_type",
		`"contact":"15550100001","message":{"messaging_product":"whatsapp","status":"read","message_id":"w"}`: "fault to",
	} {
		w := newWorld(t)
		out, err := w.direct(`{"idempotencyKey":"idem-1",` + envelope + `}`)
		if fault, is := strings.CutPrefix(want, "fault "); is {
			if err == nil || !strings.Contains(err.Error(), `{\"`+fault+`\":`) || w.posted() != 0 {
				t.Errorf("%s: %s %v", envelope, out, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", envelope, err)
			continue
		}
		if got := recipients(t, w.sent(1)[0].Body); got != want {
			t.Errorf("%s: %s, want %s", envelope, got, want)
		}
	}
}

func TestASendIsStoredUnderTheCanonicalName(t *testing.T) {
	for to, want := range map[string]string{
		`"to":"+1 (555) 010-3002"`:                                 "15550103002|||contact#15550103002",
		`"to":"15550103002","recipient":"US.1349"`:                 "15550103002|US.1349||contact#15550103002",
		`"recipient":"US.1349"`:                                    "US.1349|||contact#US.1349",
		`"to":"G1","recipient_type":"group"`:                       "||G1|group#G1",
		`"to":"1.555.010.3002","context":{"message_id":"wamid.x"}`: "15550103002|||contact#15550103002",
	} {
		w := newWorld(t)
		a := w.post(`{"messaging_product":"whatsapp",`+to+`,"type":"image","image":{"id":"m1","caption":"c"}}`, "idempotency-key", "k")
		if a.Status != 200 {
			t.Errorf("%s: %d %s", to, a.Status, a.Body)
			continue
		}
		it := w.row(ledger.ID("http/crm", "k"))
		if it == nil {
			for key, one := range harness.Items(t, w.table) {
				if strings.HasSuffix(key, " send") {
					it = one
				}
			}
		}
		if got := it.Text("contact") + "|" + it.Text("user_id") + "|" + it.Text("group_id") + "|" + it.Text("timeline_pk"); got != want {
			t.Errorf("%s: %s, want %s", to, got, want)
		}
		if it.Text("media_id") != "m1" || it.Text("text") != "c" || strings.Contains(to, "context") != (it.Text("reply_to") == "wamid.x") {
			t.Errorf("%s: %v", to, it)
		}
		if !strings.Contains(string(w.sent(1)[0].Body), strings.Split(to, ",")[0]) {
			t.Errorf("%s reached the Gateway as %s", to, w.sent(1)[0].Body)
		}
	}
}

// In Brazil, Mexico and Argentina WhatsApp knows a number in another form than people write.
func TestAnAnswersOtherNameIsRemembered(t *testing.T) {
	w := newWorld(t)
	w.spoil(connexease.Fault{Kind: connexease.Answer, Status: 200, Taken: true, Body: `{"isSuccess":true,"data":{"messaging_product":"whatsapp","contacts":[{"input":"525510017001","wa_id":"5215510017001"}],"messages":[{"id":"wamid.m"}]}}`})
	if a := w.post(strings.Replace(hello, "+15550100001", "525510017001", 1)); a.Status != 200 {
		t.Fatal(a.Body)
	}
	names, err := table.New(harness.Backends.DB, w.table, 30).Names(t.Context(), "5215510017001")
	if err != nil || !slices.Equal(names, []string{"5215510017001", "525510017001"}) {
		t.Errorf("%v %v", names, err)
	}
}
