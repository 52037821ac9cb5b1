package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os/user"
	"time"

	"github.com/spf13/cobra"

	"connexease-functions/pkg/table"
	"connexease-functions/pkg/whatsapp"
)

func init() { register(consentCommand) }

func consentCommand(p *program) *cobra.Command {
	var contact, set, who, because string
	c := &cobra.Command{
		Use:   "consent -stack NAME|local CONTACT [stop|resume]",
		Short: "Show what a person says about marketing messages, or set it for them",
		Long: "Show what a person last said about marketing messages under any of their names, or set it for\n" +
			"them, with who did so and why, once the contact was typed. While it is stop, marketing messages to\n" +
			"them are refused; all others are not. A newer word of theirs replaces it.",
		RunE: func(c *cobra.Command, arguments []string) error {
			for i, into := range []*string{&contact, &set} {
				if i < len(arguments) {
					*into = arguments[i]
				}
			}
			return p.consent(c.Context(), contact, set, who, because)
		},
	}
	c.Flags().StringVar(&contact, "contact", "", "phone number in any form, or a user id")
	c.Flags().StringVar(&set, "set", "", "stop or resume; without it, only show")
	c.Flags().StringVar(&who, "who", "", "who sets it (default: your user name)")
	c.Flags().StringVar(&because, "why", "", "why it is set, such as: asked by phone")
	c = needs(c, "dynamodb:Query dynamodb:PutItem")
	c.Args = cobra.MaximumNArgs(2)
	return c
}

// mostWhy bounds who set a consent, and why: both are in its event.
const mostWhy = 256

func (p *program) consent(ctx context.Context, contact, set, who, because string) error {
	if who == "" {
		if me, err := user.Current(); err == nil {
			who = me.Username
		}
	}
	switch {
	case set == "":
	case set != whatsapp.Stop && set != whatsapp.Resume:
		return fmt.Errorf("%q is neither stop nor resume", set)
	case because == "" || len(because) > mostWhy || len(who) > mostWhy:
		return fmt.Errorf("say why: -why (WHY= for make) with at most %d bytes, as for -who", mostWhy)
	}
	_, db, names, err := p.person(ctx, contact)
	if err != nil {
		return err
	}
	said, err := db.Consent(ctx, contact)
	if err != nil {
		return why(err)
	}
	p.printf("%s\n", inWords(contact, said))
	if set == "" {
		return nil
	}
	if !p.confirm(fmt.Sprintf("Type %s to set %s: ", contact, set), contact) {
		return errors.New("nothing was changed")
	}
	wanted := table.Consent{Contact: names[0], Says: set, At: time.Now().UTC().Truncate(time.Millisecond), Who: who, Why: because}
	if said, err = db.SetConsent(ctx, wanted); err != nil {
		return why(err)
	}
	if said.By != table.ByOperator || !said.At.Equal(wanted.At) {
		return fmt.Errorf("nothing was changed: what they said is newer. %s", inWords(contact, said))
	}
	p.printf("%s\n", inWords(contact, said))
	return nil
}

// inWords says what a person said, when, and how that is known.
func inWords(contact string, c *table.Consent) string {
	if c == nil {
		return contact + " has said nothing about marketing messages: they are sent."
	}
	means := "marketing messages are sent"
	if c.Says == whatsapp.Stop {
		means = "marketing messages are refused, others are not"
	}
	how := map[string]string{
		table.ByPreference: "by the switch in WhatsApp",
		table.ByWord:       "by the message " + c.Wamid,
		table.ByOperator:   fmt.Sprintf("by %s: %s", cmp.Or(c.Who, "an operator"), c.Why),
	}[c.By]
	return fmt.Sprintf("%s: %s since %s, %s, under %s; %s.", contact, c.Says, c.At.Format(time.RFC3339), how, c.Contact, means)
}
