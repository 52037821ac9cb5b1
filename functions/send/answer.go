package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"connexease-functions/pkg/api"
	"connexease-functions/pkg/gateway"
	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/secret"
	"connexease-functions/pkg/table"
)

// tell puts into words what the ledger decided to answer.
func (h *handler) tell(v *visit) api.Answer {
	id := map[string]any{"id": v.request.ID}
	var a api.Answer
	switch told := v.end.Response; told.Kind {
	case ledger.Own:
		a = h.own(v.result)
		if told.RetryAfter > 0 && limited(*v.result) {
			a.Headers["retry-after"] = seconds(told.RetryAfter)
		}
	case ledger.Stored:
		a = stored(told.Outcome)
	case ledger.Busy:
		a = api.Fail(api.KeyInFlight, "", id)
		a.Headers["retry-after"] = seconds(told.RetryAfter)
	case ledger.KeyReused:
		a = api.Fail(api.KeyReused, "", nil)
	case ledger.Uncertain:
		a = api.Fail(api.Uncertain, "", id)
	case ledger.Late:
		if o := told.Outcome; o != nil && o.Reason != "" {
			id["reason"] = o.Reason
		}
		a = api.Fail(api.Expired, "", id)
	case ledger.Accepted202:
		a = api.Succeed(http.StatusAccepted, map[string]string{"id": v.request.ID, "status": "queued"})
	case ledger.QueueFailed:
		a = api.Fail(api.QueueUnconfirmed, "", id)
	case ledger.TableFailed:
		if table.Unfit(v.err) {
			a = unfit()
			break
		}
		a = api.Fail(api.TableUnavailable, "The table is not available. Nothing was sent.", nil)
	case ledger.NoTime:
		a = api.Fail(api.NotReached, "Too little time was left for a call of the Gateway. Nothing was sent; it is safe to repeat the request.", nil)
	default:
		panic("send: unknown answer " + string(told.Kind))
	}
	a.Headers["message-id"] = v.request.ID
	if v.end.Response.Replayed {
		a.Headers["idempotent-replayed"] = "true"
	}
	return a
}

// own answers with what the Gateway just said.
func (h *handler) own(r *gateway.Result) api.Answer {
	var a api.Answer
	switch {
	case r.Reason == gateway.ReasonBadKey:
		return h.keyFailed(secret.ErrCharacters)
	case r.NotConnected:
		return api.Fail(api.NotReached, "", nil)
	case r.Reason == gateway.ReasonNoGateway:
		return api.Fail(api.NotReached, fmt.Sprintf("The server at the Gateway's address responds %d in a shape that is not the Gateway's. Nothing was sent. Check the parameter GatewayUrl.", r.Status), nil)
	case refusesKey(*r):
		a = api.Fail(api.APIKeyRefused, "", nil)
	default:
		a = pass(r.State, r.Status, r.Body, r.Wamid)
	}
	for name, values := range r.Header {
		a.Headers[strings.ToLower(name)] = strings.Join(values, ",")
	}
	if limited(*r) && r.RetryAfter > 0 {
		a.Headers["retry-after"] = seconds(r.RetryAfter)
	}
	if metaLimited(*r) {
		a.Failure = api.RateLimited
	}
	return a
}

// unfit answers for a message that DynamoDB can never take.
func unfit() api.Answer {
	return api.Fail(api.BrokenLimits, "The table cannot hold this message. Nothing was sent.", nil)
}

// stored answers with what an earlier attempt was told.
func stored(o *ledger.Outcome) api.Answer {
	a := pass(o.State, o.HTTP, o.Body, o.Wamid)
	switch api.Code(a.Code) {
	case api.RequestTooLarge, api.MalformedRequest, api.BrokenLimits, api.MalformedKey, api.KeyReused: // refused by us, as a record
		a.Failure, a.Foreign = api.InvalidMessage, false
	}
	return a
}

