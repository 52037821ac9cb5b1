package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"sync"

	"github.com/spf13/cobra"

	"connexease-functions/pkg/table"
)

func init() { register(eraseCommand) }

func eraseCommand(p *program) *cobra.Command {
	var contact string
	c := &cobra.Command{
		Use:   "erase -stack NAME|local -contact CONTACT",
		Short: "Remove every item of a contact from the table",
		Long: "Remove every item of a contact from the table, after saying how many there are and asking for\n" +
			"the contact to be typed. It reads the whole table: an item that is in no timeline has the\n" +
			"contact all the same. Backups keep the items for 35 days more.",
		RunE: func(c *cobra.Command, _ []string) error { return p.erase(c.Context(), contact) },
	}
	c.Flags().StringVar(&contact, "contact", "", "phone number without +, or a user or group id")
	return needs(c, "dynamodb:DescribeTable dynamodb:Scan dynamodb:DeleteItem")
}

var contactForm = regexp.MustCompile(`^[A-Za-z0-9.@_-]+$`)

// parallel bounds the deletions under way.
const parallel = 8

func (p *program) erase(ctx context.Context, contact string) error {
	if !contactForm.MatchString(contact) {
		return errors.New("say whom: -contact (CONTACT= for make) with a phone number without +, or a user or group id")
	}
	t, err := p.find(ctx)
	if err != nil {
		return err
	}
	db, err := t.table()
	if err != nil {
		return err
	}
	var found []table.Item
	items := 0
	// Parts of large payloads know only the key of their head.
	err = p.scan(ctx, db, table.Selection{
		Where: "contact = :contact", Values: map[string]string{":contact": contact}, Attributes: "pk, sk, parts",
	}, func(it table.Item) {
		found = append(found, it)
		items += 1 + len(it.PartKeys())
	})
	if err != nil {
		return err
	}
	if items == 0 {
		return fmt.Errorf("the table %s has nothing of %s", db.Name(), contact)
	}
	if !p.confirm(fmt.Sprintf("The table %s has %d items of %s. Backups of the last 35 days keep them. Type %s to remove them: ", db.Name(), items, contact, contact), contact) {
		return errors.New("nothing was removed")
	}
	if err := p.remove(ctx, db, found); err != nil {
		return fmt.Errorf("not all were removed: %w. Run it again", why(err))
	}
	p.printf("%d items were removed.\n", items)
	return nil
}

// scan reads the whole table, and shows how far it is.
func (p *program) scan(ctx context.Context, db *table.Table, s table.Selection, each func(table.Item)) error {
	total, err := db.Items(ctx)
	if err != nil {
		total = 0 // it is only for the progress
	}
	shown := p.progress("Reading the table", total)
	defer shown.end()
	s.Page = shown.add
	if err := db.Scan(ctx, s, each); err != nil {
		return why(err)
	}
	return nil
}

// remove deletes items with their parts, several at a time, and returns the first error.
func (p *program) remove(ctx context.Context, db *table.Table, all []table.Item) error {
	shown := p.progress("Removing", int64(len(all)))
	defer shown.end()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var group sync.WaitGroup
	slots := make(chan struct{}, parallel)
	for _, it := range all {
		slots <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		group.Go(func() {
			defer func() { <-slots }()
			if err := db.Remove(ctx, it); err != nil {
				cancel(err)
				return
			}
			shown.add(1)
		})
	}
	group.Wait()
	return context.Cause(ctx)
}
