package main

import (
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"connexease-functions/pkg/conversation"
	"connexease-functions/pkg/local/fixtures"
	"connexease-functions/pkg/proof/cost"
	"connexease-functions/pkg/proof/harness"
	"connexease-functions/pkg/table"
)

// about is a body with one value of a number.
func about(field, v string) string {
	return `{"object":"whatsapp_business_account","entry":[{"id":"4","changes":[{"field":"` + field + `","value":{"messaging_product":"whatsapp",` +
		`"metadata":{"display_phone_number":"15550100099","phone_number_id":"3"},` + v + `}}]}]}`
}

const both = `"contacts":[{"wa_id":"15550100001","user_id":"US.77001"}],"messages":[{"from":"15550100001","id":"wamid.both","timestamp":"1764000000","type":"text","text":{"body":"a"}}]`

// aliases returns whom the table knows under several names.
func aliases(w *world) (all []string) {
	for key, it := range w.items() {
		if it.Text("kind") == "alias" {
			all = append(all, key)
		}
	}
	slices.Sort(all)
	return all
}

func TestBothNamesOfAPersonLeadToEachOther(t *testing.T) {
	w := newWorld(t)
	w.stored(about("messages", both), 1)
	want := []string{"contact#15550100001 alias#US.77001", "contact#US.77001 alias#15550100001"}
	if got := aliases(w); !reflect.DeepEqual(got, want) {
		t.Errorf("got %q", got)
	}
	for key, it := range w.items() {
		if !slices.Contains(want, key) {
			continue
		}
		expires := time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, 365).Unix()
		if len(it) != 4 || it.Text("kind") != "alias" || it.Number("expires_at") != expires {
			t.Errorf("%s: %v", key, it)
		}
	}
}

func TestAnAliasIsWrittenOnceADay(t *testing.T) {
	w := newWorld(t)
	var mu sync.Mutex
	units := 0.0
	w.database.Measure(func(_ string, n float64) {
		mu.Lock()
		defer mu.Unlock()
		units += n
	})
	consumed := func(id string) float64 {
		t.Helper()
		units = 0
		w.stored(about("messages", strings.Replace(both, "wamid.both", id, 1)), 1)
		return units
	}
	if got := consumed("wamid.1"); got != cost.MessageWrites+cost.AliasWrites {
		t.Errorf("the first message consumed %v write units", got)
	}
	if got := consumed("wamid.2"); got != cost.MessageWrites {
		t.Errorf("the second message consumed %v write units", got)
	}
}

func TestAConversationHasAllNamesOfItsPerson(t *testing.T) {
	w := newWorld(t)
	w.stored(about("messages", `"messages":[{"from_user_id":"US.77001","id":"wamid.c","timestamp":"1764000003","type":"text","text":{"body":"c"}}]`), 1)
	w.stored(about("messages", `"messages":[{"from":"15550100002","id":"wamid.b","timestamp":"1764000002","type":"text","text":{"body":"b"}}]`), 1)
	w.stored(about("messages", both), 1)
	w.stored(about("messages", `"messages":[{"from":"15550100001","id":"wamid.s","timestamp":"1764000001","type":"system","system":{"body":"s","type":"user_changed_number","wa_id":"15550100002"}}]`), 1)
	w.stored(about("messages", `"messages":[{"from":"15550100001","group_id":"G1","id":"wamid.g","timestamp":"1764000001","type":"text","text":{"body":"g"}}]`), 1)
	db := table.New(harness.Backends.DB, w.table, 0)
	for _, name := range []string{"15550100001", "+1 (555) 010-0002", "US.77001"} {
		page, err := conversation.Read(t.Context(), db, time.Now(), conversation.Ask{Contact: name})
		if err != nil {
			t.Fatal(err)
		}
		var said []string
		for _, m := range page.Messages {
			said = append(said, m.Text)
		}
		if !reflect.DeepEqual(said, []string{"a", "s", "b", "c"}) {
			t.Errorf("%s: %q", name, said)
		}
	}
	if page, err := conversation.Read(t.Context(), db, time.Now(), conversation.Ask{GroupID: "G1"}); err != nil || len(page.Messages) != 1 || page.Messages[0].Text != "g" {
		t.Errorf("the group: %+v %v", page, err)
	}
}

// What a delivery has besides an update changes none of its facts, whichever came last.
func TestTheOrderOfNeighboursLeavesTheSameTableAndEvents(t *testing.T) {
	t.Parallel()
	var bodies []string
	for _, name := range []string{"text", "text-user-id", "status-contact", "batch", "call-connect", "user-id-update", "history", "standby"} {
		body, err := fixtures.Body(name)
		if err != nil {
			t.Fatal(err)
		}
		bodies = append(bodies, string(body), strings.ReplaceAll(string(body), `"contacts"`, `"people"`),
			strings.ReplaceAll(string(body), `"contacts": [`, `"contacts": [{"wa_id":"15550100777","user_id":"US.777"},`))
	}
	bodies = append(bodies, about("messages", `"messages":[{"id":"wamid.x"}]`), about("messages", `"contacts":[{"user_id":"US.1"}],"messages":[{"id":"wamid.x"}]`))
	run := func() (items map[string]harness.Item, events []string) {
		w := newWorld(t)
		out := harness.NewOut(t, w.table)
		for _, body := range bodies {
			if a := w.deliver(body); a.Status != 200 {
				t.Fatal(a.Body)
			}
		}
		items = w.items()
		for _, it := range items {
			delete(it, "contact_payload") // that of the last delivery
		}
		for _, e := range out.Events(t) {
			d := facts(t, e)
			events = append(events, e.DetailType+" "+d["pk"]+" "+d["sk"]+" "+d["contact"]+" "+d["user_id"]+" "+d["direction"]+" "+d["timestamp"])
		}
		slices.Sort(events)
		return items, events
	}
	items, events := run()
	for range 2 {
		rand.Shuffle(len(bodies), func(i, j int) { bodies[i], bodies[j] = bodies[j], bodies[i] })
		others, otherEvents := run()
		if !reflect.DeepEqual(items, others) {
			t.Errorf("the tables differ: %v and %v", slices.Sorted(maps.Keys(items)), slices.Sorted(maps.Keys(others)))
		}
		if !reflect.DeepEqual(events, otherEvents) {
			t.Errorf("the events differ: %q and %q", events, otherEvents)
		}
	}
}

func TestATextOf512BytesTakesTwoUnitsOfTheTimelineAtTheMost(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		most float64
	}{
		"typical":      {strings.Repeat("x", 100), 2 + 1},
		"of 512 bytes": {strings.Repeat("x", 512), 3 + 2}, // text and line are in the table both
	} {
		w := newWorld(t)
		units := 0.0
		w.database.Measure(func(_ string, n float64) { units += n })
		w.stored(about("messages", `"contacts":[{"profile":{"name":"Ada Example"},"wa_id":"15550100001"}],"messages":[{"from":"15550100001","group_id":"`+strings.Repeat("g", 80)+
			`","id":"wamid.`+strings.Repeat("w", 70)+`","timestamp":"1764000000","context":{"from":"15550100099","id":"wamid.`+strings.Repeat("v", 70)+`"},"type":"text","text":{"body":"`+c.text+`"}}]`), 1)
		if units > c.most {
			t.Errorf("%s: %v write units, want at most %v", name, units, c.most)
		}
		t.Logf("%s: %v write units", name, units)
	}
}
