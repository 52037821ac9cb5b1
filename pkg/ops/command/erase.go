package command

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/spf13/cobra"

	"connexease-functions/pkg/bounded"
	"connexease-functions/pkg/table"
)

func init() { register(eraseCommand) }

func eraseCommand(p *program) *cobra.Command {
	var contact string
	var others bool
	c := &cobra.Command{
		Use:   "erase -stack NAME|local -contact CONTACT",
		Short: "Remove every item of a person from the table",
		Long: "Remove every item of a person from the table, after saying how many there are and asking for\n" +
			"the contact to be typed. It follows the person's other names, reads the whole table, and looks\n" +
			"into keys, attributes and payloads. Items that name other people too stay, unless -others\n" +
			"is given. Backups keep the items for 35 days more; the event archive, queues and logs are not\n" +
			"looked into.",
		RunE: func(c *cobra.Command, _ []string) error { return p.erase(c.Context(), contact, others) },
	}
	c.Flags().StringVar(&contact, "contact", "", "phone number in any form, or a user or group id")
	c.Flags().BoolVar(&others, "others", false, "also remove items that name other people")
	return needs(c, "dynamodb:DescribeTable dynamodb:Scan dynamodb:Query dynamodb:GetItem dynamodb:DeleteItem scheduler:DeleteSchedule")
}

var contactForm = regexp.MustCompile(`^[A-Za-z0-9.@_+() =/-]+$`)

// parallel bounds the concurrent deletions.
const parallel = 8

// person finds the stack, its table and every name of a person there.
func (p *program) person(ctx context.Context, contact string) (*target, *table.Table, []string, error) {
	if !contactForm.MatchString(contact) {
		return nil, nil, nil, errors.New("name a person: -contact (CONTACT= for make) with a phone number, or a user or group id")
	}
	t, err := p.find(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	db, err := t.table()
	if err != nil {
		return nil, nil, nil, err
	}
	names, err := db.Names(ctx, contact)
	if err != nil {
		return nil, nil, nil, why(err)
	}
	return t, db, names, nil
}

func (p *program) erase(ctx context.Context, contact string, others bool) error {
	t, db, names, err := p.person(ctx, contact)
	if err != nil {
		return err
	}
	scheduled := map[string]time.Time{} // messages that have not left, by id
	own, shared, err := p.ofPerson(ctx, db, names, func(it table.Item) table.Item {
		short := key(it)
		if it.Consent() != nil {
			short["status"] = it["status"]
		}
		if s := it.Send(); s != nil && s.NotBefore.After(time.Now()) {
			scheduled[s.ID] = s.NotBefore
		}
		return short
	})
	if err != nil {
		return err
	}
	kept := len(shared)
	if others {
		own, kept = append(own, shared...), 0
	}
	items, forgotten := 0, ""
	for _, it := range own {
		items += 1 + len(it.PartKeys())
		if it["status"] != nil {
			forgotten = fmt.Sprintf(" What they said about marketing messages (%s) is one of them: none is refused any more.", it.Text("status"))
		}
	}
	if items == 0 && kept == 0 {
		return fmt.Errorf("the table %s has no items of %s", db.Name(), contact)
	}
	more := ""
	if kept > 0 {
		more = fmt.Sprintf(", and %d that name other people too, which stay without -others", kept)
	}
	if !p.confirm(fmt.Sprintf("The table %s has %d items of %s%s.%s Backups of the last 35 days keep them. Type %s to remove them: ", db.Name(), items, contact, more, forgotten, contact), contact) {
		return errors.New("nothing was removed")
	}
	if err := p.remove(ctx, db, own); err != nil {
		return fmt.Errorf("not all were removed: %w. Run it again", why(err))
	}
	for _, it := range own {
		// For tidiness: one that fires all the same finds no message.
		if id, _ := it.Key(); !scheduled[id].IsZero() {
			_ = t.schedules().Remove(ctx, id, scheduled[id])
		}
	}
	p.printf("%d items were removed%s. The event archive, queues and logs were not looked into.%s\n", items, more, forgotten)
	return nil
}

// readUnit is what one unit of strongly consistent reading covers (Amazon DynamoDB: "Read
// consistency").
const readUnit = 4 << 10

// saysCost says what reading the whole table costs, and returns about how many items that are.
func (p *program) saysCost(ctx context.Context, db *table.Table) (items int64) {
	items, bytes, err := db.Size(ctx)
	if err == nil { // it is only to say so
		_, _ = fmt.Fprintf(p.messages, "This reads the whole table %s: about %d items, %d read units.\n", db.Name(), items, (bytes+readUnit-1)/readUnit)
	}
	return items
}

// scan reads the whole table, and shows how far it is.
func (p *program) scan(ctx context.Context, db *table.Table, s table.Selection, each func(table.Item)) error {
	total, _, err := db.Size(ctx)
	if err != nil {
		total = 0 // it is only for the progress
	}
	shown, page := p.progress("Reading the table", total), s.Page
	defer shown.end()
	s.Page = func(n int) {
		shown.add(n)
		if page != nil {
			page(n)
		}
	}
	if err := db.Scan(ctx, s, each); err != nil {
		return why(err)
	}
	return nil
}

// remove deletes items with their parts, several at a time, and returns the first error.
func (p *program) remove(ctx context.Context, db *table.Table, all []table.Item) error {
	return inParallel(ctx, p, "Removing", all, db.Remove)
}

// inParallel does something with all of a list, several at a time with a bar, and returns the first
// error.
func inParallel[T any](ctx context.Context, p *program, what string, all []T, do func(context.Context, T) error) error {
	shown := p.progress(what, int64(len(all)))
	defer shown.end()
	return bounded.Try(ctx, len(all), parallel, func(ctx context.Context, i int) error {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		defer shown.add(1)
		return do(ctx, all[i])
	})
}
