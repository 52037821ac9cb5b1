package table

import (
	"cmp"
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"connexease-functions/pkg/whatsapp"
)

// timelines returns the keys of the timelines of a person under all of their names, or of a group.
func (t *Table) timelines(ctx context.Context, name string) (all []string, err error) {
	names, err := t.Names(ctx, name)
	if err != nil {
		return nil, err
	}
	for _, n := range names {
		all = append(all, contactPrefix+n)
	}
	if !whatsapp.IsPhone(names[0]) && !whatsapp.IsUserID(names[0]) {
		all = append(all, groupPrefix+name)
	}
	return all, nil
}

// Conversation returns the timeline's items of a person under all of their names, or of a group, in
// order.
func (t *Table) Conversation(ctx context.Context, name string) ([]Item, error) {
	timelines, err := t.timelines(ctx, name)
	if err != nil {
		return nil, err
	}
	all := []Item{}
	for _, pk := range timelines {
		found, err := t.collect(ctx, &dynamodb.QueryInput{
			IndexName:              aws.String("timeline"),
			KeyConditionExpression: aws.String("timeline_pk = :pk"), ExpressionAttributeValues: item{":pk": str(pk)},
		})
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	Order(all)
	return all, nil
}

// Newest returns at most limit of the same items, newest first, of those whose timeline_sk is lower
// than before; empty: of all. It reads no more than limit items under each name.
func (t *Table) Newest(ctx context.Context, name, before string, limit int) ([]Item, error) {
	timelines, err := t.timelines(ctx, name)
	if err != nil {
		return nil, err
	}
	var all []Item
	for _, pk := range timelines {
		in := &dynamodb.QueryInput{
			TableName: &t.name, IndexName: aws.String("timeline"), Limit: aws.Int32(int32(limit)), ScanIndexForward: aws.Bool(false), // #nosec G115 -- a page's size
			KeyConditionExpression: aws.String("timeline_pk = :pk"), ExpressionAttributeValues: item{":pk": str(pk)},
		}
		if before != "" {
			in.KeyConditionExpression, in.ExpressionAttributeValues[":before"] = aws.String("timeline_pk = :pk AND timeline_sk < :before"), str(before)
		}
		out, err := t.client.Query(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, it := range out.Items {
			all = append(all, it)
		}
	}
	slices.SortStableFunc(all, func(a, b Item) int { return cmp.Compare(b.Text("timeline_sk"), a.Text("timeline_sk")) })
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
