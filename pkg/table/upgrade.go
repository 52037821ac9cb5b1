package table

import (
	"context"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"connexease-functions/pkg/whatsapp"
)

// Items of earlier versions are readable unchanged, and can be rewritten to what today's code makes
// of their payloads. The pipe makes no event of these writes: it accepts inserts with a
// detail_type, and any write of a send with one.

// Change turns an item of an earlier version into one of today's. The zero value means that it
// already is.
type Change struct {
	set    item
	remove []string
}

// Empty reports whether there is nothing to change.
func (c Change) Empty() bool { return len(c.set)+len(c.remove) == 0 }

// factNames lists the attributes that are read from a payload. Keys, payloads, expiry and the
// ledger's attributes never change.
var factNames = []string{
	"detail_type", "direction", "type", "thread_id", "contact", "user_id", "group_id", "phone_number_id", "display_phone_number", "wamid", "status",
	"error_code", "text", "line", "reply_to", "media_id", "referral", "pricing_category", "pricing_type", "billable", "timestamp", "timeline_pk", "timeline_sk",
}

// sendNames lists those of a send.
var sendNames = []string{"contact", "user_id", "group_id", "text", "reply_to", "media_id", "timeline_pk"}

// KeyOf returns the key of an event's item.
func KeyOf(e *whatsapp.Event) (pk, sk string) { return keys(e) }

// Outdated compares an item with the event that today's code makes of its payload.
func (t *Table) Outdated(it Item, e *whatsapp.Event) Change {
	pk, sk := it.Key()
	received, stamp := t.Received(it), it.Number("timestamp")
	today := dayOf(received)
	timeless := e.Time == 0 && whatsapp.Milliseconds(e.EntryTime) == 0
	if timeless && stamp != 0 { // the day of receipt, which the expiry might get wrong
		today = dayOf(time.Unix(stamp, 0))
	}
	now := t.item(row{pk: pk, sk: sk, parts: int(it.Number("parts")), sum: it.Text("payload_sha256")}, e, today)
	if timeless && stamp == 0 && received.IsZero() { // the time is unknown
		for _, name := range []string{"timestamp", "timeline_pk", "timeline_sk"} {
			delete(now, name)
		}
	}
	return difference(it, now, factNames)
}

// OutdatedSend compares a send with what today's code says of its message.
func (t *Table) OutdatedSend(it Item, about About) Change {
	s := it.Send()
	if s == nil {
		return Change{}
	}
	c := difference(it, sendItem(s, about), sendNames)
	if !c.Empty() && it["detail_type"] != nil {
		// With it, this write would publish the outcome again.
		c.remove = append(c.remove, "detail_type")
	}
	return c
}

func difference(before, now item, names []string) Change {
	c := Change{set: item{}}
	for _, name := range names {
		switch {
		case now[name] == nil && before[name] != nil:
			c.remove = append(c.remove, name)
		case now[name] != nil && !reflect.DeepEqual(before[name], now[name]):
			c.set[name] = now[name]
		}
	}
	return c
}

// Upgraded is the attribute with the time of an item's upgrade, until it is written again: when it
// was changed, as opposed to when it arrived.
const Upgraded = "upgraded"

func upgraded() types.AttributeValue { return num(time.Now().Unix()) }

// Change changes an item in place, if it is still there.
func (t *Table) Change(ctx context.Context, it Item, c Change) error {
	e := expression{names: map[string]string{}, values: item{}}
	set, remove := []string{e.path(Upgraded) + " = " + e.value(Upgraded, upgraded())}, []string{}
	for _, name := range slices.Sorted(maps.Keys(c.set)) {
		set = append(set, e.path(name)+" = "+e.value(name, c.set[name]))
	}
	for _, name := range c.remove {
		remove = append(remove, e.path(name))
	}
	text := "SET " + strings.Join(set, ", ")
	if len(remove) > 0 {
		text += " REMOVE " + strings.Join(remove, ", ")
	}
	condition := "attribute_exists(" + e.path("pk") + ")"
	_, err := t.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &t.name, Key: item{"pk": it["pk"], "sk": it["sk"]}, UpdateExpression: &text, ConditionExpression: &condition,
		ExpressionAttributeNames: e.names, ExpressionAttributeValues: e.used(),
	})
	return unlessRefused(err)
}

// Replace puts items under the keys that today's code gives to an item's payload, and removes the
// item. No rule mistakes them for new updates. It can be repeated after an interruption.
func (t *Table) Replace(ctx context.Context, before Item, events []whatsapp.Event) error {
	received := t.Received(before)
	if received.IsZero() {
		received = time.Unix(before.Number("timestamp"), 0)
	}
	for i := range events {
		for _, r := range rows(i, &events[i]) {
			it := t.item(r, &events[i], dayOf(received))
			kind := it["detail_type"]
			delete(it, "detail_type")
			if err := t.insert(ctx, it, kind); err != nil {
				return err
			}
		}
	}
	return t.Remove(ctx, before)
}

// insert puts an item that has no detail_type, unless it is there, and adds its detail_type
// afterwards: the pipe makes no event of either. It can be repeated after an interruption.
func (t *Table) insert(ctx context.Context, it item, kind types.AttributeValue) error {
	it[Upgraded] = upgraded()
	_, err := t.client.PutItem(ctx, &dynamodb.PutItemInput{TableName: &t.name, Item: it, ConditionExpression: aws.String("attribute_not_exists(pk)")})
	if err = unlessRefused(err); err == nil && kind != nil {
		err = t.Change(ctx, it, Change{set: item{"detail_type": kind}})
	}
	return err
}

// AddAlias writes that two names belong to one person, unless the table already says so for at
// least as long.
func (t *Table) AddAlias(ctx context.Context, p whatsapp.Pair, received time.Time) error {
	for _, r := range aliasRows(0, p) {
		in := &dynamodb.PutItemInput{TableName: &t.name, Item: t.aliasItem(r.pk, r.sk, dayOf(received)), ConditionExpression: aws.String("attribute_not_exists(pk)")}
		if until := in.Item["expires_at"]; until != nil {
			*in.ConditionExpression += " OR expires_at < :until"
			in.ExpressionAttributeValues = item{":until": until}
		}
		if _, err := t.client.PutItem(ctx, in); unlessRefused(err) != nil {
			return err
		}
	}
	return nil
}

// unlessRefused returns an error, unless it only means that a condition failed.
func unlessRefused(err error) error {
	if _, ok := errors.AsType[*types.ConditionalCheckFailedException](err); ok {
		return nil
	}
	return err
}
