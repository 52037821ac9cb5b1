package console

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"connexease-functions/pkg/auth"
	"connexease-functions/pkg/bounded"
	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/ops/sends"
	"connexease-functions/pkg/order"
	"connexease-functions/pkg/table"
)

func init() {
	register(page{path: "/sends", title: "Sends", place: 30, template: "sends", show: showSends, actions: map[string]action{
		"/sends/find": {do: findSend, reads: true}, "/sends/search": {do: searchSends, reads: true},
	}})
}

const (
	// readsAtOnce bounds the sends that a page reads at the same time.
	readsAtOnce = 20
	// usualClient is the client that every stack has.
	usualClient = "default"
)

// sendRow is a row of a table of sends.
type sendRow struct {
	ID, Client, Type, Contact, State, Why string
	At                                    time.Time
}

func rowOf(f *table.Found) sendRow {
	return sendRow{f.Row.ID, f.Row.Client, f.About.Type, f.About.Contact, ledger.Word(f.State), whyOf(f), sends.Since(f)}
}

// whyOf is why a message is not sent, or its outcome is unknown, in a stable word.
func whyOf(f *table.Found) string {
	switch {
	case f.State == ledger.Unknown:
		return string(f.Row.UnknownReason())
	case f.State != ledger.Accepted && f.Outcome != nil:
		return string(f.Outcome.Reason)
	}
	return ""
}

type sendsPage struct {
	State, Client string
	Rows          []sendRow
	More          string // address of the next page; empty: there is none
	Lately        []shown
	Cost          string
	Search        *jobState
}

// States lists the states that a client's messages are listed by.
func (sendsPage) States() []string { return []string{"unknown", "queued", "scheduled"} }

func showSends(v *visit) (any, error) {
	p := &sendsPage{State: cmp.Or(v.query("state"), "unknown"), Client: cmp.Or(v.query("client"), usualClient), Search: v.job("sends")}
	want, err := wanted(p.State, p.Client)
	if err != nil {
		return nil, err
	}
	if p.Cost, _, err = v.scanCost(); err != nil || !v.due("list") {
		return p, err
	}
	for _, l := range v.Feed.last(perPage, func(l Line) bool { return l.Event != nil && l.Event.Facts["kind"] == "send" }) {
		p.Lately = append(p.Lately, v.shown(l.Event.Facts))
	}
	return p, v.list(p, want)
}

func wanted(state, client string) (sends.Want, error) {
	if !slices.Contains(sendsPage{}.States(), state) {
		return sends.Want{}, wrongf("messages are listed that are unknown, queued or scheduled, not %q ones", state)
	}
	if client != "" && !auth.ValidClient(client) {
		return sends.Want{}, wrongf("%q is not the name of a client", client)
	}
	return sends.Want{State: ledger.State(state), Client: client}, nil
}

// list reads a page of the index, as the send endpoint's list does.
func (v *visit) list(p *sendsPage, want sends.Want) error {
	from, later := table.PlaceAt(time.Now()), want.State == ledger.Scheduled
	if at, _, err := v.key(v.query("after")); err == nil {
		from = table.Place(at)
	}
	for range mostReads {
		places, err := v.Operator.Table().Unsettled(v.ctx, want.Client, from, later, perRead)
		if err != nil {
			return fmt.Errorf("the table cannot be read: %w. Try again", err)
		}
		found, err := v.look(v.ctx, want, places)
		if err != nil {
			return err
		}
		for i, place := range places {
			from = place
			if found[i] != nil {
				p.Rows = append(p.Rows, rowOf(found[i]))
			}
			if len(p.Rows) == perPage {
				break
			}
		}
		if len(p.Rows) == perPage {
			break
		}
		if len(places) < perRead {
			return nil
		}
	}
	p.More = "/sends?" + url.Values{"state": {p.State}, "client": {p.Client}, "after": {v.Ref(string(from), "")}}.Encode()
	return nil
}

