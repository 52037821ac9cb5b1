package harness

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"connexease-functions/pkg/gateway"
	"connexease-functions/pkg/proof/contract"
)

// Answer is the response that a caller of API Gateway would see.
type Answer struct {
	Status  int               `json:"statusCode"`
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
	Base64  bool              `json:"isBase64Encoded"` // in Raw; Body is what the caller gets
	Raw     []byte            `json:"-"`               // what the function returned
}

// Code is the error code; empty for a success.
func (a Answer) Code() string {
	var r gateway.Response
	if json.Unmarshal([]byte(a.Body), &r) != nil || r.Errors == nil {
		return ""
	}
	return r.Errors.Code
}

// Event returns an HTTP API event as a map, so that tests can modify it. The route is a method and
// a path; an empty authorization means no header.
func Event(route, authorization, body string) map[string]any {
	method, path, _ := strings.Cut(route, " ")
	headers := map[string]string{"content-type": "application/json"}
	if authorization != "" {
		headers["authorization"] = authorization
	}
	return map[string]any{
		"version": "2.0", "routeKey": route, "rawPath": path, "headers": headers,
		"requestContext": map[string]any{"http": map[string]string{"method": method, "path": path}, "timeEpoch": time.Now().UnixMilli(), "requestId": Name("r")},
		"body":           body, "isBase64Encoded": false,
	}
}

// Handler is a Lambda function.
type Handler interface {
	Invoke(ctx context.Context, payload []byte) ([]byte, error)
}

// Invoke runs a handler with an event of any shape, as Lambda does with a deadline.
func Invoke(t testing.TB, h Handler, timeout time.Duration, e any) ([]byte, error) {
	t.Helper()
	payload, ok := e.([]byte)
	if !ok {
		var err error
		if payload, err = json.Marshal(e); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	out, err := h.Invoke(lambdacontext.NewContext(ctx, &lambdacontext.LambdaContext{AwsRequestID: "request-1"}), payload)
	if err == nil {
		described(t, payload, out)
	}
	return out, err
}

// described fails the test where the description of the API does not have the response to an HTTP
// API event.
func described(t testing.TB, event, response []byte) {
	t.Helper()
	var e struct{ RouteKey string }
	if json.Unmarshal(event, &e) != nil || e.RouteKey == "" {
		return
	}
	a := answer(t, response)
	header := http.Header{}
	for name, value := range a.Headers {
		header.Set(name, value)
	}
	if err := Description().Check(contract.Response{Route: e.RouteKey, Status: a.Status, Header: header, Body: []byte(a.Body)}); err != nil {
		t.Error(err)
	}
}

// Request runs a handler with an HTTP API event.
func Request(t testing.TB, h Handler, timeout time.Duration, e any) (Answer, error) {
	t.Helper()
	out, err := Invoke(t, h, timeout, e)
	if err != nil {
		return Answer{}, err
	}
	return answer(t, out), nil
}

// answer reads what a function returned for API Gateway.
func answer(t testing.TB, out []byte) (a Answer) {
	t.Helper()
	if err := json.Unmarshal(out, &a); err != nil {
		t.Fatal(err)
	}
	if a.Raw = out; a.Base64 {
		body, err := base64.StdEncoding.DecodeString(a.Body)
		if err != nil {
			t.Fatal(err)
		}
		a.Body = string(body)
	}
	return a
}

// Batch runs a handler with SQS records, and returns the ids of those to be returned to the queue.
func Batch(t testing.TB, h Handler, timeout time.Duration, records any) (again []string) {
	t.Helper()
	out, err := Invoke(t, h, timeout, map[string]any{"Records": records})
	if err != nil {
		t.Fatal(err)
	}
	var r struct {
		BatchItemFailures []struct{ ItemIdentifier string }
	}
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatal(err)
	}
	for _, f := range r.BatchItemFailures {
		again = append(again, f.ItemIdentifier)
	}
	return again
}
