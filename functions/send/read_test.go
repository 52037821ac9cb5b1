package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"connexease-functions/pkg/conversation"
	"connexease-functions/pkg/local/sim/connexease"
	"connexease-functions/pkg/proof/harness"
	"connexease-functions/pkg/table"
	"connexease-functions/pkg/whatsapp"
)

const readerKey = "client-key-of-support"

// withReader gives a client the right to read conversations.
func (w *world) withReader() *world {
	harness.Backends.Secrets.Put(w.env["CLIENT_KEYS_SECRET_ID"],
		`{"crm":["`+clientKey+`"],"shop":{"keys":"`+otherKey+`","read":"own"},"support":{"keys":["`+readerKey+`"],"read":"all"}}`)
	w.start()
	return w
}

// stored puts a value of a field into the table, as the webhook does.
func (w *world) stored(field, value string) {
	w.t.Helper()
	body := `{"object":"whatsapp_business_account","entry":[{"id":"4","changes":[{"field":"` + field + `","value":{"messaging_product":"whatsapp",` +
		`"metadata":{"display_phone_number":"15550100099","phone_number_id":"3"},` + value + `}}]}]}`
	if r := w.items().Put(w.t.Context(), whatsapp.Split([]byte(body)), w.now()); r.Err != nil || len(r.Unsaved) > 0 {
		w.t.Fatalf("%+v", r)
	}
}

func (w *world) items() *table.Table { return table.New(harness.Backends.DB, w.table, 365) }

// said is a message of a person.
func said(id string, at time.Time, more string) string {
	return fmt.Sprintf(`"messages":[{"from":"15550100001","id":%q,"timestamp":"%d",%s}]`, id, at.Unix(), more)
}

func text(words string) string { return fmt.Sprintf(`"type":"text","text":{"body":%q}`, words) }

// ask reads a route as the client with a key.
func (w *world) ask(key, route, name string, query map[string]string) harness.Answer {
	w.t.Helper()
	e := harness.Event(route, "Bearer "+key, "")
	e["pathParameters"], e["queryStringParameters"] = map[string]string{"contact": name, "id": name}, query
	return w.request(e)
}

// page reads a page, which must be one.
func (w *world) page(route, name string, query map[string]string) (p conversation.Page) {
	w.t.Helper()
	a := w.ask(readerKey, route, name, query)
	var r struct{ Data *conversation.Page }
	r.Data = &p
	if err := json.Unmarshal([]byte(a.Body), &r); err != nil || a.Status != 200 || p.Messages == nil {
		w.t.Fatalf("%s of %s: %d %.300s", route, name, a.Status, a.Body)
	}
	return p
}

func texts(p conversation.Page) (all []string) {
	for _, m := range p.Messages {
		all = append(all, m.Text)
	}
	return all
}

func TestAClientWithoutReadSeesNothingOfAConversation(t *testing.T) {
	w := newWorld(t).withReader()
	w.stored("messages", said("wamid.secret", w.now(), text("secret-text")))
	pk, sk := "wa#wamid.secret", w.page(routeConversation, "15550100001", nil).Messages[0].SK
	for _, key := range []string{clientKey, otherKey} {
		for _, a := range []harness.Answer{
			w.ask(key, routeConversation, "15550100001", nil), w.ask(key, routeConversation, "15550100001", map[string]string{"limit": "x"}), w.ask(key, routeConversation, "nobody", nil),
			w.ask(key, routeGroup, "G1", nil), w.ask(key, routeEvent, "", map[string]string{"pk": pk, "sk": sk}), w.ask(key, routeEvent, "", nil),
		} {
			responds(t, key, a, 403, "AUTH_006")
			if a.Body != w.ask(key, routeGroup, "none", nil).Body {
				t.Errorf("the response says more: %s", a.Body)
			}
		}
	}
	responds(t, "no client", w.ask("wrong", routeConversation, "15550100001", nil), 401, "AUTH_001")
	responds(t, "a reader", w.ask(readerKey, routeEvent, "", map[string]string{"pk": pk, "sk": sk}), 200, "")
}

