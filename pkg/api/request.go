// Package api turns API Gateway's HTTP API events into requests, and what came of them into
// the Gateway's unified response.
package api

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// MaxBody is the largest body accepted, in bytes. WhatsApp's largest is 3 MB (WhatsApp
// Cloud API: Webhooks); Lambda accepts events of 6 MB, base64 included.
const MaxBody = 4 << 20

// Errors of Body.
var (
	ErrTooLarge = errors.New("body is larger than 4 MiB")
	ErrBase64   = errors.New("body is not the base64 that the event says it is")
)

// Request is the part of an HTTP API event (payload format 2.0) that the functions
// use.
type Request struct {
	RouteKey string
	Path     map[string]string
	Query    map[string]string
	Received time.Time // when API Gateway accepted the request; zero where the event does not say
	ID       string    // API Gateway's id of the request
	header   map[string]string
	body     string
	base64   bool
}

type event struct {
	Version        string            `json:"version"`
	RouteKey       string            `json:"routeKey"`
	Headers        map[string]string `json:"headers"`
	Query          map[string]string `json:"queryStringParameters"`
	Path           map[string]string `json:"pathParameters"`
	Body           string            `json:"body"`
	Base64         bool              `json:"isBase64Encoded"`
	RequestContext struct {
		HTTP      *struct{ Method string } `json:"http"`
		TimeEpoch int64                    `json:"timeEpoch"`
		RequestID string                   `json:"requestId"`
	} `json:"requestContext"`
}

// ErrNotHTTP says that an event is not one of an HTTP API.
var ErrNotHTTP = errors.New("event is not an API Gateway HTTP API event of payload format 2.0")

// ReadRequest reads a Lambda event. It returns ErrNotHTTP for any other event.
func ReadRequest(payload []byte) (Request, error) {
	var e event
	if err := json.Unmarshal(payload, &e); err != nil {
		return Request{}, ErrNotHTTP
	}
	if e.Version != "2.0" || e.RequestContext.HTTP == nil {
		return Request{}, ErrNotHTTP
	}
	r := Request{RouteKey: e.RouteKey, Path: e.Path, Query: e.Query, ID: e.RequestContext.RequestID, header: e.Headers, body: e.Body, base64: e.Base64}
	if e.RequestContext.TimeEpoch > 0 {
		r.Received = time.UnixMilli(e.RequestContext.TimeEpoch)
	}
	return r, nil
}

// Header returns a header's value by its name in any case: API Gateway's names are
// in lower case, those of sam local in Title-Case.
func (r Request) Header(name string) string {
	v, _ := r.HasHeader(name)
	return v
}

// HasHeader is Header, and distinguishes an empty value from none.
func (r Request) HasHeader(name string) (value string, there bool) {
	if v, ok := r.header[strings.ToLower(name)]; ok {
		return v, true
	}
	for k, v := range r.header {
		if strings.EqualFold(k, name) {
			return v, true
		}
	}
	return "", false
}

// HeaderNames returns the names of the headers, as they arrived, sorted.
func (r Request) HeaderNames() []string { return slices.Sorted(maps.Keys(r.header)) }

// Body decodes the body. It returns ErrTooLarge or ErrBase64.
func (r Request) Body() ([]byte, error) {
	if !r.base64 {
		if len(r.body) > MaxBody {
			return nil, ErrTooLarge
		}
		return []byte(r.body), nil
	}
	if base64.StdEncoding.DecodedLen(len(r.body)) > MaxBody+2 {
		return nil, ErrTooLarge
	}
	body, err := base64.StdEncoding.DecodeString(r.body)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBase64, err)
	}
	if len(body) > MaxBody {
		return nil, ErrTooLarge
	}
	return body, nil
}
