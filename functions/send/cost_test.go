package main

import (
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"connexease-functions/pkg/proof/cost"
)

func TestASendCostsFourWriteUnitsAndReadsOnlyWhatItAsksFor(t *testing.T) {
	template := `{"messaging_product":"whatsapp","to":"15550100001","type":"template","template":{"name":"order_shipped","language":{"code":"en"},` +
		`"components":[{"type":"body","parameters":[{"type":"text","text":"Ada"},{"type":"text","text":"4711"}]}]}}`
	toKnown := strings.Replace(hello, "15550100001", "15550100077", 1)
	for name, c := range map[string]struct {
		body    string
		headers []string
		want    map[string]float64
	}{
		// The claim: row and timeline. The outcome: row and sent_wamid.
		"text":     {hello, nil, map[string]float64{"PutItem": cost.ClaimWrites, "UpdateItem": cost.OutcomeWrites}},
		"template": {template, nil, map[string]float64{"PutItem": cost.ClaimWrites, "UpdateItem": cost.OutcomeWrites}},
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