func TestAConversationHasEachNameOfItsPersonInEachForm(t *testing.T) {
	w := newWorld(t).withReader()
	at := w.now().Add(-time.Hour).Truncate(time.Second)
	w.stored("messages", `"contacts":[{"wa_id":"15550100001","user_id":"US.77001"}],`+said("wamid.1", at, text("first")))
	w.stored("messages", said("wamid.2", at.Add(time.Second), `"type":"system","system":{"body":"moved","type":"user_changed_number","wa_id":"15550100002"}`))
	w.stored("messages", strings.Replace(said("wamid.3", at.Add(2*time.Second), text("third")), `"from":"15550100001"`, `"from_user_id":"US.77001"`, 1))
	w.stored("messages", strings.Replace(said("wamid.4", at.Add(3*time.Second), text("fourth")), "15550100001", "15550100002", 1))
	w.stored("user_preferences", `"user_preferences":[{"wa_id":"15550100001","category":"marketing_messages","value":"stop","timestamp":"`+fmt.Sprint(at.Unix()-60)+`"}]`)
	for _, name := range []string{"15550100001", "+1 (555) 010-0001", "15550100002", "US.77001"} {
		p := w.page(routeConversation, name, nil)
		if got := fmt.Sprint(texts(p)); !strings.HasSuffix(got, "first moved third fourth]") {
			t.Errorf("%s: %s", name, got)
		}
		names := slices.Sorted(slices.Values(p.Names))
		if fmt.Sprint(names) != "[15550100001 15550100002 US.77001]" || p.Contact != whatsapp.Canonical(name) || p.Names[0] != p.Contact {
			t.Errorf("%s: it is %s, the names are %q", name, p.Contact, p.Names)
		}
		if p.Window != table.WindowOpen || p.LastInbound == nil || p.ClosedAt != nil || p.Consent == nil || p.Consent.Status != "stop" || p.Consent.By != "preference" || p.Consent.Contact != "15550100001" {
			t.Errorf("%s: window %q since %v, consent %+v", name, p.Window, p.LastInbound, p.Consent)
		}
		if p.Before != "" || p.After == "" {
			t.Errorf("%s: before %q, after %q", name, p.Before, p.After)
		}
	}
	w.pass(25 * time.Hour)
	if p := w.page(routeConversation, "15550100001", nil); p.Window != table.WindowClosed || p.ClosedAt == nil || !p.ClosedAt.Equal(p.LastInbound.Add(24*time.Hour)) {
		t.Errorf("a day later: %q %v", p.Window, p.ClosedAt)
	}
}

func TestNamesThatNobodyHasAreEmptyOrRefused(t *testing.T) {
	w := newWorld(t).withReader()
	w.stored("messages", said("wamid.1", w.now(), text("Hello")))
	for name, found := range map[string]int{
		"+15550100001": 1, " 1555 010 0001": 1, "1-555-(010)-0001": 1, "19": 0, "a/b": 0, "../x": 0, "%2B15550100001": 0, "group": 0, "\x00": 0, "'\"\\": 0, "é😀": 0, strings.Repeat("9", 512): 0, "#": 0, "US.77001": 0,
	} {
		p := w.page(routeConversation, name, nil)
		if len(p.Messages) != found || found == 0 && (p.Before != "" || p.After != "" || p.Window != table.WindowUnknown || p.Consent != nil) {
			t.Errorf("%q: %+v", name, p)
		}
		if g := w.page(routeGroup, name, nil); len(g.Messages) != 0 || g.GroupID != name || g.Window != "" || g.Names != nil {
			t.Errorf("the group %q: %+v", name, g)
		}
	}
	for what, c := range map[string]struct {
		name, param string
		query       map[string]string
	}{
		"a long name": {strings.Repeat("9", 1000), "contact", nil}, "no name": {"", "contact", nil},
		"limit 0": {"1", "limit", map[string]string{"limit": "0"}}, "limit 101": {"1", "limit", map[string]string{"limit": "101"}}, "limit -1": {"1", "limit", map[string]string{"limit": "-1"}},
		"another payload": {"1", "payload", map[string]string{"payload": "yes"}},
		"a word":          {"1", "limit", map[string]string{"limit": "ten"}}, "no cursor": {"1", "before", map[string]string{"before": "yesterday"}},
		"an empty place": {"1", "after", map[string]string{"after": base64.RawURLEncoding.EncodeToString([]byte(`["","",""]`))}},
		"a long place":   {"1", "after", map[string]string{"after": base64.RawURLEncoding.EncodeToString([]byte(`["` + strings.Repeat("9", 2000) + `","a","b"]`))}},
		"both":           {"1", "after", map[string]string{"before": base64.RawURLEncoding.EncodeToString([]byte(`["a","b","c"]`)), "after": base64.RawURLEncoding.EncodeToString([]byte(`["a","b","c"]`))}},
	} {
		a := w.ask(readerKey, routeConversation, c.name, c.query)
		responds(t, what, a, 400, "MSG_001")
		if p := params(t, a); len(p) != 1 || p[c.param] == nil {
			t.Errorf("%s: params are %v", what, p)
		}
	}
}

