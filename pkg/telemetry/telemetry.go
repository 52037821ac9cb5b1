// Package telemetry writes the log lines and metrics of a function so that no
// token and no personal data can get into them: what is written is on a list.
package telemetry

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net"
	"syscall"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/smithy-go"
)

// Namespace of all metrics.
const Namespace = "Connexease"

// allowed are the keys that may be written. Values are counts, durations, ids of
// requests, words from fixed sets, names of clients and senders, and ids that say nothing of a
// person: a send's own (msg_…), an SQS record's. Never a wamid: it holds a phone number.
var allowed = map[string]bool{
	slog.TimeKey: true, slog.LevelKey: true, slog.MessageKey: true,
	"requestId": true, "apiRequestId": true, "fix": true, "FunctionName": true, "_aws": true,
	"outcome": true, "reason": true, "status": true, "error": true, "operation": true,
	"events": true, "bytes": true,
	"source": true, "client": true, "sender": true, "lane": true, "code": true, "messageId": true, "recordId": true,
}

// Keys returns the keys that log lines may have, by slog's names.
func Keys() map[string]bool { return maps.Clone(allowed) }

// Unit of a metric (Amazon CloudWatch: MetricDatum).
type Unit string

// Units in use.
const (
	Count        Unit = "Count"
	Milliseconds Unit = "Milliseconds"
	Seconds      Unit = "Seconds"
)

// Metric is one value of a summary line.
type Metric struct {
	Name  string
	Unit  Unit
	Value float64
}

// Log writes JSON lines in the shape of Lambda's own, metrics in CloudWatch's
// embedded metric format among them.
type Log struct {
	slog     *slog.Logger
	function string
	now      func() time.Time
}

// New returns a Log to w. function is the only metric dimension, FunctionName.
func New(w io.Writer, function string, now func() time.Time) *Log {
	handler := slog.NewJSONHandler(w, &slog.HandlerOptions{ReplaceAttr: filter})
	return &Log{slog.New(handler), function, now}
}

// filter renames slog's keys to Lambda's and drops what is not on the list.
// Metrics pass by their type, because their names are constants in the code.
func filter(groups []string, a slog.Attr) slog.Attr {
	if len(groups) > 0 {
		return slog.Attr{}
	}
	if _, ok := a.Value.Any().(metricValue); ok {
		return slog.Attr{Key: a.Key, Value: slog.Float64Value(float64(a.Value.Any().(metricValue)))}
	}
	if !allowed[a.Key] {
		return slog.Attr{}
	}
	switch a.Key {
	case slog.TimeKey:
		return slog.String("timestamp", a.Value.Time().UTC().Format("2006-01-02T15:04:05.000Z"))
	case slog.MessageKey:
		a.Key = "message"
	}
	return a
}

type metricValue float64

type metricDirective struct {
	Timestamp         int64 `json:"Timestamp"`
	CloudWatchMetrics [1]struct {
		Namespace  string
		Dimensions [1][1]string
		Metrics    []metricName
	}
}

type metricName struct {
	Name string
	Unit Unit
}

// Summary writes one line with attributes and metrics. Metrics of value zero are
// left out: CloudWatch charges for a metric only in the hours in which it came.
func (l *Log) Summary(ctx context.Context, level slog.Level, message string, metrics []Metric, attrs ...slog.Attr) {
	var d metricDirective
	d.Timestamp = l.now().UnixMilli()
	directive := &d.CloudWatchMetrics[0]
	directive.Namespace = Namespace
	directive.Dimensions[0][0] = "FunctionName"
	for _, m := range metrics {
		if m.Value != 0 {
			directive.Metrics = append(directive.Metrics, metricName{m.Name, m.Unit})
			attrs = append(attrs, slog.Any(m.Name, metricValue(m.Value)))
		}
	}
	if directive.Metrics != nil {
		attrs = append(attrs, slog.String("FunctionName", l.function), slog.Any("_aws", &d))
	}
	l.Line(ctx, level, message, attrs...)
}

// Line writes one line.
func (l *Log) Line(ctx context.Context, level slog.Level, message string, attrs ...slog.Attr) {
	if lc, ok := lambdacontext.FromContext(ctx); ok {
		attrs = append(attrs, slog.String("requestId", lc.AwsRequestID))
	}
	l.slog.LogAttrs(ctx, level, message, attrs...)
}

// FixAttr says what an operator runs to fix a failure. It holds no secret's value.
func FixAttr(command string) slog.Attr { return slog.String("fix", command) }

// ErrorAttr describes an error by its AWS error code or its kind only: messages of
// errors may quote what was sent.
func ErrorAttr(err error) slog.Attr {
	var api smithy.APIError
	switch {
	case err == nil:
		return slog.Attr{}
	case errors.As(err, &api):
		return slog.String("error", api.ErrorCode())
	case errors.Is(err, context.DeadlineExceeded):
		return slog.String("error", "DeadlineExceeded")
	case errors.Is(err, context.Canceled):
		return slog.String("error", "Canceled")
	}
	var dns *net.DNSError
	var certificate *tls.CertificateVerificationError
	var network net.Error
	word := "Other"
	switch {
	case errors.As(err, &dns):
		word = "DNS"
	case errors.As(err, &certificate):
		word = "Certificate"
	case errors.Is(err, syscall.ECONNREFUSED):
		word = "ConnectionRefused"
	case errors.As(err, &network) && network.Timeout():
		word = "Timeout"
	case errors.As(err, &network):
		word = "Unreachable"
	}
	return slog.String("error", word)
}
