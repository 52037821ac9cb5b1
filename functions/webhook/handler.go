package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"connexease-functions/pkg/api"
	"connexease-functions/pkg/auth"
	"connexease-functions/pkg/consent"
	"connexease-functions/pkg/table"
	"connexease-functions/pkg/telemetry"
)

// handler is the function: an event in, a response out.
type handler struct {
	credentials *auth.Credentials
	verifier    *auth.Verifier
	table       *table.Table
	words       consent.Words
	overflow    overflow
	log         *telemetry.Log
	secretName  string
	now         func() time.Time
	// distrusted is until when the table gets its least budget only, in Unix milliseconds.
	distrusted atomic.Int64
}

// Invoke implements lambda.Handler. Only an event that is neither an HTTP request nor from the
// overflow queue is an error; every request gets a response.
func (h *handler) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	started := h.now()
	request, err := api.ReadRequest(payload)
	if err != nil {
		if records, ok := readRecords(payload); ok {
			return h.drain(ctx, records)
		}
		h.log.Line(ctx, slog.LevelError, "event refused", slog.String("reason", "not_http"))
		return nil, err
	}
	d := delivery{started: started, requestBytes: len(payload), request: request.ID}
	response := h.receive(ctx, request, &d)
	h.summarise(ctx, response, &d)
	return json.Marshal(response)
}

// delivery collects the fields of one request's summary line.
type delivery struct {
	started      time.Time
	requestBytes int
	request      string // API Gateway's id; in no item, which would differ in a repeated delivery
	outcome      telemetry.Outcome
	reason       telemetry.Reason
	err          error
	fix          string // command for the operator, where a secret cannot be used
	credential   string
	stale        time.Duration
	messages     int
	statuses     int
	others       int
	quarantined  int
	stored       table.Result
	overflowed   int
	overflowErr  error
}

func (h *handler) summarise(ctx context.Context, response api.Response, d *delivery) {
	level := d.outcome.Level
	if d.quarantined+d.stored.Quarantined > 0 {
		level = max(level, slog.LevelWarn)
	}
	count := func(name string, n int) telemetry.Metric {
		return telemetry.Metric{Name: name, Unit: telemetry.Count, Value: float64(n)}
	}
	metrics := []telemetry.Metric{
		count("Messages", d.messages),
		count("Statuses", d.statuses),
		count("OtherEvents", d.others),
		count("Quarantined", d.quarantined+d.stored.Quarantined),
		count("Merged", d.stored.Merged),
		count("Overflowed", d.overflowed),
		count("Unsaved", len(d.stored.Unsaved)-d.overflowed),
		count("WriteRetries", d.stored.Retries),
		{Name: "SecretStaleness", Unit: telemetry.Seconds, Value: d.stale.Seconds()},
		{Name: "Duration", Unit: telemetry.Milliseconds, Value: float64(h.now().Sub(d.started).Microseconds()) / 1000},
	}
	metrics = slices.Concat(metrics, d.outcome.Metrics, d.reason.Metrics)
	if d.credential == auth.NamePrevious {
		metrics = append(metrics, telemetry.One("PreviousSecretUsed"))
	}
	attrs := []slog.Attr{
		slog.String("outcome", d.outcome.Word),
		slog.Int("status", response.Status),
		slog.Int("bytes", d.requestBytes),
		slog.String("apiRequestId", d.request),
	}
	if d.reason.Word != "" {
		attrs = append(attrs, slog.String("reason", d.reason.Word))
	}
	if d.err != nil {
		attrs = append(attrs, telemetry.ErrorAttr(d.err))
	}
	if d.fix != "" {
		attrs = append(attrs, telemetry.FixAttr(d.fix))
	}
	if d.overflowErr != nil {
		attrs = append(attrs, slog.String("operation", "overflow"))
	}
	h.log.Summary(ctx, level, "delivery", metrics, attrs...)
}
