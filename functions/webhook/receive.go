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

const (
	// budget is the time from API Gateway's receipt until everything must be durable. The Gateway
	// waits 5 s for a response (Connexease Gateway API, "Webhooks"); the last second is for the way
	// back.
	budget = 4 * time.Second
	// tableBudget is the table's share of budget; the rest is for the overflow queue.
	tableBudget = 2500 * time.Millisecond
	// leastBudget is always granted to table and queue: the request may have waited for a cold
	// start, and clocks differ.
	leastBudget      = 1500 * time.Millisecond
	leastTableBudget = 800 * time.Millisecond
	// plausible bounds the age of a request's own timestamp. sam local stamps all requests of a
	// process alike.
	plausible = 30 * time.Second
)

// Reasons of refusals and failures, as logs show them.
const (
	reasonTooLarge = "body_too_large"
	reasonBase64   = "body_not_base64"
	reasonSecret   = "secret_unavailable"
	reasonTable    = "table_unavailable"
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
		d.outcome, d.reason = "refused", reasonTooLarge
		return api.Fail(api.RequestTooLarge, "", nil)
	case err != nil:
		d.outcome, d.reason = "refused", reasonBase64
		return api.Fail(api.MalformedRequest, "", nil)
	}

	events := whatsapp.Split(body)
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
	d.outcome = "stored"
	if unsaved := d.stored.Unsaved; len(unsaved) > 0 {
		d.outcome, d.reason, d.err = "overflowed", reasonTable, d.stored.Err
		if err := h.overflow.keep(ctx, h.table, unsaved, received); err != nil {
			d.outcome, d.overflowErr = "failed", err
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
	return received, latest(received.Add(tableBudget), now.Add(leastTableBudget)), latest(received.Add(budget), now.Add(leastBudget))
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (h *handler) refuse(err error, d *delivery) api.Response {
	if code, reason := auth.Refusal(err); code != "" {
		d.outcome, d.reason = "refused", reason
		return api.Fail(api.Code(code), "", nil)
	}
	d.outcome, d.reason, d.err = "failed", reasonSecret, err
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
