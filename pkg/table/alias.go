package table

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"connexease-functions/pkg/whatsapp"
)

// A person may have several names: a number in two forms, a user id, a new number. An item
// under each name tells the other, so that reading begins with either.

const (
	contactPrefix = "contact#"
	groupPrefix   = "group#"
	aliasPrefix   = "alias#"
	kindAlias     = "alias"
	// mostNames bounds the names of one person that are followed.
	mostNames = 32
	// mostPairs bounds the pairs that a process remembers to have written.
	mostPairs = 4096
)

// aliasMemory is what a process has written of a day: names are proven by every message, and
// written once. The zero value is empty.
type aliasMemory struct {
	mu    sync.Mutex
	day   time.Time
	pairs map[whatsapp.Pair]bool
}

// unwritten returns the pairs that have not been written on a day.
func (m *aliasMemory) unwritten(day time.Time, pairs []whatsapp.Pair) (left []whatsapp.Pair) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range pairs {
		if (!m.day.Equal(day) || !m.pairs[p]) && !slices.Contains(left, p) {
			left = append(left, p)
		}
	}
	return left
}

// wrote remembers pairs. A full memory begins again: what is written twice changes nothing.
func (m *aliasMemory) wrote(day time.Time, pairs ...whatsapp.Pair) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.day.Equal(day) || len(m.pairs)+len(pairs) > mostPairs {
		m.day, m.pairs = day, map[whatsapp.Pair]bool{}
	}
	for _, p := range pairs {
		if len(m.pairs) < mostPairs {
			m.pairs[p] = true
		}
	}
}

// aliasRows are the two items of a pair, still to be made.
func aliasRows(event int, p whatsapp.Pair) []row {
	return []row{
		{event: event, alias: true, pk: contactPrefix + p[0], sk: aliasPrefix + p[1]},
		{event: event, alias: true, pk: contactPrefix + p[1], sk: aliasPrefix + p[0]},
	}
}

// aliasItem has nothing that depends on what proved it.
func (t *Table) aliasItem(pk, sk string, today time.Time) item {
	it := item{"pk": str(pk), "sk": str(sk), "kind": str(kindAlias)}
	if t.retentionDays > 0 {
		it["expires_at"] = num(today.AddDate(0, 0, t.retentionDays).Unix())
	}
	return it
}

// PutAlias writes that two names are one person's, unless this process has done so today. It
// tries until ctx ends.
func (t *Table) PutAlias(ctx context.Context, p whatsapp.Pair, at time.Time) error {
	today := dayOf(at)
	if len(t.aliases.unwritten(today, []whatsapp.Pair{p})) == 0 {
		return nil
	}
	for _, r := range aliasRows(0, p) {
		it := t.aliasItem(r.pk, r.sk, today)
		err := attempts(ctx, func() {}, func(ctx context.Context) (bool, error) {
			_, err := t.client.PutItem(ctx, &dynamodb.PutItemInput{TableName: &t.name, Item: it})
			return err != nil, err
		})
		if err != nil {
			return err
		}
	}
	t.aliases.wrote(today, p)
	return nil
}

// Names returns all names of a person of whom one is known, at most 32: the canonical form of
// that one, the name as it was given where that differs (earlier versions stored it), and
// whatever aliases lead to.
func (t *Table) Names(ctx context.Context, name string) ([]string, error) {
	names := []string{whatsapp.Canonical(name)}
	if names[0] != name {
		names = append(names, name)
	}
	for i := 0; i < len(names); i++ {
		var others []string
		in := &dynamodb.QueryInput{
			KeyConditionExpression:    aws.String("pk = :pk AND begins_with(sk, :alias)"),
			ExpressionAttributeValues: item{":pk": str(contactPrefix + names[i]), ":alias": str(aliasPrefix)},
			ProjectionExpression:      aws.String("sk"),
			Limit:                     aws.Int32(mostNames),
		}
		in.TableName = &t.name
		var out *dynamodb.QueryOutput
		err := attempts(ctx, func() {}, func(ctx context.Context) (again bool, err error) {
			out, err = t.client.Query(ctx, in)
			return err != nil, err
		})
		if err != nil {
			return nil, err
		}
		for _, it := range out.Items {
			others = append(others, strings.TrimPrefix(text(it["sk"]), aliasPrefix))
		}
		for _, other := range others {
			if len(names) == mostNames {
				return names, nil
			}
			if !slices.Contains(names, other) {
				names = append(names, other)
			}
		}
	}
	return names, nil
}
