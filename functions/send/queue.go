package main

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/lambda/messages"

	"connexease-functions/pkg/api"
	"connexease-functions/pkg/gateway"
	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/queue"
	"connexease-functions/pkg/table"
)

const (
	// parallel bounds the records under way: a batch of SQS has 10.
	parallel = 10
	// shortest and spread put a record back that only this process cannot take.
	shortest = time.Second
	spread   = 4 * time.Second
)

// forward puts an EventBridge event that reached the function directly on the queue,
// so that there is one path with one way of repeating.
func (h *handler) forward(ctx context.Context, payload []byte) ([]byte, error) {
	l := h.begin(sourceEvent)
	sending, cancel := context.WithTimeout(ctx, enqueueLimit)
	defer cancel()
	if err := h.queue.Send(sending, string(payload)); err != nil {
		l.reason, l.err = "queue_unavailable", err
		a := api.Fail(api.QueueUnconfirmed, "The queue did not confirm the event. It is repeated.", nil)
		h.summarise(ctx, &l, a)
		return nil, failure(a)
	}
	l.outcome = "forwarded"
	a := api.Success(map[string]string{"status": "queued"})
	h.summarise(ctx, &l, a)
	return []byte(a.Body), nil
}

// failure is an answer as the error of a Lambda function: its name for Step Functions,
// the unified response as its text. The runtime logs it and hands it to X-Ray, so the
// Gateway's own words, which may name a customer, stay out of it.
func failure(a api.Answer) error {
	body := a.Body
	if a.Foreign {
		body = withoutWords(body)
	}
	return messages.InvokeResponse_Error{Type: string(a.Failure), Message: body}
}

// limit remembers until when the Gateway takes nothing of this installation: what is
// tried before is refused, at the cost of a claim and its outcome.
type limit struct {
	mu    sync.Mutex
	until time.Time
}

func (l *limit) set(until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	until = until.Round(0) // by the wall clock: the other one stops while Lambda has a process frozen
	if until.After(l.until) {
		l.until = until
	}
}

// left returns how long it still lasts; zero or less without one.
func (l *limit) left(now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.until.Sub(now.Round(0))
}

// records handles each record on its own, and reports those that are to come again.
func (h *handler) records(ctx context.Context, payload []byte) ([]byte, error) {
	all, err := queue.Read(members(payload)["Records"])
	if err != nil {
		return nil, messages.InvokeResponse_Error{Type: string(api.UnsupportedEvent), Message: otherRecord.text}
	}
	var mu sync.Mutex
	var again []string
	slots := make(chan struct{}, parallel)
	var handled sync.WaitGroup
	for i := range all {
		slots <- struct{}{}
		handled.Go(func() {
			defer func() { <-slots }()
			if h.record(ctx, &all[i]) {
				mu.Lock()
				again = append(again, all[i].ID)
				mu.Unlock()
			}
		})
	}
	handled.Wait()
	return queue.Answer(again)
}

// record handles one record, and says whether it is to come again.
func (h *handler) record(ctx context.Context, r *queue.Record) (again bool) {
	l := h.begin(sourceSQS)
	l.record, l.age = r.ID, max(0, l.started.Sub(r.Sent(l.started)))
	var wait time.Duration
	defer func() {
		if p := recover(); p != nil { // a fault in one record's way harms no other
			again, wait, l.reason = true, jitter(shortest, spread), "panic"
		}
		if again {
			l.outcome = "later"
			delaying, cancel := context.WithTimeout(ctx, readLimit)
			defer cancel()
			// Without the delay the queue's visibility timeout brings it back.
			if err := h.queue.Delay(delaying, r, wait); err != nil && l.err == nil {
				l.err = err
			}
		}
		h.summarise(ctx, &l, api.Answer{})
	}()
	again, wait = h.process(ctx, r, &l)
	return again
}