// pass hands the Gateway's answer on as it is. What no client could read takes the
// unified shape.
func pass(kind gateway.State, status int, body []byte, wamid string) api.Answer {
	readable := members(body) != nil
	switch {
	case kind == gateway.Accepted && !readable && wamid == "":
		return api.Success(map[string]bool{"success": true})
	case kind == gateway.Accepted && !readable:
		return api.Success(map[string]any{"messaging_product": "whatsapp", "messages": []map[string]string{{"id": wamid}}})
	case kind == gateway.Accepted:
		return api.Pass(status, body)
	case !readable:
		a := api.Fail(api.RefusedUnread, "", nil)
		if status >= http.StatusBadRequest {
			a.Status = status
		}
		a.Failure = failureOf(kind, status)
		return a
	}
	a := api.Pass(status, body)
	a.Code, a.Failure = codeOf(body), failureOf(kind, status)
	return a
}

func failureOf(kind gateway.State, status int) api.Failure {
	switch {
	case status == http.StatusPaymentRequired:
		return api.PaymentRequired
	case status == http.StatusTooManyRequests:
		return api.RateLimited
	case kind == gateway.Released && status >= http.StatusInternalServerError:
		return api.GatewayUnavailable
	case kind == gateway.Unknown:
		return api.OutcomeUnknown
	}
	return api.Rejected
}

var (
	codeForm  = regexp.MustCompile(`^[A-Z]{1,10}_[0-9]{3}$`)
	groupForm = regexp.MustCompile(`^[A-Z_]{1,40}$`)
	waitForm  = regexp.MustCompile(`^[0-9]{1,6} ?[a-z]{0,8}$`)
)

// withoutWords keeps of a failure in the Gateway's words what can name nobody: its code,
// its group, and what a rate limit asks for.
func withoutWords(body string) string {
	var r gateway.Response
	_ = json.Unmarshal([]byte(body), &r) // what cannot be read is left out
	if r.Errors == nil {
		r.Errors = &gateway.Error{}
	}
	kept := gateway.Error{Code: string(api.RefusedUnread), Description: "The Gateway refused the message. Its own words are in the table."}
	if codeForm.MatchString(r.Errors.Code) {
		kept.Code = r.Errors.Code
	}
	if groupForm.MatchString(r.Errors.Group) {
		kept.Group = r.Errors.Group
	}
	for _, name := range []string{"retry_after", "limit_type"} {
		if v, ok := r.Errors.Params[name].(string); ok && (waitForm.MatchString(v) || v == "sec" || v == "min") {
			if kept.Params == nil {
				kept.Params = map[string]any{}
			}
			kept.Params[name] = v
		}
	}
	return api.Unified(kept)
}

// codeOf returns the error code of a unified response, for logs: anything but a code
// stays out of them.
func codeOf(body []byte) string {
	var r struct {
		Errors struct{ Code string } `json:"errors"`
	}
	if json.Unmarshal(body, &r) != nil || !codeForm.MatchString(r.Errors.Code) {
		return ""
	}
	return r.Errors.Code
}

// seconds rounds up, so that nobody comes too early.
func seconds(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10)
}

// keyFailed answers a request, of a caller that is known, for which the API key is not
// available.
func (h *handler) keyFailed(err error) api.Answer {
	return api.Fail(api.SecretMissing, h.keyFix(err), nil)
}

func (h *handler) keyFix(err error) string {
	what := ""
	switch {
	case errors.Is(err, secret.ErrMissing):
		what = "has no value"
	case errors.Is(err, secret.ErrJSON):
		what = "is JSON where the bare key is wanted"
	case errors.Is(err, secret.ErrUnusable):
		what = "has characters that no header can hold"
	default:
		return fmt.Sprintf("The Gateway's API key cannot be read. Nothing was sent. See why: "+
			"aws secretsmanager get-secret-value --secret-id %s --query CreatedDate", h.gatewaySecret)
	}
	return fmt.Sprintf("The Gateway's API key %s. Nothing was sent. Put it in: "+
		"aws secretsmanager put-secret-value --secret-id %s --secret-string file:///dev/stdin, then paste the API key, Enter, Ctrl-D.", what, h.gatewaySecret)
}
