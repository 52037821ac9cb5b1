package main

import (
	"context"
	"time"

	"connexease-functions/pkg/api"
	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/whatsapp"
)

// checkConsent returns why a marketing message may not be sent: its person said stop. Of any other
// message nothing is read. An error says that the table cannot be read.
func (h *handler) checkConsent(ctx context.Context, d *delivery) (*ledger.Outcome, error) {
	if !d.order.IsMarketing() {
		return nil, nil
	}
	said, err := h.table.Consent(ctx, d.about.Contact, d.about.UserID)
	if said == nil || said.Says != whatsapp.Stop || err != nil {
		return nil, err
	}
	return d.refuse(api.Fail(api.OptedOut, "", map[string]any{"since": said.At.Format(time.RFC3339), "by": said.By})), nil
}
