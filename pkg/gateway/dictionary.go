package gateway

import "net/http"

// State is what is known of a send, or of one attempt to send. Package ledger shares it, and adds
// the states that only a whole message has. The words are stored in ledgers: they never change.
type State string

const (
	// Accepted: the Gateway accepted the message, by its own response or, in the ledger, by a
	// receipt.
	Accepted State = "accepted"
	// Rejected: it was refused for good; the same message is never sent again.
	Rejected State = "rejected"
	// Released: it definitely was not sent, and may be sent again.
	Released State = "released"
	// Unknown: nobody can say whether it was sent.
	Unknown State = "unknown"
)

// Reason is a stable word for why a send has its State. The words are stored in ledgers: they never
// change. Package ledger has reasons of its own.
type Reason string

// The reasons of a Result.
const (
	ReasonAccepted        Reason = "accepted"
	ReasonInvalid         Reason = "invalid"          // 400 and other 4xx
	ReasonUpstream        Reason = "refused_upstream" // GW_001: Meta refused, or failed
	ReasonUnauthorized    Reason = "unauthorized"     // 401
	ReasonPaymentRequired Reason = "payment_required" // 402
	ReasonForbidden       Reason = "forbidden"        // 403
	ReasonRateLimited     Reason = "rate_limited"     // 429
	ReasonAuthService     Reason = "auth_service"     // AUTH_004, AUTH_005: the Gateway could not look the key up
	ReasonNotConnected    Reason = "not_connected"    // no connection was obtained: not a byte has left
	ReasonNoGateway       Reason = "no_gateway"       // 404, 405, 410, 421 in a different shape: some other server responded
	ReasonMetaLimited     Reason = "meta_limited"     // GW_001 with a code by which Meta says "not now" to the number or account
	ReasonPairLimited     Reason = "pair_limited"     // the same to this pair of numbers only
	ReasonBadKey          Reason = "bad_api_key"      // the API key cannot be sent in a header: not a byte has left
	ReasonTimeout         Reason = "timeout"          // the context's deadline, after a connection was obtained
	ReasonCanceled        Reason = "canceled"         // the context was cancelled, after a connection was obtained
	ReasonBroken          Reason = "connection_lost"  // after a connection was obtained
	ReasonRequestTimeout  Reason = "request_timeout"  // 408: the Gateway, or something before it, gave up
	ReasonRedirect        Reason = "redirect"         // 3xx, not followed
	ReasonUnreadable      Reason = "unreadable"       // 2xx without a message id
	ReasonServerError     Reason = "server_error"     // 5xx without a code that says more
	ReasonUnexpected      Reason = "unexpected_status"
)

// Facts are what a response says, apart from its status.
type Facts struct {
	Code    string // errors.code; empty without one
	Unified bool   // a refusal in the unified shape, which only the Gateway gives
	HasID   bool   // it names a message id
	Receipt bool   // of a read receipt or typing indicator: no id is needed
	NotNow  int    // Meta's code by which a GW_001 means "not now"; 0 without one
}

// Classify decides what a response means. The status decides, then the error code. JSON
// alone proves nothing about who responded: API Gateway, proxies and CDNs write it too
// (Connexease Gateway API: Error codes).
func Classify(status int, f Facts) (State, Reason) {
	switch {
	case status >= 200 && status < 300:
		if f.HasID || f.Receipt {
			return Accepted, ReasonAccepted
		}
		return Unknown, ReasonUnreadable
	case status >= 300 && status < 400:
		return Unknown, ReasonRedirect
	case status == http.StatusRequestTimeout: // some of the request had arrived, perhaps all of it
		return Unknown, ReasonRequestTimeout
	case status >= 400 && status < 600 && f.Code == upstream && f.Unified && f.NotNow != 0:
		if f.NotNow == pairLimit {
			return Released, ReasonPairLimited
		}
		return Released, ReasonMetaLimited
	case status >= 400 && status < 500:
		return classifyRefusal(status, f.Unified)
	case status >= 500 && status < 600:
		switch {
		case f.Code == upstream: // in any shape: what is refused is never sent again
			return Rejected, ReasonUpstream
		case f.Unified && (f.Code == "AUTH_004" || f.Code == "AUTH_005"):
			return Released, ReasonAuthService
		}
		return Unknown, ReasonServerError
	}
	return Unknown, ReasonUnexpected
}

func classifyRefusal(status int, unified bool) (State, Reason) {
	switch status {
	case http.StatusUnauthorized:
		return Released, ReasonUnauthorized
	case http.StatusPaymentRequired:
		return Released, ReasonPaymentRequired
	case http.StatusForbidden:
		return Released, ReasonForbidden
	case http.StatusTooManyRequests:
		return Released, ReasonRateLimited
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusGone, http.StatusMisdirectedRequest:
		if !unified { // a wrong base URL must not use up a queue
			return Released, ReasonNoGateway
		}
	}
	return Rejected, ReasonInvalid
}
