package main

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"connexease-functions/pkg/api"
	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/order"
	"connexease-functions/pkg/telemetry"
)

// line is the summary line of one request or record.
type line struct {
	started  time.Time
	source   source
	client   string
	request  string    // API Gateway's id of the HTTP request, of a queued message that of its first
	sender   string    // named in the secret
	record   string    // SQS message id
	bulk     bool      // the record is of the bulk lane
	id       string    // msg_…
	outcomes []outcome // in order; the last one gives the line its word
	reason   reason
	code     string
	stale    time.Duration
	age      time.Duration // of a record, from when it was put on the queue to this receive
	called   time.Duration
	also     []telemetry.Metric // what no outcome and no reason counts
	err      error
	fix      string // what an operator runs; of a secret that cannot be used
}

func (h *handler) begin(from source) line { return line{started: h.now(), source: from} }

func (l *line) keyFailed(err error, fix string) { l.reason, l.err, l.fix = reasonAPIKey, err, fix }

func (l *line) add(o outcome) { l.outcomes = append(l.outcomes, o) }

// delivered copies what came of a delivery.
func (h *handler) delivered(d *delivery, l *line) {
	l.id, l.called = d.request.ID, d.called
	l.err = cmp.Or(d.err, l.err)
	l.client, l.request = cmp.Or(l.client, d.client), cmp.Or(l.request, d.order.RequestID)
	if !d.sender.Key.Blank() { // else it is what the caller named
		l.sender = d.sender.Name
	}
	if d.keyErr != nil {
		l.keyFailed(d.keyErr, h.keyFix(d.keyErr))
	}
	for _, note := range slices.Backward(d.end.Notes) {
		l.add(ofNote[note])
	}
	switch r := d.result; {
	case r != nil:
		switch {
		case d.order.Summary.Receipt:
			l.add(ofReceipt(r.State))
		case r.SlowsDown():
			l.add(outcomeRateLimited)
		default:
			l.add(ofCall[r.State])
		}
		if r.RefusesKey() {
			l.also = append(l.also, gatewayRefusedKey)
		}
		l.reason = ofGateway(r.Reason)
		if l.code = ""; r.Response.Errors != nil {
			l.code = api.CodeOf(r.Body)
		}
	case d.end.Do == ledger.DoRespond:
		l.add(ofResponse[d.end.Response.Kind])
	case d.end.Do == ledger.DoAcknowledge && len(d.end.Notes) == 0:
		l.add(outcomeSettled)
	}
	if len(d.end.Notes) > 0 && l.reason.Word == "" {
		l.reason.Word = string(d.end.Notes[0])
	}
}

// summarise writes the line. The last outcome is its word; each counts, and the gravest gives the
// level.
func (h *handler) summarise(ctx context.Context, l *line, r api.Response) {
	l.code = cmp.Or(l.code, r.Code)
	level := slog.LevelInfo
	switch {
	case r.Status >= http.StatusInternalServerError:
		level = slog.LevelError
	case r.Status >= http.StatusBadRequest:
		level = slog.LevelWarn
	}
	switch {
	case len(l.outcomes) > 0:
	case r.Status >= http.StatusBadRequest:
		l.add(outcomeRefused)
	default:
		l.add(outcomeResponded)
	}
	counted := slices.Concat(l.reason.Metrics, l.also)
	for _, o := range l.outcomes {
		level = max(level, o.Level)
		counted = append(counted, o.Metrics...)
	}
	var metrics []telemetry.Metric
	for _, m := range counted { // once each: several may count the same
		if !slices.Contains(metrics, m) {
			metrics = append(metrics, m)
		}
	}
	age := telemetry.Metric{Name: "RecordAge", Unit: telemetry.Seconds, Value: l.age.Seconds()}
	lane := ""
	if l.bulk { // a campaign waits for longer than an alarm about other records allows
		age, lane = telemetry.Metric{Name: "BulkRecordAge", Unit: telemetry.Seconds, Value: l.age.Seconds()}, order.LaneBulk
	}
	milliseconds := func(name string, d time.Duration) telemetry.Metric {
		return telemetry.Metric{Name: name, Unit: telemetry.Milliseconds, Value: float64(d.Microseconds()) / 1000}
	}
	metrics = append(metrics,
		telemetry.Metric{Name: "SecretStaleness", Unit: telemetry.Seconds, Value: l.stale.Seconds()},
		// SQS's own age leaves out a message that was received three times (Amazon SQS: "Available
		// CloudWatch metrics for Amazon SQS", ApproximateAgeOfOldestMessage).
		age,
		milliseconds("Duration", h.now().Sub(l.started)),
		milliseconds("GatewayDuration", l.called),
	)
	attrs := []slog.Attr{slog.String("source", string(l.source)), slog.String("outcome", l.outcomes[len(l.outcomes)-1].Word)}
	for _, a := range []struct{ key, value string }{
		{"client", l.client}, {"apiRequestId", l.request}, {"sender", l.sender}, {"lane", lane}, {"reason", l.reason.Word}, {"code", l.code}, {"messageId", l.id}, {"recordId", l.record},
	} {
		if a.value != "" {
			attrs = append(attrs, slog.String(a.key, a.value))
		}
	}
	if r.Status != 0 {
		attrs = append(attrs, slog.Int("status", r.Status))
	}
	if l.err != nil {
		attrs = append(attrs, telemetry.ErrorAttr(l.err))
	}
	if l.fix != "" {
		attrs = append(attrs, telemetry.FixAttr(l.fix))
	}
	h.log.Summary(ctx, level, "send", metrics, attrs...)
}
