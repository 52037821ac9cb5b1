package main

import (
	"context"
	"encoding/json"

	"connexease-functions/pkg/api"
	"connexease-functions/pkg/conversation"
	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/order"
)

// serveDirect serves another function, or a state of Step Functions. The result is the unified
// response with the message's id added; a failure is a Lambda error named as in api.Failure.
func (h *handler) serveDirect(ctx context.Context, payload []byte) ([]byte, error) {
	l := h.begin(sourceDirect)
	o, refused := order.FromEnvelope(payload)
	l.client = o.Client
	d := delivery{order: o, request: ledger.Request{Source: ledger.Sync}}
	var r api.Response
	if refused != nil {
		l.reason, r = reasonInvalid, *refused
	} else {
		d.request.ProcessEnds = h.processEnds(ctx)
		d.request.RespondBy = d.request.ProcessEnds.Add(-answerMargin)
		r = h.deliver(ctx, &d, &l)
	}
	h.summarise(ctx, &l, r)
	if r.Failure != "" {
		return nil, r.LambdaError()
	}
	result, _ := api.Members([]byte(r.Body))
	if id := d.request.ID; id != "" {
		result["messageId"], _ = json.Marshal(id)
		result["replayed"], _ = json.Marshal(d.end.Response.Replayed)
		if d.end.Response.Instead() {
			result["sentInstead"], _ = json.Marshal(conversation.SentFallback)
		}
	}
	return json.Marshal(result)
}
