package main

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"connexease-functions/pkg/api"
	"connexease-functions/pkg/auth"
	"connexease-functions/pkg/gateway"
	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/telemetry"
)

// reasonInvalid: the request is refused for what it is. The Gateway's refusal of a
// message has a reason of its own.
const reasonInvalid = "invalid_request"

// line is what one request's or record's summary line tells.
type line struct {
	started time.Time
	source  string
	client  string
	record  string // SQS message id
	id      string // msg_…
	outcome string // see outcomeOf
	reason  string // stable word for why
	code    string
	receipt bool
	stale   time.Duration
	age     time.Duration // of a record, from when it was put on the queue to this receive
	called  time.Duration
	result  *gateway.Result
	notes   []ledger.Note
	err     error
	fix     string // what an operator runs; of a secret that cannot be used
}

func (h *handler) begin(source string) line { return line{started: h.now(), source: source} }

// visit takes over what came of a way through the ledger.
func (l *line) visit(v *visit) {
	l.id, l.called, l.result, l.notes = v.request.ID, v.called, v.result, v.end.Notes
	if v.err != nil {
		l.err = v.err
	}
	l.client = cmp.Or(l.client, v.client)
	switch {
	case v.result != nil:
		l.outcome, l.reason = string(v.result.State), string(v.result.Reason)
		if l.code = ""; v.result.Response.Errors != nil {
			l.code = codeOf(v.result.Body)
		}
	case v.end.Do == ledger.DoRespond:
		l.outcome = string(v.end.Response.Kind)
	case v.end.Do == ledger.DoAcknowledge && len(v.end.Notes) > 0:
		l.outcome = string(v.end.Notes[0])
	case v.end.Do == ledger.DoAcknowledge:
		l.outcome = "settled" // by an earlier attempt
	}
	if len(v.end.Notes) > 0 && l.reason == "" {
		l.reason = string(v.end.Notes[0])
	}
}

func (l *line) has(note ledger.Note) bool { return slices.Contains(l.notes, note) }

func (l *line) is(kind gateway.State) bool {
	return l.result != nil && l.result.State == kind && !l.receipt
}

func (h *handler) summarise(ctx context.Context, l *line, answer api.Answer) {
	if l.code == "" {
		l.code = answer.Code
	}
	if l.outcome == "" {
		if l.outcome = "answered"; answer.Status >= http.StatusBadRequest {
			l.outcome = "refused"
		}
	}
	level := slog.LevelInfo
	switch {
	case answer.Status >= 500 || l.is(gateway.Unknown) || l.has(ledger.NoteOutcomeLost):
		level = slog.LevelError
	case answer.Status >= 400 || l.outcome == "refused" || l.outcome == "later":
		level = slog.LevelWarn
	}
	count := func(name string, is bool) telemetry.Metric {
		m := telemetry.Metric{Name: name, Unit: telemetry.Count}
		if is {
			m.Value = 1
		}
		return m
	}
	milliseconds := func(name string, d time.Duration) telemetry.Metric {
		return telemetry.Metric{Name: name, Unit: telemetry.Milliseconds, Value: float64(d.Microseconds()) / 1000}
	}
	metrics := []telemetry.Metric{
		count("Sent", l.is(gateway.Accepted)),
		count("Rejected", l.is(gateway.Rejected)),
		count("NotSent", l.is(gateway.Released)),
		count("OutcomeUnknown", l.is(gateway.Unknown)),
		count("Receipts", l.receipt && l.result != nil),
		count("Queued", l.outcome == string(ledger.Accepted202)),
		count("Replayed", l.outcome == string(ledger.Stored)),
		// Of NotSent, what the Gateway, or Meta behind it, asked to slow down for. Records that went back without a call,
		// because it had just asked for a pause, are counted apart.
		count("RateLimited", l.is(gateway.Released) && limited(*l.result)),
		count("RecordsDeferred", l.result == nil && l.reason == string(gateway.ReasonRateLimited)),
		count("GatewayRefusedKey", l.result != nil && refusesKey(*l.result)),
		count("PaymentRequired", l.reason == string(gateway.ReasonPaymentRequired)),
		count("RecordsLater", l.outcome == "later"),
		count("RecordsRefused", l.record != "" && l.outcome == "refused"),
		count("RecordsExpired", l.has(ledger.NoteExpired) || l.outcome == "expired"),
		count("RecordsHeld", l.has(ledger.NoteHeld)),
		count("RecordsWithoutRow", l.has(ledger.NoteNoRow) || l.has(ledger.NoteNotQueued)),
		count("OutcomeLost", l.has(ledger.NoteOutcomeLost)),
		count("RowGone", l.has(ledger.NoteRowGone)),
		count("TableUnavailable", l.has(ledger.NoteTableFailed)),
		count("TooLate", l.has(ledger.NoteNoTime)),
		count("QueueUnavailable", l.reason == "queue_unavailable" || l.outcome == string(ledger.QueueFailed)),
		count("SecretUnavailable", slices.Contains([]string{"api_key_unavailable", "clients_unavailable", "clients_invalid", string(gateway.ReasonBadKey)}, l.reason)),
		count("RefusedNoToken", l.reason == auth.ReasonNoToken),
		count("RefusedMalformedToken", l.reason == auth.ReasonMalformedToken),
		count("RefusedWrongToken", l.reason == auth.ReasonWrongToken),
		count("RefusedMessage", l.reason == reasonInvalid),
		{Name: "SecretStaleness", Unit: telemetry.Seconds, Value: l.stale.Seconds()},
		// SQS's own age leaves out a message that was received three times (Amazon SQS: "Available
		// CloudWatch metrics for Amazon SQS", ApproximateAgeOfOldestMessage).
		{Name: "RecordAge", Unit: telemetry.Seconds, Value: l.age.Seconds()},
		milliseconds("Duration", h.now().Sub(l.started)),
		milliseconds("GatewayDuration", l.called),
	}
	attrs := []slog.Attr{slog.String("source", l.source), slog.String("outcome", l.outcome)}
	for _, a := range []struct{ key, value string }{
		{"client", l.client}, {"reason", l.reason}, {"code", l.code}, {"messageId", l.id}, {"recordId", l.record},
	} {
		if a.value != "" {
			attrs = append(attrs, slog.String(a.key, a.value))
		}
	}
	if answer.Status != 0 {
		attrs = append(attrs, slog.Int("status", answer.Status))
	}
	if l.err != nil {
		attrs = append(attrs, telemetry.ErrorAttr(l.err))
	}
	if l.fix != "" {
		attrs = append(attrs, telemetry.FixAttr(l.fix))
	}
	h.log.Summary(ctx, level, "send", metrics, attrs...)
}
