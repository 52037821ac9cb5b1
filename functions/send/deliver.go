package main

import (
	"context"
	"net/http"
	"strings"
	"time"

	"connexease-functions/pkg/gateway"
	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/secret"
	"connexease-functions/pkg/table"
	"connexease-functions/pkg/whatsapp"
)

const (
	// claimLimit bounds the write of a claim, readLimit the reading of statuses: what
	// they take is missing from the call.
	claimLimit = 4 * time.Second
	readLimit  = 3 * time.Second
	// leastForOutcome is given to the write of an outcome whatever the clock says.
	leastForOutcome = time.Second
	// enqueueLimit bounds the sending of an id to the queue.
	enqueueLimit = 5 * time.Second
	// patience is how long a queue record waits in process for a rate limit's end.
	patience = 2 * time.Second
	// leastWait is what it waits where the answer asks for less, or does not say: the
	// Gateway's shorter limit is one of a second.
	leastWait = time.Second

	// An item has 400 KB: the message, and what the Gateway said to its attempts.
	largestAnswer = 64 << 10
	largestNotice = 4 << 10 // of an attempt that may be followed by others
	longestWamid  = 512     // characters seen: 38 to 82
)

// visit is one request's way through the ledger, and what came of it.
type visit struct {
	request ledger.Request
	about   table.About
	key     secret.Value
	opaque  bool   // the caller used biz_opaque_callback_data
	client  string // of a row that only its id named

	end    ledger.Action   // DoAnswer, DoAcknowledge or DoLater
	result *gateway.Result // of the own call; nil without one
	called time.Duration   // how long the Gateway took
	err    error           // the last one of AWS
}

// deliver takes a request through the ledger: claim, post, settle. It decides nothing.
func (h *handler) deliver(ctx context.Context, v *visit) {
	way, action := ledger.Begin(&v.request, h.now())
	for {
		switch action.Do {
		case ledger.DoWrite:
			result := h.write(ctx, v, action.Write)
			action = way.Wrote(h.now(), result)
		case ledger.DoQuery:
			reading, cancel := context.WithDeadline(ctx, h.until(v, readLimit))
			statuses, err := h.table.Statuses(reading, v.request.ID)
			cancel()
			if err != nil {
				v.err = err
			}
			action = way.Queried(h.now(), statuses, err == nil)
		case ledger.DoPost:
			if v.request.Source == ledger.RecordByID { // its row says what an order would
				summary, _ := whatsapp.Check(action.Send.Payload)
				v.opaque, v.client = summary.HasOpaque, action.Send.Client
			}
			outcome, retryAfter := h.post(ctx, v, action.Send, action.Within)
			action = way.Posted(h.now(), outcome, retryAfter)
		case ledger.DoEnqueue:
			sending, cancel := context.WithDeadline(ctx, h.until(v, enqueueLimit))
			err := h.queue.Send(sending, `{"id":"`+v.request.ID+`"}`)
			cancel()
			if err != nil {
				v.err = err
			}
			action = way.Enqueued(err == nil)
		default:
			v.end = action
			h.alias(ctx, v)
			return
		}
	}
}

func (h *handler) until(v *visit, limit time.Duration) time.Time {
	at := h.now().Add(limit)
	if v.request.RespondBy.Before(at) {
		return v.request.RespondBy
	}
	return at
}

func (h *handler) write(ctx context.Context, v *visit, w ledger.Write) ledger.Result {
	end := h.until(v, claimLimit)
	if w.Step == ledger.Settle {
		end = v.request.RespondBy
		if least := h.now().Add(leastForOutcome); end.Before(least) {
			end = least
		}
	}
	writing, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	result, err := h.table.WriteSend(writing, w, v.about)
	if err != nil {
		v.err = err
	}
	return result
}

// post calls the Gateway for one attempt. Calls that surely sent nothing are repeated
// inside it: with another API key, and for queue records after a short rate limit.
func (h *handler) post(ctx context.Context, v *visit, send *ledger.Send, within time.Duration) (ledger.Outcome, time.Duration) {
	started := h.now()
	end := started.Add(within)
	calling, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	body := send.Payload
	if !v.opaque {
		body = whatsapp.WithOpaque(body, ledger.Opaque(v.request.ID, v.request.Token))
	}
	waits := time.Duration(0)
	if v.request.Source.IsRecord() {
		waits = patience
	}
	r := h.call(calling, &v.key, waits, end, func(ctx context.Context, key string) gateway.Result {
		return h.gateway.Send(ctx, key, body, send.IsFake, send.MMLite)
	})
	v.result, v.called = &r, h.now().Sub(started)
	if r.NotConnected {
		v.err = r.Err
	}
	if pausesAll(r) && waits > 0 {
		h.limited.set(h.now().Add(r.RetryAfter))
	}
	return outcome(r), r.RetryAfter
}

// call repeats what surely sent nothing, while another call fits before end.
func (h *handler) call(ctx context.Context, key *secret.Value, patience time.Duration, end time.Time, send func(context.Context, string) gateway.Result) gateway.Result {
	for changed := false; ; {
		r := send(ctx, key.Reveal())
		wait := time.Duration(0)
		switch {
		case refusesKey(r) && !changed:
			other, is := h.apiKey.other(ctx, *key)
			if !is {
				return r
			}
			*key, changed = other, true
		case r.Status == http.StatusTooManyRequests && max(r.RetryAfter, leastWait) <= patience:
			wait = max(r.RetryAfter, leastWait)
			patience -= wait
		default:
			return r
		}
		if end.Sub(h.now()) < wait+ledger.ShortestCall {
			return r
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return r
		}
	}
}

// limited reports whether the Gateway, or Meta behind it, asks to slow down.
func limited(r gateway.Result) bool {
	return r.Status == http.StatusTooManyRequests || metaLimited(r)
}

func metaLimited(r gateway.Result) bool {
	return r.Reason == gateway.ReasonMetaLimited || r.Reason == gateway.ReasonPairLimited
}

// pausesAll reports whether every other message would be refused too. A pair's limit
// concerns one customer only.
func pausesAll(r gateway.Result) bool {
	return r.Status == http.StatusTooManyRequests || r.Reason == gateway.ReasonMetaLimited
}

// refusesKey tells whether the Gateway refuses this installation's own key. Its other
// 401, for the WhatsApp account's credentials, has another code.
func refusesKey(r gateway.Result) bool {
	if r.Status != http.StatusUnauthorized {
		return false
	}
	e := r.Response.Errors
	return e == nil || e.Code == "" || strings.HasPrefix(e.Code, "AUTH_")
}

// outcome is what the ledger keeps of an answer.
func outcome(r gateway.Result) ledger.Outcome {
	o := ledger.Outcome{State: r.State, HTTP: r.Status, Body: r.Body}
	if r.State != gateway.Accepted {
		o.Reason = r.Reason
	}
	if len(r.Wamid) <= longestWamid {
		o.Wamid = r.Wamid
	}
	most := largestNotice
	if r.State == gateway.Accepted || r.State == gateway.Rejected {
		most = largestAnswer
	}
	if len(o.Body) > most || len(o.Body) == 0 {
		o.Body = nil
	}
	return o
}
