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

// A person may have several names: a number in two forms, a user id, a new number. An item under
// each name holds the other, so that reading can begin with either.

const (
	contactPrefix = "contact#"
	groupPrefix   = "group#"
	aliasPrefix   = "alias#"
	kindAlias     = "alias"
	// mostNames bounds the number of a person's names that are followed.
	mostNames = 32
	// mostPairs bounds the written pairs that a process remembers.
	mostPairs = 4096
)

// aliasMemory remembers the pairs that a process has written on a day: every message proves names,
// but they are written once. The zero value is empty.
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

// wrote remembers pairs. A full memory is cleared, because writing a pair twice changes nothing.
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

// aliasRows returns the rows of a pair's two items.
func aliasRows(event int, p whatsapp.Pair) []row {
	return []row{
		{event: event, alias: true, pk: contactPrefix + p[0], sk: aliasPrefix + p[1]},
		{event: event, alias: true, pk: contactPrefix + p[1], sk: aliasPrefix + p[0]},
	}
}

// aliasItem returns an item without anything that depends on the update that proved the names.
func (t *Table) aliasItem(pk, sk string, today time.Time) item {
	it := item{"pk": str(pk), "sk": str(sk), "kind": str(kindAlias)}
	if t.retentionDays > 0 {
		it["expires_at"] = num(today.AddDate(0, 0, t.retentionDays).Unix())
	}
	return it
}

// PutAlias writes that two names belong to one person, unless this process has done so today. It
// retries until ctx ends.
func (t *Table) PutAlias(ctx context.Context, p whatsapp.Pair, at time.Time) error {
	today := dayOf(at)
	if len(t.aliases.unwritten(today, []whatsapp.Pair{p})) == 0 {
		return nil
	}
	for _, r := range aliasRows(0, p) {
		if err := t.store(ctx, func() {}, t.aliasItem(r.pk, r.sk, today)); err != nil {
			return err
		}
	}
	t.aliases.wrote(today, p)
	return nil
}

// Names returns all names of a person with known names, at most 32: their canonical forms, the given
// forms where those differ (earlier versions stored them), and all names to which aliases lead. Empty
// names are none.
func (t *Table) Names(ctx context.Context, known ...string) ([]string, error) {
	names, _, err := t.person(ctx, known, false)
	return names, err
}

// Person returns what Names does, and what the person last said about marketing messages; nil without
// that. It is eventually consistent.
func (t *Table) Person(ctx context.Context, known ...string) ([]string, *Consent, error) {
	names, said, err := t.person(ctx, known, false)
	return names, Item(said).Consent(), err
}

// person returns a person's names, and the newest consent under any of them; nil without one.
func (t *Table) person(ctx context.Context, known []string, consistent bool) (names []string, said item, err error) {
	for _, name := range known {
		for _, form := range []string{whatsapp.Canonical(name), name} {
			if name != "" && !slices.Contains(names, form) {
				names = append(names, form)
			}
		}
	}
	for i := 0; i < len(names); i++ {
		in := &dynamodb.QueryInput{
			TableName: &t.name, ConsistentRead: &consistent,
			KeyConditionExpression:    aws.String("pk = :pk"),
			ExpressionAttributeValues: item{":pk": str(contactPrefix + names[i])},
			ScanIndexForward:          aws.Bool(false), // the consent is the last, and must not be beyond the limit
			Limit:                     aws.Int32(mostNames + 1),
		}
		out, err := t.page(ctx, in)
		if err != nil {
			return nil, nil, err
		}
		for _, it := range out.Items {
			other, isAlias := strings.CutPrefix(text(it["sk"]), aliasPrefix)
			switch {
			case isAlias && len(names) < mostNames && !slices.Contains(names, other):
				names = append(names, other)
			case text(it["sk"]) == consentKey && text(said["rank"]) < text(it["rank"]):
				said = it
			}
		}
	}
	return names, said, nil
}
