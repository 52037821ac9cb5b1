package table

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"connexease-functions/pkg/whatsapp"
)

func TestAConversationsOrderDoesNotDependOnItsTimelines(t *testing.T) {
	line := func(kind, kindOf, at, id, replyTo string) Item {
		return Item{"pk": str("wa#" + id), "sk": str(kind), "kind": str(kind), "type": str(kindOf), "wamid": str(id), "reply_to": str(replyTo), "timeline_sk": str("2026-01-02T03:04:0" + at + "Z#" + id)}
	}
	want := []Item{
		line("message", "text", "5.000", "z", ""),
		line("message", "edit", "6.000", "a", "elsewhere"), // of a different second: by its id
		line("message", "text", "6.000", "m", ""),
		line("message", "text", "6.000", "n", "m"), // a reply is not a change
		line("message", "text", "6.500", "b", ""),
		line("message", "edit", "6.000", "c", "m"),
		line("status", "", "6.000", "m", ""),
		line("message", "revoke", "6.100", "d", "n"),
		line("message", "text", "7.000", "a", ""),
	}
	for range 100 {
		got := slices.Clone(want)
		rand.Shuffle(len(got), func(i, j int) { got[i], got[j] = got[j], got[i] })
		Order(got)
		for i := range got {
			if got[i].Text("timeline_sk") != want[i].Text("timeline_sk") || got[i].Text("kind") != want[i].Text("kind") {
				t.Fatalf("at %d: %v, want %v", i, got[i], want[i])
			}
		}
	}
}

func TestTheMemoryOfAliasesLastsADayAndIsBounded(t *testing.T) {
	var m aliasMemory
	today := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	p := whatsapp.Pair{"1", "2"}
	if left := m.unwritten(today, []whatsapp.Pair{p, p}); len(left) != 1 {
		t.Errorf("unwritten: %v", left)
	}
	m.wrote(today, p)
	if len(m.unwritten(today, []whatsapp.Pair{p})) != 0 || len(m.unwritten(today.AddDate(0, 0, 1), []whatsapp.Pair{p})) != 1 {
		t.Error("a pair is not remembered for its day alone")
	}
	for n := range 3 * mostPairs {
		m.wrote(today, whatsapp.Pair{"1", fmt.Sprint(n)})
		if len(m.pairs) > mostPairs {
			t.Fatalf("%d pairs are remembered", len(m.pairs))
		}
	}
}
