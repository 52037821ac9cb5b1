package main

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"connexease-functions/pkg/api"
	"connexease-functions/pkg/conversation"
	"connexease-functions/pkg/gateway"
	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/table"
)

// respond puts into words what a delivery came to.
func (h *handler) respond(d *delivery) api.Response {
	if d.order.Summary.Receipt {
		if d.result.State == gateway.Unknown {
			return api.Fail(api.NotReached, "Nobody can tell whether the receipt arrived. It is safe to repeat the request.", nil)
		}
		return h.own(d)
	}
	id := map[string]any{"id": d.request.ID}
	var r api.Response
	switch decided := d.end.Response; decided.Kind {
	case ledger.Own:
		r = h.own(d)
		if decided.RetryAfter > 0 && d.result.SlowsDown() {
			r.Headers["retry-after"] = seconds(decided.RetryAfter)
		}
	case ledger.Stored:
		r = stored(decided.Outcome)
	case ledger.Busy:
		r = api.Fail(api.KeyInFlight, "", id)
		r.Headers["retry-after"] = seconds(decided.RetryAfter)
	case ledger.KeyReused:
		r = api.Fail(api.KeyReused, "", nil)
	case ledger.Uncertain:
		r = api.Fail(api.Uncertain, "", id)
	case ledger.Late:
		if o := decided.Outcome; o != nil && o.Reason != "" {
			id["reason"] = o.Reason
		}
		r = api.Fail(api.Expired, "", id)
	case ledger.Gated:
		r = d.closed
	case ledger.Withdrawn:
		r = api.Fail(api.Withdrawn, "", id)
	case ledger.Accepted202:
		status := ledger.Queued
		if decided.Scheduled {
			status = ledger.Scheduled
		}
		r = api.Succeed(http.StatusAccepted, map[string]string{"id": d.request.ID, "status": string(status)})
		if d.order.Async {
			r.Headers["preference-applied"] = "respond-async"
		}
	case ledger.ScheduleFailed:
		r = api.Fail(api.Unscheduled, "", id)
	case ledger.QueueFailed:
		r = api.Fail(api.QueueUnconfirmed, "", id)
	case ledger.TableFailed:
		if table.Unfit(d.err) {
			r = unfit()
			break
		}
		r = api.Fail(api.TableUnavailable, "The table is not available. Nothing was sent.", nil)
	case ledger.NoTime:
		r = api.Fail(api.NotReached, "Too little time was left for a call of the Gateway. Nothing was sent; it is safe to repeat the request.", nil)
	default:
		panic("send: unknown response " + string(decided.Kind))
	}
	r.Headers["message-id"] = d.request.ID
	if d.end.Response.Instead() {
		r.Headers["sent-instead"] = conversation.SentFallback
	}
	if d.end.Response.Replayed {
		r.Headers["idempotent-replayed"] = "true"
	}
	return r
}

// own responds with what the Gateway just returned.
func (h *handler) own(d *delivery) api.Response {
	g := d.result
	var r api.Response
	switch {
	case g.Reason == gateway.ReasonBadKey:
		return h.keyFailed(d.keyErr)
	case g.NotConnected:
		return api.Fail(api.NotReached, "", nil)
	case g.Reason == gateway.ReasonNoGateway:
		return api.Fail(api.NotReached, fmt.Sprintf("The server at the Gateway's address responds %d in a shape that is not the Gateway's. Nothing was sent. Check the parameter GatewayUrl.", g.Status), nil)
	case g.RefusesKey():
		var params map[string]any
		if d.sender.Name != "" {
			params = map[string]any{"sender": d.sender.Name}
		}
		r = api.Fail(api.APIKeyRefused, "", params)
	default:
		r = api.Pass(g.State, g.Status, g.Body, g.Wamid)
	}
	for name, values := range g.Header {
		r.Headers[strings.ToLower(name)] = strings.Join(values, ",")
	}
	if g.SlowsDown() && g.RetryAfter > 0 {
		r.Headers["retry-after"] = seconds(g.RetryAfter)
	}
	if g.LimitedByMeta() {
		r.Failure = api.RateLimited
	}
	return r
}

// unfit is the response to a message that DynamoDB can never store.
func unfit() api.Response {
	return api.Fail(api.BrokenLimits, "The table cannot hold this message. Nothing was sent.", nil)
}

// stored responds with what an earlier attempt was returned.
func stored(o *ledger.Outcome) api.Response {
	r := api.Pass(o.State, o.HTTP, o.Body, o.Wamid)
	switch api.Code(r.Code) {
	case api.RequestTooLarge, api.MalformedRequest, api.BrokenLimits, api.MalformedKey, api.KeyReused: // refused by us, as a record
		r.Failure, r.Foreign = api.InvalidMessage, false
	case api.WindowClosed:
		r.Failure, r.Foreign = api.WindowIsClosed, false
	case api.OptedOut:
		r.Failure, r.Foreign = api.HasOptedOut, false
	}
	return r
}

// seconds rounds up, so that nobody repeats a request too early.
func seconds(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10)
}
