package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"connexease-functions/pkg/conversation"
	"connexease-functions/pkg/table"
)

// A page looks its messages up together, a look-up one alone: both see the same, whichever way a
// status came.
func TestAPageSeesOfEachMessageWhatItsLookUpSees(t *testing.T) {
	t.Parallel()
	w := newWorld(t).withReader()
	at := w.now().Unix()
	w.stored("messages", `"contacts":[{"wa_id":"15550100001","user_id":"US.77001"}],`+said("wamid.in", w.now(), text("Hello")))
	both := func(wamid, opaque string, words ...string) (all []status) {
		for n, word := range words {
			all = append(all, status{status: word, wamid: wamid, opaque: opaque, at: at + int64(n)})
		}
		return all
	}
	ids := map[string]string{}
	send := func(what, body string) (wamid string) {
		ids[what] = w.post(body).Headers["message-id"]
		all := w.gateway.Messages()
		return all[len(all)-1].Wamid
	}
	send("no status", hello)
	wamid := send("with our data", hello)
	w.callback(both(wamid, w.opaque(), "sent", "delivered", "read")...)
	w.callback(both(send("without our data", hello), "", "sent", "delivered")...)
	wamid = send("with our data, and without", hello)
	w.callback(both(wamid, w.opaque(), "sent")...)
	w.callback(status{status: "failed", wamid: wamid, at: at + 1, errors: undeliverable})
	w.callback(both(send("with the caller's data", strings.Replace(hello, `{`, `{"biz_opaque_callback_data":"mine",`, 1)), "mine", "sent", "read")...)
	w.callback(both(send("to a user id", strings.Replace(hello, `"to":"15550100001"`, `"recipient":"US.77001"`, 1)), "", "delivered")...)
	large := fmt.Sprintf(`[{"code":131026,"title":%q}]`, strings.Repeat("x", 300_000))
	wamid = send("with more than a read returns", hello)
	for n, word := range []string{"sent", "delivered", "read", "played", "failed"} {
		opaque := w.opaque()
		if n > 3 {
			opaque = ""
		}
		w.callback(status{status: word, wamid: wamid, opaque: opaque, at: at + int64(n), errors: large})
	}
	unknown, opaque := w.lost("idem-lost")
	ids["before its WhatsApp id was known"] = unknown
	w.callback(both("wamid.late", "", "read")...)
	w.callback(both("wamid.late", opaque, "sent")...)
	for n := range 4 * table.Together { // further groups
		w.callback(both(send(fmt.Sprint("further ", n), hello), "", "sent")...)
		w.stored("smb_message_echoes", fmt.Sprintf(`"message_echoes":[{"from":"15550100099","to":"15550100001","id":"wamid.echo%d","timestamp":"%d",%s}]`, n, at, text("from the app")))
		w.callback(both(fmt.Sprint("wamid.echo", n), "", "read")...)
	}

	// The process that sent remembers WhatsApp's ids; a different one reads them first, and then
	// remembers them too.
	remembered := w.page(routeConversation, "US.77001", map[string]string{"limit": "100"})
	items := w.items()
	for _, when := range []string{"first", "again"} {
		p, err := conversation.Read(t.Context(), items, w.now(), conversation.Ask{Contact: "US.77001", Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		if got, want := inJSON(t, p), inJSON(t, remembered); got != want {
			t.Errorf("what a different process reads %s: %.2000s, want %.2000s", when, got, want)
		}
	}
	byID, echoes := map[string]conversation.Message{}, 0
	for _, m := range remembered.Messages {
		if byID[m.ID] = m; strings.HasPrefix(m.Wamid, "wamid.echo") {
			if echoes++; m.Progress == nil || m.Status != "read" || len(m.Statuses) != 1 {
				t.Errorf("%s: %+v", m.Wamid, m.Progress)
			}
		}
	}
	if echoes != 4*table.Together {
		t.Errorf("%d messages of the app", echoes)
	}
	for what, id := range ids {
		a := w.find(clientKey, id, nil)
		var alone struct{ Data conversation.Progress }
		if err := json.Unmarshal([]byte(a.Body), &alone); err != nil || a.Status != 200 || byID[id].Progress == nil {
			t.Fatalf("%s: %d %.300s, on the page %+v", what, a.Status, a.Body, byID[id])
		}
		want, got := alone.Data, *byID[id].Progress
		if want.Answer = nil; !reflect.DeepEqual(got, want) {
			t.Errorf("%s: the page has %.500s, the look-up %.500s", what, fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want))
		}
		if wants := map[string]int{"with our data": 3, "without our data": 2, "with our data, and without": 2, "with the caller's data": 2, "to a user id": 1, "with more than a read returns": 5, "before its WhatsApp id was known": 2}[what]; wants > 0 && len(got.Statuses) != wants {
			t.Errorf("%s: %d statuses, want %d", what, len(got.Statuses), wants)
		}
	}
	w.database.Set(deny("ExecuteStatement"))
	responds(t, "the statuses cannot be read", w.ask(readerKey, routeConversation, "15550100001", nil), 503, "SVC_002")
}

// The newest page knows the window by its own messages where those say enough; others read for it.
func TestTheWindowIsTheSameOnEveryPage(t *testing.T) {
	t.Parallel()
	for _, seed := range []uint64{1, 2, 3} {
		random := rand.New(rand.NewPCG(seed, 0)) // #nosec G404 -- reproducible
		w := newWorld(t).withReader()
		w.stored("messages", `"contacts":[{"wa_id":"15550100001","user_id":"US.77001"}],`+said("wamid.old", w.now().Add(-100*time.Hour), text("Hello")))
		for n := range 12 {
			at := w.now().Add(-time.Duration(random.IntN(int(90*time.Hour/time.Second))) * time.Second)
			who := []string{`"from":"15550100001"`, `"from_user_id":"US.77001"`}[random.IntN(2)]
			more := []string{"", "", `,"referral":{"source_type":"ad"}`}[random.IntN(3)]
			message := fmt.Sprintf(`"id":"wamid.%d","timestamp":"%d",%s`, n, at.Unix(), text("Hi"))
			if random.IntN(2) == 0 {
				w.stored("smb_message_echoes", `"message_echoes":[{"from":"15550100099","to":"15550100001",`+message+`}]`)
			} else {
				w.stored("messages", `"messages":[{`+who+`,`+message+more+`}]`)
			}
		}
		for range 5 {
			var want conversation.Page
			reads := map[bool]int{}
			for _, limit := range []int{1, 4, 13} {
				reading := false
				w.database.Set(func(_ http.ResponseWriter, _ string, body []byte) bool {
					reading = reading || strings.Contains(string(body), "FilterExpression")
					return false
				})
				p := w.page(routeConversation, "15550100001", map[string]string{"limit": fmt.Sprint(limit)})
				reads[reading]++
				w.database.Set(nil)
				older := w.page(routeConversation, "15550100001", map[string]string{"limit": "1", "before": p.After})
				if limit == 1 {
					want = older
				}
				for what, got := range map[string]conversation.Page{"the newest": p, "an older one": older} {
					if got.Window != want.Window || !reflect.DeepEqual(got.LastInbound, want.LastInbound) || !reflect.DeepEqual(got.ClosedAt, want.ClosedAt) {
						t.Errorf("seed %d, page of %d, %s: %s %v, want %s %v", seed, limit, what, got.Window, got.LastInbound, want.Window, want.LastInbound)
					}
				}
			}
			if reads[false] == 0 {
				t.Errorf("seed %d: every page reads for the window", seed)
			}
			w.pass(20 * time.Hour)
		}
	}
}

func inJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
