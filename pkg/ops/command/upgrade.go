package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"connexease-functions/pkg/consent"
	"connexease-functions/pkg/table"
	"connexease-functions/pkg/whatsapp"
)

func init() { register(upgradeCommand) }

func upgradeCommand(p *program) *cobra.Command {
	u := &upgrade{program: p, counts: map[string]int{}}
	c := &cobra.Command{
		Use:   "upgrade -stack NAME|local",
		Short: "Rewrite items of earlier versions to what today's code makes of them",
		Long: "Count the items that an earlier version wrote, and with -apply rewrite each in place to what\n" +
			"today's code makes of its payload: whom it is about, its group, direction, text and place in a\n" +
			"conversation; and add the names that it proves to be one person's, and what people said about\n" +
			"marketing messages, by the stack's words of today too. Nothing has to be upgraded:\n" +
			"old items are read all the same. It reads the whole table. No write of it becomes an event.\n" +
			"Interrupted, run it again: what is rewritten is not of an earlier version any more.",
		RunE: func(c *cobra.Command, _ []string) error { return u.run(c.Context()) },
	}
	c.Flags().BoolVar(&u.apply, "apply", set("APPLY"), "rewrite them; without, only count them (or APPLY=1)")
	return needs(c, "dynamodb:DescribeTable dynamodb:Scan dynamodb:GetItem dynamodb:UpdateItem dynamodb:PutItem dynamodb:DeleteItem")
}

// upgrade is one run of the command.
type upgrade struct {
	*program
	apply bool
	db    *table.Table

	mu      sync.Mutex
	counts  map[string]int // of items to change, by kind
	read    int
	moved   int // under other keys
	unknown int // of which nothing can be rebuilt
	aliases map[whatsapp.Pair]time.Time
	there   map[whatsapp.Pair]bool

	words    consent.Words
	consents map[string]table.Item     // what people said, the newest of each, by pk
	known    map[string]*table.Consent // that is in the table
}

func (u *upgrade) run(ctx context.Context) error {
	t, err := u.find(ctx)
	if err != nil {
		return err
	}
	if u.db, err = t.table(); err != nil {
		return err
	}
	if u.words, err = t.words(); err != nil {
		return err
	}
	u.consents, u.known = map[string]table.Item{}, map[string]*table.Consent{}
	u.aliases, u.there = map[whatsapp.Pair]time.Time{}, map[whatsapp.Pair]bool{}
	group, working := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	err = u.scan(working, u.db, table.Selection{}, func(it table.Item) {
		if !it.IsPart() {
			group.Go(func() error { return u.one(working, it) })
		}
	})
	if first := group.Wait(); first != nil {
		err = first // which ended the scan
	}
	group, working = errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for pair, received := range u.aliases {
		if u.there[pair] {
			delete(u.aliases, pair)
		} else if u.apply && err == nil {
			group.Go(func() error { return u.db.AddAlias(working, pair, received) })
		}
	}
	for pk, it := range u.consents {
		if !u.known[pk].Before(it.Consent()) {
			delete(u.consents, pk)
		} else if u.apply && err == nil {
			group.Go(func() error { return u.db.AddConsent(working, it) })
		}
	}
	if err = errors.Join(err, group.Wait()); err != nil {
		return fmt.Errorf("not all were looked at: %w. Run it again", why(err))
	}
	u.report()
	return nil
}

// one looks at one item.
func (u *upgrade) one(ctx context.Context, it table.Item) error {
	pk, sk := it.Key()
	if said := it.Consent(); said != nil {
		u.count(func() { u.read++; u.known[pk] = said })
		return nil
	}
	if name, ok := strings.CutPrefix(pk, "contact#"); ok {
		other := strings.TrimPrefix(sk, "alias#")
		u.count(func() { u.read++; u.there[whatsapp.Pair{min(name, other), max(name, other)}] = true })
		return nil
	}
	if send := it.Send(); send != nil {
		return u.send(ctx, it)
	}
	if it.Text("kind") == string(whatsapp.KindQuarantine) { // what redrive looks at
		u.count(func() { u.read++ })
		return nil
	}
	payload, err := u.db.Payload(ctx, it)
	if err != nil {
		return fmt.Errorf("the payload of %s %s: %w", pk, sk, err)
	}
	same, others := today(it, payload)
	switch {
	case same != nil:
		u.proven(it, same.Aliases)
		u.says(it, []whatsapp.Event{*same})
		return u.change(ctx, it, u.db.Outdated(it, same))
	case len(others) > 0:
		for _, e := range others {
			u.proven(it, e.Aliases)
		}
		u.says(it, others)
		u.count(func() { u.read++; u.moved++; u.counts[it.Text("kind")]++ })
		if u.apply {
			return u.db.Replace(ctx, it, others)
		}
		return nil
	}
	u.count(func() { u.read++; u.unknown++ })
	return nil
}

