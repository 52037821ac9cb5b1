package table

import (
	"cmp"
	"context"
	"time"

	"connexease-functions/pkg/ledger"
)

// Cancel withdraws a message, of which nothing may have left, by one conditional write. r has the
// source ledger.Cancel, and gets the table's retention; clock returns the time. The error says why a response is
// ledger.TableFailed.
func (t *Table) Cancel(ctx context.Context, r *ledger.Request, clock func() time.Time) (ledger.Response, error) {
	r.RetentionDays = t.retentionDays
	var last error
	visit, action := ledger.Begin(r, clock())
	for {
		var err error
		switch action.Do {
		case ledger.DoRead:
			var row *ledger.Send
			var statuses []ledger.Status
			row, _, statuses, err = t.LookUp(ctx, r.ID)
			action = visit.Read(clock(), row, statuses, err == nil)
		case ledger.DoQuery:
			var statuses []ledger.Status
			statuses, err = t.Statuses(ctx, r.ID)
			action = visit.Queried(clock(), statuses, err == nil)
		case ledger.DoWrite:
			var result ledger.Result
			result, err = t.WriteSend(ctx, action.Write, About{})
			action = visit.Wrote(clock(), result)
		default:
			return action.Response, last
		}
		last = cmp.Or(err, last)
	}
}
