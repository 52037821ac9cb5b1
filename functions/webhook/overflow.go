package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"time"

	"connexease-functions/pkg/bounded"
	"connexease-functions/pkg/queue"
	"connexease-functions/pkg/table"
	"connexease-functions/pkg/telemetry"
	"connexease-functions/pkg/whatsapp"
)

// overflow is the queue for events that cannot be written to the table in time.
type overflow struct{ queue queue.Queue }

// keep puts events on the queue; an error means that not all of them are there. An event that is
// both there and in the table ends up as one item.
func (o overflow) keep(ctx context.Context, t *table.Table, events []whatsapp.Event, received time.Time) error {
	messages, err := t.Pack(events, received)
	if err != nil {
		return err
	}
	errs := make([]error, len(messages))
	bounded.Each(len(messages), parallelSends, func(i int) { errs[i] = o.queue.Send(ctx, messages[i]) })
	return errors.Join(errs...)
}

// readRecords returns the records of an SQS event.
func readRecords(payload []byte) ([]queue.Record, bool) {
	var e map[string]json.RawMessage
	if json.Unmarshal(payload, &e) != nil {
		return nil, false
	}
	records, err := queue.Read(e["Records"])
	return records, err == nil
}

// drain writes the events of overflow messages to the table, and reports the messages that must be
// returned to the queue.
func (h *handler) drain(ctx context.Context, records []queue.Record) ([]byte, error) {
	if end, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, end.Add(-drainMargin))
		defer cancel()
	}
	started := h.now()
	errs := make([]error, len(records))
	events := make([]int, len(records))
	bounded.Each(len(records), parallelDrains, func(i int) { events[i], errs[i] = h.table.Drain(ctx, []byte(records[i].Body)) })
	var returned []string
	drained := 0
	var failed error
	for i, err := range errs {
		if err != nil {
			returned, failed = append(returned, records[i].ID), err
			continue
		}
		drained += events[i]
	}
	h.summariseDrain(ctx, drained, len(returned), failed, h.now().Sub(started))
	return queue.Failed(returned)
}

func (h *handler) summariseDrain(ctx context.Context, drained, returned int, err error, took time.Duration) {
	outcome := outcomeDrained
	attrs := []slog.Attr{}
	if returned > 0 {
		outcome = outcomeLater
		attrs = append(attrs, telemetry.ErrorAttr(err))
	}
	h.log.Summary(ctx, outcome.Level, "overflow", []telemetry.Metric{
		{Name: "Drained", Unit: telemetry.Count, Value: float64(drained)},
		{Name: "DrainsFailed", Unit: telemetry.Count, Value: float64(returned)},
		{Name: "DrainDuration", Unit: telemetry.Milliseconds, Value: float64(took.Microseconds()) / 1000},
	}, append(attrs, slog.String("outcome", outcome.Word), slog.Int("events", drained))...)
}
