package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"connexease-functions/pkg/api"
	"connexease-functions/pkg/auth"
	"connexease-functions/pkg/secret"
	"connexease-functions/pkg/whatsapp"
)

// receive handles a delivery: verify, split, put, respond. It never returns 200 before every event
// is durable, in the table or in the overflow queue.
func (h *handler) receive(ctx context.Context, r api.Request, d *delivery) api.Response {
	received, tableEnd, end := h.deadlines(r)
	ctx, cancel := context.WithDeadline(ctx, end)
	defer cancel()

	who, err := h.verifier.Verify(ctx, r.Header("authorization"))
	if err != nil {
		return h.refuse(err, d)
	}
	d.credential, d.stale = who.Name, who.Stale

	body, err := r.Body()
	switch {
	case errors.Is(err, api.ErrTooLarge):
		d.outcome, d.reason = outcomeRefused, reasonTooLarge
		return api.Fail(api.RequestTooLarge, "", nil)
	case err != nil:
		d.outcome, d.reason = outcomeRefused, reasonBase64
		return api.Fail(api.MalformedRequest, "", nil)
	}

	events := whatsapp.Split(body)
	h.words.Mark(events)
	for i := range events {
		switch events[i].Kind {
		case whatsapp.KindMessage:
			d.messages++
		case whatsapp.KindStatus:
			d.statuses++
		case whatsapp.KindQuarantine:
			d.quarantined++
		default:
			d.others++
		}
	}
	putting, stop := context.WithDeadline(ctx, tableEnd)
	d.stored = h.table.Put(putting, events, received)
	stop()
	d.outcome = outcomeStored
	h.distrusted.Store(0)
	if unsaved := d.stored.Unsaved; len(unsaved) > 0 {
		h.distrusted.Store(h.now().Add(distrust).UnixMilli())
		d.outcome, d.reason, d.err = outcomeOverflowed, reasonTable, d.stored.Err
		if err := h.overflow.keep(ctx, h.table, unsaved, received); err != nil {
			d.outcome, d.overflowErr = outcomeFailed, err
			return api.Fail(api.TableUnavailable, "", nil)
		}
		d.overflowed = len(unsaved)
	}
	return api.Success(struct {
		Events int `json:"events"`
	}{len(events)})
}

// deadlines returns when the request was received, when the table must be done with it, and when
// the response must be on its way.
func (h *handler) deadlines(r api.Request) (received, table, end time.Time) {
	now := h.now()
	received = now
	if age := now.Sub(r.Received); age > 0 && age < plausible {
		received = r.Received
	}
	table = now.Add(leastTableBudget)
	if now.UnixMilli() >= h.distrusted.Load() {
		table = latest(received.Add(tableBudget), table)
	}
	return received, table, latest(received.Add(budget), now.Add(leastBudget))
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (h *handler) refuse(err error, d *delivery) api.Response {
	if code, why := auth.Refusal(err); code != "" {
		d.outcome, d.reason = outcomeRefused, ofRefusal[why]
		return api.Fail(code, "", nil)
	}
	d.outcome, d.reason, d.err = outcomeFailed, reasonSecret, err
	what := ""
	switch {
	case errors.Is(err, secret.ErrMissing):
		what = "has no value"
	case errors.Is(err, secret.ErrJSON):
		what = "is JSON where the bare value is expected"
	case errors.Is(err, secret.ErrUnusable):
		what = "has characters that are not allowed in a header"
	}
	if what == "" {
		d.fix = fmt.Sprintf("The webhook secret cannot be read. See why: "+
			"aws secretsmanager get-secret-value --secret-id %s --query CreatedDate", h.secretName)
	} else {
		d.fix = fmt.Sprintf("The webhook secret %s. Put one in: "+
			"aws secretsmanager put-secret-value --secret-id %s --secret-string file:///dev/stdin, then paste at least 32 random characters, Enter, Ctrl-D.", what, h.secretName)
	}
	return api.Fail(api.SecretMissing, "", nil) // the caller is not authenticated
}
