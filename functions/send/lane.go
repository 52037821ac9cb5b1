package main

import (
	"context"
	"encoding/json"
	"time"

	"connexease-functions/pkg/api"
	"connexease-functions/pkg/order"
	"connexease-functions/pkg/queue"
)

// inBulk reports whether a record comes from the bulk lane's queue.
func (h *handler) inBulk(r *queue.Record) bool { return h.bulkARN != "" && r.Source == h.bulkARN }

func (h *handler) queueOf(r *queue.Record) queue.Queue {
	if h.inBulk(r) {
		return h.bulk
	}
	return h.queue
}

// changeLane puts a record of the ordinary queue that belongs to the bulk lane on that lane's
// queue, under the key that it has here: on a different queue its default would be different.
func (h *handler) changeLane(ctx context.Context, r *queue.Record, o *order.Order, l *line) (retry bool, wait time.Duration) {
	body := r.Body
	if o.Scope == order.ScopeSQS {
		members, _ := api.Members([]byte(body))
		members["idempotencyKey"], _ = json.Marshal(o.Key)
		text, _ := json.Marshal(members) // of valid JSON
		body = string(text)
	}
	sending, cancel := context.WithTimeout(ctx, enqueueLimit)
	defer cancel()
	if err := h.bulk.Send(sending, body); err != nil {
		l.reason, l.err = reasonQueue, err
		return true, jitter(shortest, spread)
	}
	l.add(outcomeForwarded)
	return false, 0
}
