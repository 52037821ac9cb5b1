package main

import (
	"context"

	"connexease-functions/pkg/api"
	"connexease-functions/pkg/gateway"
	"connexease-functions/pkg/ledger"
)

// receipt passes a read receipt or typing indicator through: it is no message, may be
// repeated freely, and so claims nothing.
func (h *handler) receipt(ctx context.Context, o *order, v *visit, l *line) api.Answer {
	l.receipt = true
	if bad := h.fetchKey(ctx, v, l); bad != nil {
		return *bad
	}
	r := h.postReceipt(ctx, o, v)
	l.visit(v)
	if r.State == gateway.Unknown {
		return api.Fail(api.NotReached, "Nobody can tell whether the receipt arrived. It is safe to repeat the request.", nil)
	}
	return h.own(&r)
}

func (h *handler) postReceipt(ctx context.Context, o *order, v *visit) gateway.Result {
	started := h.now()
	end := started.Add(ledger.CallLimit)
	if v.request.RespondBy.Before(end) {
		end = v.request.RespondBy
	}
	calling, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	r := h.call(calling, &v.key, 0, end, func(ctx context.Context, key string) gateway.Result {
		return h.gateway.SendReceipt(ctx, key, o.body, o.isFake, o.mmlite)
	})
	v.result, v.called = &r, h.now().Sub(started)
	return r
}
