package table_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"connexease-functions/pkg/events"
	"connexease-functions/pkg/whatsapp"
)

// itemsOf returns the items of an event.
func itemsOf(t *testing.T, e whatsapp.Event) (all []stored) {
	t.Helper()
	tbl, d := serve(replies())
	if r := tbl.Put(t.Context(), []whatsapp.Event{e}, received); r.Err != nil {
		t.Fatal(r.Err)
	}
	for _, c := range d.seen() {
		all = append(all, c.puts(t)...)
	}
	return all
}

func TestAnEventsKeySaysWhatItIs(t *testing.T) {
	key := whatsapp.Key{Message: "wamid.1", Number: "2", Status: "read", Field: "messages", Hash: "h"}
	ours := id + "." + token
	for what, c := range map[string]struct {
		event                   whatsapp.Event
		pk, sk, detail, message string
		expires                 string
	}{
		"a message":    {whatsapp.Event{Kind: whatsapp.KindMessage, Direction: whatsapp.In}, "wa#wamid.1", "message#2#h", events.Received, "", "1804118400"},
		"an echo":      {whatsapp.Event{Kind: whatsapp.KindMessage, Direction: whatsapp.Out}, "wa#wamid.1", "message#2#h", events.Echoed, "", "1804118400"},
		"history":      {whatsapp.Event{Kind: whatsapp.KindMessage, Direction: whatsapp.In, Thread: "t"}, "wa#wamid.1", "message#2#h", events.History, "", "1804118400"},
		"a status":     {whatsapp.Event{Kind: whatsapp.KindStatus, Time: 1764000000999}, "wa#wamid.1", "status#read#1764000000#h", events.StatusChanged, "", "1804118400"},
		"a receipt":    {whatsapp.Event{Kind: whatsapp.KindStatus, Time: 1764000000999, Opaque: ours}, id, "status#read#1764000000#h", events.StatusChanged, id, "1804723200"},
		"not ours":     {whatsapp.Event{Kind: whatsapp.KindStatus, Opaque: id + ".short"}, "wa#wamid.1", "status#read#0#h", events.StatusChanged, "", "1804118400"},
		"an account's": {whatsapp.Event{Kind: whatsapp.KindEvent}, "event#messages#h", "event", events.AccountEvent, "", "1804118400"},
		"quarantined":  {whatsapp.Event{Kind: whatsapp.KindQuarantine}, "event#messages#h", "event", events.Quarantined, "", "1804118400"},
	} {
		t.Run(what, func(t *testing.T) {
			c.event.Key, c.event.Payload = key, []byte("{}")
			it := itemsOf(t, c.event)[0]
			if it["pk"].S != c.pk || it["sk"].S != c.sk || it["detail_type"].S != c.detail || it["message_id"].S != c.message || it["expires_at"].N != c.expires || it["payload"].S != "{}" {
				t.Errorf("%v", it)
			}
		})
	}
}

func TestATimelineHasMessagesAndAccountEventsInTheOrderOfTheirTimes(t *testing.T) {
	when := time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC).UnixMilli()
	for what, c := range map[string]struct {
		event  whatsapp.Event
		pk, sk string
	}{
		"a message":       {whatsapp.Event{Kind: whatsapp.KindMessage, Contact: "1", WABAID: "9", Time: when, WAMID: "w"}, "contact#1", "2026-01-02T03:04:05.006Z#w"},
		"without an id":   {whatsapp.Event{Kind: whatsapp.KindMessage, Contact: "1", Time: when}, "contact#1", "2026-01-02T03:04:05.006Z#h"},
		"an account's":    {whatsapp.Event{Kind: whatsapp.KindEvent, WABAID: "9", Time: when}, "account#9", "2026-01-02T03:04:05.006Z#h"},
		"entry's time":    {whatsapp.Event{Kind: whatsapp.KindMessage, Contact: "1", EntryTime: 1764000000}, "contact#1", "2025-11-24T16:00:00.000Z#h"},
		"without a time":  {whatsapp.Event{Kind: whatsapp.KindMessage, Contact: "1"}, "contact#1", "2026-03-04T00:00:00.000Z#h"}, // the day of receipt
		"of a group":      {whatsapp.Event{Kind: whatsapp.KindMessage, Contact: "1", GroupID: "g", Time: when}, "group#g", "2026-01-02T03:04:05.006Z#h"},
		"a status":        {whatsapp.Event{Kind: whatsapp.KindStatus, Contact: "1", Time: when}, "", ""},
		"about nobody":    {whatsapp.Event{Kind: whatsapp.KindMessage, Time: when}, "", ""},
		"in a quarantine": {whatsapp.Event{Kind: whatsapp.KindQuarantine, WABAID: "9", Time: when}, "", ""},
	} {
		c.event.Key.Hash = "h"
		if it := itemsOf(t, c.event)[0]; it["timeline_pk"].S != c.pk || it["timeline_sk"].S != c.sk {
			t.Errorf("%s: %s %s", what, it["timeline_pk"].S, it["timeline_sk"].S)
		}
	}
}

func TestALinesTextIsSafeBetweenQuotesInJSON(t *testing.T) {
	it := itemsOf(t, whatsapp.Event{Kind: whatsapp.KindMessage, Text: "a\"b\\c\nd\te é"})[0]
	if it["line"].S != "a'b/c d e é" || it["text"].S != "a\"b\\c\nd\te é" {
		t.Errorf("%q of %q", it["line"].S, it["text"].S)
	}
}

func TestAPayloadIsCutBetweenCharactersAndItsPartsAddUpToIt(t *testing.T) {
	for what, payload := range map[string]string{
		"the most of one item": strings.Repeat("x", 349_998), "one byte more": strings.Repeat("x", 349_999),
		"two bytes each": strings.Repeat("é", 400_000), "three bytes each": "x" + strings.Repeat("€", 300_000), "four bytes each": "xy" + strings.Repeat("😀", 300_000),
		"not text": "\xff" + strings.Repeat("é", 400_000),
	} {
		t.Run(what, func(t *testing.T) {
			all := itemsOf(t, whatsapp.Event{Kind: whatsapp.KindMessage, Payload: []byte(payload)})
			if len(payload) <= 349_998 {
				if len(all) != 1 || all[0]["payload"].S != payload || all[0]["parts"].N != "" {
					t.Errorf("%d items", len(all))
				}
				return
			}
			parts, whole := map[string]stored{}, ""
			for _, it := range all[:len(all)-1] {
				parts[it["sk"].S] = it
			}
			head := all[len(all)-1]
			for n := 1; n <= len(parts); n++ {
				it := parts[fmt.Sprintf("%s#part%d", head["sk"].S, n)]
				piece := it["payload"].S + string(it["payload"].B)
				if len(piece) > 349_998 || len(piece) == 0 || utf8.ValidString(payload) != (it["payload"].S != "") || utf8.ValidString(payload) && !utf8.ValidString(piece) {
					t.Errorf("part %d has %d bytes", n, len(piece))
				}
				whole += piece
			}
			sum := sha256.Sum256([]byte(payload))
			if whole != payload || head["parts"].N != fmt.Sprint(len(parts)) || head["payload_sha256"].S != hex.EncodeToString(sum[:]) || head["payload"].S != "" {
				t.Errorf("%d parts of %d bytes, head %v", len(parts), len(whole), head)
			}
		})
	}
}
