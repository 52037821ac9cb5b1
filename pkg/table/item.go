// Package table implements the DynamoDB table: how events become items, and how items are written
// so that nothing is lost and a repeat changes nothing.
package table

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/whatsapp"
)

const (
	// maxPayload is the largest payload, in bytes, that stays in its event's item: DynamoDB accepts
	// 400 KB, including keys and all other attributes. A multiple of three, so that the base64 of
	// binary parts can be joined.
	maxPayload = 349_998
)

// underWhatsApp begins the partition key of what is stored under WhatsApp's id of a message.
const underWhatsApp = "wa#"

type item = map[string]types.AttributeValue

// row is an item that is not built yet: it holds only the key, so that a large delivery is not in
// memory twice.
type row struct {
	event  int // index of its event
	part   int // 1 to n for a part of a payload; 0 for the event itself
	parts  int // how many parts the payload has; 0 for a payload in one piece
	pk, sk string
	sum    string // SHA-256 of the payload, if the event does not have it
	alias  bool   // not the event itself, but one of the names that it proves
}

// keys returns the primary key of an event's item.
func keys(e *whatsapp.Event) (pk, sk string) {
	switch e.Kind {
	case whatsapp.KindMessage:
		return underWhatsApp + e.Key.Message, "message#" + e.Key.Number + "#" + e.Key.Hash
	case whatsapp.KindStatus:
		pk = underWhatsApp + e.Key.Message
		if id, _, ours := ledger.ParseOpaque(e.Opaque); ours {
			pk = id
		}
		return pk, "status#" + e.Key.Status + "#" + strconv.FormatInt(e.Time/1000, 10) + "#" + e.Key.Hash
	default:
		return "event#" + e.Key.Field + "#" + e.Key.Hash, "event"
	}
}

// rows returns the rows of an event: one, or those of its parts and then its own.
func rows(index int, e *whatsapp.Event) []row {
	pk, sk := keys(e)
	if len(e.Payload) <= maxPayload {
		return []row{{event: index, pk: pk, sk: sk}}
	}
	var all []row
	n := len(partBounds(e.Payload)) - 1
	for part := 1; part <= n; part++ {
		all = append(all, row{event: index, part: part, parts: n, pk: pk, sk: partKey(sk, part)})
	}
	return append(all, row{event: index, parts: n, pk: pk, sk: sk})
}

func partKey(sk string, part int) string { return fmt.Sprintf("%s#part%d", sk, part) }

// partBounds returns where the parts of a payload begin and end. Text is cut
// between characters.
func partBounds(payload []byte) []int {
	bounds := []int{0}
	text := utf8.Valid(payload)
	for at := 0; len(payload)-at > maxPayload; {
		cut := at + maxPayload
		for text && !utf8.RuneStart(payload[cut]) {
			cut--
		}
		bounds = append(bounds, cut)
		at = cut
	}
	return append(bounds, len(payload))
}

