package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/lambda/messages"

	"connexease-functions/pkg/api"
	"connexease-functions/pkg/auth"
	"connexease-functions/pkg/conversation"
	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/order"
	"connexease-functions/pkg/secret"
)

// The routes, as in template.yaml.
const (
	routeSend   = "POST /v1/wa/message"
	routeByID   = "GET /v1/wa/message/{id}"
	routeLookUp = "GET /v1/wa/message"
	routeCancel = "DELETE /v1/wa/message/{id}"

	routeConversation = "GET /v1/wa/conversation/{contact}"
	routeGroup        = "GET /v1/wa/conversation/group/{id}"
	routeEvent        = "GET /v1/wa/event"
)

// serveHTTP serves a request of a client: read, check, deliver, respond.
func (h *handler) serveHTTP(ctx context.Context, payload []byte) ([]byte, error) {
	l := h.begin(sourceHTTP)
	request, err := api.ReadRequest(payload)
	if err != nil {
		return nil, messages.InvokeResponse_Error{Type: string(api.UnsupportedEvent), Message: otherHTTP.text}
	}
	l.request = request.ID
	var response api.Response
	if client, err := h.verifier.Verify(ctx, request.Header("authorization")); err != nil {
		response = h.unverified(err, &l)
	} else {
		l.client, l.stale = client.Name, client.Stale
		response = h.route(ctx, request, client, &l)
	}
	h.summarise(ctx, &l, response)
	return json.Marshal(response)
}

// route does what the request's route stands for.
func (h *handler) route(ctx context.Context, r api.Request, client auth.Result, l *line) api.Response {
	switch r.RouteKey {
	case routeSend:
		o, refused := order.FromHTTP(r, client.Name)
		if refused != nil {
			l.reason = reasonInvalid
			return *refused
		}
		d := delivery{order: o, bound: client.Sender, request: ledger.Request{Source: ledger.Sync}}
		if o.Async {
			d.request.Source = ledger.Async
		}
		d.request.RespondBy, d.request.ProcessEnds = h.deadlines(ctx, r)
		return h.deliver(ctx, &d, l)
	case routeByID:
		return h.lookUp(ctx, client.Name, lookup{id: r.Path["id"]}, l)
	case routeCancel:
		return h.cancel(ctx, client.Name, r.Path["id"], l)
	case routeConversation:
		return h.converse(ctx, client, conversation.Ask{Contact: r.Path["contact"]}, r.Query, l)
	case routeGroup:
		return h.converse(ctx, client, conversation.Ask{GroupID: r.Path["id"]}, r.Query, l)
	case routeEvent:
		return h.event(ctx, client, r.Query["pk"], r.Query["sk"], l)
	case routeLookUp:
		if _, given := r.Query["state"]; given {
			return h.list(ctx, client.Name, r.Query, l)
		}
		// A + that was not escaped is read as a space, and an id of WhatsApp has none.
		wamid := strings.ReplaceAll(r.Query["wamid"], " ", "+")
		return h.lookUp(ctx, client.Name, lookup{
			wamid: wamid, record: r.Query["sqs_message_id"], key: r.Query["idempotency_key"], scope: r.Query["scope"],
		}, l)
	}
	return api.Fail(api.NoSuchMessage, "There is no such route.", nil)
}

// unverified responds to a caller that is not a known client, as far as that can be known.
func (h *handler) unverified(err error, l *line) api.Response {
	if code, why := auth.Refusal(err); code != "" {
		l.reason = ofRefusal[why]
		return api.Fail(code, "", nil)
	}
	l.reason, l.err = reasonClients, err
	put := fmt.Sprintf(`aws secretsmanager put-secret-value --secret-id %s --secret-string file:///dev/stdin, then paste {"<client>":"<48 random characters>"}, Enter, Ctrl-D.`, h.clientsSecret)
	switch {
	case errors.Is(err, auth.ErrClients):
		l.reason = reasonClientsBroken
		l.fix = "The client keys are not valid JSON of names and keys. Put them in: " + put
	case errors.Is(err, secret.ErrMissing):
		l.fix = "No client keys are set. Put them in: " + put
	default:
		l.fix = fmt.Sprintf("The client keys cannot be read. See why: "+
			"aws secretsmanager get-secret-value --secret-id %s --query CreatedDate", h.clientsSecret)
	}
	return api.Fail(api.SecretMissing, "", nil) // without the fix, which is not for strangers
}

// deadlines returns when an HTTP request's response must be on its way, and when its
// process ends.
func (h *handler) deadlines(ctx context.Context, r api.Request) (respondBy, processEnds time.Time) {
	processEnds = h.processEnds(ctx)
	respondBy = processEnds.Add(-answerMargin)
	now := h.now()
	// sam local gives one id and one time to all requests of a process.
	frozen := r.ID != "" && h.lastRequest.Swap(r.ID) == r.ID
	if age := now.Sub(r.Received); age > 0 && age < plausible && !frozen {
		if limit := r.Received.Add(httpLimit); limit.Before(respondBy) {
			respondBy = limit
		}
	}
	return respondBy, processEnds
}
