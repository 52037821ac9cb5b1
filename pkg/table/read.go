package table

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/whatsapp"
)

// These reads are for tools on a laptop: they have no deadline, so their client's retries suffice.
// The functions read with LookUp, Statuses and FindSend.

const (
	// kindPart is the kind of an item that holds a part of a different item's payload.
	kindPart = "part"
	// maxParts is far more than the parts of the largest payload: 4 MiB in parts of 350 kB.
	maxParts = 100
)

// ErrNotThere means that the table has no item with a key.
var ErrNotThere = errors.New("it does not exist")

// Item is a stored item.
type Item map[string]types.AttributeValue

// Text returns an attribute as a string; empty for types other than S, N, B and BOOL.
func (i Item) Text(name string) string {
	switch v := i[name].(type) {
	case *types.AttributeValueMemberS:
		return v.Value
	case *types.AttributeValueMemberN:
		return v.Value
	case *types.AttributeValueMemberB:
		return string(v.Value)
	case *types.AttributeValueMemberBOOL:
		return strconv.FormatBool(v.Value)
	}
	return ""
}

// Number returns a whole number; 0 if there is none.
func (i Item) Number(name string) int64 { return integer(i[name]) }

// Key returns the primary key.
func (i Item) Key() (pk, sk string) { return text(i["pk"]), text(i["sk"]) }

// IsPart reports whether the item is a part of a different item's payload.
func (i Item) IsPart() bool { return i.Text("kind") == kindPart }

// Send returns the ledger's view of an item that is a send; nil for any other item.
func (i Item) Send() *ledger.Send {
	if i.Text("kind") != "send" {
		return nil
	}
	return readSend(i)
}

// PartKeys returns the sort keys of the parts of a head's payload; none for an item that holds its
// payload itself.
func (i Item) PartKeys() (all []string) {
	_, sk := i.Key()
	for n := range min(i.Number("parts"), maxParts) {
		all = append(all, partKey(sk, int(n)+1))
	}
	return all
}

// Plain returns an item as JSON values: strings, unchanged numbers, maps and lists of those. binary
// converts values that are not text.
func (i Item) Plain(binary func([]byte) string) map[string]any {
	plain, _ := plainValue(&types.AttributeValueMemberM{Value: i}, binary).(map[string]any)
	return plain
}

func plainValue(v types.AttributeValue, binary func([]byte) string) any {
	switch v := v.(type) {
	case *types.AttributeValueMemberS:
		return v.Value
	case *types.AttributeValueMemberN:
		return json.Number(v.Value)
	case *types.AttributeValueMemberB:
		return binary(v.Value)
	case *types.AttributeValueMemberBOOL:
		return v.Value
	case *types.AttributeValueMemberM:
		all := make(map[string]any, len(v.Value))
		for name, one := range v.Value {
			all[name] = plainValue(one, binary)
		}
		return all
	case *types.AttributeValueMemberL:
		all := make([]any, len(v.Value))
		for n, one := range v.Value {
			all[n] = plainValue(one, binary)
		}
		return all
	case *types.AttributeValueMemberSS:
		return v.Value
	}
	return nil // NULL; the product writes no other types
}

// Name returns the table's name.
func (t *Table) Name() string { return t.name }

// Received returns when an item arrived, as far as the item says: a send's first claim, or else the
// day from which its expiry was counted; zero if it has neither.
func (t *Table) Received(i Item) time.Time {
	if s := i.Send(); s != nil {
		return s.ClaimedAt
	}
	days := t.retentionDays
	if i.Text("kind") == string(whatsapp.KindStatus) && i.Text("message_id") != "" {
		days = ledger.StatusDays(days)
	}
	if at := i.Number("expires_at"); at != 0 && days > 0 {
		return time.Unix(at, 0).UTC().AddDate(0, 0, -days)
	}
	return time.Time{}
}

// Selection says which items, and which of their attributes, a Scan returns.
type Selection struct {
	Where      string            // filter expression; empty: every item
	Names      map[string]string // of the expressions
	Values     map[string]string // strings of the filter expression, by their placeholders
	Attributes string            // projection expression; empty: all of them
	Page       func(scanned int) // called after each page with the number of items read; may be nil
}

// ScanPosition is the key of the last item that a Scan has read.
type ScanPosition struct {
	PK string `json:"pk"`
	SK string `json:"sk"`
}

// Page is what one call of a Scan returns.
type Page struct {
	Items   []Item        // selected ones
	Scanned int           // items read
	Last    *ScanPosition // where the next page begins; nil at the end
}

// ScanPage reads one page of a segment of the table, numbered from 0, after a position. There is no
// index for what only tools look for, because every write would pay for it.
func (t *Table) ScanPage(ctx context.Context, s Selection, segment, segments int, after *ScanPosition) (Page, error) {
	in := &dynamodb.ScanInput{
		TableName: &t.name, ConsistentRead: aws.Bool(true), ExpressionAttributeNames: s.Names,
		Segment: aws.Int32(int32(segment)), TotalSegments: aws.Int32(int32(segments)), // #nosec G115 -- a few
	}
	if s.Where != "" {
		in.FilterExpression, in.ExpressionAttributeValues = &s.Where, item{}
		for name, value := range s.Values {
			in.ExpressionAttributeValues[name] = str(value)
		}
	}
	if s.Attributes != "" {
		in.ProjectionExpression = &s.Attributes
	}
	if after != nil {
		in.ExclusiveStartKey = item{"pk": str(after.PK), "sk": str(after.SK)}
	}
	out, err := t.client.Scan(ctx, in)
	if err != nil {
		return Page{}, fmt.Errorf("the table %s cannot be read: %w", t.name, err)
	}
	p := Page{Scanned: int(out.ScannedCount)}
	for _, it := range out.Items {
		p.Items = append(p.Items, it)
	}
	if len(out.LastEvaluatedKey) > 0 {
		p.Last = &ScanPosition{text(out.LastEvaluatedKey["pk"]), text(out.LastEvaluatedKey["sk"])}
	}
	return p, nil
}