// Pages follow each other in both directions while messages come, of which some are late and old.
func TestPagesGoBackAndForthWhileMessagesCome(t *testing.T) {
	w := newWorld(t).withReader()
	at := w.now().Add(-time.Hour).Truncate(time.Second)
	for n := range 10 {
		w.stored("messages", said(fmt.Sprint("wamid.", n), at.Add(time.Duration(n)*time.Minute), text(fmt.Sprint(n))))
	}
	newest := w.page(routeConversation, "15550100001", map[string]string{"limit": "4"})
	w.stored("messages", said("wamid.late", at.Add(-time.Minute), text("late")))
	w.stored("messages", said("wamid.new", at.Add(30*time.Minute), text("new")))
	older := w.page(routeConversation, "15550100001", map[string]string{"limit": "4", "before": newest.Before})
	oldest := w.page(routeConversation, "15550100001", map[string]string{"limit": "4", "before": older.Before})
	forth := w.page(routeConversation, "15550100001", map[string]string{"limit": "4", "after": oldest.After})
	since := w.page(routeConversation, "15550100001", map[string]string{"after": newest.After})
	none := w.page(routeConversation, "15550100001", map[string]string{"after": since.After})
	back := w.page(routeConversation, "15550100001", map[string]string{"before": forth.Before})
	for what, c := range map[string][2]string{
		"the newest":    {fmt.Sprint(texts(newest)), "[6 7 8 9]"},
		"the next":      {fmt.Sprint(texts(older)), "[2 3 4 5]"},
		"the oldest":    {fmt.Sprint(texts(oldest)), "[late 0 1]"},
		"forth":         {fmt.Sprint(texts(forth)), fmt.Sprint(texts(older))},
		"and back":      {fmt.Sprint(texts(back)), fmt.Sprint(texts(oldest))},
		"what is newer": {fmt.Sprint(texts(since)), "[new]"},
		"nothing newer": {fmt.Sprint(texts(none)), "[]"},
	} {
		if c[0] != c[1] {
			t.Errorf("%s: %s, want %s", what, c[0], c[1])
		}
	}
	if oldest.Before != "" || none.After != since.After {
		t.Errorf("the oldest page goes on at %q, the last at %q instead of %q", oldest.Before, none.After, since.After)
	}
	w.stored("messages", said("wamid.newer", at.Add(31*time.Minute), text("newer")))
	if p := w.page(routeConversation, "15550100001", map[string]string{"after": none.After}); fmt.Sprint(texts(p)) != "[newer]" {
		t.Errorf("then: %q", texts(p))
	}
}

