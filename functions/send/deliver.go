package main

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"

	"connexease-functions/pkg/api"
	"connexease-functions/pkg/auth"
	"connexease-functions/pkg/gateway"
	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/order"
	"connexease-functions/pkg/table"
	"connexease-functions/pkg/whatsapp"
)

// delivery is one order's way through the function, and what came of it. Each source reads and
// checks its orders; from there this file has the whole path: key, claim, post, settle.
type delivery struct {
	order   order.Order
	request ledger.Request
	about   table.About
	bound   string // the sender of the client's key; empty: any
	sender  auth.Sender
	keyErr  error  // why the sender of its row has no key
	bulk    bool   // it waits, or waited, in the bulk lane
	client  string // of a row that only its id named

	closed api.Response    // why it may not be sent; empty where it may
	end    ledger.Action   // DoRespond, DoAcknowledge or DoLater
	result *gateway.Result // of its own call; nil without one
	called time.Duration   // how long the Gateway took
	err    error           // the last one of AWS
}

// deliver delivers the order of a caller that waits, and returns the response.
func (h *handler) deliver(ctx context.Context, d *delivery, l *line) api.Response {
	switch {
	case d.order.Summary.Receipt:
		d.request.Source = ledger.Sync // it is never queued
	case !d.order.SendAt.IsZero():
		d.request.Source = ledger.Async
	}
	if refused := h.chooseSender(ctx, d, l); refused != nil {
		return *refused
	}
	if d.order.Summary.Receipt {
		h.postReceipt(ctx, d)
	} else {
		h.identify(d)
		if refused := h.checkTime(d); refused != nil {
			l.reason = reasonInvalid
			return *refused
		}
		h.send(ctx, d)
	}
	h.delivered(d, l)
	return h.respond(d)
}

// identify gives an order its id, fingerprint and attempt token.
func (h *handler) identify(d *delivery) {
	o, r := &d.order, &d.request
	var err error
	if r.Token, err = ledger.NewToken(h.random); err == nil {
		if r.Keyed = o.Key != ""; r.Keyed {
			r.ID = ledger.ID(o.Scope, o.Key)
		} else {
			r.ID, err = ledger.RandomID(h.random)
		}
	}
	if err != nil {
		panic(err) // crypto/rand ends the program instead
	}
	d.about = o.About()
	d.bulk = d.bulk || o.Bulk && h.bulkARN != ""
	r.Client, r.RequestID, r.Payload, r.Fallback, r.IsFake, r.MMLite = o.Client, o.RequestID, o.Body, o.Fallback, o.IsFake, o.MMLite
	if r.Sender = d.sender.Name; o.Sender != auth.DefaultSender {
		r.Asked = o.Sender
	}
	r.Fingerprint, r.OnUnknown, r.ValidFor = ledger.Fingerprint(o.IsFake, o.MMLite, r.Asked, o.Body, o.Fallback), o.OnUnknown, o.ValidFor
	r.NotBefore, r.After, r.Gate, r.RetentionDays = o.SendAt, o.After, o.Gate(), h.retentionDays
}

// processEnds is when Lambda ends this process.
func (h *handler) processEnds(ctx context.Context) time.Time {
	if end, ok := ctx.Deadline(); ok {
		return end
	}
	return h.now().Add(ledger.ClaimNeeds + 2*answerMargin) // not under Lambda
}

// send leads an order through the ledger: claim, post, settle. It decides nothing.
func (h *handler) send(ctx context.Context, d *delivery) {
	if d.request.Source == ledger.Async {
		// Its gate is asked when it leaves the queue, and its caller hears nothing of that.
		reading, cancel := context.WithDeadline(ctx, h.until(d, readLimit))
		d.request.MayNotClaim, d.err = h.checkConsent(reading, d)
		cancel()
		if d.err != nil {
			d.end = ledger.Action{Do: ledger.DoRespond, Response: ledger.Response{Kind: ledger.TableFailed}, Notes: []ledger.Note{ledger.NoteTableFailed}}
			return
		}
	}
	way, action := ledger.Begin(&d.request, h.now())
	for {
		switch action.Do {
		case ledger.DoWrite:
			result := h.write(ctx, d, action.Write)
			h.follow(ctx, d, result.Image)
			action = way.Wrote(h.now(), result)
		case ledger.DoRead:
			row, statuses, err := h.read(ctx, d, d.request.ID)
			h.follow(ctx, d, row)
			action = way.Read(h.now(), row, statuses, err == nil)
		case ledger.DoGate:
			verdict, err := h.checkGate(ctx, d, action.Send)
			d.err = cmp.Or(err, d.err)
			action = way.Checked(h.now(), verdict, err == nil)
		case ledger.DoQuery:
			reading, cancel := context.WithDeadline(ctx, h.until(d, readLimit))
			statuses, err := h.table.Statuses(reading, d.request.ID)
			cancel()
			d.err = cmp.Or(err, d.err)
			action = way.Queried(h.now(), statuses, err == nil)
		case ledger.DoReadAfter:
			row, statuses, err := h.read(ctx, d, action.After)
			action = way.After(h.now(), row, statuses, err == nil)
		case ledger.DoPost:
			if d.request.Source == ledger.RecordByID && d.order.Body == nil { // its row says what an order would
				d.restore(action.Send)
			}
			outcome, retryAfter := h.post(ctx, d, action.Send, action.Within)
			action = way.Posted(h.now(), outcome, retryAfter)
		case ledger.DoEnqueue:
			sending, cancel := context.WithDeadline(ctx, h.until(d, enqueueLimit))
			body := `{"id":"` + d.request.ID + `"}`
			waits, arn := h.queue, h.queueARN
			if d.bulk {
				waits, arn = h.bulk, h.bulkARN
			}
			var err error
			if action.At.IsZero() {
				err = waits.Send(sending, body)
			} else {
				err = h.schedules.Put(sending, d.request.ID, action.At, arn, body)
			}
			cancel()
			d.err = cmp.Or(err, d.err)
			action = way.Enqueued(err == nil)
		default:
			d.end = action
			h.rememberAlias(ctx, d)
			return
		}
	}
}

