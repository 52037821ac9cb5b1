package table_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"connexease-functions/pkg/table"
)

// A timeline is read newest first, no further than needed, and never without end.
func TestALookAtTheWindowReadsNoMoreThanItNeeds(t *testing.T) {
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	item := func(age time.Duration, more string) string {
		return fmt.Sprintf(`{"timestamp":{"N":"%d"}%s}`, now.Add(-age).Unix(), more)
	}
	page := func(items ...string) string {
		return `{"Items":[` + strings.Join(items, ",") + `],"LastEvaluatedKey":{"pk":{"S":"a"},"sk":{"S":"b"}}}`
	}
	last := func(items ...string) string { return `{"Items":[` + strings.Join(items, ",") + `]}` }
	const advertised = `,"referral":{"S":"ad"}`
	alias := `{"Items":[{"sk":{"S":"alias#US.1349"}}]}`
	for what, c := range map[string]struct {
		timeline []string // replies for the first name
		other    string   // reply for the second name; empty: there is none
		state    table.WindowState
		inbound  time.Duration
		looks    int
	}{
		"open at the first look":           {[]string{page(item(time.Hour, ""), item(90*time.Hour, ""))}, "", table.WindowOpen, time.Hour, 1},
		"an entry point":                   {[]string{page(item(30*time.Hour, ""), item(71*time.Hour, advertised))}, "", table.WindowOpen, 30 * time.Hour, 1},
		"an entry point of long ago":       {[]string{page(item(30*time.Hour, ""), item(72*time.Hour, advertised))}, "", table.WindowClosed, 30 * time.Hour, 2},
		"open on the second page":          {[]string{page(), last(item(time.Hour, ""))}, "", table.WindowOpen, time.Hour, 2},
		"closed, and older is not read":    {[]string{page(item(25*time.Hour, ""), item(73*time.Hour, ""))}, "", table.WindowClosed, 25 * time.Hour, 2},
		"none":                             {[]string{last()}, "", table.WindowUnknown, 0, 2},
		"open under another name":          {[]string{last(item(30*time.Hour, ""))}, last(item(time.Hour, "")), table.WindowOpen, time.Hour, 4},
		"closed under both":                {[]string{last(item(40*time.Hour, ""))}, last(item(30*time.Hour, "")), table.WindowClosed, 30 * time.Hour, 4},
		"known under another name only":    {[]string{last()}, last(item(30*time.Hour, "")), table.WindowClosed, 30 * time.Hour, 4},
		"five pages without a message":     {[]string{page(), page(), page(), page(), page()}, "", table.WindowOpen, 0, 5},
		"a fifth page with an old message": {[]string{page(), page(), page(), page(), page(item(30*time.Hour, ""))}, "", table.WindowClosed, 30 * time.Hour, 6},
	} {
		pages := 0
		tbl, d := serve(func(_ int, made call) reply {
			timeline := strings.Contains(made.body, `"timeline"`)
			switch first := strings.Contains(made.body, "contact#15550100001"); {
			case timeline && first:
				pages++
				return reply{body: c.timeline[min(pages, len(c.timeline))-1]}
			case timeline:
				return reply{body: c.other}
			case first && c.other != "":
				return reply{body: alias}
			}
			return reply{body: last()}
		})
		w, err := tbl.Window(t.Context(), "", now, "+1 555 010-0001")
		var inbound time.Time
		if c.inbound > 0 {
			inbound = now.Add(-c.inbound)
		}
		if err != nil || w.State != c.state || !w.LastInbound.Equal(inbound) {
			t.Errorf("%s: %+v, %v, want %s at %v", what, w, err, c.state, inbound)
		}
		looks := d.seen()
		if len(looks) != c.looks || pages != len(c.timeline) {
			t.Errorf("%s: %d Queries, %d of them pages, want %d and %d", what, len(looks), pages, c.looks, len(c.timeline))
		}
		for n, look := range looks {
			if strings.Contains(look.body, `"ConsistentRead":true`) || n == 0 && !strings.Contains(look.body, `"Limit":10,`) {
				t.Errorf("%s: Query %d is %s", what, n, look.body)
			}
		}
	}
}