// item builds a row's item. today is the start of the UTC day of receipt.
func (t *Table) item(r row, e *whatsapp.Event, today time.Time) item {
	if r.alias {
		return t.aliasItem(r.pk, r.sk, today)
	}
	it := item{
		"pk": str(r.pk),
		"sk": str(r.sk),
	}
	if days := t.days(e); days > 0 {
		it["expires_at"] = num(today.AddDate(0, 0, days).Unix())
	}
	if r.part > 0 {
		content, text := partOf(e, r.part)
		it["kind"] = str("part")
		it["payload"] = payload(content, text)
		return it
	}
	if r.parts > 0 {
		it["parts"] = num(int64(r.parts))
		it["payload_sha256"] = str(sumOf(r, e))
	} else {
		it["payload"] = payload(e.Payload, utf8.Valid(e.Payload))
	}
	set := func(name, value string) {
		if value != "" {
			it[name] = str(value)
		}
	}
	set("detail_type", detailType(e))
	set("kind", string(e.Kind))
	set("direction", string(e.Direction))
	set("type", e.Type)
	set("field", e.Field)
	set("reason", e.Reason)
	set("thread_id", e.Thread)
	set("contact", e.Contact)
	set("user_id", e.UserID)
	set("group_id", e.GroupID)
	set("phone_number_id", e.PhoneNumberID)
	set("display_phone_number", e.DisplayPhoneNumber)
	set("waba_id", e.WABAID)
	set("wamid", e.WAMID)
	set("status", e.Status)
	set("error_code", e.ErrorCode)
	set("text", e.Text)
	set("line", line(e.Text))
	set("reply_to", e.ReplyTo)
	set("media_id", e.MediaID)
	set("pricing_category", e.Pricing.Category)
	set("pricing_type", e.Pricing.Type)
	if e.Pricing.Billable != "" {
		it["billable"] = &types.AttributeValueMemberBOOL{Value: e.Pricing.Billable == "true"}
	}
	set("referral", e.Referral)
	if id, _, ours := ledger.ParseOpaque(e.Opaque); ours {
		set("message_id", id)
	}
	if e.ContactPayload != nil {
		it["contact_payload"] = payload(e.ContactPayload, utf8.Valid(e.ContactPayload))
	}
	if e.EntryTime != 0 {
		it["entry_time"] = num(e.EntryTime)
	}
	at := happened(e, today)
	if at != 0 {
		it["timestamp"] = num(at / 1000)
	}
	timeline(it, e, at)
	gate(it)
	return it
}

// partOf returns a part of a payload, and whether it is text.
func partOf(e *whatsapp.Event, part int) (content []byte, text bool) {
	bounds := partBounds(e.Payload)
	return e.Payload[bounds[part-1]:bounds[part]], utf8.Valid(e.Payload)
}

func sumOf(r row, e *whatsapp.Event) string {
	if r.sum != "" {
		return r.sum
	}
	sum := sha256.Sum256(e.Payload)
	return hex.EncodeToString(sum[:])
}

func (t *Table) days(e *whatsapp.Event) int {
	if t.retentionDays == 0 {
		return 0
	}
	if _, _, ours := ledger.ParseOpaque(e.Opaque); ours && e.Kind == whatsapp.KindStatus {
		return ledger.StatusDays(t.retentionDays)
	}
	return t.retentionDays
}

// timelineTime is UTC with milliseconds in a fixed width, so that text order is
// time order.
const timelineTime = "2006-01-02T15:04:05.000Z"

// happened returns when an update happened, in Unix milliseconds: its own time, else its entry's,
// else the day of its receipt, so that a repeat on that day changes nothing. A quarantined body has
// none.
func happened(e *whatsapp.Event, today time.Time) int64 {
	switch {
	case e.Time != 0 || e.Kind == whatsapp.KindQuarantine:
		return e.Time
	case whatsapp.Milliseconds(e.EntryTime) != 0:
		return whatsapp.Milliseconds(e.EntryTime)
	}
	return today.UnixMilli()
}

// timeline adds the keys of the index that shows a conversation in order: messages and other events
// with a group or a contact under that, account events under the account. A status has no entry of
// its own.
func timeline(it item, e *whatsapp.Event, at int64) {
	if e.Kind != whatsapp.KindMessage && e.Kind != whatsapp.KindEvent {
		return
	}
	switch {
	case e.GroupID != "":
		it["timeline_pk"] = str(groupPrefix + e.GroupID)
	case e.Contact != "":
		it["timeline_pk"] = str(contactPrefix + e.Contact)
	case e.WABAID != "":
		it["timeline_pk"] = str("account#" + e.WABAID)
	default:
		return
	}
	it["timeline_sk"] = str(time.UnixMilli(at).UTC().Format(timelineTime) + "#" + cmp.Or(e.WAMID, e.Key.Hash))
}

func str(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }
func num(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

// payload returns the payload as a string if possible, because people read it.
func payload(b []byte, text bool) types.AttributeValue {
	if text {
		return &types.AttributeValueMemberS{Value: string(b)}
	}
	return &types.AttributeValueMemberB{Value: b}
}
