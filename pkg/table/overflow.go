package table

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"connexease-functions/pkg/whatsapp"
)

// MaxMessage is the largest overflow message, in bytes (AWS: Amazon SQS message quotas,
// 1 MiB, less room for attributes that tracing may add).
const MaxMessage = 1<<20 - 4<<10

// overflow is a message of the overflow queue: events that could not be written to the table in
// time. Messages wait for days, so later versions of this code must be able to read them.
type overflow struct {
	Received int64            `json:"received"` // Unix milliseconds
	Events   []whatsapp.Event `json:"events,omitempty"`
	Head     *head            `json:"head,omitempty"`
	Part     *part            `json:"part,omitempty"`
}

// part is a part of a payload that is too large for an item.
type part struct {
	PK      string `json:"pk"`
	SK      string `json:"sk"`
	Expires int64  `json:"expires,omitempty"`
	Text    bool   `json:"text"`
	Content []byte `json:"content"`
}

// head is an event whose payload is in parts.
type head struct {
	Event whatsapp.Event `json:"event"` // without its payload
	Parts int            `json:"parts"`
	Sum   string         `json:"sha256"`
}

// Pack puts events into messages of at most MaxMessage bytes, in ASCII: SQS refuses some characters
// that payloads may have. An event with a payload too large for one item gets a message for each
// part and one for itself.
func (t *Table) Pack(events []whatsapp.Event, received time.Time) ([]string, error) {
	var all []string
	add := func(o overflow) error {
		o.Received = received.UnixMilli()
		body, err := json.Marshal(o)
		if err != nil {
			return fmt.Errorf("pack events: %w", err)
		}
		all = append(all, ascii(body))
		return nil
	}
	var open overflow
	size := 0
	flush := func() error {
		if len(open.Events) == 0 {
			return nil
		}
		err := add(open)
		open, size = overflow{}, 0
		return err
	}
	for i := range events {
		rs := rows(i, &events[i])
		if len(rs) > 1 {
			if err := t.packParts(&events[i], rs, received, add); err != nil {
				return nil, err
			}
			continue
		}
		one, err := json.Marshal(events[i])
		if err != nil {
			return nil, fmt.Errorf("pack events: %w", err)
		}
		n := len(ascii(one)) + 1
		if size+n > MaxMessage-100 {
			if err := flush(); err != nil {
				return nil, err
			}
		}
		open.Events, size = append(open.Events, events[i]), size+n
	}
	return all, flush()
}

func (t *Table) packParts(e *whatsapp.Event, rs []row, received time.Time, add func(overflow) error) error {
	expires := int64(0)
	if days := t.days(e); days > 0 {
		expires = dayOf(received).AddDate(0, 0, days).Unix()
	}
	for _, r := range rs {
		o := overflow{}
		if r.part > 0 {
			content, text := partOf(e, r.part)
			o.Part = &part{r.pk, r.sk, expires, text, content}
		} else {
			bare := *e
			bare.Payload = nil
			o.Head = &head{bare, r.parts, sumOf(r, e)}
		}
		if err := add(o); err != nil {
			return err
		}
	}
	return nil
}

// ascii escapes all characters outside ASCII in JSON.
func ascii(text []byte) string {
	out := make([]byte, 0, len(text))
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		text = text[n:]
		switch {
		case r < utf8.RuneSelf:
			out = append(out, byte(r)) // #nosec G115 -- below utf8.RuneSelf
		case r > 0xFFFF:
			high, low := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
	}
	return string(out)
}

// Drain writes the events of an overflow message, as Put would have. A head is written only once
// all its parts are there, because it promises them. An error says why the message must be returned
// to the queue; without one, events is how many are durable.
func (t *Table) Drain(ctx context.Context, body []byte) (events int, err error) {
	var o overflow
	if err := json.Unmarshal(body, &o); err != nil {
		return 0, fmt.Errorf("overflow message: %w", err)
	}
	received := time.UnixMilli(o.Received)
	switch {
	case o.Part != nil:
		return 0, t.putPart(ctx, o.Part)
	case o.Head != nil:
		if err := t.putHead(ctx, o.Head, received); err != nil {
			return 1, err
		}
		for _, p := range o.Head.Event.Aliases {
			if err := t.PutAlias(ctx, p, received); err != nil && !invalid(err) {
				return 1, err
			}
		}
		if it := saidBy(&o.Head.Event, dayOf(received)); it != nil {
			return 1, t.putConsent(ctx, it, func() {})
		}
		return 1, nil
	}
	if r := t.Put(ctx, o.Events, received); len(r.Unsaved) > 0 {
		return 0, fmt.Errorf("drain: %w", r.Err)
	}
	return len(o.Events), nil
}

func (t *Table) putPart(ctx context.Context, p *part) error {
	it := item{"pk": str(p.PK), "sk": str(p.SK), "kind": str("part"), "payload": payload(p.Content, p.Text)}
	if p.Expires != 0 {
		it["expires_at"] = num(p.Expires)
	}
	return t.store(ctx, func() {}, it)
}

func (t *Table) putHead(ctx context.Context, h *head, received time.Time) error {
	pk, sk := keys(&h.Event)
	var all []types.TransactWriteItem
	exists := "attribute_exists(pk)"
	for n := 1; n <= h.Parts; n++ {
		all = append(all, types.TransactWriteItem{ConditionCheck: &types.ConditionCheck{
			TableName: &t.name, Key: item{"pk": str(pk), "sk": str(partKey(sk, n))}, ConditionExpression: &exists,
		}})
	}
	it := t.item(row{parts: h.Parts, pk: pk, sk: sk, sum: h.Sum}, &h.Event, dayOf(received))
	all = append(all, types.TransactWriteItem{Put: &types.Put{TableName: &t.name, Item: it}})
	_, err := t.client.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: all})
	return err
}
