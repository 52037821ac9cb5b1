package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"connexease-functions/pkg/ledger"
)

func init() { register(cancelCommand) }

// cancelLimit bounds the retries of a cancellation.
const cancelLimit = 30 * time.Second

func cancelCommand(p *program) *cobra.Command {
	var id string
	c := &cobra.Command{
		Use:   "cancel -stack NAME|local -id msg_…",
		Short: "Withdraw a message that is scheduled, queued or was never sent",
		Long: "Withdraw a message of any client that is scheduled, queued or was never sent. It is cancelled for\n" +
			"good, and its key sends nothing any more. What is being sent or has an outcome stays as it is.\n" +
			"A schedule that fires all the same finds it cancelled.",
		RunE: func(c *cobra.Command, _ []string) error {
			if !ledger.ValidID(id) {
				return errors.New("name a message: -id (ID= for make) with its id, such as msg_…")
			}
			t, err := p.find(c.Context())
			if err != nil {
				return err
			}
			db, err := t.writer()
			if err != nil {
				return err
			}
			ctx, done := context.WithTimeout(c.Context(), cancelLimit)
			defer done()
			r := ledger.Request{Source: ledger.Cancel, ID: id, Operator: true}
			switch said, err := db.Cancel(ctx, &r, time.Now); said.Kind {
			case ledger.CancelDone:
				p.printf("%s is cancelled.\n", id)
				return nil
			case ledger.NoSuch:
				return fmt.Errorf("the table %s has no message %s", db.Name(), id)
			case ledger.CancelTooLate:
				return fmt.Errorf("the message %s can no longer be cancelled: it is %s", id, said.State)
			case ledger.Busy:
				return errors.New("others write this message at the same time: run it again")
			default:
				return fmt.Errorf("whether it is cancelled is not known: %w. Run it again", why(err))
			}
		},
	}
	c.Flags().StringVar(&id, "id", "", "id of the message")
	return needs(c, "dynamodb:Query dynamodb:UpdateItem")
}
