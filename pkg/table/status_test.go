package table_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/table"
)

// page is one page of a Query; more means that another follows.
func page(more bool, items ...map[string]string) reply {
	all := []map[string]any{}
	for _, it := range items {
		one := map[string]any{}
		for name, value := range it {
			one[name] = map[string]string{"S": value}
		}
		all = append(all, one)
	}
	out := map[string]any{"Items": all}
	if more {
		out["LastEvaluatedKey"] = map[string]any{"pk": map[string]string{"S": id}, "sk": map[string]string{"S": fmt.Sprint("after ", len(items))}}
	}
	body, _ := json.Marshal(out)
	return reply{body: string(body)}
}

func status(word, token string) map[string]string {
	payload, _ := json.Marshal(map[string]any{"status": word, "biz_opaque_callback_data": ledger.Opaque(id, token), "errors": []int{1}})
	return map[string]string{"pk": id, "sk": "status#" + word, "status": word, "wamid": "wamid.1", "payload": string(payload)}
}

var token = strings.Repeat("t", 16)

// reads lists the reading methods, as functions of the same form.
var reads = map[string]struct {
	consistent bool
	index      string
	condition  string
	read       func(t testing.TB, tbl *table.Table) (found []string, err error)
}{
	"Statuses": {true, "", "pk = :pk AND begins_with(sk, :status)", func(t testing.TB, tbl *table.Table) (found []string, err error) {
		all, err := tbl.Statuses(t.Context(), id)
		for _, s := range all {
			found = append(found, s.Status)
		}
		return found, err
	}},
	"StatusesOf": {true, "", "pk = :pk AND begins_with(sk, :status)", func(t testing.TB, tbl *table.Table) (found []string, err error) {
		all, err := tbl.StatusesOf(t.Context(), "wamid.1")
		for _, s := range all {
			found = append(found, s.Status)
		}
		return found, err
	}},
	"LookUp": {true, "", "pk = :pk", func(t testing.TB, tbl *table.Table) (found []string, err error) {
		_, _, all, err := tbl.LookUp(t.Context(), id)
		for _, s := range all {
			found = append(found, s.Status)
		}
		return found, err
	}},
	// DynamoDB refuses a consistent read of a global index.
	"FindSend": {false, "sent_wamid", "sent_wamid = :wamid", func(t testing.TB, tbl *table.Table) ([]string, error) {
		found, err := tbl.FindSend(t.Context(), "wamid.1")
		return []string{found}, err
	}},
}

// An eventually consistent read sometimes lacks a recent receipt in DynamoDB itself: a message that
// is known to have been sent would be sent again.
func TestDecisiveReadsAreConsistentAndComplete(t *testing.T) {
	for what, c := range reads {
		t.Run(what, func(t *testing.T) {
			tbl, d := serve(replies(page(true, status("sent", token)), page(true), page(false, status("delivered", token), status("read", token))))
			found, err := c.read(t, tbl)
			if want := []string{"sent", "delivered", "read"}; err != nil || c.consistent && strings.Join(found, " ") != strings.Join(want, " ") || !c.consistent && found[0] != id {
				t.Errorf("found %v, %v", found, err)
			}
			all := d.seen()
			if len(all) != 3 {
				t.Fatalf("%d calls for three pages", len(all))
			}
			for n, one := range all {
				var in struct {
					ConsistentRead                    bool
					IndexName, KeyConditionExpression string
					ExclusiveStartKey                 stored
				}
				one.in(t, &in)
				if one.action != "Query" || in.ConsistentRead != c.consistent || in.IndexName != c.index || in.KeyConditionExpression != c.condition {
					t.Errorf("page %d is requested by %s", n, one.body)
				}
				if want := []string{"", "after 1", "after 0"}[n]; in.ExclusiveStartKey["sk"].S != want {
					t.Errorf("page %d begins at %q, want %q", n, in.ExclusiveStartKey["sk"].S, want)
				}
			}
		})
	}
}

