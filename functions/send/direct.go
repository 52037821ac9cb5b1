package main

import (
	"context"
	"encoding/json"

	"connexease-functions/pkg/api"
	"connexease-functions/pkg/ledger"
)

// direct serves another function, or a state of Step Functions. A key is required,
// because both repeat a call silently. The result is the unified response, with the
// message's id beside it; a failure is a Lambda error named as in api.Failure.
func (h *handler) direct(ctx context.Context, payload []byte) ([]byte, error) {
	l := h.begin(sourceDirect)
	v := visit{request: ledger.Request{Source: ledger.Sync}}
	answer := h.invoke(ctx, payload, &v, &l)
	h.summarise(ctx, &l, answer)
	if answer.Failure != "" {
		return nil, failure(answer)
	}
	result := members([]byte(answer.Body))
	if id := v.request.ID; id != "" {
		result["messageId"], _ = json.Marshal(id)
		result["replayed"], _ = json.Marshal(v.end.Response.Replayed)
	}
	return json.Marshal(result)
}

func (h *handler) invoke(ctx context.Context, payload []byte, v *visit, l *line) api.Answer {
	o := order{scope: sourceDirect}
	f := faults{}
	bad := o.envelope(payload, f)
	l.client = o.client
	if bad == nil {
		bad = f.verdict()
	}
	if bad == nil && o.key == "" && !o.summary.Receipt {
		a := api.Fail(api.MalformedKey, "A direct invocation needs an idempotencyKey of 1 to 255 visible ASCII characters, because Lambda and Step Functions repeat silently.", nil)
		bad = &a
	}
	if bad != nil {
		l.reason = reasonInvalid
		return *bad
	}
	v.request.ProcessEnds = h.processEnds(ctx)
	v.request.RespondBy = v.request.ProcessEnds.Add(-answerMargin)
	v.about = o.about()
	if o.summary.Receipt {
		return h.receipt(ctx, &o, v, l)
	}
	if bad := h.fetchKey(ctx, v, l); bad != nil {
		return *bad
	}
	h.identify(&o, v)
	h.deliver(ctx, v)
	l.visit(v)
	return h.tell(v)
}
