package command

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"connexease-functions/pkg/ledger"
)

// cancel cancels what waits. What was cancelled before an interruption does not wait any more.
func (c *campaign) cancel(ctx context.Context, t *target) error {
	db, err := t.table()
	if err != nil {
		return err
	}
	now := time.Now()
	ids, err := c.ids(ctx, db, func(s *ledger.Send) bool {
		state := ledger.Fold(now, s, nil).State // a status of what was sent is looked at before the write
		return waiting(state) && state != ledger.InFlight
	})
	if err != nil {
		return err
	}
	if len(ids) == 0 {
		c.printf("Nothing of campaign %s waits in the table %s.\n", c.name, db.Name())
		return nil
	}
	if !c.confirm(fmt.Sprintf("%d messages of campaign %s are scheduled, queued or not sent. Their keys send nothing any more. Type %s to cancel them: ", len(ids), c.name, c.name), c.name) {
		return errors.New("nothing was cancelled")
	}
	if db, err = t.writer(); err != nil {
		return err
	}
	var cancelled, late atomic.Int64
	err = inParallel(ctx, c.program, "Cancelling", ids, func(ctx context.Context, id string) error {
		switch said, err := t.withdraw(ctx, db, id); said.Kind {
		case ledger.CancelDone:
			cancelled.Add(1)
			return nil
		case ledger.CancelTooLate, ledger.NoSuch:
			late.Add(1)
			return nil
		case ledger.Busy:
			return errBusy
		default:
			return err
		}
	})
	if err != nil {
		return fmt.Errorf("%d of %d messages are cancelled: %w. Run it again for the rest", cancelled.Load(), len(ids), why(err))
	}
	c.printf("%d messages are cancelled; %d were sent or ended meanwhile. Records that were put straight on the queue and not read yet have no row, and were not looked at.\n",
		cancelled.Load(), late.Load())
	return nil
}
