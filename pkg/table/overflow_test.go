package table_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"connexease-functions/pkg/table"
	"connexease-functions/pkg/whatsapp"
)

// packed packs events, and checks that SQS accepts every message.
func packed(t *testing.T, events ...whatsapp.Event) []string {
	t.Helper()
	tbl, d := serve(replies())
	messages, err := tbl.Pack(events, received)
	if err != nil || len(d.seen()) != 0 {
		t.Fatalf("%v after %d calls", err, len(d.seen()))
	}
	for _, m := range messages {
		if len(m) > table.MaxMessage || strings.ContainsFunc(m, func(r rune) bool { return r > '~' || r < ' ' }) || !json.Valid([]byte(m)) {
			t.Errorf("a message has %d bytes, or other than ASCII", len(m))
		}
	}
	return messages
}

func TestMessagesHoldAllEventsWithinSQSsLimit(t *testing.T) {
	sized := func(sizes ...int) (events []whatsapp.Event) {
		for n, size := range sizes {
			events = append(events, inbound(fmt.Sprint("m-", n), strings.Repeat("x", size)))
		}
		return events
	}
	escaped := sized(1)
	for n := range 5 { // each of its two bytes becomes six
		escaped = append(escaped, inbound(fmt.Sprint("e-", n), "{}"))
		escaped[len(escaped)-1].Text = strings.Repeat("é", 100_000)
	}
	spoken := inbound("x", "{}") // a payload is in base64
	spoken.Text = "aé€\uFFFF😀\U00010000\U0010FFFF\\u00e9"
	for what, c := range map[string]struct {
		events   []whatsapp.Event
		messages int
	}{
		"characters of every length":     {[]whatsapp.Event{spoken}, 1},
		"nothing":                        {nil, 0},
		"one":                            {sized(10), 1},
		"many small ones":                {sized(slices.Repeat([]int{100}, 500)...), 1},
		"each fits, two of them do not":  {sized(349_000, 349_000, 349_000, 349_000), 2},
		"a small one before a large one": {sized(10, 349_000, 300_000, 10, 349_000), 2},
		"characters that grow":           {escaped, 5},
	} {
		t.Run(what, func(t *testing.T) {
			messages := packed(t, c.events...)
			if len(messages) != c.messages {
				t.Errorf("%d messages, want %d", len(messages), c.messages)
			}
			tbl, d := serve(replies())
			events := 0
			for _, m := range messages {
				n, err := tbl.Drain(t.Context(), []byte(m))
				if events += n; err != nil {
					t.Error(err)
				}
			}
			got := map[string]string{}
			for _, one := range d.seen() {
				for _, it := range one.puts(t) {
					got[it["wamid"].S] = it["payload"].S + it["text"].S + it["expires_at"].N
				}
			}
			want := map[string]string{}
			for _, e := range c.events {
				want[e.WAMID] = string(e.Payload) + e.Text + "1804118400" // 2027-03-04
			}
			if events != len(c.events) || !maps.Equal(got, want) {
				t.Errorf("%d events and %d items of %d", events, len(got), len(want))
			}
		})
	}
}

func TestAMessageIsDoneOnlyOnceEachOfItsEventsIsWritten(t *testing.T) {
	large := packed(t, inbound("large", large(2)))
	several := packed(t, inbound("m", "{}"), inbound("n", "{}"), inbound("o", "{}"))[0]
	for what, c := range map[string]struct {
		body  string
		reply func(c call) reply
		fails bool
	}{
		"written":                {several, func(call) reply { return reply{} }, false},
		"denied":                 {several, func(call) reply { return denied }, true},
		"one of them is denied":  {several, handBack("n"), true},
		"the last is denied":     {several, handBack("o"), true},
		"a part is written":      {large[0], func(call) reply { return reply{} }, false},
		"a part is denied":       {large[0], func(call) reply { return denied }, true},
		"the head is written":    {large[2], func(call) reply { return reply{} }, false},
		"the head is denied":     {large[2], func(call) reply { return denied }, true},
		"a part is not there":    {large[2], func(call) reply { return cancelled }, true},
		"the connection is lost": {large[2], func(call) reply { return lost }, true},
		"not JSON":               {"x", func(call) reply { return reply{} }, true},
	} {
		tbl, _ := serve(func(_ int, one call) reply { return c.reply(one) })
		_, err := tbl.Drain(t.Context(), []byte(c.body))
		if (err != nil) != c.fails {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// cancelled is DynamoDB's reply to a transaction with a failed condition.
var cancelled = reply{status: 400, body: `{"__type":"com.amazonaws.dynamodb.v20120810#TransactionCanceledException","message":"no","CancellationReasons":[{"Code":"ConditionalCheckFailed"},{"Code":"None"}]}`}

// handBack leaves one event of a batch unprocessed, and refuses it when it is written alone.
func handBack(wamid string) func(c call) reply {
	return func(c call) reply {
		var in struct {
			RequestItems map[string][]struct {
				PutRequest json.RawMessage
			}
		}
		if json.Unmarshal([]byte(c.body), &in) != nil {
			return reply{status: 500}
		}
		all := in.RequestItems[name]
		if len(all) < 2 {
			return denied
		}
		for _, one := range all {
			if strings.Contains(string(one.PutRequest), `"wamid":{"S":"`+wamid+`"}`) {
				body, _ := json.Marshal(map[string]any{"UnprocessedItems": map[string]any{name: []any{one}}})
				return reply{body: string(body)}
			}
		}
		return reply{}
	}
}

func TestAHeadIsDrainedOnlyOnceEveryPartIsThere(t *testing.T) {
	for _, parts := range []int{2, 3, 9} {
		messages := packed(t, inbound("m", large(parts)))
		if len(messages) != parts+1 {
			t.Fatalf("%d messages of %d parts", len(messages), parts)
		}
		tbl, d := serve(replies())
		for _, m := range messages {
			if _, err := tbl.Drain(t.Context(), []byte(m)); err != nil {
				t.Fatal(err)
			}
		}
		all := d.seen()
		const sk = "message#2#0123456789abcdef"
		for n, c := range all[:parts] {
			it := c.puts(t)[0]
			if c.action != "PutItem" || it["pk"].S != "wa#m" || it["sk"].S != fmt.Sprintf("%s#part%d", sk, n+1) || it["kind"].S != "part" || it["expires_at"].N != "1804118400" {
				t.Errorf("part %d is %s of %v", n+1, c.action, it)
			}
		}
		var in struct {
			TransactItems []struct {
				ConditionCheck *struct {
					Key                 stored
					ConditionExpression string
				}
				Put *struct{ Item stored }
			}
		}
		head := all[parts]
		if head.in(t, &in); head.action != "TransactWriteItems" || len(in.TransactItems) != parts+1 {
			t.Fatalf("%s of %d items for %d parts", head.action, len(in.TransactItems), parts)
		}
		for n, check := range in.TransactItems[:parts] {
			if c := check.ConditionCheck; c == nil || c.Key["pk"].S != "wa#m" || c.Key["sk"].S != fmt.Sprintf("%s#part%d", sk, n+1) || c.ConditionExpression != "attribute_exists(pk)" {
				t.Errorf("part %d of %d is looked at by %+v", n+1, parts, c)
			}
		}
		if put := in.TransactItems[parts].Put; put == nil || put.Item["sk"].S != sk || put.Item["expires_at"].N != "1804118400" || put.Item["parts"].N != fmt.Sprint(parts) || len(put.Item["payload_sha256"].S) != 64 {
			t.Errorf("the head is %+v", put)
		}
	}
}
