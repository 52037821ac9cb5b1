package main

import (
	"context"
	"time"

	"connexease-functions/pkg/api"
	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/order"
	"connexease-functions/pkg/table"
)

// What the gate saw, as the row, look-up and params of WINDOW_001 name it.
const (
	seenWindow      = "window"
	seenLastInbound = "last_inbound"
	seenClosedAt    = "closed_at"
)

// checkGate looks at the person's consent and the customer service window, as the caller asked for it:
// in the order, or in the row of a record that names only that. An error says that the table cannot
// be read.
func (h *handler) checkGate(ctx context.Context, d *delivery, row *ledger.Send) (ledger.Verdict, error) {
	if row != nil {
		d.restore(row)
	}
	d.about = d.order.About()
	reading, cancel := context.WithDeadline(ctx, h.until(d, readLimit))
	defer cancel()
	if why, err := h.checkConsent(reading, d); why != nil || err != nil {
		return ledger.Verdict{MayNot: why}, err
	}
	if !d.order.AsksForWindow() {
		return ledger.Verdict{}, nil
	}
	w, err := h.table.Window(reading, d.sender.PhoneNumberID, h.now(), d.about.Contact, d.about.UserID)
	if err != nil {
		return ledger.Verdict{}, err
	}
	v := ledger.Verdict{Seen: map[string]string{seenWindow: string(w.State)}}
	if !w.LastInbound.IsZero() {
		v.Seen[seenLastInbound] = w.LastInbound.Format(time.RFC3339)
	}
	switch {
	case w.State == table.WindowOpen, w.State == table.WindowUnknown && d.order.OnUnknownWindow != order.WindowClosed:
	case d.order.OnClosedWindow == order.WindowFallback:
		v.Instead = ledger.Reason(api.WindowClosed)
		d.about = d.order.AboutFallback()
	default:
		params := map[string]any{}
		for name, value := range v.Seen {
			params[name] = value
		}
		if !w.LastInbound.IsZero() {
			params[seenClosedAt] = w.ClosedAt().Format(time.RFC3339)
		}
		v.MayNot = d.refuse(api.Fail(api.WindowClosed, "", params))
	}
	return v, nil
}

// restore reads an order from the row of a record that names only that.
func (d *delivery) restore(row *ledger.Send) { d.order, d.client = order.Stored(row), row.Client }
