package main

import (
	"context"
	"time"

	"connexease-functions/pkg/api"
	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/order"
	"connexease-functions/pkg/table"
)

// checkWindow looks at the customer service window, where the caller asked for it, and says in the
// request that it may not be sent where that is certain. An error says that the table cannot be read.
func (h *handler) checkWindow(ctx context.Context, d *delivery) error {
	if !d.order.AsksForWindow() {
		return nil
	}
	reading, cancel := context.WithDeadline(ctx, h.until(d, readLimit))
	defer cancel()
	w, err := h.table.Window(reading, d.about.Contact, d.sender.PhoneNumberID, h.now())
	if err != nil {
		return err
	}
	switch {
	case w.State == table.WindowClosed:
	case w.State == table.WindowUnknown && d.order.OnUnknownWindow == order.WindowClosed:
	default:
		return nil
	}
	params := map[string]any{"window": w.State}
	if !w.LastInbound.IsZero() {
		params["last_inbound"], params["closed_at"] = w.LastInbound.Format(time.RFC3339), w.ClosedAt().Format(time.RFC3339)
	}
	d.closed = api.Fail(api.WindowClosed, "", params)
	d.request.MayNotClaim = &ledger.Outcome{HTTP: d.closed.Status, Body: []byte(d.closed.Body), Reason: ledger.Reason(d.closed.Code)}
	return nil
}
