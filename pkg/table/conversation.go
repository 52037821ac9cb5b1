package table

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"connexease-functions/pkg/whatsapp"
)

// ContactTimeline and GroupTimeline return the timeline of a person's name, and of a group.
func ContactTimeline(name string) string { return contactPrefix + name }

// GroupTimeline returns the timeline of a group.
func GroupTimeline(id string) string { return groupPrefix + id }

// Position is an item's place in its conversation, whichever of the person's timelines it is in. What
// comes or goes moves no other item.
type Position struct{ At, PK, SK string } // At is timeline_sk

// Position returns an item's place; the zero value for an item in no timeline.
func (i Item) Position() Position {
	pk, sk := i.Key()
	return Position{i.Text("timeline_sk"), pk, sk}
}

// Happened is the time of an item in a timeline, to the millisecond; zero for any other.
func (i Item) Happened() time.Time {
	at, _, _ := strings.Cut(i.Text("timeline_sk"), "#")
	happened, _ := time.Parse(timelineTime, at)
	return happened
}

// Compare orders positions by time, then by id, then by key.
func (p Position) Compare(other Position) int {
	return cmp.Or(cmp.Compare(p.At, other.At), cmp.Compare(p.PK, other.PK), cmp.Compare(p.SK, other.SK))
}

const (
	// few is how many items more than asked for are read: the one at the position itself, and the
	// last, of whose instant others may follow.
	few = 2
	// longestKey and longestSortKey bound a key in bytes (Amazon DynamoDB: Service quotas).
	longestKey, longestSortKey = 2048, 1024
	// afterParts follows a head's sort key, and sorts after its parts.
	afterParts = "#part:"
)

// Timeline returns at most n items of a timeline that are older, or newer, than a position, the
// nearest first. From the zero position on, older items are all, and so are newer ones. The index is
// eventually consistent.
func (t *Table) Timeline(ctx context.Context, timeline string, from Position, older bool, n int) ([]Item, error) {
	in := &dynamodb.QueryInput{
		TableName: &t.name, IndexName: aws.String("timeline"), ScanIndexForward: aws.Bool(!older), Limit: aws.Int32(int32(n + few)), // #nosec G115 -- a page
		KeyConditionExpression: aws.String("timeline_pk = :pk"), ExpressionAttributeValues: item{":pk": str(timeline)},
	}
	toward := 1
	if older {
		toward = -1
	}
	if from.At != "" {
		*in.KeyConditionExpression += map[bool]string{true: " AND timeline_sk <= :at", false: " AND timeline_sk >= :at"}[older]
		in.ExpressionAttributeValues[":at"] = str(from.At)
	}
	var found []Item
	for {
		out, err := t.page(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, it := range out.Items {
			if i := Item(it); from.At == "" || i.Position().Compare(from)*toward > 0 {
				found = append(found, i)
			}
		}
		whole := len(found)
		if in.ExclusiveStartKey = out.LastEvaluatedKey; len(in.ExclusiveStartKey) > 0 && whole > 0 {
			// The index has the items of one instant in no known order: of the last, some may follow.
			for last := found[whole-1].Text("timeline_sk"); whole > 0 && found[whole-1].Text("timeline_sk") == last; {
				whole--
			}
		}
		if whole >= n || len(in.ExclusiveStartKey) == 0 {
			found = found[:whole]
			slices.SortFunc(found, func(a, b Item) int { return a.Position().Compare(b.Position()) * toward })
			return found[:min(n, whole)], nil
		}
		in.Limit = nil
	}
}

// Joined returns one item with its payload joined, read consistently; ErrNotThere without one, and for
// a part of a payload.
func (t *Table) Joined(ctx context.Context, pk, sk string) (Item, error) {
	if pk == "" || sk == "" || len(pk) > longestKey || len(sk)+len(afterParts) > longestSortKey {
		return nil, ErrNotThere
	}
	var found []Item
	err := t.query(ctx, &dynamodb.QueryInput{
		ConsistentRead: aws.Bool(true), KeyConditionExpression: aws.String("pk = :pk AND sk BETWEEN :sk AND :last"),
		ExpressionAttributeValues: item{":pk": str(pk), ":sk": str(sk), ":last": str(sk + afterParts)},
	}, func(it item) { found = append(found, it) })
	if err != nil {
		return nil, err
	}
	for _, it := range Join(found) {
		if _, key := it.Key(); key == sk && !it.IsPart() {
			return it, nil
		}
	}
	return nil, ErrNotThere
}

// Newest returns at most limit items of a person under all of their names, or of a group, newest
// first, of those whose timeline_sk is lower than before; empty: of all. It reads few more than limit
// items under each name.
func (t *Table) Newest(ctx context.Context, name, before string, limit int) ([]Item, error) {
	names, err := t.Names(ctx, name)
	if err != nil {
		return nil, err
	}
	var timelines []string
	for _, n := range names {
		timelines = append(timelines, ContactTimeline(n))
	}
	if !whatsapp.IsPhone(names[0]) && !whatsapp.IsUserID(names[0]) {
		timelines = append(timelines, GroupTimeline(name))
	}
	var all []Item
	for _, timeline := range timelines {
		found, err := t.Timeline(ctx, timeline, Position{At: before}, true, limit)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	slices.SortStableFunc(all, func(a, b Item) int { return b.Position().Compare(a.Position()) })
	return all[:min(limit, len(all))], nil
}

// second returns timeline_sk up to the second, the resolution of WhatsApp's times.
const second = len("2006-01-02T15:04:05")

// Order sorts items of one or several timelines by time. Within one second, a status comes after
// its message, an edit or a revocation after the message that it changes, and all else is ordered
// by id.
func Order(items []Item) {
	at := func(i Item) string {
		sk := i.Text("timeline_sk")
		return sk[:min(second, len(sk))]
	}
	type place struct{ at, id string }
	there := map[place]bool{}
	for _, i := range items {
		if i.Text("kind") != string(whatsapp.KindStatus) {
			for _, name := range []string{"wamid", "message_id"} {
				if id := i.Text(name); id != "" {
					there[place{at(i), id}] = true
				}
			}
		}
	}
	later := func(i Item) int {
		var of []string
		switch {
		case i.Text("kind") == string(whatsapp.KindStatus):
			of = []string{i.Text("wamid"), i.Text("message_id")}
		case i.Text("type") == "edit" || i.Text("type") == "revoke":
			of = []string{i.Text("reply_to")}
		}
		if slices.ContainsFunc(of, func(id string) bool { return there[place{at(i), id}] }) {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(items, func(a, b Item) int {
		return cmp.Or(cmp.Compare(at(a), at(b)), later(a)-later(b), cmp.Compare(a.Text("timeline_sk"), b.Text("timeline_sk")),
			cmp.Compare(a.Text("pk"), b.Text("pk")), cmp.Compare(a.Text("sk"), b.Text("sk")))
	})
}
