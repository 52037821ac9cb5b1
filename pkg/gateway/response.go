// Package gateway speaks the Connexease Gateway's HTTP API.
package gateway

import "encoding/json"

// Response is the unified shape of every response, the Gateway's and our own
// (source: Connexease Gateway API, "Response format").
type Response struct {
	IsSuccess bool            `json:"isSuccess"`
	Data      json.RawMessage `json:"data,omitempty"`
	Errors    *Error          `json:"errors,omitempty"`
}

// Error says why a request failed. Code is stable; Description is for people;
// Params is optional and differs by code.
type Error struct {
	Code        string         `json:"code"`
	Group       string         `json:"group"`
	Description string         `json:"description"`
	Params      map[string]any `json:"params,omitempty"`
}

// Error makes a Gateway error usable as a Go error. It never holds a credential
// or message content of ours.
func (e *Error) Error() string { return e.Code + ": " + e.Description }