// until is the earlier of a limit from now on and the time to respond.
func (h *handler) until(d *delivery, limit time.Duration) time.Time {
	at := h.now().Add(limit)
	if d.request.RespondBy.Before(at) {
		return d.request.RespondBy
	}
	return at
}

// read reads a message's row and statuses.
func (h *handler) read(ctx context.Context, d *delivery, id string) (*ledger.Send, []ledger.Status, error) {
	reading, cancel := context.WithDeadline(ctx, h.until(d, readLimit))
	defer cancel()
	row, _, statuses, err := h.table.LookUp(reading, id)
	d.err = cmp.Or(err, d.err)
	return row, statuses, err
}

// refuse is why a message may not be sent, and what its caller hears of that.
func (d *delivery) refuse(r api.Response) *ledger.Outcome {
	d.closed = r
	return &ledger.Outcome{HTTP: r.Status, Body: []byte(r.Body), Reason: ledger.Reason(r.Code)}
}

// write makes one write of the ledger, in the time that its step has.
func (h *handler) write(ctx context.Context, d *delivery, w ledger.Write) ledger.Result {
	end := h.until(d, claimLimit)
	if w.Step == ledger.Settle {
		end = d.request.RespondBy
		if least := h.now().Add(leastForOutcome); end.Before(least) {
			end = least
		}
	}
	writing, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	result, err := h.table.WriteSend(writing, w, d.about)
	d.err = cmp.Or(err, d.err)
	return result
}

// post calls the Gateway for one attempt. Calls that definitely sent nothing are repeated
// inside it: with a new API key, and for queue records after a short rate limit.
func (h *handler) post(ctx context.Context, d *delivery, send *ledger.Send, within time.Duration) (ledger.Outcome, time.Duration) {
	started := h.now()
	end := started.Add(within)
	calling, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	body, opaque := send.Payload, d.order.Summary.HasOpaque
	if send.Attempts[d.request.Token].Instead != "" {
		body = send.Fallback
		summary, _ := whatsapp.Check(body)
		opaque = summary.HasOpaque
	}
	if !opaque {
		body = whatsapp.WithOpaque(body, ledger.Opaque(d.request.ID, d.request.Token))
	}
	waits := time.Duration(0)
	if d.request.Source.IsRecord() {
		waits = patience
	}
	r := h.call(calling, &d.sender, waits, end, func(ctx context.Context, key string) gateway.Result {
		h.space(ctx, d, end)
		return h.gateway.Send(ctx, key, body, send.IsFake, send.MMLite)
	})
	d.result, d.called = &r, h.now().Sub(started)
	if r.NotConnected {
		d.err = r.Err
	}
	if r.PausesAll() && waits > 0 {
		h.senders.of(d.sender.Name).pause.extend(h.now().Add(r.RetryAfter))
	}
	return outcomeOf(r), r.RetryAfter
}

// postReceipt passes a read receipt or typing indicator on. It is not a message and may be repeated
// freely, so nothing is claimed.
func (h *handler) postReceipt(ctx context.Context, d *delivery) {
	started := h.now()
	end := started.Add(ledger.CallLimit)
	if d.request.RespondBy.Before(end) {
		end = d.request.RespondBy
	}
	calling, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	r := h.call(calling, &d.sender, 0, end, func(ctx context.Context, key string) gateway.Result {
		h.space(ctx, d, end)
		return h.gateway.SendReceipt(ctx, key, d.order.Body, d.order.IsFake, d.order.MMLite)
	})
	d.result, d.called = &r, h.now().Sub(started)
}

// call repeats what definitely sent nothing, while one more call fits before end.
func (h *handler) call(ctx context.Context, from *auth.Sender, patience time.Duration, end time.Time, send func(context.Context, string) gateway.Result) gateway.Result {
	for changed := false; ; {
		r := send(ctx, from.Key.Reveal())
		wait := time.Duration(0)
		switch {
		case r.RefusesKey() && !changed:
			replacement, is := h.senders.replacement(ctx, *from)
			if !is {
				return r
			}
			*from, changed = replacement, true
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

// rememberAlias stores the name that WhatsApp has for the recipient, where it differs from the
// caller's. The message has left: a failure changes nothing of that.
func (h *handler) rememberAlias(ctx context.Context, d *delivery) {
	if d.result == nil || d.result.State != gateway.Accepted || d.about.GroupID != "" {
		return
	}
	names, ok := whatsapp.SentTo(d.result.Body)
	if !ok {
		return
	}
	writing, cancel := context.WithDeadline(ctx, h.until(d, aliasLimit))
	defer cancel()
	_ = h.table.PutAlias(writing, names, h.now())
}

// outcomeOf is what the ledger keeps of a response.
func outcomeOf(r gateway.Result) ledger.Outcome {
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

// noted reports whether the ledger noted something about the visit.
func (d *delivery) noted(note ledger.Note) bool { return slices.Contains(d.end.Notes, note) }
