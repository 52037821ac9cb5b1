package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/lambda/messages"

	"connexease-functions/pkg/api"
	"connexease-functions/pkg/auth"
	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/secret"
)

const (
	// answerMargin is left for the way from the function to API Gateway.
	answerMargin = time.Second
	// httpLimit is when API Gateway must have the answer, counted from its receipt: it
	// gives up at 30 s (AWS: Quotas for HTTP APIs).
	httpLimit = 29 * time.Second
	// plausible bounds how old a request's own time may be: beyond, clocks differ.
	plausible = 30 * time.Second
)

// The routes, as in template.yaml.
const (
	routeSend   = "POST /v1/wa/message"
	routeByID   = "GET /v1/wa/message/{id}"
	routeLookUp = "GET /v1/wa/message"
)

func (h *handler) http(ctx context.Context, payload []byte) ([]byte, error) {
	l := h.begin(sourceHTTP)
	request, err := api.ReadRequest(payload)
	if err != nil {
		return nil, messages.InvokeResponse_Error{Type: string(api.UnsupportedEvent), Message: otherHTTP.text}
	}
	answer := h.serve(ctx, request, &l)
	h.summarise(ctx, &l, answer)
	return json.Marshal(answer)
}

func (h *handler) serve(ctx context.Context, r api.Request, l *line) api.Answer {
	who, err := h.verifier.Verify(ctx, r.Header("authorization"))
	if err != nil {
		return h.unverified(err, l)
	}
	l.client, l.stale = who.Name, who.Stale
	switch r.RouteKey {
	case routeSend:
		return h.take(ctx, r, who.Name, l)
	case routeByID:
		return h.lookUp(ctx, who.Name, lookup{id: r.Path["id"]}, l)
	case routeLookUp:
		// A + that was not escaped is read as a space, and an id of WhatsApp has none.
		wamid := strings.ReplaceAll(r.Query["wamid"], " ", "+")
		return h.lookUp(ctx, who.Name, lookup{
			wamid: wamid, record: r.Query["sqs_message_id"], key: r.Query["idempotency_key"], scope: r.Query["scope"],
		}, l)
	}
	return api.Fail(api.NoSuchMessage, "There is no such route.", nil)
}

func (h *handler) unverified(err error, l *line) api.Answer {
	if code, reason := auth.Refusal(err); code != "" {
		l.reason = reason
		return api.Fail(api.Code(code), "", nil)
	}
	l.reason, l.err = "clients_unavailable", err
	put := fmt.Sprintf(`aws secretsmanager put-secret-value --secret-id %s --secret-string file:///dev/stdin, then paste {"<client>":"<48 random characters>"}, Enter, Ctrl-D.`, h.clientsSecret)
	switch {
	case errors.Is(err, auth.ErrClients):
		l.reason = "clients_invalid"
		l.fix = "The client keys are not valid JSON of names and keys. Put them in: " + put
	case errors.Is(err, secret.ErrMissing):
		l.fix = "There are no client keys. Put them in: " + put
	default:
		l.fix = fmt.Sprintf("The client keys cannot be read. See why: "+
			"aws secretsmanager get-secret-value --secret-id %s --query CreatedDate", h.clientsSecret)
	}
	return api.Fail(api.SecretMissing, "", nil) // to a stranger, as far as anybody knows
}

// take takes one message: check, claim, send, settle.
func (h *handler) take(ctx context.Context, r api.Request, client string, l *line) api.Answer {
	o, bad := readOrder(r)
	if bad != nil {
		l.reason = reasonInvalid
		return *bad
	}
	o.client, o.scope = client, "http/"+client
	v := visit{about: o.about(), request: ledger.Request{Source: ledger.Sync}}
	v.request.RespondBy, v.request.ProcessEnds = h.deadlines(ctx, r)
	if o.summary.Receipt {
		return h.receipt(ctx, &o, &v, l)
	}
	if prefersAsync(r.Header("prefer")) {
		v.request.Source = ledger.Async
	} else if answer := h.fetchKey(ctx, &v, l); answer != nil {
		return *answer
	}
	h.identify(&o, &v)
	h.deliver(ctx, &v)
	answer := h.tell(&v)
	if v.end.Response.Kind == ledger.Accepted202 {
		answer.Headers["preference-applied"] = "respond-async"
	}
	l.visit(&v)
	return answer
}