// send looks at a send: whom it is for is in its message, and its answers may prove names.
func (u *upgrade) send(ctx context.Context, it table.Item) error {
	s := it.Send()
	body := s.Posts(s.Last())
	summary, faults := whatsapp.Check(body)
	if slices.ContainsFunc(faults, whatsapp.Fault.Malformed) { // of a refused record
		u.count(func() { u.read++; u.unknown++ })
		return nil
	}
	for _, a := range s.Attempts {
		if a.Outcome == nil {
			continue
		}
		if pair, ok := whatsapp.SentTo(a.Outcome.Body); ok {
			u.proven(it, []whatsapp.Pair{pair})
		}
	}
	d := whatsapp.Describe(body, summary)
	return u.change(ctx, it, u.db.OutdatedSend(it, table.About{
		Type: it.Text("type"), Contact: d.Contact, UserID: d.UserID, GroupID: d.GroupID, Text: d.Text, ReplyTo: d.ReplyTo, MediaID: d.MediaID,
	}))
}

func (u *upgrade) change(ctx context.Context, it table.Item, c table.Change) error {
	u.count(func() {
		u.read++
		if !c.Empty() {
			u.counts[it.Text("kind")]++
		}
	})
	if c.Empty() || !u.apply {
		return nil
	}
	return u.db.Change(ctx, it, c)
}

func (u *upgrade) count(f func()) {
	u.mu.Lock()
	defer u.mu.Unlock()
	f()
}

// proven remembers which names an item proves to be one person's, and until when.
func (u *upgrade) proven(it table.Item, pairs []whatsapp.Pair) {
	received := u.db.Received(it)
	if received.IsZero() {
		received = time.Now() // they never expire
	}
	u.count(func() {
		for _, p := range pairs {
			if received.After(u.aliases[p]) {
				u.aliases[p] = received
			}
		}
	})
}

// says remembers what an item's events say about marketing messages.
func (u *upgrade) says(it table.Item, events []whatsapp.Event) {
	u.words.Mark(events)
	u.count(func() {
		for i := range events {
			if said := table.Said(&events[i], u.db.Received(it)); said != nil {
				if pk, _ := said.Key(); u.consents[pk].Consent().Before(said.Consent()) {
					u.consents[pk] = said
				}
			}
		}
	})
}

func (u *upgrade) report() {
	old := 0
	for _, n := range u.counts {
		old += n
	}
	u.printf("%d of %d items of the table %s are of an earlier version.\n", old, u.read, u.db.Name())
	for _, kind := range []string{"message", "status", "event", "send"} {
		if n := u.counts[kind]; n > 0 {
			u.printf("  %-8s %d\n", kind, n)
		}
	}
	if u.moved > 0 {
		u.printf("  %d of them have other keys today; the new items make no events.\n", u.moved)
	}
	if len(u.aliases) > 0 {
		u.printf("%d pairs of names of one person are not in the table.\n", len(u.aliases))
	}
	if len(u.consents) > 0 {
		u.printf("What %d people said about marketing messages is not in the table.\n", len(u.consents))
	}
	if u.unknown > 0 {
		u.printf("%d items stay as they are: what stood around them is not known well enough.\n", u.unknown)
	}
	switch {
	case old+len(u.aliases)+len(u.consents) == 0:
		u.printf("There is nothing to do.\n")
	case u.apply:
		u.printf("All of that is rewritten.\n")
	default:
		u.printf("Nothing was changed: APPLY=1 rewrites them.\n")
	}
}

// today is what today's code makes of an item's payload: the event under the same key, else
// those that take its place under other keys, else nothing.
func today(it table.Item, payload []byte) (same *whatsapp.Event, others []whatsapp.Event) {
	pk, sk := it.Key()
	var replaced []whatsapp.Event
	for _, value := range valuesOf(it, payload) {
		events := whatsapp.Split(body(it, value))
		for i := range events {
			e := &events[i]
			if p, s := table.KeyOf(e); p == pk && s == sk {
				return e, nil
			}
			// What its neighbour alone names is part of its key today.
			if replaced == nil && e.Contact != "" && e.Contact == whatsapp.Canonical(it.Text("contact")) && string(e.Kind) == it.Text("kind") && bytes.Equal(e.Payload, payload) {
				replaced = []whatsapp.Event{*e}
			}
		}
		if replaced == nil && it.Text("field") == whatsapp.FieldStandby && it.Text("kind") == string(whatsapp.KindEvent) && isStandby(events) {
			replaced = events // once one item
		}
	}
	return nil, replaced
}

// isStandby reports whether a value was taken apart into messages and statuses.
func isStandby(events []whatsapp.Event) bool {
	return slices.ContainsFunc(events, func(e whatsapp.Event) bool { return e.Kind == whatsapp.KindMessage || e.Kind == whatsapp.KindStatus })
}

// valuesOf are the values of a change that may have held an item's update. The list of a message
// is known by its thread and direction, as every version stored them.
func valuesOf(it table.Item, payload []byte) [][]byte {
	statuses, messages, echoes, history := 0, 1, 2, 3
	all := values(it, payload)
	switch {
	case it.Text("kind") == string(whatsapp.KindStatus):
		return all[statuses : statuses+1]
	case it.Text("kind") != string(whatsapp.KindMessage):
		return all[history+1:]
	case it.Text("thread_id") != "" || it.Text("field") == "history":
		return all[history : history+1]
	case it.Text("direction") == string(whatsapp.Out):
		return all[echoes : echoes+1]
	}
	return all[messages : messages+1]
}
