package api

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"

	"connexease-functions/pkg/gateway"
)

// Response is what a function returns to API Gateway (payload format 2.0).
type Response struct {
	Status  int               `json:"statusCode"`
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
	// Base64: Body is, because a large one must not grow by the escapes of JSON.
	Base64 bool `json:"isBase64Encoded,omitempty"`
	// Failure names a failure for Step Functions; empty for a success.
	Failure Failure `json:"-"`
	// Code is the error code that Body has; empty for a success.
	Code string `json:"-"`
	// Foreign: the body is in the Gateway's words.
	Foreign bool `json:"-"`
}

// Failure is the name of a Lambda error, for the Retry and Catch of Step Functions.
type Failure string

// The names of failures. InFlight, GatewayUnavailable, ServiceUnavailable and
// RateLimited are safe to repeat under the same key.
const (
	InvalidMessage     Failure = "InvalidMessage"
	InFlight           Failure = "InFlight"
	OutcomeUnknown     Failure = "OutcomeUnknown"
	GatewayUnavailable Failure = "GatewayUnavailable"
	ServiceUnavailable Failure = "ServiceUnavailable"
	PaymentRequired    Failure = "PaymentRequired"
	RateLimited        Failure = "RateLimited"
	Rejected           Failure = "Rejected"
	WindowIsClosed     Failure = "WindowClosed"
	HasOptedOut        Failure = "OptedOut"
	// UnsupportedEvent: the function was invoked by a service that it does not serve.
	UnsupportedEvent Failure = "UnsupportedEvent"
)

// Code names one of our own failures. The Gateway's own codes pass through.
type Code string

// Our own failures. AUTH codes are the Gateway's, used with its meaning.
const (
	WrongToken       Code = "AUTH_001" // #nosec G101 -- a code, not a token
	NoToken          Code = "AUTH_002" // #nosec G101 -- a code, not a token
	MalformedToken   Code = "AUTH_003" // #nosec G101 -- a code, not a token
	MayNotRead       Code = "AUTH_006"
	MalformedRequest Code = "REQ_001"
	RequestTooLarge  Code = "REQ_002"
	NoSuchMessage    Code = "REQ_003"
	BrokenLimits     Code = "MSG_001"
	UnknownSender    Code = "SENDER_001"
	KeyInFlight      Code = "IDEM_001"
	KeyReused        Code = "IDEM_002"
	MalformedKey     Code = "IDEM_003"
	WindowClosed     Code = "WINDOW_001"
	OptedOut         Code = "OPTOUT_001"
	Uncertain        Code = "SEND_001"
	NotReached       Code = "SEND_002"
	RefusedUnread    Code = "SEND_003" // its status is the Gateway's
	Expired          Code = "SEND_004"
	Withdrawn        Code = "SEND_005"
	CancelTooLate    Code = "CANCEL_001"
	SecretMissing    Code = "SVC_001"
	TableUnavailable Code = "SVC_002"
	APIKeyRefused    Code = "SVC_003"
	QueueUnconfirmed Code = "SVC_004"
	Unscheduled      Code = "SVC_005"
)

