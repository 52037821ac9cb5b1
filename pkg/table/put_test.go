package table_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"connexease-functions/pkg/table"
	"connexease-functions/pkg/whatsapp"
)

// attribute is an attribute's value as DynamoDB's JSON has it.
type attribute struct {
	S, N string
	B    []byte
	M    map[string]attribute
	BOOL bool
}

type stored map[string]attribute

// puts returns the items that a request writes.
func (c call) puts(t testing.TB) (all []stored) {
	t.Helper()
	var in struct {
		Item         stored
		RequestItems map[string][]struct{ PutRequest struct{ Item stored } }
	}
	c.in(t, &in)
	if in.Item != nil {
		return []stored{in.Item}
	}
	for _, one := range in.RequestItems[name] {
		all = append(all, one.PutRequest.Item)
	}
	return all
}

var received = time.Date(2026, 3, 4, 23, 59, 58, 0, time.UTC)

func inbound(id, payload string) whatsapp.Event {
	return whatsapp.Event{
		Kind: whatsapp.KindMessage, Direction: whatsapp.In, Type: "text", Field: "messages", WAMID: id, PhoneNumberID: "2",
		Payload: []byte(payload), Key: whatsapp.Key{Message: id, Number: "2", Hash: "0123456789abcdef"},
	}
}

// large returns a payload of n parts.
func large(parts int) string { return strings.Repeat("x", (parts-1)*350_000+1000) }

func unsaved(r table.Result) (ids []string) {
	for _, e := range r.Unsaved {
		ids = append(ids, e.WAMID)
	}
	return ids
}

func TestAHeadIsWrittenAfterAllItsPartsHaveBeen(t *testing.T) {
	for _, parts := range []int{2, 3, 9} {
		var mu sync.Mutex
		written := map[string]bool{}
		heads := 0
		tbl, _ := serve(func(_ int, c call) reply {
			mu.Lock()
			defer mu.Unlock()
			all := c.puts(t)
			for _, it := range all { // before any of this request is written
				if it["parts"].N == "" {
					continue
				}
				heads++
				if it["parts"].N != fmt.Sprint(parts) || len(written) != parts {
					t.Errorf("the head of %s parts is written after %v", it["parts"].N, written)
				}
			}
			for _, it := range all {
				if it["kind"].S == "part" {
					written[it["sk"].S] = true
				}
			}
			return reply{}
		})
		if r := tbl.Put(t.Context(), []whatsapp.Event{inbound("m", large(parts))}, received); r.Err != nil || len(r.Unsaved) != 0 {
			t.Errorf("%+v", r)
		}
		if heads != 1 {
			t.Errorf("%d heads of %d parts", heads, parts)
		}
	}
}

func TestAHeadIsNotWrittenWhenAPartOfItIsLost(t *testing.T) {
	for lostPart := 1; lostPart <= 3; lostPart++ {
		tbl, d := serve(func(_ int, c call) reply {
			for _, it := range c.puts(t) {
				if strings.HasSuffix(it["sk"].S, fmt.Sprintf("#part%d", lostPart)) {
					return denied
				}
			}
			return reply{}
		})
		r := tbl.Put(t.Context(), []whatsapp.Event{inbound("large", large(3)), inbound("small", "{}")}, received)
		for _, c := range d.seen() {
			for _, it := range c.puts(t) {
				if it["parts"].N != "" {
					t.Errorf("part %d is lost, and the head is written", lostPart)
				}
			}
		}
		if !slices.Contains(unsaved(r), "large") || r.Err == nil {
			t.Errorf("part %d is lost: unsaved %v, %v", lostPart, unsaved(r), r.Err)
		}
	}
}

func TestOnlyEventsNotKnownToBeWrittenAreUnsaved(t *testing.T) {
	var events []whatsapp.Event
	for n := range 60 {
		events = append(events, inbound(fmt.Sprintf("m-%02d", n), "{}"))
	}
	for what, c := range map[string]struct {
		reply    func(c call) reply
		from, to int
	}{
		"a batch is denied": {func(c call) reply {
			if strings.Contains(c.body, "m-30") {
				return denied
			}
			return reply{}
		}, 25, 50},
		"all batches are denied": {func(call) reply { return denied }, 0, 60},
		"two items of a batch are handed back until the table denies the rest": {func(c call) reply {
			all := c.puts(t)
			if !strings.Contains(c.body, "m-55") {
				return reply{}
			}
			if len(all) == 2 {
				return denied
			}
			var in struct{ RequestItems map[string][]json.RawMessage }
			c.in(t, &in)
			back, _ := json.Marshal(map[string]any{"UnprocessedItems": map[string]any{name: in.RequestItems[name][5:7]}})
			return reply{body: string(back)}
		}, 55, 57},
	} {
		t.Run(what, func(t *testing.T) {
			tbl, _ := serve(func(_ int, one call) reply { return c.reply(one) })
			r := tbl.Put(t.Context(), events, received)
			var want []string
			for _, e := range events[c.from:c.to] {
				want = append(want, e.WAMID)
			}
			if got := unsaved(r); !slices.Equal(got, want) || r.Err == nil {
				t.Errorf("unsaved %v, %v, want %v", got, r.Err, want)
			}
		})
	}
}

