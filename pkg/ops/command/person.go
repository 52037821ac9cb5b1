package command

import (
	"context"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"connexease-functions/pkg/table"
	"connexease-functions/pkg/whatsapp"
)

// key is as much of an item as its removal needs.
func key(it table.Item) table.Item {
	short := table.Item{"pk": it["pk"], "sk": it["sk"]}
	if it["parts"] != nil {
		short["parts"] = it["parts"]
	}
	return short
}

// people sorts the items of a table into those of a person, and those that name the person and
// others.
type people struct {
	names       []string
	keep        func(table.Item) table.Item // what is remembered of an item
	own, shared []table.Item

	split []table.Item // whether they name the person is in their parts
	// Statuses without a name belong to the person of their message.
	nameless map[string][]table.Item // by pk
	messages map[string]bool         // pks of own messages and sends, and of what WhatsApp calls them
}

// ofPerson reads the whole table.
func (p *program) ofPerson(ctx context.Context, db *table.Table, names []string, keep func(table.Item) table.Item) (own, shared []table.Item, err error) {
	all := people{names: names, keep: keep, nameless: map[string][]table.Item{}, messages: map[string]bool{}}
	// Parts of large payloads know only the key of their head.
	err = p.scan(ctx, db, table.Selection{}, func(it table.Item) {
		if !it.IsPart() && !all.sort(it, []byte(it.Text("payload"))) {
			all.later(it)
		}
	})
	if err != nil {
		return nil, nil, err
	}
	for _, it := range all.split {
		payload, err := db.Payload(ctx, it)
		if err != nil {
			return nil, nil, why(err)
		}
		all.sort(it, payload)
	}
	for pk := range all.messages {
		for _, it := range all.nameless[pk] {
			all.own = append(all.own, keep(it))
		}
	}
	return all.own, all.shared, nil
}

// sort reports whether an item names the person.
func (p *people) sort(it table.Item, payload []byte) bool {
	mentioned, others := whatsapp.Mentions(payload, p.names)
	instead, more := whatsapp.Mentions([]byte(it.Text("fallback")), p.names)
	mentioned, others = mentioned || instead, others || more
	card, _ := whatsapp.Mentions([]byte(it.Text("contact_payload")), p.names)
	switch {
	case isAbout(it, p.names) || card:
	case mentioned && (others || it.Text("contact") != ""):
		p.shared = append(p.shared, p.keep(it))
		return true
	case mentioned:
	default:
		return false
	}
	p.own = append(p.own, p.keep(it))
	if kind := it.Text("kind"); kind == string(whatsapp.KindMessage) || kind == "send" {
		pk, _ := it.Key()
		p.messages[pk] = true
		if id := it.Text("sent_wamid"); id != "" {
			p.messages["wa#"+id] = true
		}
	}
	return true
}

// later remembers an item that does not name the person so far.
func (p *people) later(it table.Item) {
	switch {
	case len(it.PartKeys()) > 0:
		p.split = append(p.split, it)
	case it.Text("kind") == string(whatsapp.KindStatus) && it.Text("contact") == "":
		pk, _ := it.Key()
		p.nameless[pk] = append(p.nameless[pk], it)
	}
}

// isAbout reports whether an item's keys or attributes say that it is about a person.
func isAbout(it table.Item, names []string) bool {
	pk, sk := it.Key()
	if strings.HasPrefix(pk, "contact#") && (slices.Contains(names, strings.TrimPrefix(pk, "contact#")) || slices.Contains(names, strings.TrimPrefix(sk, "alias#"))) {
		return true // an alias or a consent
	}
	return slices.ContainsFunc([]string{"contact", "user_id", "thread_id", "group_id"}, func(name string) bool {
		value := it.Text(name)
		return value != "" && (slices.Contains(names, value) || slices.Contains(names, whatsapp.Canonical(value)))
	})
}

// joined puts the parts of payloads back together.
func joined(ctx context.Context, db *table.Table, items []table.Item) error {
	for _, it := range items {
		if it["parts"] == nil {
			continue
		}
		payload, err := db.Payload(ctx, it)
		if err != nil {
			return why(err)
		}
		it["payload"] = &types.AttributeValueMemberB{Value: payload}
		if utf8.Valid(payload) {
			it["payload"] = &types.AttributeValueMemberS{Value: string(payload)}
		}
	}
	return nil
}