// failures is the one table of our failures: what each code means on the wire.
var failures = map[Code]struct {
	status             int
	failure            Failure
	group, description string
}{
	WrongToken:       {http.StatusUnauthorized, InvalidMessage, "UNAUTHORIZED", "The bearer token is not accepted."},
	NoToken:          {http.StatusUnauthorized, InvalidMessage, "UNAUTHORIZED", "The Authorization header is missing."},
	MalformedToken:   {http.StatusUnauthorized, InvalidMessage, "UNAUTHORIZED", "The Authorization header is not of the form: Bearer <token>."},
	MayNotRead:       {http.StatusForbidden, InvalidMessage, "FORBIDDEN", `This client may not read conversations. Its entry in the client keys needs "read": "all".`},
	MalformedRequest: {http.StatusBadRequest, InvalidMessage, "BAD_REQUEST", "The request body cannot be decoded."},
	RequestTooLarge:  {http.StatusRequestEntityTooLarge, InvalidMessage, "PAYLOAD_TOO_LARGE", "The request body is larger than 4 MiB."},
	NoSuchMessage:    {http.StatusNotFound, InvalidMessage, "NOT_FOUND", "There is no such message."},
	BrokenLimits:     {http.StatusBadRequest, InvalidMessage, "BAD_REQUEST", "The message breaks limits that are known; params says which, and what would be right."},
	UnknownSender:    {http.StatusForbidden, InvalidMessage, "FORBIDDEN", "This installation has no such sender, or your client key sends from a different one. Nothing was sent."},
	KeyInFlight:      {http.StatusConflict, InFlight, "CONFLICT", "A request with this idempotency key is under way. Repeat it after Retry-After seconds."},
	KeyReused:        {http.StatusUnprocessableEntity, InvalidMessage, "UNPROCESSABLE_ENTITY", "This idempotency key belongs to another request. Nothing was sent."},
	MalformedKey:     {http.StatusBadRequest, InvalidMessage, "BAD_REQUEST", "An idempotency key has 1 to 255 visible ASCII characters."},
	WindowClosed:     {http.StatusConflict, WindowIsClosed, "CONFLICT", "WhatsApp delivers free text only within 24 hours of the person's last message or call, and params say when that was. Nothing was sent, and the key is free: send a template."},
	OptedOut:         {http.StatusConflict, HasOptedOut, "CONFLICT", "The person wants no marketing messages, and params say since when. Nothing was sent, and the key is free. Messages of other purposes are sent."},
	Uncertain:        {http.StatusGatewayTimeout, OutcomeUnknown, "GATEWAY_TIMEOUT", "Nobody can tell yet whether the message left, so it is not sent again. Its status callback settles it: look it up by params.id."},
	NotReached:       {http.StatusServiceUnavailable, GatewayUnavailable, "SERVICE_UNAVAILABLE", "The Gateway was not reached. Nothing was sent; it is safe to repeat the request."},
	RefusedUnread:    {http.StatusBadGateway, Rejected, "REJECTED", "The Gateway refused the message, and gave no reason that can be read."},
	Expired:          {http.StatusGone, Rejected, "GONE", "The message's validity ended before it could be sent. It was not sent."},
	Withdrawn:        {http.StatusGone, Rejected, "GONE", "The message was cancelled before it was sent. It was not sent, and its key sends nothing any more."},
	CancelTooLate:    {http.StatusConflict, InvalidMessage, "CONFLICT", "The message can no longer be cancelled; params say in what state it is."},
	SecretMissing:    {http.StatusServiceUnavailable, ServiceUnavailable, "SERVICE_UNAVAILABLE", "A secret of this installation is not available. Its log says what to run."},
	TableUnavailable: {http.StatusServiceUnavailable, ServiceUnavailable, "SERVICE_UNAVAILABLE", "The table is not available."},
	APIKeyRefused:    {http.StatusServiceUnavailable, ServiceUnavailable, "SERVICE_UNAVAILABLE", "The Gateway refused this installation's API key. Nothing was sent; your own key is fine."},
	QueueUnconfirmed: {http.StatusServiceUnavailable, ServiceUnavailable, "SERVICE_UNAVAILABLE", "The queue did not confirm the message. Repeat the request with the same idempotency key."},
	Unscheduled:      {http.StatusServiceUnavailable, ServiceUnavailable, "SERVICE_UNAVAILABLE", "EventBridge Scheduler did not confirm the message's time. Repeat the request with the same idempotency key."},
}

// Success responds 200 with data, which must marshal to JSON.
func Success(data any) Response { return Succeed(http.StatusOK, data) }

// Succeed responds with a status of success and data, which must marshal to JSON.
func Succeed(status int, data any) Response {
	return respond(status, struct { // gateway.Response, without marshalling data twice
		IsSuccess bool `json:"isSuccess"`
		Data      any  `json:"data"`
	}{true, data})
}

// Fail responds with one of our failures in the unified response. A description, where
// given, replaces the code's own; params may be nil.
func Fail(code Code, description string, params map[string]any) Response {
	f := failures[code]
	if description == "" {
		description = f.description
	}
	a := respond(f.status, gateway.Response{Errors: &gateway.Error{
		Code: string(code), Group: f.group, Description: description, Params: params,
	}})
	a.Code, a.Failure = string(code), f.failure
	switch f.status {
	case http.StatusUnauthorized:
		a.Headers["www-authenticate"] = "Bearer"
	case http.StatusServiceUnavailable:
		a.Headers["retry-after"] = "5"
	}
	return a
}

// large is the length of a body from which it is sent as base64, which adds a third at most. A
// response of Lambda has 6 MB (AWS Lambda: Quotas), escapes included.
const large = 1 << 20

// Packed returns a response that fits into that of Lambda, whatever a body of up to 4.5 MiB holds.
func (r Response) Packed() Response {
	if len(r.Body) > large {
		r.Body, r.Base64 = base64.StdEncoding.EncodeToString([]byte(r.Body)), true
	}
	return r
}

func headers() map[string]string {
	return map[string]string{"content-type": "application/json", "cache-control": "no-store"}
}

func respond(status int, r any) Response {
	return Response{Status: status, Headers: headers(), Body: marshal(r)}
}

// marshal leaves < and > as they are: responses have commands that people copy.
func marshal(v any) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // types of ours marshal
	}
	return strings.TrimSuffix(b.String(), "\n")
}