// What went out has its state, its failure in words, and who sent it; what changes a message names
// it.
func TestAMessageThatWentOutSaysWhatBecameOfIt(t *testing.T) {
	w := newWorld(t).withReader()
	id := w.post(`{"campaign":"spring","message":`+hello+`}`, "idempotency-key", "idem-1").Headers["message-id"]
	wamid := w.gateway.Messages()[0].Wamid
	at := w.now()
	w.stored("messages", said("wamid.in", at.Add(time.Second), `"context":{"id":"`+wamid+`"},`+text("an answer")))
	w.stored("messages", said("wamid.reaction", at.Add(2*time.Second), `"type":"reaction","reaction":{"message_id":"`+wamid+`","emoji":"👍"}`))
	w.stored("messages", said("wamid.edit", at.Add(3*time.Second), `"type":"edit","edit":{"original_message_id":"wamid.in","message":{"type":"text","text":{"body":"edited"}}}`))
	w.stored("messages", said("wamid.revoke", at.Add(4*time.Second), `"type":"revoke","revoke":{"original_message_id":"wamid.in"}`))
	w.stored("smb_message_echoes", fmt.Sprintf(`"message_echoes":[{"from":"15550100099","to":"15550100001","id":"wamid.echo","timestamp":"%d",%s}]`, at.Add(5*time.Second).Unix(), text("from the app")))
	w.stored("messages", fmt.Sprintf(`"statuses":[{"id":"wamid.echo","status":"delivered","timestamp":"%d","recipient_id":"15550100001"}]`, at.Unix()+6))
	w.stored("messages", fmt.Sprintf(`"statuses":[{"id":%q,"status":"failed","timestamp":"%d","recipient_id":"15550100001","errors":[{"code":131047,"title":"Re-engagement message"}]}]`, wamid, at.Unix()+1))
	w.spoil(connexease.Fault{Kind: connexease.Answer, Status: 502, Body: `{"isSuccess":false,"errors":{"code":"GW_001","description":"(#131026) undeliverable"}}`})
	refused := w.post(hello, "idempotency-key", "idem-2").Headers["message-id"]

	byWamid, byID := map[string]conversation.Message{}, map[string]conversation.Message{}
	for _, m := range w.page(routeConversation, "15550100001", nil).Messages {
		byWamid[m.Wamid], byID[m.ID] = m, m
	}
	sent := byID[id]
	if sent.Kind != conversation.KindSend || sent.Direction != whatsapp.Out || sent.Text != "Hello" || sent.Client != "crm" || sent.Campaign != "spring" || sent.Wamid != wamid || sent.Progress == nil ||
		sent.State != "accepted" || !sent.Failed || len(sent.Failures) != 1 || sent.Failures[0].Code != 131047 || !strings.Contains(sent.Explanation, "More than 24 hours") || len(sent.Statuses) != 1 || sent.Answer != nil {
		t.Errorf("the failed message: %+v %+v", sent, sent.Progress)
	}
	if r := byID[refused]; r.Progress == nil || r.State != "rejected" || r.Answer == nil || r.Answer.HTTP != 502 || !strings.Contains(r.Explanation, "blocked the business") {
		t.Errorf("the refused message: %+v %+v", r, r.Progress)
	}
	if e := byWamid["wamid.echo"]; e.Direction != whatsapp.Out || e.Progress == nil || e.State != "" || e.Status != "delivered" || e.Explanation != "It was delivered." {
		t.Errorf("the echo: %+v %+v", e, e.Progress)
	}
	if m := byWamid["wamid.in"]; m.Direction != whatsapp.In || m.Progress != nil || m.Contact != "15550100001" || m.ReplyTo != wamid || m.PhoneNumberID != "3" || m.At.Unix() != at.Unix()+1 {
		t.Errorf("the answer: %+v", m)
	}
	for id, target := range map[string]string{"wamid.reaction": wamid, "wamid.edit": "wamid.in", "wamid.revoke": "wamid.in"} {
		if m := byWamid[id]; "wamid."+m.Type != id || m.ReplyTo != target {
			t.Errorf("%s: %+v", id, m)
		}
	}
	for _, m := range byID {
		if m.Stored != nil {
			t.Errorf("a payload that nobody asked for: %+v", m)
		}
	}
}

