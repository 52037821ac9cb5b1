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

	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/local/sim/connexease"
	"connexease-functions/pkg/table"
)

// list returns one page of a client's messages of a state, and the rest of the query for the next.
func (w *world) list(key string, query map[string]string) (ids []string, next string) {
	w.t.Helper()
	a := w.find(key, "", query)
	var r struct {
		Data struct {
			Messages []seen
			Next     string
		}
	}
	if err := json.Unmarshal([]byte(a.Body), &r); err != nil || a.Status != 200 || r.Data.Messages == nil {
		w.t.Fatalf("the list %v: %d %s", query, a.Status, a.Body)
	}
	for _, m := range r.Data.Messages {
		if m.State != query["state"] || m.Explanation == "" {
			w.t.Errorf("the list %v has %+v", query, m)
		}
		ids = append(ids, m.ID)
	}
	return ids, r.Data.Next
}

// all returns a list's messages of all pages, in its order.
func (w *world) all(key, state, limit string) (ids []string) {
	w.t.Helper()
	query := map[string]string{"state": state, "limit": limit}
	for range 100 {
		page, next := w.list(key, query)
		if ids = append(ids, page...); next == "" {
			return ids
		}
		query["after"] = next
	}
	w.t.Fatalf("the list %v has no end", query)
	return nil
}

// lists fails the test unless a client's lists have these messages, in this order.
func (w *world) lists(what, key string, want map[string][]string) {
	w.t.Helper()
	for _, state := range []string{"unknown", "queued", "scheduled"} {
		if got := w.all(key, state, "2"); !slices.Equal(got, want[state]) {
			w.t.Errorf("%s, %s: listed %q, want %q", what, state, got, want[state])
		}
		for _, id := range want[state] {
			if s := w.find(key, id, nil); !strings.Contains(s.Body, `"state":"`+state+`"`) {
				w.t.Errorf("%s: %s is listed as %s, and is %s", what, id, state, s.Body)
			}
		}
	}
}

func TestAClientListsWhatWaitsAndWhatIsUnknown(t *testing.T) {
	w := newWorld(t)
	post := func(headers ...string) string { return w.post(hello, headers...).Headers["message-id"] }
	record := func(key, more string) string {
		w.sqs(`{"message":` + hello + `,"idempotencyKey":"` + key + `"` + more + `}`)
		return ledger.ID("sqs", key)
	}
	post() // accepted at once
	w.lists("sent at once", clientKey, nil)
	queued := post("prefer", "respond-async")
	w.pass(time.Second)
	later, sooner := post("send-at", w.in(3*time.Hour)), post("send-at", w.in(2*time.Hour))
	lost, opaque := w.lost("idem-list")
	w.pass(time.Second)
	ofRecord := record("scheduled", `,"reader":"crm","sendAt":"`+w.in(time.Hour)+`"`)
	record("nobody's", `,"sendAt":"`+w.in(time.Hour)+`"`)
	others := record("shop's", `,"reader":"shop","sendAt":"`+w.in(time.Hour)+`"`)
	w.spoil(connexease.Fault{Kind: connexease.Answer, Status: 403, Body: refusedAs("FORBIDDEN")})
	again := record("again", `,"reader":"crm"`)
	w.spoil(connexease.Fault{Kind: connexease.Cut})
	if _, err := w.direct(`{"message":` + hello + `,"idempotencyKey":"direct","reader":"crm"}`); err == nil {
		t.Error("a cut response is a success")
	}
	w.spoil()
	direct := ledger.ID("direct", "direct")
	w.lists("at first", clientKey, map[string][]string{
		"unknown": {direct, lost}, "queued": {again, queued}, "scheduled": {ofRecord, sooner, later},
	})
	w.lists("another client", otherKey, map[string][]string{"scheduled": {others}})

	w.callback(status{status: "sent", wamid: "wamid.A", opaque: opaque, at: 1767225600})
	responds(t, "cancelled", w.cancel(clientKey, sooner), 200, "")
	w.lists("a receipt, and a cancellation", clientKey, map[string][]string{
		"unknown": {direct}, "queued": {again, queued}, "scheduled": {ofRecord, later},
	})
	w.pass(time.Hour + time.Minute) // the record's time has come, and nothing has read it yet
	w.lists("an hour later", clientKey, map[string][]string{
		"unknown": {direct}, "queued": {ofRecord, again, queued}, "scheduled": {later},
	})
	w.fires(2 * time.Hour)
	w.drain()
	w.lists("sent", clientKey, map[string][]string{"unknown": {direct}, "queued": {again}})
	w.pass(24 * time.Hour)
	w.lists("expired", clientKey, map[string][]string{"unknown": {direct}})
}

