package main

import (
	"cmp"
	"context"
	"encoding/json"
	"time"

	"connexease-functions/pkg/api"
	"connexease-functions/pkg/ledger"
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
// queue, under the key and with the validity that it has here: both would begin anew there.
func (h *handler) changeLane(ctx context.Context, r *queue.Record, o *order.Order, age time.Duration, l *line) (retry bool, wait time.Duration) {
	outer, _ := api.Members([]byte(r.Body))
	envelope, event := outer, order.IsEvent(outer)
	if event {
		envelope, _ = api.Members(outer["detail"])
	}
	if o.Scope == order.ScopeSQS {
		envelope["idempotencyKey"], _ = json.Marshal(o.Key)
	}
	left := cmp.Or(o.ValidFor, ledger.DefaultValidFor) - age
	envelope["validFor"], _ = json.Marshal(max(1, int(left/time.Second)))
	text, _ := json.Marshal(envelope) // of valid JSON
	if event {
		outer["detail"] = text
		text, _ = json.Marshal(outer)
	}
	sending, cancel := context.WithTimeout(ctx, enqueueLimit)
	defer cancel()
	if err := h.bulk.Send(sending, string(text)); err != nil {
		l.reason, l.err = reasonQueue, err
		return true, jitter(ledger.Backoff(age, 0), spread)
	}
	l.add(outcomeForwarded)
	return false, 0
}
