package console

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"

	"connexease-functions/pkg/table"
)

func init() {
	register(page{path: "/events/item", title: "Event", template: "event", show: showEvent, actions: map[string]action{
		"/events/replay": {do: replay},
	}})
}

// eventOperator is what the page of an event needs of an operator.
type eventOperator interface {
	// Published returns the event that the pipe makes of an item; an empty detail type where it
	// makes none.
	Published(table.Item) (detailType string, detail []byte, err error)
	// Replay puts an item's event on the bus again, and returns its mark.
	Replay(ctx context.Context, pk, sk string) (mark string, err error)
}

type fact struct{ Name, Value string }

type eventPage struct {
	Ref            string
	PK, SK         string
	Title          string
	Facts          []fact
	Payload        []byte
	ContactPayload []byte
	PayloadErr     error
	DetailType     string
	Detail         []byte
	Fixture        []byte // the body of a delivery; nil where it cannot be made
	Contact, Of    string // and its reference
}

// first lists the facts in the order in which people look for them; the others follow by name.
var first = []string{"kind", "type", "field", "direction", "status", "outcome", "reason", "error_code", "timestamp", "contact", "user_id", "group_id", "text", "wamid", "message_id"}

func showEvent(v *visit) (any, error) {
	pk, sk, err := v.key(v.query("at"))
	if err != nil {
		return nil, err
	}
	it, err := v.Operator.Table().Get(v.ctx, pk, sk)
	if errors.Is(err, table.ErrNotThere) {
		return nil, wrongf("the item is not in the table: not stored yet, expired, or erased")
	}
	if err != nil {
		return nil, fmt.Errorf("the table cannot be read: %w. Try again", err)
	}
	p := &eventPage{Ref: v.query("at"), PK: pk, SK: sk, Contact: it.Text("contact"), ContactPayload: []byte(it.Text("contact_payload"))}
	p.Of = v.Ref(p.Contact, "")
	facts := factsOf(it)
	for _, name := range append(slices.Clone(first), slices.Sorted(maps.Keys(facts))...) {
		if value, ok := facts[name]; ok && name != "pk" && name != "sk" {
			p.Facts = append(p.Facts, fact{name, value})
			delete(facts, name)
		}
	}
	if p.Payload, p.PayloadErr = v.Operator.Table().Payload(v.ctx, it); p.PayloadErr == nil {
		p.Fixture = fixture(it, p.Payload)
	}
	p.Title = it.Text("detail_type")
	if p.DetailType, p.Detail, err = v.Operator.Published(it); err != nil {
		return nil, err
	}
	if p.Title == "" {
		p.Title = p.DetailType
	}
	return p, nil
}

func replay(v *visit) (string, error) {
	pk, sk, err := v.key(v.form("at"))
	if err != nil {
		return "", err
	}
	v.lead("/events/item?at=" + url.QueryEscape(v.form("at")))
	mark, err := v.Operator.Replay(v.ctx, pk, sk)
	if err != nil {
		return "", err
	}
	return "It is on the bus again, marked detail.replay = " + mark + ".", nil
}