// look reads sends; those that are not wanted are nil.
func (v *visit) look(ctx context.Context, want sends.Want, places []table.Place) ([]*table.Found, error) {
	found := make([]*table.Found, len(places))
	err := bounded.Try(ctx, len(places), readsAtOnce, func(ctx context.Context, i int) (err error) {
		found[i], err = want.Look(ctx, v.Operator.Table(), places[i].ID())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("the table cannot be read: %w. Try again", err)
	}
	return found, nil
}

// foundSends is the result of a search.
type foundSends struct {
	State string
	Rows  []sendRow
	More  int // that are not in Rows
}

// searchSends reads the whole table for the sends of all clients in a state.
func searchSends(v *visit) (string, error) {
	want, err := wanted(v.form("state"), "")
	if err != nil {
		return "", err
	}
	_, items, err := v.scanCost()
	if err != nil {
		return "", err
	}
	db := v.Operator.Table()
	v.lead("/sends?" + url.Values{"state": {v.form("state")}, "client": {v.form("client")}}.Encode() + "#search")
	return "", v.start("sends", items, func(ctx context.Context, read func(int)) (any, error) {
		ids, err := want.Candidates(ctx, db, read)
		if err != nil {
			return nil, err
		}
		result := &foundSends{State: v.form("state")}
		var mu sync.Mutex
		err = bounded.Try(ctx, len(ids), readsAtOnce, func(ctx context.Context, i int) error {
			f, err := want.Look(ctx, db, ids[i])
			if f != nil {
				mu.Lock()
				defer mu.Unlock()
				result.Rows = append(result.Rows, rowOf(f))
			}
			return err
		})
		slices.SortFunc(result.Rows, func(a, b sendRow) int { return cmp.Or(b.At.Compare(a.At), cmp.Compare(a.ID, b.ID)) })
		if n := len(result.Rows) - mostFound; n > 0 {
			result.Rows, result.More = result.Rows[:mostFound], n
		}
		return result, err
	})
}

// findSend leads to the message that has an id: ours, WhatsApp's, of the SQS record that it came in,
// or the key that its caller gave it. By a form, because some have persons' numbers.
func findSend(v *visit) (string, error) {
	named := strings.TrimSpace(v.form("id"))
	scopes := []string{strings.TrimSpace(v.form("scope"))}
	if scopes[0] == "" {
		scopes = []string{order.ClientScope(usualClient), order.ScopeSQS, order.ScopeDirect}
	}
	db := v.Operator.Table()
	type candidate struct{ id, key string }
	var all []candidate
	switch {
	case named == "":
		return "", wrongf("name a message: by its id, WhatsApp's, the one of its SQS record, or its idempotency key")
	case ledger.ValidID(named):
		all = append(all, candidate{named, ""})
	case strings.HasPrefix(named, "wamid."):
		id, err := db.FindSend(v.ctx, named)
		if err != nil {
			return "", fmt.Errorf("the table cannot be read: %w. Try again", err)
		}
		all = append(all, candidate{id, ""})
	default:
		for _, scope := range scopes {
			all = append(all, candidate{ledger.ID(scope, named), named})
		}
	}
	for _, one := range all {
		_, err := db.Get(v.ctx, one.id, sendSK)
		if errors.Is(err, table.ErrNotThere) || one.id == "" {
			continue
		}
		if err != nil {
			return "", fmt.Errorf("the table cannot be read: %w. Try again", err)
		}
		v.lead("/sends/item?" + v.sendQuery(one.id, one.key))
		return "", nil
	}
	return "", wrongf("the table has no such message. A key is found in its scope only: http/<client>, sqs, direct, or event/<source>")
}

// sendQuery names a message in an address, with the key that it was found by.
func (v *visit) sendQuery(id, key string) string {
	q := url.Values{"id": {id}}
	if key != "" {
		q.Set("key", v.Ref(key, ""))
	}
	return q.Encode()
}
