package table

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Two tables may hold copies of the same items of which each knows something that the other lacks:
// a table that was restored, and the one that went on meanwhile. What is merged only adds: an item
// that is there stays, a send's attempts are the union of both, the newest consent wins.

// Merged says what Merge did, or would do, with an item.
type Merged int

const (
	// Same: the table has the item, and knows at least as much of it.
	Same Merged = iota
	// Added: the table did not have it.
	Added
	// Changed: the table knew less of it.
	Changed
	// Conflicting: the table has a send of a different request under the same id. It stays.
	Conflicting
)

// MergeKind is an item's kind where tables are merged: a receipt is a status of a send of this
// product, and a part is of its head's kind.
func (i Item) MergeKind() string {
	pk, sk := i.Key()
	ours := strings.HasPrefix(pk, "msg_")
	kind, _, _ := strings.Cut(sk, "#")
	switch {
	case ours && sk == sendKey:
		return "send"
	case ours:
		return "receipt"
	case kind == "event" && strings.HasPrefix(pk, "event#quarantine#"):
		return "quarantine"
	}
	return kind
}

// Counterparts returns what the table has under the keys of at most 100 items, in their order; nil
// where it has nothing.
func (t *Table) Counterparts(ctx context.Context, items []Item) ([]Item, error) {
	keys := make([]item, len(items))
	for n, it := range items {
		keys[n] = item{"pk": it["pk"], "sk": it["sk"]}
	}
	found := map[[2]string]Item{}
	for len(keys) > 0 {
		out, err := t.client.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{
			t.name: {Keys: keys, ConsistentRead: aws.Bool(true)},
		}})
		if err != nil {
			return nil, fmt.Errorf("the table %s cannot be read: %w", t.name, err)
		}
		for _, it := range out.Responses[t.name] {
			pk, sk := Item(it).Key()
			found[[2]string{pk, sk}] = it
		}
		keys = out.UnprocessedKeys[t.name].Keys // where all are, it is an error, which the client retries
	}
	all := make([]Item, len(items))
	for n, it := range items {
		pk, sk := it.Key()
		all[n] = found[[2]string{pk, sk}]
	}
	return all, nil
}

// Merge adds to the table what it lacks of an item of another table. there is what it has under the
// item's key; nil: nothing. quiet keeps the pipe from publishing it: a table whose stream it reads
// needs that. Without apply it only says what it would do. The write is conditional: whatever
// somebody else writes meanwhile is read and merged, too. items counts what was written, with parts.
func (t *Table) Merge(ctx context.Context, from *Table, it, there Item, quiet, apply bool) (what Merged, items int, err error) {
	for {
		var write func(context.Context) error
		what, write = t.merge(it, there, quiet)
		if what == Same || what == Conflicting || !apply {
			return what, items + 1, nil
		}
		if what == Added { // a head promises its parts
			pk, _ := it.Key()
			for _, sk := range it.PartKeys() {
				part, err := from.Get(ctx, pk, sk)
				if err == nil {
					err = t.put(part, "attribute_not_exists(pk)", nil)(ctx)
				}
				if unlessRefused(err) != nil {
					return what, items, fmt.Errorf("part %s of %s: %w", sk, pk, err)
				}
				if err == nil {
					items++
				}
			}
		}
		if err = write(ctx); unlessRefused(err) != nil {
			return what, items, err
		}
		if err == nil {
			return what, items + 1, nil
		}
		now, err := t.Counterparts(ctx, []Item{it})
		if err != nil {
			return what, items, err
		}
		there = now[0]
	}
}

func (t *Table) put(it item, condition string, values item) func(context.Context) error {
	return func(ctx context.Context) error {
		in := &dynamodb.PutItemInput{TableName: &t.name, Item: it, ConditionExpression: &condition, ExpressionAttributeValues: values}
		if strings.Contains(condition, "#rank") { // a reserved word
			in.ExpressionAttributeNames = map[string]string{"#rank": "rank"}
		}
		_, err := t.client.PutItem(ctx, in)
		return err
	}
}

