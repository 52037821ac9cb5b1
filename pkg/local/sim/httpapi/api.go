// Package httpapi simulates an API Gateway HTTP API in front of local Lambda functions: its routes,
// its events in payload format 2.0, and its responses.
package httpapi

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"connexease-functions/pkg/local/sim/lambda"
)

// Limits of an HTTP API (AWS: Quotas for configuring and running an HTTP API). They cannot be
// raised.
const (
	maxBody          = 10 << 20
	integrationLimit = 30 * time.Second
)

// Exchange is one finished request, for the line that the stack prints and for tests.
type Exchange struct {
	Time              time.Time
	Method, Path      string
	RouteKey          string // empty for an unknown route
	Status            int
	Duration          time.Duration
	RequestHeaders    http.Header
	Response          []byte
	ResponseHeaders   http.Header
	RequestID         string // API Gateway's, as in the response's apigw-requestid
	FunctionRequestID string // Lambda's, as in the function's logs; empty if the function was not reached
	Body              []byte // of the request
}

// accountID is the account of the functions' ARNs.
const accountID = "123456789012"

// API is an HTTP API in front of functions, with the $default stage.
type API struct {
	routes  []route
	observe func(Exchange)
	now     func() time.Time
	limit   time.Duration
}

// New returns an HTTP API with routes. observe, if not nil, is called for each request before the
// last bytes of the response are sent, so that a client that has the response finds it observed; it
// must not block.
func New(routes []Route, observe func(Exchange)) *API {
	return &API{routes: compile(routes), observe: observe, now: time.Now, limit: integrationLimit}
}

// ServeHTTP implements http.Handler.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := Exchange{Time: a.now(), Method: r.Method, Path: r.URL.Path, RequestHeaders: r.Header, RequestID: newRequestID()}
	response := a.serve(w, r, &x)
	w.Header()["Apigw-Requestid"] = []string{x.RequestID}
	response.write(w)
	if a.observe != nil {
		x.Status, x.Response, x.ResponseHeaders, x.Duration = response.status, response.body, w.Header(), a.now().Sub(x.Time)
		a.observe(x)
	}
}

func (a *API) serve(w http.ResponseWriter, r *http.Request, x *Exchange) answer {
	route, parameters := find(a.routes, r.Method, r.URL.Path)
	if route == nil {
		return message(http.StatusNotFound, "Not Found")
	}
	x.RouteKey = route.key
	if r.ContentLength > maxBody {
		return message(http.StatusRequestEntityTooLarge, "Request Entity Too Large")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	x.Body = body
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return message(http.StatusRequestEntityTooLarge, "Request Entity Too Large")
	}
	if err != nil {
		return message(http.StatusBadRequest, "Bad Request")
	}
	payload, err := newEvent(r, route, parameters, body, x.RequestID, x.Time)
	if err != nil {
		return internalError()
	}
	// As in AWS, the invocation continues after its client has gone; only the integration's timeout
	// ends the wait.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), a.limit)
	defer cancel()
	result, err := route.Function.Invoke(ctx, payload)
	x.FunctionRequestID = result.RequestID
	switch {
	case errors.Is(err, lambda.ErrTooLarge):
		return message(http.StatusRequestEntityTooLarge, "Request Entity Too Large")
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, lambda.ErrClosed):
		return message(http.StatusServiceUnavailable, "Service Unavailable")
	case err != nil, result.FunctionError != "":
		return internalError()
	}
	return readReply(result.Payload)
}
