package ledger

import "time"

// waitsFor is the id of the message that must have left or ended: the row's, where it has one.
func (v *Visit) waitsFor() string {
	if v.image != nil && v.image.After != "" {
		return v.image.After
	}
	return v.req.After
}

// After reports the row of a DoReadAfter, nil where there is none, and the statuses under its id,
// or that they could not be read.
func (v *Visit) After(now time.Time, row *Send, statuses []Status, ok bool) Action {
	if v.phase != phaseAfter {
		panic("ledger: After without a read")
	}
	if !ok {
		return v.failed(TableFailed, NoteTableFailed)
	}
	f := Fold(v.clock, row, statuses)
	mine := v.req.Client
	if v.image != nil {
		mine = v.image.Client
	}
	foreign := row != nil && mine != "" && row.Client != mine // as one that does not exist
	if foreign || !f.ended(v.clock, row) {
		if v.req.Source.IsRecord() {
			wait := Backoff(now.Sub(v.req.Sent), 0)
			return v.later(wait, wait/5+shortDelay, NoteWaits)
		}
		return v.busy(shortDelay, NoteWaits)
	}
	v.ended = v.waitsFor()
	if v.image == nil {
		return v.first(now)
	}
	return v.claimOver(now, v.overUnknown)
}