// merge returns what an item adds to what is there, and the write that adds it.
func (t *Table) merge(it, there Item, quiet bool) (Merged, func(context.Context) error) {
	kind := it.MergeKind()
	it = maps.Clone(it)
	published := it["detail_type"]
	if quiet {
		delete(it, "detail_type")
	}
	switch {
	case there == nil && kind != "send" && kind != kindConsent && quiet && published != nil:
		return Added, func(ctx context.Context) error { return t.insert(ctx, it, published) }
	case there == nil:
		return Added, t.put(it, "attribute_not_exists(pk)", nil)
	case kind == "send" && !reflect.DeepEqual(there["fingerprint"], it["fingerprint"]):
		return Conflicting, nil
	case kind == "send":
		both := mergedSend(there, it)
		if both["v"] = there["v"]; reflect.DeepEqual(both, map[string]types.AttributeValue(there)) {
			return Same, nil
		}
		if quiet {
			delete(both, "detail_type")
		}
		both["v"] = num(max(it.Number("v"), there.Number("v")+1))
		return Changed, t.put(both, "v = :v", item{":v": there["v"]})
	case kind == kindConsent:
		if text(it["rank"]) <= text(there["rank"]) {
			return Same, nil
		}
		return Changed, t.put(it, "attribute_not_exists(pk) OR #rank < :rank", item{":rank": it["rank"]})
	}
	if there[Upgraded] != nil && there["detail_type"] == nil && published != nil { // insert was interrupted
		return Changed, func(ctx context.Context) error { return t.insert(ctx, it, published) }
	}
	until := it["expires_at"]
	if there["expires_at"] == nil || until != nil && it.Number("expires_at") <= there.Number("expires_at") {
		return Same, nil
	}
	return Changed, func(ctx context.Context) error {
		in := &dynamodb.UpdateItemInput{TableName: &t.name, Key: item{"pk": it["pk"], "sk": it["sk"]}}
		if until == nil {
			in.UpdateExpression, in.ConditionExpression = aws.String("REMOVE expires_at"), aws.String("attribute_exists(pk)")
		} else {
			in.UpdateExpression, in.ConditionExpression = aws.String("SET expires_at = :until"), aws.String("expires_at < :until")
			in.ExpressionAttributeValues = item{":until": until}
		}
		_, err := t.client.UpdateItem(ctx, in)
		return err
	}
}

// mergedSend returns a send's row with all that two copies of it know. Both orders yield the same,
// but for v. Nothing that one of them knows is taken back, so the fold of the result permits a claim
// only where those of both do, or one knows of no attempt.
func mergedSend(there, it item) item {
	older, newer := it, there
	if integer(it["v"]) > integer(there["v"]) || integer(it["v"]) == integer(there["v"]) && integer(it["valid_until"]) > integer(there["valid_until"]) {
		older, newer = there, it
	}
	both := maps.Clone(newer)
	tried := maps.Clone(members(older["attempts"]))
	if tried == nil {
		tried = item{}
	}
	for token, attempt := range members(newer["attempts"]) {
		if members(tried[token])["outcome"] == nil { // written once
			tried[token] = attempt
		}
	}
	both["attempts"] = &types.AttributeValueMemberM{Value: tried}
	earlier := func(name string, when func(types.AttributeValue) string) {
		if other := older[name]; other != nil && (both[name] == nil || when(other) < when(both[name])) {
			both[name] = other
		}
	}
	earlier("after", func(types.AttributeValue) string { return "" })
	earlier("cancelled", func(v types.AttributeValue) string { return fmt.Sprintf("%020d", integer(members(v)["at"])) })
	earlier("timeline_sk", text)
	earlier("timestamp", func(v types.AttributeValue) string { return fmt.Sprintf("%020d", integer(v)) })
	earlier("sent_wamid", text) // of two that left, any, but the same in both orders
	if older["expires_at"] == nil {
		delete(both, "expires_at")
	} else if both["expires_at"] != nil && integer(older["expires_at"]) > integer(both["expires_at"]) {
		both["expires_at"] = older["expires_at"]
	}
	if !reflect.DeepEqual(both["attempts"], newer["attempts"]) || !reflect.DeepEqual(both["cancelled"], newer["cancelled"]) {
		for _, name := range ofOutcome { // what it says of the outcome is not all
			delete(both, name)
		}
	}
	return both
}

// Whole reports what is wrong with an item that nobody can read; nil where nothing is.
func (t *Table) Whole(ctx context.Context, it Item) error {
	if it.IsPart() {
		return nil // its head's payload says
	}
	if s := it.Send(); s != nil {
		if s.Fingerprint == "" || len(s.Payload) == 0 {
			return errors.New("it has no message")
		}
		return nil
	}
	if it.Number("parts") == 0 {
		return nil
	}
	_, err := t.Payload(ctx, it)
	return err
}