func TestAListHasWhatAProcessLeftThatQueuedItAndNotWhatIsOver(t *testing.T) {
	w := newWorld(t)
	async := []string{"prefer", "respond-async", "idempotency-key"}
	queue := func(key string) string { return w.post(hello, append(async, key)...).Headers["message-id"] }
	died, refused, resent := queue("died"), queue("refused"), w.post(hello, append([]string{"on-unknown", "resend"}, append(async, "resent")...)...).Headers["message-id"]
	records, _ := w.received()
	of := func(id string) []any {
		for _, r := range records {
			if strings.Contains(fmt.Sprint(r["body"]), id) {
				return []any{r}
			}
		}
		t.Fatalf("no record names %s", id)
		return nil
	}
	w.database.Set(func(rw http.ResponseWriter, action string, body []byte) bool { // its claim is written, its outcome is not
		return strings.Contains(string(body), ":came") && deny("UpdateItem")(rw, action, body)
	})
	w.batch(of(died))
	w.database.Set(nil)
	w.spoil(connexease.Fault{Kind: connexease.Answer, Status: 400, Body: refusedAs("BAD_REQUEST")})
	w.batch(of(refused))
	w.spoil(connexease.Fault{Kind: connexease.ResetBefore})
	w.batch(of(resent))
	w.spoil()
	if s := w.lookUp(died); s.State != "in_flight" {
		t.Errorf("look-up shows %+v", s)
	}
	w.lists("under way", clientKey, map[string][]string{"unknown": {resent}})
	w.pass(time.Minute)
	w.lists("its lease is over", clientKey, map[string][]string{"unknown": {resent, died}})
	if again := w.batch(of(resent)); len(again) != 0 {
		t.Errorf("%v is not sent again", again)
	}
	if s := w.lookUp(resent); s.State != "accepted" || s.Attempts != 2 {
		t.Errorf("look-up shows %+v", s)
	}
	w.lists("sent again", clientKey, map[string][]string{"unknown": {died}})
	for _, id := range []string{refused, resent} {
		if row := w.row(id); row.Text("unsettled_client")+row.Text("unsettled_from") != "" {
			t.Errorf("the index keeps %+v", row)
		}
	}
}

// A message that waited nowhere and whose process died is the one that no list has.
func TestAnUnknownMessageThatWaitedNowhereAndThatNobodyWroteIsNotListed(t *testing.T) {
	w := newWorld(t)
	w.database.Set(deny("UpdateItem"))
	id := w.post(hello, "idempotency-key", "idem-died", "on-unknown", "resend").Headers["message-id"]
	w.database.Set(nil)
	w.pass(time.Minute)
	if s := w.lookUp(id); s.State != "unknown" {
		t.Errorf("look-up shows %+v", s)
	}
	w.lists("it died", clientKey, nil)
	w.spoil(connexease.Fault{Kind: connexease.RateLimit})
	w.post(hello, "idempotency-key", "idem-died", "on-unknown", "resend")
	w.spoil()
	w.lists("it was tried again", clientKey, map[string][]string{"unknown": {id}})
}

// Messages that arrive, leave or are settled meanwhile move no page.
func TestPagesOfAListSurviveWhatHappensMeanwhile(t *testing.T) {
	w := newWorld(t)
	var want []string
	for n := range 7 {
		w.pass(time.Second)
		want = append(want, w.post(hello, "prefer", "respond-async", "idempotency-key", fmt.Sprint("idem-", n)).Headers["message-id"])
	}
	slices.Reverse(want) // newest first
	first, next := w.list(clientKey, map[string]string{"state": "queued", "limit": "3"})
	if !slices.Equal(first, want[:3]) || next == "" {
		t.Errorf("the first page is %q, want %q", first, want[:3])
	}
	w.pass(time.Second)
	w.post(hello, "prefer", "respond-async")
	responds(t, "the last of the first page", w.cancel(clientKey, want[2]), 200, "")
	responds(t, "the first of the second page", w.cancel(clientKey, want[3]), 200, "")
	second, next := w.list(clientKey, map[string]string{"state": "queued", "limit": "3", "after": next})
	if !slices.Equal(second, want[4:]) {
		t.Errorf("the second page is %q, want %q", second, want[4:])
	}
	if third, next := w.list(clientKey, map[string]string{"state": "queued", "after": next}); len(third) != 0 || next != "" {
		t.Errorf("the third page is %q, and the next %q", third, next)
	}
}

