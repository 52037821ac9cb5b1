package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"connexease-functions/pkg/api"
	"connexease-functions/pkg/auth"
	"connexease-functions/pkg/table"
	"connexease-functions/pkg/telemetry"
)

// handler is the function: an event in, a response out.
type handler struct {
	credentials *auth.Credentials
	verifier    *auth.Verifier
	table       *table.Table
	overflow    overflow
	log         *telemetry.Log
	secretName  string
	now         func() time.Time
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
	d := delivery{started: started, requestBytes: len(payload)}
	answer := h.receive(ctx, request, &d)
	h.summarise(ctx, answer, &d)
	return json.Marshal(answer)
}

// delivery collects the fields of one request's summary line.
type delivery struct {
	started      time.Time
	requestBytes int
	outcome      string // stored, overflowed, refused, failed
	reason       string
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

func (h *handler) summarise(ctx context.Context, answer api.Response, d *delivery) {
	level := slog.LevelInfo
	switch {
	case answer.Status >= 500:
		level = slog.LevelError
	case answer.Status >= 400 || d.quarantined+d.stored.Quarantined > 0 || d.overflowed > 0:
		level = slog.LevelWarn
	}
	count := func(name string, n int) telemetry.Metric {
		return telemetry.Metric{Name: name, Unit: telemetry.Count, Value: float64(n)}
	}
	one := func(name string, is bool) telemetry.Metric {
		if is {
			return count(name, 1)
		}
		return count(name, 0)
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
		one("RefusedNoToken", d.reason == auth.ReasonNoToken),
		one("RefusedMalformedToken", d.reason == auth.ReasonMalformedToken),
		one("RefusedWrongToken", d.reason == auth.ReasonWrongToken),
		one("RefusedBody", d.reason == reasonTooLarge || d.reason == reasonBase64),
		one("SecretUnavailable", d.reason == reasonSecret),
		one("PreviousSecretUsed", d.credential == auth.NamePrevious),
		{Name: "SecretStaleness", Unit: telemetry.Seconds, Value: d.stale.Seconds()},
		{Name: "Duration", Unit: telemetry.Milliseconds, Value: float64(h.now().Sub(d.started).Microseconds()) / 1000},
	}
	attrs := []slog.Attr{
		slog.String("outcome", d.outcome),
		slog.Int("status", answer.Status),
		slog.Int("bytes", d.requestBytes),
	}
	if d.reason != "" {
		attrs = append(attrs, slog.String("reason", d.reason))
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
