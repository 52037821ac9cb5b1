package command

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/table"
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
			"Its schedule is deleted.",
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
			if err := t.cancel(c.Context(), db, id); err != nil {
				return err
			}
			p.printf("%s is cancelled.\n", id)
			return nil
		},
	}
	c.Flags().StringVar(&id, "id", "", "id of the message")
	return needs(c, "dynamodb:Query dynamodb:UpdateItem scheduler:DeleteSchedule")
}

var errBusy = errors.New("others write this message at the same time")

// cancel withdraws a message; an error says why that is not so.
func (t *target) cancel(ctx context.Context, db *table.Table, id string) error {
	switch said, err := t.withdraw(ctx, db, id); said.Kind {
	case ledger.CancelDone:
		return nil
	case ledger.NoSuch:
		return fmt.Errorf("the table %s has no message %s", db.Name(), id)
	case ledger.CancelTooLate:
		return fmt.Errorf("the message %s can no longer be cancelled: it is %s", id, ledger.Word(said.State))
	case ledger.Busy:
		return fmt.Errorf("%w: run it again", errBusy)
	default:
		return fmt.Errorf("whether it is cancelled is not known: %w. Run it again", why(err))
	}
}

// withdraw cancels a message in the name of no client. Its schedule is deleted for tidiness: one
// that fires all the same finds the message cancelled.
func (t *target) withdraw(ctx context.Context, db *table.Table, id string) (ledger.Response, error) {
	ctx, done := context.WithTimeout(ctx, cancelLimit)
	defer done()
	r := ledger.Request{Source: ledger.Cancel, ID: id, Operator: true}
	said, err := db.Cancel(ctx, &r, time.Now)
	if said.Kind == ledger.CancelDone && said.At.After(time.Now()) {
		_ = t.schedules().Remove(ctx, id, said.At)
	}
	return said, err
}
