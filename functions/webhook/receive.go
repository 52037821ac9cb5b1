package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"connexease-functions/pkg/api"
	"connexease-functions/pkg/auth"
	"connexease-functions/pkg/secret"
	"connexease-functions/pkg/whatsapp"
)

// receive handles a delivery: verify, split, put, respond. It never returns 200 before every event
// is durable, in the table or in the overflow queue.
func (h *handler) receive(ctx context.Context, r api.Request, d *delivery) api.Response {
	received := h.received(r)
	_, whole := h.budgets(received)
	verifying, stop := context.WithTimeout(ctx, whole)
	who, err := h.verifier.Verify(verifying, r.Header("authorization"))
	stop()
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
	share, whole := h.budgets(received) // anew: the secret may have been read, which takes seconds
	ctx, cancel := context.WithTimeout(ctx, whole)
	defer cancel()
	putting, stop := context.WithTimeout(ctx, share)
	d.stored = h.table.Put(putting, events, received)
	stop()
	d.outcome = outcomeStored
	unsaved := d.stored.Unsaved
	switch {
	case len(unsaved)+d.stored.Merged < len(events):
		h.distrusted.Store(0)
	case len(unsaved) > 0 && share > leastTableBudget: // a table that is slow may need more than the least
		until := h.now().Add(distrust/2 + rand.N(distrust)) // #nosec G404 -- spreads the next try of many processes
		h.distrusted.Store(until.UnixMilli())
	}
	if len(unsaved) > 0 {
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

// received returns when API Gateway received a request, if it says so plausibly.
func (h *handler) received(r api.Request) time.Time {
	now := h.now()
	if age := now.Sub(r.Received); age > 0 && age < plausible {
		return r.Received
	}
	return now
}

// budgets returns how long from now the table has, and table and queue together, for a request that
// was received then.
func (h *handler) budgets(received time.Time) (share, whole time.Duration) {
	now := h.now()
	age := now.Sub(received)
	share = leastTableBudget
	if now.UnixMilli() >= h.distrusted.Load() {
		share = max(tableBudget-age, leastTableBudget)
	}
	return share, max(budget-age, leastBudget)
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
