package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"connexease-functions/pkg/conversation"
	"connexease-functions/pkg/whatsapp"
)

func init() { register(conversationCommand) }

func conversationCommand(p *program) *cobra.Command {
	var ask conversation.Ask
	c := &cobra.Command{
		Use:   "conversation -stack NAME|local [CONTACT] [-group ID] [-limit 25] [-before CURSOR]",
		Short: "Print what was said with a person or in a group",
		Long: "Print the newest messages of a person under all of their names, or of a group, the oldest first, and\n" +
			"what became of those that went out. It reads by keys alone. The last line leads to what is older.",
		RunE: func(c *cobra.Command, arguments []string) error {
			if len(arguments) == 1 {
				ask.Contact = arguments[0]
			}
			return p.conversation(c.Context(), ask)
		},
	}
	c.Flags().StringVar(&ask.Contact, "contact", "", "phone number in any form, or a user id")
	c.Flags().StringVar(&ask.GroupID, "group", "", "id of a group, instead of a contact")
	c.Flags().IntVar(&ask.Limit, "limit", conversation.Usual, fmt.Sprintf("messages, 1 to %d", conversation.Most))
	c.Flags().StringVar(&ask.Before, "before", "", "what is older: from an earlier page")
	c = needs(c, "dynamodb:Query dynamodb:PartiQLSelect")
	c.Args = cobra.MaximumNArgs(1)
	return c
}

func (p *program) conversation(ctx context.Context, ask conversation.Ask) error {
	if (ask.Contact == "") == (ask.GroupID == "") {
		return errors.New("name a person or a group: -contact (CONTACT= for make) with a phone number or a user id, or -group (GROUP=)")
	}
	t, err := p.find(ctx)
	if err != nil {
		return err
	}
	db, err := t.table()
	if err != nil {
		return err
	}
	page, err := conversation.Read(ctx, db, time.Now(), ask)
	var wrong conversation.Invalid
	switch {
	case errors.As(err, &wrong):
		var all []string
		for name, rule := range wrong {
			all = append(all, "-"+name+": "+rule)
		}
		slices.Sort(all)
		return errors.New(strings.Join(all, "; "))
	case err != nil:
		return why(err)
	}
	if ask.GroupID == "" {
		p.printf("%s: window %s", oneLine(strings.Join(page.Names, ", ")), page.Window)
		if page.LastInbound != nil {
			p.printf(", last message or call %s", page.LastInbound.Format(time.RFC3339))
		}
		if page.Consent != nil {
			p.printf(", marketing messages: %s since %s", page.Consent.Status, page.Consent.Since.Format(time.RFC3339))
		}
		p.printf(".\n")
	}
	for _, m := range page.Messages {
		text := strings.TrimSpace(strings.TrimSuffix(m.Type, "text") + " " + m.Text)
		if became := state(m.Progress); became != "" {
			text += " (" + became + ")"
		}
		who := m.Contact
		if m.Direction == whatsapp.Out {
			who = cmp.Or(m.Client, "-")
		}
		p.printf("%s  %-3s  %-15s  %s\n", m.At.Format(time.RFC3339), cmp.Or(string(m.Direction), "-"), oneLine(who), oneLine(text))
	}
	if len(page.Messages) == 0 {
		p.printf("Nothing is stored.\n")
	}
	if page.Before != "" {
		p.printf("Older: -before %s\n", page.Before)
	}
	return nil
}

// state says how far a message came, in few words; empty of one that came in.
func state(became *conversation.Progress) string {
	if became == nil {
		return ""
	}
	words := []string{cmp.Or(became.Status, became.State)}
	if became.Failed {
		words = append(words, "failed")
	}
	for _, f := range became.Failures {
		words = append(words, fmt.Sprintf("%d %s", f.Code, f.Meaning))
	}
	return strings.Join(slices.DeleteFunc(words, func(word string) bool { return word == "" }), ", ")
}

// oneLine leaves out of a text what would move a terminal's cursor: customers write it.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return -1
		}
		return r
	}, text)
}