func TestAGroupHasAConversationOfItsOwn(t *testing.T) {
	w := newWorld(t).withReader()
	at := w.now().Truncate(time.Second)
	for n, who := range []string{"15550100001", "15550100002"} {
		w.stored("messages", fmt.Sprintf(`"messages":[{"from":%q,"group_id":"G1","id":"wamid.%d","timestamp":"%d",%s}]`, who, n, at.Unix()+int64(n), text(who)))
	}
	id := w.post(`{"group":"G1","message":{"messaging_product":"whatsapp","type":"text","text":{"body":"Hello all"}}}`).Headers["message-id"]
	p := w.page(routeGroup, "G1", nil)
	if len(p.Messages) != 3 || p.GroupID != "G1" || p.Contact != "" || p.Window != "" || p.Consent != nil {
		t.Fatalf("%+v", p)
	}
	seen := map[string]string{}
	for _, m := range p.Messages {
		if m.GroupID != "G1" {
			t.Errorf("%+v", m)
		}
		seen[m.Text+m.ID] = m.Contact
	}
	if seen["15550100001"] != "15550100001" || seen["15550100002"] != "15550100002" || seen["Hello all"+id] != "" {
		t.Errorf("the participants are %v", seen)
	}
	if p := w.page(routeConversation, "15550100001", nil); len(p.Messages) != 0 {
		t.Errorf("the person's own conversation has %+v", p.Messages)
	}
}

