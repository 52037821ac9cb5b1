package main

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/aws/aws-lambda-go/lambda/messages"

	"connexease-functions/pkg/api"
	"connexease-functions/pkg/auth"
	"connexease-functions/pkg/gateway"
	"connexease-functions/pkg/queue"
	"connexease-functions/pkg/table"
	"connexease-functions/pkg/telemetry"
)

// handler is the function: an event of one of four sources in, that source's response out.
type handler struct {
	clients       *auth.Credentials
	verifier      *auth.Verifier
	senders       *senders
	table         *table.Table
	queue         queue.Queue
	queueARN      string
	bulk          queue.Queue // of the bulk lane
	bulkARN       string      // empty: there is no such lane
	schedules     schedules
	gateway       *gateway.Client
	log           *telemetry.Log
	retentionDays int
	clientsSecret string // names, for commands that people run
	gatewaySecret string
	now           func() time.Time
	random        io.Reader
	lastRequest   atomic.Value // id of the last HTTP request
}

// schedules puts messages into queues at a time, as pkg/schedule does.
type schedules interface {
	Put(ctx context.Context, id string, at time.Time, queueARN, body string) error
	Remove(ctx context.Context, id string, at time.Time) error
}

// source is where an event comes from, as logs show it.
type source string

const (
	sourceHTTP   source = "http"
	sourceSQS    source = "sqs"
	sourceEvent  source = "event"
	sourceDirect source = "direct"
)

// Invoke implements lambda.Handler.
func (h *handler) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	from, why := discriminate(payload)
	switch from {
	case sourceHTTP:
		return h.serveHTTP(ctx, payload)
	case sourceSQS:
		return h.handleRecords(ctx, payload)
	case sourceEvent:
		return h.forwardEvent(ctx, payload)
	case sourceDirect:
		return h.serveDirect(ctx, payload)
	}
	h.log.Line(ctx, slog.LevelError, "event refused", slog.String("reason", why.reason))
	return nil, messages.InvokeResponse_Error{Type: string(why.failure), Message: why.text}
}

// refusal says why an event is of no source.
type refusal struct {
	reason  string // stable word
	failure api.Failure
	text    string
}

// What is said of an event that is of no source, or of several.
var (
	notJSON  = refusal{"not_json", api.InvalidMessage, "The event is not a JSON object."}
	repeated = refusal{"repeated_member", api.InvalidMessage, "The event has a member twice. Nothing was sent."}
	noKind   = refusal{"no_source", api.InvalidMessage, `The event is none of: an HTTP API request (payload format 2.0), SQS records, an EventBridge event, ` +
		`{"message": {…}, "idempotencyKey": "…"}.`}
	several     = refusal{"ambiguous", api.UnsupportedEvent, "The event has the marks of more than one source. Nothing was sent."}
	otherRecord = refusal{"other_records", api.UnsupportedEvent, "The event has Records of a service other than SQS. Let it go through the outbound queue."}
	otherHTTP   = refusal{"other_http", api.UnsupportedEvent, "The event is an HTTP request of another form. Use an HTTP API with payload format version 2.0."}
)

// discriminate distinguishes the sources by what AWS documents of each event. An event
// with the marks of two is refused: a message must not be sent on a guess.
func discriminate(payload []byte) (from source, why refusal) {
	e, twice := api.Members(payload)
	if e == nil {
		return "", notJSON
	}
	has := func(names ...string) bool {
		for _, name := range names {
			if e[name] == nil {
				return false
			}
		}
		return true
	}
	var found []source
	if has("requestContext") || has("httpMethod") {
		found = append(found, sourceHTTP)
	}
	if has("Records") {
		found = append(found, sourceSQS)
	}
	if has("detail-type", "source", "detail") {
		found = append(found, sourceEvent)
	}
	if has("message") {
		found = append(found, sourceDirect)
	}
	switch {
	case len(twice) > 0 && !slices.Equal(found, []source{sourceDirect}): // an envelope says itself which
		return "", repeated
	case len(found) == 0:
		return "", noKind
	case len(found) > 1:
		return "", several
	case found[0] == sourceHTTP && !isHTTP(e["requestContext"], e["version"]):
		return "", otherHTTP
	case found[0] == sourceSQS:
		if _, err := queue.Read(e["Records"]); err != nil {
			return "", otherRecord
		}
	}
	return found[0], refusal{}
}

// isHTTP: AWS, "Create AWS Lambda proxy integrations for HTTP APIs", payload format 2.0.
func isHTTP(context, version json.RawMessage) bool {
	inner, _ := api.Members(context)
	return api.IsText(version, "2.0") && isObject(inner["http"])
}

func isObject(value json.RawMessage) bool {
	members, _ := api.Members(value)
	return members != nil
}
