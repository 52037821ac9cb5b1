package main

import (
	"cmp"
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/lambda/messages"

	"connexease-functions/pkg/api"
	"connexease-functions/pkg/bounded"
	"connexease-functions/pkg/gateway"
	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/order"
	"connexease-functions/pkg/queue"
	"connexease-functions/pkg/table"
)

// pause remembers until when the Gateway accepts nothing of a sender: what is tried before is
// refused, at the cost of a claim and its outcome.
type pause struct {
	mu    sync.Mutex
	until time.Time
}

func (p *pause) extend(until time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	until = until.Round(0) // by the wall clock: the monotonic one stops while Lambda has a process frozen
	if until.After(p.until) {
		p.until = until
	}
}

// remaining returns how long it still lasts; zero or less without one.
func (p *pause) remaining(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.until.Sub(now.Round(0))
}

// handleRecords handles each record on its own, and reports those that are to be retried.
func (h *handler) handleRecords(ctx context.Context, payload []byte) ([]byte, error) {
	event, _ := api.Members(payload)
	all, err := queue.Read(event["Records"])
	if err != nil {
		return nil, messages.InvokeResponse_Error{Type: string(api.UnsupportedEvent), Message: otherRecord.text}
	}
	var mu sync.Mutex
	var failed []string
	bounded.Each(len(all), parallel, func(i int) {
		if h.handleRecord(ctx, &all[i]) {
			mu.Lock()
			defer mu.Unlock()
			failed = append(failed, all[i].ID)
		}
	})
	return queue.Failed(failed)
}

// handleRecord handles one record, and reports whether it is to be retried.
func (h *handler) handleRecord(ctx context.Context, r *queue.Record) (retry bool) {
	l := h.begin(sourceSQS)
	l.record, l.bulk, l.age = r.ID, h.inBulk(r), max(0, l.started.Sub(r.Sent(l.started)))
	var wait time.Duration
	defer func() {
		if p := recover(); p != nil { // one record's panic must not fail the others
			retry, wait, l.reason = true, jitter(shortest, spread), reasonPanic
		}
		if retry {
			l.add(outcomeLater)
			delaying, cancel := context.WithTimeout(ctx, readLimit)
			defer cancel()
			// Without the delay it is retried after the queue's visibility timeout.
			if err := h.queueOf(r).Delay(delaying, r, wait); err != nil && l.err == nil {
				l.err = err
			}
		}
		h.summarise(ctx, &l, api.Response{})
	}()
	retry, wait = h.deliverRecord(ctx, r, &l)
	return retry
}

// deliverRecord reports whether the record is to be retried, and after what time.
func (h *handler) deliverRecord(ctx context.Context, r *queue.Record, l *line) (retry bool, wait time.Duration) {
	now := h.now()
	o, id, refused := order.FromRecord(r)
	d := delivery{order: o, bulk: h.inBulk(r), request: ledger.Request{Source: ledger.Record, Sent: r.Sent(now)}}
	d.request.ProcessEnds = h.processEnds(ctx)
	d.request.RespondBy = d.request.ProcessEnds.Add(-answerMargin)
	age := now.Sub(d.request.Sent)
	over := id == "" && age >= cmp.Or(o.ValidFor, ledger.DefaultValidFor)
	timed := !o.SendAt.IsZero() // it is scheduled, or queued under its id: nothing is called
	l.client = o.Client
	switch {
	case id != "":
		d.request.Source = ledger.RecordByID
	case refused != nil:
		return h.refuseRecord(ctx, r, &o, *refused, l)
	case o.SendAt.Sub(now) > longestAhead:
		return h.refuseRecord(ctx, r, &o, tooFar(), l)
	case o.Summary.Receipt && over:
		l.add(outcomeExpired)
		return false, 0
	}
	if o.Bulk && h.bulkARN != "" && !d.bulk && !timed && !over {
		return h.changeLane(ctx, r, &o, age, l)
	}
	d.request.ID = id
	// What has expired is recorded instead of sent, which needs no key.
	if h.chooseSender(ctx, &d, l) != nil && !over && !timed {
		return true, jitter(ledger.Backoff(age, 0), spread)
	}
	if !over && !timed {
		l.sender = d.sender.Name
		// A pause may begin while the record waits for its turn, and takes no turn from others.
		paused := func() time.Duration { return h.senders.of(d.sender.Name).pause.remaining(h.now()) }
		remaining := paused()
		if remaining <= 0 {
			if wait, ok := h.turn(ctx, &d); !ok {
				l.reason = reasonPaced
				return true, jitter(wait, wait)
			}
			remaining = paused()
		}
		if remaining > 0 {
			l.reason = reasonPaused
			remaining = ledger.Backoff(age, remaining)
			return true, jitter(remaining, remaining/5)
		}
	}
	if o.Summary.Receipt {
		return h.passReceipt(ctx, r, &d, l)
	}
	h.identify(&d)
	if id != "" {
		d.request.ID = id
	}
	h.send(ctx, &d)
	h.delivered(&d, l)
	if d.noted(ledger.NoteEarly) || d.noted(ledger.NoteWaits) {
		l.age = 0 // it waits as it was asked to, which is no reason for an alarm
	}
	switch {
	case d.noted(ledger.NoteKeyReused):
		return h.refuseRecord(ctx, r, &o, api.Fail(api.KeyReused, "", nil), l)
	case d.noted(ledger.NoteTableFailed) && table.Unfit(d.err) && id == "":
		return h.refuseRecord(ctx, r, &o, unfit(), l)
	}
	return d.end.Do == ledger.DoLater, jitter(d.end.Delay, d.end.Spread)
}

// passReceipt passes a receipt on until it arrives or its validity ends.
func (h *handler) passReceipt(ctx context.Context, r *queue.Record, d *delivery, l *line) (retry bool, wait time.Duration) {
	h.postReceipt(ctx, d)
	h.delivered(d, l)
	switch d.result.State {
	case gateway.Accepted:
		return false, 0
	case gateway.Rejected:
		return h.refuseRecord(ctx, r, &d.order, h.own(d), l)
	}
	delay := ledger.Backoff(h.now().Sub(d.request.Sent), d.result.RetryAfter)
	return true, jitter(delay, delay/5)
}

// refuseRecord writes the row of a record that can never be sent.
func (h *handler) refuseRecord(ctx context.Context, r *queue.Record, o *order.Order, why api.Response, l *line) (retry bool, wait time.Duration) {
	d := delivery{order: o.Refused(r), request: ledger.Request{Source: ledger.Record, RespondBy: h.processEnds(ctx)}}
	h.identify(&d)
	l.id, l.code, l.reason = d.request.ID, why.Code, reasonRecordRefused
	writing, cancel := context.WithTimeout(ctx, claimLimit)
	defer cancel()
	outcome := ledger.Outcome{HTTP: why.Status, Body: []byte(why.Body), Reason: ledger.Reason(why.Code)}
	result, err := h.table.WriteSend(writing, ledger.Refused(&d.request, h.now(), outcome), d.about)
	switch {
	case result.Lost || result.Missed:
		l.err = err
		return true, jitter(shortest, spread)
	case result.Refused && ledger.Fold(h.now(), result.Image, nil).State != ledger.Rejected:
		l.add(outcomeSettled) // it was accepted before it broke a limit
	default:
		l.add(outcomeRecordRefused)
	}
	return false, 0
}

func jitter(wait, spread time.Duration) time.Duration {
	if spread <= 0 {
		return wait
	}
	return wait + rand.N(spread) // #nosec G404 -- spreads waits, keeps nothing secret
}
