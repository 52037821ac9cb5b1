package main

import (
	"context"

	"connexease-functions/pkg/api"
)

// forwardEvent puts an EventBridge event that reached the function directly on the queue,
// so that there is one path with one way of repeating.
func (h *handler) forwardEvent(ctx context.Context, payload []byte) ([]byte, error) {
	l := h.begin(sourceEvent)
	sending, cancel := context.WithTimeout(ctx, enqueueLimit)
	defer cancel()
	if err := h.queue.Send(sending, string(payload)); err != nil {
		l.reason, l.err = reasonQueue, err
		r := api.Fail(api.QueueUnconfirmed, "The queue did not confirm the event. It is repeated.", nil)
		h.summarise(ctx, &l, r)
		return nil, r.LambdaError()
	}
	l.add(outcomeForwarded)
	r := api.Success(map[string]string{"status": "queued"})
	h.summarise(ctx, &l, r)
	return []byte(r.Body), nil
}
