package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"connexease-functions/pkg/proof/cost"
	"connexease-functions/pkg/table"
)

func TestASendCostsFourWriteUnitsAndReadsOnlyWhatItAsksFor(t *testing.T) {
	template := `{"messaging_product":"whatsapp","to":"15550100001","type":"template","template":{"name":"order_shipped","language":{"code":"en"},` +
		`"components":[{"type":"body","parameters":[{"type":"text","text":"Ada Lovelace of Marylebone"},{"type":"text","text":"4711 of November 26"}]}]}}`
	toKnown := strings.Replace(hello, "15550100001", "15550100077", 1)
	for name, c := range map[string]struct {
		body    string
		headers []string
		want    map[string]float64
	}{
		// The claim: row and timeline. The outcome: row and sent_wamid.
		"text": {hello, nil, map[string]float64{"PutItem": cost.ClaimWrites, "UpdateItem": cost.OutcomeWrites}},
		// With its response and the API's request id this one's row is over 1 kB, whatever the time.
		"template": {template, nil, map[string]float64{"PutItem": cost.ClaimWrites, "UpdateItem": cost.OutcomeWrites + 1}},
		// A row that is only queued is in the index unsettled alone.
		"queued":    {hello, []string{"prefer", "respond-async"}, map[string]float64{"PutItem": cost.QueueWrites}},
		"scheduled": {hello, []string{"send-at", time.Now().Add(time.Hour).Format(time.RFC3339)}, map[string]float64{"PutItem": cost.QueueWrites}},
		// A look at the window: the person's timeline, and where that is not open, their other names.
		"open window": {
			toKnown, []string{"on-closed-window", "refuse"},
			map[string]float64{"PutItem": cost.ClaimWrites, "UpdateItem": cost.OutcomeWrites, "Query": cost.OpenReads},
		},
		"template instead": { // with its response the row of both bodies is over 1 kB
			either(""), nil,
			map[string]float64{"PutItem": cost.ClaimWrites, "UpdateItem": cost.OutcomeWrites + 1, "Query": cost.ClosedReads},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			for range 15 { // more than the first look reads
				w.inbound(`"from":"15550100077"`, time.Hour, "")
			}
			var mu sync.Mutex
			got := map[string]float64{}
			w.database.Measure(func(action string, units float64) {
				mu.Lock()
				defer mu.Unlock()
				if action == "Query" { // one that finds nothing costs no less (Amazon DynamoDB: read capacity)
					units = max(units, 0.5)
				}
				got[action] += units
			})
			if a := w.post(c.body, c.headers...); a.Status >= 300 {
				t.Fatalf("returned %d %s", a.Status, a.Body)
			}
			check := func(what string, want map[string]float64) {
				mu.Lock()
				defer mu.Unlock()
				delete(got, "") // the connection that is opened at start
				if !maps.Equal(got, want) {
					t.Errorf("%s consumed %v, want %v", what, got, want)
				}
				clear(got)
			}
			check("the request", c.want)
			if name == "queued" {
				records, _ := w.received()
				w.batch(records)
				check("its record", map[string]float64{"UpdateItem": cost.ClaimWrites + cost.OutcomeWrites + cost.LeaveWrites})
			}
		})
	}
}

// A page reads its items once, and the person's names, and of each message that went out its
// row and statuses, and those under WhatsApp's id.
func TestAPageOfAConversationCostsReadUnitsOfItsMessages(t *testing.T) {
	const sent = 2 * table.Together
	w := newWorld(t).withReader()
	var mu sync.Mutex
	got, statements := 0.0, 0
	w.database.Measure(func(action string, units float64) {
		mu.Lock()
		defer mu.Unlock()
		if action == "Query" {
			got += max(units, 0.5)
		}
	})
	// A statement is a Query of each of its keys, of which DynamoDB Local says nothing: a consistent one
	// costs a unit for up to 4 kB, and where it finds nothing.
	w.database.Set(func(_ http.ResponseWriter, action string, body []byte) bool {
		var in struct{ Parameters []any }
		if err := json.Unmarshal(body, &in); action == "ExecuteStatement" && err == nil {
			mu.Lock()
			defer mu.Unlock()
			got += float64(len(in.Parameters))
			statements++
		}
		return false
	})
	read := func() float64 {
		mu.Lock()
		got, statements = 0, 0
		mu.Unlock()
		w.page(routeConversation, "15550100001", nil)
		mu.Lock()
		defer mu.Unlock()
		return got
	}
	for n := range 100 {
		w.stored("messages", said(fmt.Sprint("wamid.", n), w.now().Add(-time.Duration(n)*time.Second), text("Is the blue one back in stock?")))
	}
	if units := read(); units != cost.PageReads {
		t.Errorf("a page of messages that came costs %v read units, want %v", units, cost.PageReads)
	}
	before := read()
	for range sent {
		w.post(hello)
	}
	for _, m := range w.gateway.Messages() {
		opaque := regexp.MustCompile(`"biz_opaque_callback_data":"[^"]*"`).FindString(string(m.Body))
		for _, status := range []string{"sent", "delivered", "read"} {
			w.stored("messages", fmt.Sprintf(`"statuses":[{"id":%q,"status":%q,"timestamp":"%d","recipient_id":"15550100001",%s,"pricing":{"billable":true,"pricing_model":"PMP","category":"utility","type":"regular"}}]`,
				m.Wamid, status, w.now().Unix(), opaque))
		}
	}
	check := func(what string, want int) {
		if units := (read() - before) / sent; units > cost.SentReads || units <= cost.SentReads-1 || statements != want {
			t.Errorf("%s a message that went out adds %v read units, want at most %v; the page has %d statements, want %d", what, units, cost.SentReads, statements, want)
		}
	}
	check("in the process that sent it", sent/table.Together)
	w.start()
	check("in a different one", 2*sent/table.Together)
	check("there again", sent/table.Together)
}
