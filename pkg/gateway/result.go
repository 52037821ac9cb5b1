package gateway

import (
	"net/http"
	"strings"
	"time"
)

// Result is what a send came to. Its State is never empty.
type Result struct {
	State  State
	Reason Reason

	Status     int           // HTTP status; 0 without a response
	Header     http.Header   // the response's rate headers and Retry-After, nothing else
	Body       []byte        // the response as it arrived, at most 1 MiB of it
	Response   Response      // what of Body could be read
	Wamid      string        // WhatsApp message id, only with Accepted
	RetryAfter time.Duration // as the response asks; 0 to one hour

	NotConnected bool  // definitely not a byte has left
	Err          error // why no connection was obtained; nil otherwise. Holds no credential and no content
}

// SlowsDown reports whether the Gateway, or Meta through it, asks to slow down.
func (r *Result) SlowsDown() bool {
	return r.Status == http.StatusTooManyRequests || r.LimitedByMeta()
}

// LimitedByMeta reports whether it is Meta that asks to slow down.
func (r *Result) LimitedByMeta() bool {
	return r.Reason == ReasonMetaLimited || r.Reason == ReasonPairLimited
}

// PausesAll reports whether every other message would be refused too. The limit of a pair of
// numbers concerns one customer only.
func (r *Result) PausesAll() bool {
	return r.Status == http.StatusTooManyRequests || r.Reason == ReasonMetaLimited
}

// RefusesKey reports whether the Gateway refuses this installation's own key. Its other
// 401, for the WhatsApp account's credentials, has a different code.
func (r *Result) RefusesKey() bool {
	if r.Status != http.StatusUnauthorized {
		return false
	}
	e := r.Response.Errors
	return e == nil || e.Code == "" || strings.HasPrefix(e.Code, "AUTH_")
}