func TestACallWithoutAResponseLeavesTimeForAnother(t *testing.T) {
	for what, first := range map[string]reply{"silence": silent, "throttling": throttled, "a broken connection": lost, "a server error": broken} {
		for _, events := range [][]whatsapp.Event{{inbound("m", "{}")}, {inbound("m", "{}"), inbound("n", "{}")}} {
			synctest.Test(t, func(t *testing.T) {
				tbl, d := serve(replies(first, reply{}))
				const budget = 2500 * time.Millisecond
				ctx, cancel := context.WithTimeout(t.Context(), budget)
				defer cancel()
				r := tbl.Put(ctx, events, received)
				if len(r.Unsaved) != 0 || r.Retries != 1 || len(d.seen()) != 2 {
					t.Errorf("%s: unsaved %v after %d calls, %v", what, unsaved(r), len(d.seen()), r.Err)
				}
			})
		}
	}
}

func TestAnUnavailableTableIsRetriedUntilTheDeadline(t *testing.T) {
	for what, always := range map[string]reply{"silence": silent, "throttling": throttled, "a broken connection": lost, "a server error": broken} {
		synctest.Test(t, func(t *testing.T) {
			tbl, d := serve(replies(always))
			const budget = 2500 * time.Millisecond
			ctx, cancel := context.WithTimeout(t.Context(), budget)
			defer cancel()
			start := time.Now()
			r := tbl.Put(ctx, []whatsapp.Event{inbound("m", "{}"), inbound("n", "{}")}, received)
			if took := time.Since(start); len(r.Unsaved) != 2 || r.Err == nil || took > budget || took < 1900*time.Millisecond || len(d.seen()) < 2 {
				t.Errorf("%s: unsaved %v, %v, after %d calls in %v", what, unsaved(r), r.Err, len(d.seen()), took)
			}
		})
	}
}

func TestFinalErrorsAreNotRetried(t *testing.T) {
	tbl, d := serve(replies(denied))
	if r := tbl.Put(t.Context(), []whatsapp.Event{inbound("m", "{}")}, received); len(r.Unsaved) != 1 || r.Retries != 0 || len(d.seen()) != 1 {
		t.Errorf("%+v after %d calls", r, len(d.seen()))
	}
}

func TestARefusedItemIsQuarantinedAndDoesNotFailOthers(t *testing.T) {
	tbl, d := serve(func(_ int, c call) reply {
		for _, it := range c.puts(t) {
			if it["wamid"].S == "bad" && it["kind"].S == "message" {
				return invalid
			}
		}
		return reply{}
	})
	r := tbl.Put(t.Context(), []whatsapp.Event{inbound("good", "1"), inbound("bad", "2"), inbound("fine", "3")}, received)
	if len(r.Unsaved) != 0 || r.Quarantined != 1 {
		t.Errorf("%+v", r)
	}
	kinds := map[string]string{}
	for _, c := range d.seen()[1:] { // the batch was refused as a whole
		for _, it := range c.puts(t) {
			kinds[it["payload"].S] += it["kind"].S + " "
		}
	}
	if kinds["1"] != "message " || kinds["3"] != "message " || kinds["2"] != "message quarantine " {
		t.Errorf("written one by one: %v", kinds)
	}
}

func TestAnEventThatCannotBeQuarantinedIsUnsaved(t *testing.T) {
	for what, refusal := range map[string]reply{"denied": denied, "invalid": invalid} {
		tbl, _ := serve(func(_ int, c call) reply {
			for _, it := range c.puts(t) {
				switch {
				case it["payload"].S == "2" && it["kind"].S == "quarantine":
					return refusal
				case it["payload"].S == "2":
					return invalid
				}
			}
			return reply{}
		})
		r := tbl.Put(t.Context(), []whatsapp.Event{inbound("good", "1"), inbound("bad", "2"), inbound("fine", "3")}, received)
		if got := unsaved(r); !slices.Equal(got, []string{"bad"}) || r.Quarantined != 0 || r.Err == nil {
			t.Errorf("the quarantine is %s: unsaved %v, %d quarantined, %v", what, got, r.Quarantined, r.Err)
		}
	}
}

func TestEqualEventsAreOneItemThatKeepsTheContact(t *testing.T) {
	with := func(contact string) whatsapp.Event {
		e := inbound("m", "{}")
		if contact != "" {
			e.ContactPayload = []byte(contact)
		}
		return e
	}
	for _, c := range []struct{ first, second, want string }{
		{"", "", ""}, {"a", "", "a"}, {"", "b", "b"}, {"a", "b", "b"},
	} {
		tbl, d := serve(replies())
		r := tbl.Put(t.Context(), []whatsapp.Event{with(c.first), with(c.second)}, received)
		all := d.seen()
		if len(all) != 1 || r.Merged != 1 || len(all[0].puts(t)) != 1 {
			t.Fatalf("%d calls, %+v", len(all), r)
		}
		if got := all[0].puts(t)[0]["contact_payload"].S; got != c.want {
			t.Errorf("%q and %q: the item has %q, want %q", c.first, c.second, got, c.want)
		}
	}
}

func TestABatchHasAtMost25ItemsAndAboutOneMebibyte(t *testing.T) {
	var events []whatsapp.Event
	for n := range 60 {
		events = append(events, inbound(fmt.Sprint("small-", n), "{}"))
	}
	for n := range 7 {
		events = append(events, inbound(fmt.Sprint("large-", n), strings.Repeat("x", 340_000)))
	}
	tbl, d := serve(replies())
	if r := tbl.Put(t.Context(), events, received); len(r.Unsaved) != 0 {
		t.Errorf("%+v", r)
	}
	items := 0
	for _, c := range d.seen() {
		n := len(c.puts(t))
		items += n
		if n > 25 || len(c.body) > 1<<20+64<<10 {
			t.Errorf("%d items and %d bytes", n, len(c.body))
		}
	}
	if items != 67 {
		t.Errorf("%d items", items)
	}
}