func TestAReadIsRetriedAndItsFailureIsNotAnEmptyResult(t *testing.T) {
	for what, c := range reads {
		for _, first := range []reply{throttled, broken, lost, silent} {
			synctest.Test(t, func(t *testing.T) {
				tbl, d := serve(replies(first, page(false, status("sent", token))))
				if found, err := c.read(t, tbl); err != nil || len(found) != 1 || found[0] == "" || len(d.seen()) != 2 {
					t.Errorf("%s: %v, %v after %d calls", what, found, err, len(d.seen()))
				}
			})
		}
		tbl, _ := serve(replies(page(true, status("sent", token)), denied))
		if _, err := c.read(t, tbl); err == nil {
			t.Errorf("%s: a page is missing, and there is no error", what)
		}
	}
}

func TestAStatusBelongsToTheAttemptThatItsPayloadNames(t *testing.T) {
	row := map[string]string{"pk": id, "sk": "send", "type": "text", "contact": "15550100001", "text": "Hello", "client": "crm", "sent_wamid": "wamid.1"}
	foreign := map[string]string{"pk": id, "sk": "status#sent#2", "status": "sent", "payload": `{"biz_opaque_callback_data":{"a":1}}`}
	part := map[string]string{"pk": id, "sk": "status#sent#3#part1", "kind": "part", "payload": `cut`}
	tbl, _ := serve(replies(page(false, row, status("failed", token), foreign, part)))
	send, about, all, err := tbl.LookUp(t.Context(), id)
	if err != nil || send == nil || send.ID != id || send.Client != "crm" || send.Wamid != "wamid.1" || about != (table.About{Type: "text", Contact: "15550100001", Text: "Hello"}) {
		t.Fatalf("%+v %+v, %v", send, about, err)
	}
	if len(all) != 3 || all[0].Token != token || all[0].Status != "failed" || all[0].Wamid != "wamid.1" || string(all[0].Errors) != "[1]" || all[1].Token != "" || all[2].Token != "" || all[2].Status != "" {
		t.Errorf("%+v", all)
	}
	tbl, _ = serve(replies(page(false, status("sent", token))))
	if send, _, all, err := tbl.LookUp(t.Context(), id); send != nil || len(all) != 1 || err != nil {
		t.Errorf("without a row: %+v, %d statuses, %v", send, len(all), err)
	}
}

func TestAnIDThatIsNotAKeyIsNotLookedUp(t *testing.T) {
	tbl, d := serve(replies())
	for _, wamid := range []string{"", strings.Repeat("w", 513)} {
		found, err := tbl.FindSend(t.Context(), wamid)
		all, failed := tbl.StatusesOf(t.Context(), wamid)
		if found != "" || err != nil || all != nil || failed != nil {
			t.Errorf("%q: %q %v %v %v", wamid, found, err, all, failed)
		}
	}
	if n := len(d.seen()); n != 0 {
		t.Errorf("%d calls", n)
	}
}

// statement is one page of a statement's items; next leads to another.
func statement(next string, items ...map[string]string) reply {
	r := page(false, items...)
	if next != "" {
		r.body = strings.TrimSuffix(r.body, "}") + fmt.Sprintf(`,"NextToken":%q}`, next)
	}
	return r
}

