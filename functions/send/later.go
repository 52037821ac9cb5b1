package main

import (
	"cmp"
	"context"

	"connexease-functions/pkg/api"
	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/order"
)

// checkTime refuses a time that is too far or too near. What a key has scheduled already stays so,
// however near it has come: only a new message is refused for that.
func (h *handler) checkTime(d *delivery) *api.Response {
	ahead := d.order.SendAt.Sub(h.now())
	if d.order.SendAt.IsZero() || ahead >= ledger.MinAhead && ahead <= longestAhead {
		return nil
	}
	d.closed = tooFar()
	if ahead > longestAhead || !d.request.Keyed {
		return &d.closed
	}
	d.request.MayNotQueue = &ledger.Outcome{}
	return nil
}

func tooFar() api.Response {
	return api.Fail(api.BrokenLimits, "", map[string]any{"sendAt": order.RuleSendAt})
}

// cancel withdraws a message of a client, unless something may have left. Its schedule is deleted
// for tidiness: one that fires all the same finds the message cancelled.
func (h *handler) cancel(ctx context.Context, client, id string, l *line) api.Response {
	if !ledger.ValidID(id) {
		return h.noSuch(l)
	}
	cancelling, done := context.WithTimeout(ctx, lookUpLimit)
	defer done()
	r := ledger.Request{Source: ledger.Cancel, ID: id, Client: client}
	said, err := h.table.Cancel(cancelling, &r, h.now)
	l.err = cmp.Or(err, l.err)
	l.add(ofResponse[said.Kind])
	if said.Kind != ledger.NoSuch {
		l.id = id
	}
	if said.Kind == ledger.CancelDone && said.At.After(h.now()) {
		l.err = cmp.Or(h.schedules.Remove(cancelling, id, said.At), l.err)
	}
	return ofCancellation(id, said)
}

func ofCancellation(id string, said ledger.Response) api.Response {
	switch said.Kind {
	case ledger.CancelDone:
		return api.Success(map[string]string{"id": id, "state": string(ledger.Cancelled)})
	case ledger.NoSuch:
		return api.Fail(api.NoSuchMessage, "", nil)
	case ledger.CancelTooLate:
		return api.Fail(api.CancelTooLate, "", map[string]any{"id": id, "state": ledger.Word(said.State)})
	case ledger.Busy:
		r := api.Fail(api.KeyInFlight, "Others write this message at the same time. Repeat it after Retry-After seconds.", map[string]any{"id": id})
		r.Headers["retry-after"] = seconds(said.RetryAfter)
		return r
	}
	return api.Fail(api.TableUnavailable, "The table is not available. Whether it is cancelled is not known; it is safe to repeat the request.", nil)
}