// readOrder reads a request whose body is the message itself.
func readOrder(r api.Request) (order, *api.Answer) {
	var o order
	body, err := r.Body()
	if errors.Is(err, api.ErrTooLarge) {
		a := api.Fail(api.RequestTooLarge, "The message is larger than 256 KiB.", nil)
		return o, &a
	}
	if err != nil {
		a := api.Fail(api.MalformedRequest, "", nil)
		return o, &a
	}
	f := faults{}
	if bad := o.read(body, f); bad != nil {
		return o, bad
	}
	checkSpelling(r, f)
	for _, name := range slices.Sorted(maps.Keys(r.Query)) {
		is := strings.EqualFold(r.Query[name], "true")
		if name != "is_fake" && name != "mmlite" {
			continue
		}
		// An empty value is refused too: who writes ?is_fake wants no real message.
		if !is && !strings.EqualFold(r.Query[name], "false") {
			f.add(name, "true or false")
		}
		if name == "is_fake" {
			o.isFake = is
		} else {
			o.mmlite = is
		}
	}
	o.setOnUnknown(strings.ToLower(r.Header("on-unknown")), "On-Unknown", f)
	o.setValidFor(r.Header("valid-for"), "Valid-For", f)
	if bad := f.verdict(); bad != nil {
		return o, bad
	}
	if key, there := r.HasHeader("idempotency-key"); there {
		if !ledger.ValidKey(key) {
			a := api.Fail(api.MalformedKey, "", nil)
			return o, &a
		}
		// API Gateway joins a header that is given twice: a, a is no key of its own.
		if strings.Contains(key, ",") {
			a := api.Fail(api.MalformedKey, "An Idempotency-Key header is given once, and has no comma.", nil)
			return o, &a
		}
		o.key = key
	}
	return o, nil
}

// prefersAsync reads a Prefer header (RFC 7240): preferences with parameters, in a list.
func prefersAsync(header string) bool {
	for preference := range strings.SplitSeq(header, ",") {
		name, _, _ := strings.Cut(preference, ";")
		if strings.EqualFold(strings.TrimSpace(name), "respond-async") {
			return true
		}
	}
	return false
}

// identify gives a request its id, fingerprint and attempt token.
func (h *handler) identify(o *order, v *visit) {
	r := &v.request
	var err error
	if r.Token, err = ledger.NewToken(h.random); err == nil {
		if r.Keyed = o.key != ""; r.Keyed {
			r.ID = ledger.ID(o.scope, o.key)
		} else {
			r.ID, err = ledger.RandomID(h.random)
		}
	}
	if err != nil {
		panic(err) // crypto/rand ends the program instead
	}
	v.opaque = o.summary.HasOpaque
	r.Client, r.Payload, r.IsFake, r.MMLite = o.client, o.body, o.isFake, o.mmlite
	r.Fingerprint, r.OnUnknown, r.ValidFor = o.fingerprint(), o.onUnknown, o.validFor
	r.RetentionDays = h.retentionDays
}

// fetchKey gets the API key before anything is claimed.
func (h *handler) fetchKey(ctx context.Context, v *visit, l *line) *api.Answer {
	key, stale, err := h.apiKey.cache.Get(ctx)
	if err != nil {
		l.reason, l.err = "api_key_unavailable", err
		a := h.keyFailed(err)
		l.fix = h.keyFix(err)
		return &a
	}
	v.key, l.stale = key, max(l.stale, stale)
	return nil
}

// deadlines returns when an HTTP request's answer must be on its way, and when its
// process ends.
func (h *handler) deadlines(ctx context.Context, r api.Request) (answerBy, processEnds time.Time) {
	processEnds = h.processEnds(ctx)
	answerBy = processEnds.Add(-answerMargin)
	now := h.now()
	// sam local gives one id and one time to all requests of a process.
	frozen := r.ID != "" && h.lastRequest.Swap(r.ID) == r.ID
	if age := now.Sub(r.Received); age > 0 && age < plausible && !frozen {
		if limit := r.Received.Add(httpLimit); limit.Before(answerBy) {
			answerBy = limit
		}
	}
	return answerBy, processEnds
}

func (h *handler) processEnds(ctx context.Context) time.Time {
	if end, ok := ctx.Deadline(); ok {
		return end
	}
	return h.now().Add(ledger.ClaimNeeds + 2*answerMargin) // not under Lambda
}