// Scan calls each with every selected item of the whole table, in no order.
func (t *Table) Scan(ctx context.Context, s Selection, each func(Item)) error {
	for at := (*ScanPosition)(nil); ; {
		page, err := t.ScanPage(ctx, s, 0, 1, at)
		if err != nil {
			return err
		}
		for _, it := range page.Items {
			each(it)
		}
		if s.Page != nil {
			s.Page(page.Scanned)
		}
		if at = page.Last; at == nil {
			return nil
		}
	}
}

// Size returns about how many items and bytes the table has; DynamoDB counts them every six hours.
func (t *Table) Size(ctx context.Context) (items, bytes int64, err error) {
	out, err := t.client.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &t.name})
	if err != nil {
		return 0, 0, fmt.Errorf("the table %s cannot be described: %w", t.name, err)
	}
	return aws.ToInt64(out.Table.ItemCount), aws.ToInt64(out.Table.TableSizeBytes), nil
}

// Under returns the items of a partition key, in order.
func (t *Table) Under(ctx context.Context, pk string) ([]Item, error) {
	return t.collect(ctx, &dynamodb.QueryInput{
		ConsistentRead:         aws.Bool(true),
		KeyConditionExpression: aws.String("pk = :pk"), ExpressionAttributeValues: item{":pk": str(pk)},
	})
}

func (t *Table) collect(ctx context.Context, in *dynamodb.QueryInput) ([]Item, error) {
	in.TableName = &t.name
	all := []Item{}
	for pages := dynamodb.NewQueryPaginator(t.client, in); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("the table %s cannot be read: %w", t.name, err)
		}
		for _, it := range page.Items {
			all = append(all, it)
		}
	}
	return all, nil
}

// Get returns one item, or ErrNotThere.
func (t *Table) Get(ctx context.Context, pk, sk string) (Item, error) {
	out, err := t.client.GetItem(ctx, &dynamodb.GetItemInput{TableName: &t.name, ConsistentRead: aws.Bool(true), Key: item{"pk": str(pk), "sk": str(sk)}})
	if err != nil {
		return nil, err
	}
	if len(out.Item) == 0 {
		return nil, ErrNotThere
	}
	return out.Item, nil
}

// Payload returns an item's payload. It joins parts and verifies their hash.
func (t *Table) Payload(ctx context.Context, head Item) ([]byte, error) {
	pk, sk := head.Key()
	return head.payload(func(n int) (Item, error) { return t.Get(ctx, pk, partKey(sk, n)) })
}

// payload calls part for the parts of a payload, numbered from 1.
func (i Item) payload(part func(n int) (Item, error)) ([]byte, error) {
	n := i.Number("parts")
	if n == 0 {
		return content(i["payload"]), nil
	}
	if n > maxParts {
		return nil, fmt.Errorf("it has %d parts", n)
	}
	var whole []byte
	for number := 1; number <= int(n); number++ {
		it, err := part(number)
		if err != nil {
			return nil, fmt.Errorf("part %d of its payload: %w", number, err)
		}
		whole = append(whole, content(it["payload"])...)
	}
	if sum := sha256.Sum256(whole); hex.EncodeToString(sum[:]) != i.Text("payload_sha256") {
		return nil, errors.New("the parts of its payload do not match its SHA-256")
	}
	return whole, nil
}

// Join puts the parts among items back into their heads. A head whose parts are missing or changed
// gets payload_fault instead of its payload, and its parts stay items of their own, as do parts
// without a head.
func Join(all []Item) []Item {
	type key struct{ pk, sk string }
	parts := map[key]Item{}
	for _, it := range all {
		if it.IsPart() {
			pk, sk := it.Key()
			parts[key{pk, sk}] = it
		}
	}
	joined := map[key]bool{}
	var found []Item
	for _, it := range all {
		if it.IsPart() || it.Number("parts") == 0 {
			found = append(found, it)
			continue
		}
		pk, sk := it.Key()
		whole, err := it.payload(func(n int) (Item, error) {
			part, there := parts[key{pk, partKey(sk, n)}]
			if !there {
				return nil, ErrNotThere
			}
			return part, nil
		})
		head := maps.Clone(it)
		if err != nil {
			head["payload_fault"] = str(err.Error())
		} else {
			head["payload"] = payload(whole, utf8.Valid(whole))
			for _, sk := range it.PartKeys() {
				joined[key{pk, sk}] = true
			}
		}
		found = append(found, head)
	}
	left := found[:0]
	for _, it := range found {
		pk, sk := it.Key()
		if !it.IsPart() || !joined[key{pk, sk}] {
			left = append(left, it)
		}
	}
	return left
}

// Remove deletes an item and the parts of its payload, the head first: a head without all of its
// parts could not be read, while parts without a head are removed by their expiry.
func (t *Table) Remove(ctx context.Context, head Item) error {
	pk, sk := head.Key()
	for _, sk := range append([]string{sk}, head.PartKeys()...) {
		if err := t.Delete(ctx, pk, sk); err != nil {
			return err
		}
	}
	return nil
}

// Delete deletes the item with a key. It is not an error if there is none.
func (t *Table) Delete(ctx context.Context, pk, sk string) error {
	_, err := t.client.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: &t.name, Key: item{"pk": str(pk), "sk": str(sk)}})
	return err
}
