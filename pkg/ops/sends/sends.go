// Package sends finds the sends of a table, of every client, by what became of them.
package sends

import (
	"context"
	"time"

	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/table"
)

// Want says which sends are looked for: those of a state, and of a client unless that is empty.
type Want struct {
	State  ledger.State
	Client string
}

// Candidates reads the whole table for the ids of the sends that may be wanted, in no order: their
// statuses, which may have settled them, are not looked at. read is called after each page with the
// number of items read. Look says which of them are wanted.
func (w Want) Candidates(ctx context.Context, db *table.Table, read func(int)) (ids []string, err error) {
	s := table.Selection{
		Where: "kind = :send", Values: map[string]string{":send": "send"}, Page: read,
		Attributes: "pk, kind, attempts, cancelled, valid_until, not_before",
	}
	if w.Client != "" {
		s.Where += " AND client = :client"
		s.Values[":client"] = w.Client
	}
	now := time.Now()
	err = db.Scan(ctx, s, func(it table.Item) {
		if s := it.Send(); s != nil && w.may(ledger.Fold(now, s, nil).State) {
			ids = append(ids, s.ID)
		}
	})
	return ids, err
}

// may: what is under way or scheduled when its row is read may be something else a moment later.
func (w Want) may(state ledger.State) bool {
	return state == w.State || state == ledger.InFlight && w.State == ledger.Unknown || state == ledger.Scheduled && w.State == ledger.Queued
}

// Look reads one send and its statuses; nil where it is not wanted, or not there any more.
func (w Want) Look(ctx context.Context, db *table.Table, id string) (*table.Found, error) {
	found, err := db.Find(ctx, time.Now(), id, func(s *ledger.Send) bool { return w.Client == "" || s.Client == w.Client })
	if err != nil || found == nil || found.State != w.State {
		return nil, err
	}
	return found, nil
}

// Since is when a send was first tried or, before that, when its time comes or its validity ends.
func Since(f *table.Found) time.Time {
	switch f.State {
	case ledger.Scheduled:
		return f.Row.NotBefore
	case ledger.Queued:
		return f.Row.ValidUntil
	}
	return f.Row.ClaimedAt
}