// Payloads come as they were stored, of whatever size; a page of large ones has fewer messages
// instead of failing.
func TestPayloadsOfAnySizeAreReadAsTheyCame(t *testing.T) {
	t.Parallel()
	w := newWorld(t).withReader()
	at := w.now().Add(-time.Hour).Truncate(time.Second)
	sizes := []int{10, 3000, 400_000, 3_000_000, 2_000_000, 20}
	want := map[string]string{}
	for n, size := range sizes {
		id := fmt.Sprint("wamid.", n)
		// Quotes and backslashes are twice as long in a string of JSON.
		update := fmt.Sprintf(`{"from":"15550100001","id":%q,"timestamp":"%d","z":1.50,"type":"text","text":{"body":%q}}`, id, at.Unix()+int64(n), strings.Repeat(`"<é\`, size/5))
		w.stored("messages", `"messages":[`+update+`]`)
		want[id] = update
	}
	pages, seen := 0, 0
	query := map[string]string{"payload": "1"}
	for more := true; more; pages++ {
		a := w.ask(readerKey, routeConversation, "15550100001", query)
		if raw := len(a.Raw); a.Status != 200 || raw > 6<<20 {
			t.Fatalf("a page of %d bytes: %d", raw, a.Status)
		}
		var r struct{ Data conversation.Page }
		if err := json.Unmarshal([]byte(a.Body), &r); err != nil {
			t.Fatal(err)
		}
		for _, m := range r.Data.Messages {
			seen++
			whole := w.ask(readerKey, routeEvent, "", map[string]string{"pk": m.PK, "sk": m.SK})
			var e struct {
				Data struct{ Payload json.RawMessage }
			}
			if err := json.Unmarshal([]byte(whole.Body), &e); err != nil || whole.Status != 200 || string(e.Data.Payload) != want[m.Wamid] || len(whole.Raw) > 6<<20 {
				t.Errorf("%s alone: %d, %d bytes, %v", m.Wamid, whole.Status, len(e.Data.Payload), err)
			}
			if m.Stored == nil || string(m.Payload) != want[m.Wamid] {
				t.Errorf("%s: the payload differs", m.Wamid)
			}
			if n := len(m.Text); n > 64<<10 || n < min(sizes[m.Wamid[len(m.Wamid)-1]-'0'], 64<<10)-1 { // cut at a character
				t.Errorf("%s: its text has %d bytes", m.Wamid, n)
			}
		}
		query["before"], more = r.Data.Before, r.Data.Before != ""
	}
	if seen != len(sizes) || pages < 2 {
		t.Errorf("%d messages on %d pages", seen, pages)
	}
}

func TestAnItemIsReadWholeByItsKey(t *testing.T) {
	w := newWorld(t).withReader()
	event := func(pk, sk string) harness.Answer {
		return w.ask(readerKey, routeEvent, "", map[string]string{"pk": pk, "sk": sk})
	}
	id := w.post(hello, "idempotency-key", "idem-1").Headers["message-id"]
	sent := event(id, "send")
	responds(t, "a send", sent, 200, "")
	var s struct{ Data map[string]any }
	if err := json.Unmarshal([]byte(sent.Body), &s); err != nil || s.Data["kind"] != "send" || s.Data["payload"].(map[string]any)["type"] != "text" {
		t.Errorf("%s %v", sent.Body, err)
	}
	for _, internal := range []string{"attempts", "fingerprint", "v"} {
		if s.Data[internal] != nil {
			t.Errorf("it shows %s", internal)
		}
	}
	// Bodies that are not notifications are whole too, whatever their bytes.
	for _, body := range []string{"no JSON", "\xff\xfe\x00", `{"a":1}`, strings.Repeat("x", 900_000)} {
		e := whatsapp.Split([]byte(body))[0]
		if r := w.items().Put(t.Context(), []whatsapp.Event{e}, w.now()); r.Err != nil {
			t.Fatal(r.Err)
		}
		a := event("event#quarantine#"+e.Key.Hash, "event")
		var r struct {
			Data struct {
				Kind, Reason  string
				Payload       json.RawMessage
				PayloadBase64 []byte `json:"payload_base64"`
			}
		}
		if err := json.Unmarshal([]byte(a.Body), &r); err != nil || r.Data.Kind != "quarantine" || string(r.Data.Payload)+string(r.Data.PayloadBase64) != body {
			t.Errorf("%.20q: %d %.200s %v", body, a.Status, a.Body, err)
		}
	}
	for what, key := range map[string][2]string{
		"no such": {"wa#none", "message#1#2"}, "half a key": {id, "sen"}, "too much": {id, "send#part1"}, "a long pk": {strings.Repeat("9", 3000), "event"}, "a long sk": {id, strings.Repeat("9", 1024)},
	} {
		responds(t, what, event(key[0], key[1]), 404, "REQ_003")
	}
	a := event(id, "")
	if responds(t, "no sk", a, 400, "MSG_001"); params(t, a)["sk"] == nil {
		t.Errorf("%s", a.Body)
	}
}

func TestAnErasedConversationIsEmpty(t *testing.T) {
	w := newWorld(t).withReader()
	w.stored("messages", said("wamid.1", w.now(), text("Hello")))
	w.post(hello)
	p := w.page(routeConversation, "15550100001", nil)
	if len(p.Messages) != 2 {
		t.Fatalf("%+v", p)
	}
	for _, m := range p.Messages {
		if err := w.items().Delete(t.Context(), m.PK, m.SK); err != nil {
			t.Fatal(err)
		}
		responds(t, "an erased item", w.ask(readerKey, routeEvent, "", map[string]string{"pk": m.PK, "sk": m.SK}), 404, "REQ_003")
	}
	if p := w.page(routeConversation, "15550100001", nil); len(p.Messages) != 0 || p.After != "" || p.Window != table.WindowUnknown {
		t.Errorf("%+v", p)
	}
}

func TestAConversationWhoseTableIsAwayIsNotEmpty(t *testing.T) {
	t.Parallel()
	w := newWorld(t).withReader()
	w.database.Set(func(r http.ResponseWriter, action string, _ []byte) bool {
		harness.Refuse(r, 500, "InternalServerError")
		return true
	})
	responds(t, "the table is away", w.ask(readerKey, routeConversation, "15550100001", nil), 503, "SVC_002")
}