// process says whether the record is to come again, and after what time.
func (h *handler) process(ctx context.Context, r *queue.Record, l *line) (again bool, wait time.Duration) {
	now := h.now()
	sent := r.Sent(now)
	v := visit{request: ledger.Request{Source: ledger.Record, Sent: sent, RetentionDays: h.retentionDays}}
	v.request.ProcessEnds = h.processEnds(ctx)
	v.request.RespondBy = v.request.ProcessEnds.Add(-answerMargin)
	o, id, bad := readRecord(r)
	l.client = o.client
	expired := id == "" && !now.Before(sent.Add(validity(&o)))
	switch {
	case id != "":
		v.request.Source = ledger.RecordByID
	case bad != nil:
		return h.refuse(ctx, r, &o, *bad, l)
	case o.summary.Receipt && expired:
		l.outcome = "expired"
		return false, 0
	}
	if left := h.limited.left(now); left > 0 && !expired {
		l.reason = string(gateway.ReasonRateLimited)
		left = ledger.Backoff(now.Sub(sent), left)
		return true, jitter(left, left/5)
	}
	// What has expired is recorded instead of sent, which needs no key.
	if h.fetchKey(ctx, &v, l) != nil && !expired {
		return true, jitter(ledger.Backoff(now.Sub(sent), 0), spread)
	}
	if o.summary.Receipt {
		return h.queuedReceipt(ctx, r, &o, &v, l)
	}
	v.about = o.about()
	h.identify(&o, &v)
	if id != "" {
		v.request.ID = id
	}
	h.deliver(ctx, &v)
	l.visit(&v)
	switch {
	case l.has(ledger.NoteKeyReused):
		return h.refuse(ctx, r, &o, api.Fail(api.KeyReused, "", nil), l)
	case l.has(ledger.NoteTableFailed) && table.Unfit(v.err) && id == "":
		return h.refuse(ctx, r, &o, unfit(), l)
	}
	return v.end.Do == ledger.DoLater, jitter(v.end.Delay, v.end.Spread)
}

func validity(o *order) time.Duration {
	if o.validFor > 0 {
		return o.validFor
	}
	return ledger.DefaultValidFor
}

func jitter(wait, spread time.Duration) time.Duration {
	if spread <= 0 {
		return wait
	}
	return wait + rand.N(spread) // #nosec G404 -- spreads waits, keeps nothing secret
}

// readRecord tells what a record's body is: our own {"id"}, an EventBridge event, an
// envelope, or a bare message.
func readRecord(r *queue.Record) (o order, id string, bad *api.Answer) {
	o.scope, o.key = sourceSQS, r.ID
	m, repeated := readMembers([]byte(r.Body))
	if len(m) == 1 && len(repeated) == 0 && m["id"] != nil {
		if json.Unmarshal(m["id"], &id) == nil && ledger.ValidID(id) {
			return o, id, nil
		}
		id = ""
	}
	f := faults{}
	body := []byte(r.Body)
	if m["detail-type"] != nil && m["source"] != nil && m["detail"] != nil {
		var source, event string
		if json.Unmarshal(m["source"], &source) == nil && json.Unmarshal(m["id"], &event) == nil && ledger.ValidKey(event) {
			o.scope, o.key = "event/"+source, event
		}
		f.repeated(repeated)
		body = m["detail"]
		m = members(body)
	}
	if m["message"] != nil {
		key := o.key
		bad = o.envelope(body, f)
		if o.key == "" {
			o.key = key
		}
	} else {
		bad = o.read(body, f)
	}
	if bad == nil {
		bad = f.verdict()
	}
	return o, "", bad
}

// refuse records a record that can never be sent, under its own SQS message id and
// never under its key: a bad record does not spend a key.
func (h *handler) refuse(ctx context.Context, r *queue.Record, o *order, why api.Answer, l *line) (again bool, wait time.Duration) {
	v := visit{request: ledger.Request{Source: ledger.Record, RespondBy: h.processEnds(ctx)}}
	own := *o
	own.scope, own.key = sourceSQS, r.ID
	if len(own.body) == 0 {
		own.body = []byte(r.Body[:min(len(r.Body), table.MaxSend)])
	}
	h.identify(&own, &v)
	v.about = own.about()
	l.id, l.code = v.request.ID, why.Code
	writing, cancel := context.WithTimeout(ctx, claimLimit)
	defer cancel()
	l.outcome, l.reason = "refused", "record_refused"
	result, err := h.table.WriteSend(writing, ledger.Refused(&v.request, h.now(), ledger.Outcome{HTTP: why.Status, Body: []byte(why.Body), Reason: ledger.Reason(why.Code)}), v.about)
	switch {
	case result.Lost || result.Missed:
		l.err = err
		return true, jitter(shortest, spread)
	case result.Refused && ledger.Fold(h.now(), result.Image, nil).State != ledger.Rejected:
		l.outcome = "settled" // it was taken before it broke a limit
	}
	return false, 0
}

// queuedReceipt sends a receipt until it arrives or its validity ends.
func (h *handler) queuedReceipt(ctx context.Context, r *queue.Record, o *order, v *visit, l *line) (again bool, wait time.Duration) {
	l.receipt = true
	result := h.postReceipt(ctx, o, v)
	l.visit(v)
	switch result.State {
	case gateway.Accepted:
		return false, 0
	case gateway.Rejected:
		return h.refuse(ctx, r, o, h.own(&result), l)
	}
	delay := ledger.Backoff(h.now().Sub(v.request.Sent), result.RetryAfter)
	return true, jitter(delay, delay/5)
}
