package api

import (
	"encoding/json"
	"net/http"

	"connexease-functions/pkg/gateway"
)

// Answer is what a function returns to API Gateway (payload format 2.0).
type Answer struct {
	Status  int               `json:"statusCode"`
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
}

// Code names one of our own failures. The Gateway's own codes pass through.
type Code string

// Our own failures. AUTH codes are the Gateway's, used with its meaning.
const (
	WrongToken       Code = "AUTH_001"
	NoToken          Code = "AUTH_002"
	MalformedToken   Code = "AUTH_003"
	MalformedRequest Code = "REQ_001"
	RequestTooLarge  Code = "REQ_002"
	SecretMissing    Code = "SVC_001"
	TableUnavailable Code = "SVC_002"
)

// failures is the one table of our failures: what each code means on the wire.
var failures = map[Code]struct {
	status             int
	group, description string
}{
	WrongToken:       {http.StatusUnauthorized, "UNAUTHORIZED", "The bearer token is not accepted."},
	NoToken:          {http.StatusUnauthorized, "UNAUTHORIZED", "The Authorization header is missing."},
	MalformedToken:   {http.StatusUnauthorized, "UNAUTHORIZED", "The Authorization header is not of the form: Bearer <token>."},
	MalformedRequest: {http.StatusBadRequest, "BAD_REQUEST", "The request body cannot be decoded."},
	RequestTooLarge:  {http.StatusRequestEntityTooLarge, "PAYLOAD_TOO_LARGE", "The request body is larger than 4 MiB."},
	SecretMissing:    {http.StatusServiceUnavailable, "SERVICE_UNAVAILABLE", "A secret is missing or cannot be read."},
	TableUnavailable: {http.StatusServiceUnavailable, "SERVICE_UNAVAILABLE", "The table is not available."},
}

// Success answers 200 with data, which must marshal to JSON.
func Success(data any) Answer {
	body, err := json.Marshal(data)
	if err != nil {
		panic(err) // data is a type of ours
	}
	return answer(http.StatusOK, gateway.Response{IsSuccess: true, Data: body})
}

// Fail answers one of our failures in the unified response. A description, where
// given, takes the place of the code's own; params may be nil.
func Fail(code Code, description string, params map[string]any) Answer {
	f := failures[code]
	if description == "" {
		description = f.description
	}
	a := answer(f.status, gateway.Response{Errors: &gateway.Error{
		Code: string(code), Group: f.group, Description: description, Params: params,
	}})
	switch f.status {
	case http.StatusUnauthorized:
		a.Headers["www-authenticate"] = "Bearer"
	case http.StatusServiceUnavailable:
		a.Headers["retry-after"] = "5"
	}
	return a
}

func answer(status int, r gateway.Response) Answer {
	body, err := json.Marshal(r)
	if err != nil {
		panic(err) // every field marshals
	}
	return Answer{
		Status:  status,
		Headers: map[string]string{"content-type": "application/json", "cache-control": "no-store"},
		Body:    string(body),
	}
}