func TestMessagesAreLookedUpTogetherConsistentlyAndCompletely(t *testing.T) {
	other := strings.Replace(id, "msg_", "msg_0", 1)[:len(id)]
	row := map[string]string{"pk": id, "sk": "send", "client": "crm", "sent_wamid": "wamid.1"}
	under := func(wamid, word string) map[string]string {
		return map[string]string{"pk": "wa#" + wamid, "sk": "status#" + word, "status": word, "wamid": wamid}
	}
	found := statement("", row, map[string]string{"pk": other, "sk": "status#sent", "status": "sent"}, under("wamid.echo", "read"))
	for what, first := range map[string]reply{"": statement("more"), "throttled": throttled, "broken": broken, "lost": lost, "silent": silent} {
		synctest.Test(t, func(t *testing.T) {
			calls := []reply{first, found, statement("again", under("wamid.1", "sent")), statement("", under("wamid.1", "delivered"))}
			all := statement("", row, under("wamid.echo", "read"), under("wamid.1", "sent"), under("wamid.1", "delivered"))
			tbl, d := serve(replies(append(calls, all)...))
			for _, when := range []string{"first", "remembered"} {
				sends, others, err := tbl.FindTogether(t.Context(), time.Now(), []string{id, other}, []string{"wamid.echo", "", strings.Repeat("w", 513)})
				if err != nil || len(sends) != 1 || sends[id] == nil || sends[id].Row.Client != "crm" {
					t.Fatalf("%s, %s: %v, %v", what, when, sends, err)
				}
				if got := sends[id].Statuses; len(got) != 2 || got[0].Status != "delivered" || got[1].Status != "sent" || len(others["wamid.echo"]) != 1 {
					t.Errorf("%s, %s: statuses %+v, others %+v", what, when, got, others)
				}
			}
			seen := d.seen()
			if len(seen) != len(calls)+1 {
				t.Fatalf("%s: %d calls", what, len(seen))
			}
			for n, one := range seen {
				var in struct {
					ConsistentRead       bool
					Statement, NextToken string
					Parameters           []struct{ S string }
				}
				one.in(t, &in)
				keys, next := []string{id, other, "wa#wamid.echo"}, ""
				switch n {
				case 1:
					if what == "" {
						next = "more"
					}
				case 2:
					keys = []string{"wa#wamid.1"}
				case 3:
					keys, next = []string{"wa#wamid.1"}, "again"
				case 4:
					keys = append(keys, "wa#wamid.1")
				}
				var got []string
				for _, p := range in.Parameters {
					got = append(got, p.S)
				}
				want := `SELECT * FROM "Events" WHERE "pk" IN [?` + strings.Repeat(", ?", len(keys)-1) + `] AND "sk" >= 'send'`
				if one.action != "ExecuteStatement" || !in.ConsistentRead || in.Statement != want || in.NextToken != next || !slices.Equal(got, keys) {
					t.Errorf("%s: call %d is %s %s", what, n, one.action, one.body)
				}
			}
		})
	}
	tbl, _ := serve(replies(statement("more", row), denied))
	if _, _, err := tbl.FindTogether(t.Context(), time.Now(), []string{id}, nil); err == nil {
		t.Error("a page is missing, and there is no error")
	}
	tbl, d := serve(replies())
	if sends, others, err := tbl.FindTogether(t.Context(), time.Now(), nil, nil); len(sends)+len(others) != 0 || err != nil || len(d.seen()) != 0 {
		t.Errorf("nothing is looked up: %v %v %v, %d calls", sends, others, err, len(d.seen()))
	}
}

// What a process remembers of sends is bounded: what it has forgotten is read after its send.
func TestAProcessRemembersAtMost4096Sends(t *testing.T) {
	const most = 4096
	tbl, d := serve(replies())
	id := func(n int) string { return fmt.Sprintf("msg_%026d", n) }
	for n := range most + 1 {
		w := settles
		w.ID, w.Set.Wamid = id(n), fmt.Sprint("wamid.", n)
		if _, err := tbl.WriteSend(t.Context(), w, about); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := tbl.FindTogether(t.Context(), time.Now(), []string{id(0), id(most)}, nil); err != nil {
		t.Fatal(err)
	}
	last := d.seen()[most+1]
	if strings.Contains(last.body, `"wa#wamid.0"`) || !strings.Contains(last.body, fmt.Sprint("wa#wamid.", most)) {
		t.Errorf("it asks for %s", last.body)
	}
}