// What receipts have settled stays in the index: a page looks at a bounded number of messages.
func TestAPageLooksAtABoundedNumberOfMessages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	oldest, _ := w.lost("idem-oldest")
	for n := range listRounds*listTogether + 1 {
		over := ledger.Send{
			ID: ledger.ID("made", fmt.Sprint(n)), Client: "crm", Unsettled: w.now().Add(time.Duration(n+1) * time.Millisecond),
			Attempts: map[string]ledger.Attempt{"t": {Outcome: &ledger.Outcome{State: ledger.Accepted}}},
		}
		write := ledger.Write{Step: ledger.Queue0, ID: over.ID, If: []ledger.Clause{{Kind: ledger.RowAbsent}}, Put: &over}
		if _, err := w.handler.table.WriteSend(t.Context(), write, table.About{}); err != nil {
			t.Fatal(err)
		}
	}
	w.pass(time.Second)
	queries := w.calls(func() {
		page, next := w.list(clientKey, map[string]string{"state": "unknown"})
		if len(page) != 0 || next == "" {
			t.Errorf("the first page is %q, and the next %q", page, next)
		}
	})
	if most := listRounds * (listTogether + 1); len(queries) != most {
		t.Errorf("a page reads %d times, want %d", len(queries), most)
	}
	if all := w.all(clientKey, "unknown", "100"); !slices.Equal(all, []string{oldest}) {
		t.Errorf("listed %q", all)
	}
	if all := w.all(clientKey, "queued", "100"); len(all) != 0 {
		t.Errorf("listed %q", all)
	}
}

func TestAListIsAskedForInOneWay(t *testing.T) {
	w := newWorld(t)
	cursor := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	for what, c := range map[string]struct{ query, faults map[string]string }{
		"no state":           {map[string]string{"state": ""}, map[string]string{"state": "unknown, queued or scheduled"}},
		"another state":      {map[string]string{"state": "accepted"}, map[string]string{"state": "unknown, queued or scheduled"}},
		"a state and an id":  {map[string]string{"state": "queued", "wamid": "w"}, map[string]string{"wamid": "not together with state"}},
		"none":               {map[string]string{"state": "queued", "limit": "0"}, map[string]string{"limit": "1 to 100"}},
		"too many":           {map[string]string{"state": "queued", "limit": "101"}, map[string]string{"limit": "1 to 100"}},
		"no number":          {map[string]string{"state": "queued", "limit": "all"}, map[string]string{"limit": "1 to 100"}},
		"a place of its own": {map[string]string{"state": "queued", "after": "msg_1"}, map[string]string{"after": "next of the page before"}},
		"a place that is none": {
			map[string]string{"state": "queued", "after": cursor("soon#" + ledger.ID("a", "b"))}, map[string]string{"after": "next of the page before"},
		},
		"all of it": {
			map[string]string{"state": "x", "limit": "x", "after": "x", "scope": "x"},
			map[string]string{"state": "unknown, queued or scheduled", "limit": "1 to 100", "after": "next of the page before", "scope": "not together with state"},
		},
	} {
		a := w.find(clientKey, "", c.query)
		responds(t, what, a, 400, "MSG_001")
		if got := fmt.Sprint(params(t, a)); got != fmt.Sprint(c.faults) {
			t.Errorf("%s: params %s, want %v", what, got, c.faults)
		}
	}
	w.database.Set(deny("Query"))
	responds(t, "the table is away", w.find(clientKey, "", map[string]string{"state": "queued"}), 503, "SVC_002")
}

// checkLists compares the lists with the look-ups of a storm's messages.
func (p *processes) checkLists(t *testing.T, ids []string) {
	t.Helper()
	listed := map[string]string{}
	for _, state := range []string{"unknown", "queued", "scheduled"} {
		for next := "start"; next != ""; {
			query := "?state=" + state
			if next != "start" {
				query += "&after=" + next
			}
			var r struct {
				Data struct {
					Messages []seen
					Next     string
				}
			}
			if a := p.call(http.MethodGet, "/v1/wa/message"+query, ""); a.status != 200 || json.Unmarshal([]byte(a.body), &r) != nil {
				t.Fatalf("%s: %d %s", query, a.status, a.body)
			}
			for _, m := range r.Data.Messages {
				listed[m.ID] = state
			}
			next = r.Data.Next
		}
	}
	died, found := 0, len(listed)
	for n, id := range ids {
		state, _ := p.state(id)
		switch is := listed[id]; {
		case is != "" && is != state:
			t.Errorf("message %d is listed as %s, and is %s", n, is, state)
		case is == "" && state == "unknown" && !scheduled(n) && !timed(n) && strings.Contains(p.call(http.MethodGet, "/v1/wa/message/"+id, "").body, `"reason":"process_ended"`):
			died++
		case is == "" && (state == "unknown" || state == "queued" || state == "scheduled"):
			t.Errorf("message %d is %s, and is not listed", n, state)
		}
		delete(listed, id)
	}
	if len(listed) > 0 {
		t.Errorf("these are listed, and nobody sent them: %v", listed)
	}
	t.Logf("%d are listed, %d processes died with a message that waited nowhere", found, died)
}
