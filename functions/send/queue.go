package main

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/lambda/messages"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"connexease-functions/pkg/api"
	"connexease-functions/pkg/gateway"
	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/table"
)

const (
	// parallel bounds the records under way: a batch of SQS has 10.
	parallel = 10
	// longestDelay stays below what SQS allows in all from the receipt on: 12 h.
	longestDelay = 11 * time.Hour
	// shortest and spread put a record back that only this process cannot take.
	shortest = time.Second
	spread   = 4 * time.Second
)

// queue is the outbound queue.
type queue struct {
	client *sqs.Client
	url    string
}

// sendID queues a row by its id. A repeat does no harm: the row is claimed once.
func (q queue) sendID(ctx context.Context, id string) error {
	body, err := json.Marshal(map[string]string{"id": id})
	if err != nil {
		return err
	}
	return q.send(ctx, string(body))
}

func (q queue) send(ctx context.Context, body string) error {
	_, err := q.client.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: &q.url, MessageBody: &body})
	return err
}

// delay makes a record visible again after d, in whole seconds.
func (q queue) delay(ctx context.Context, handle string, d time.Duration) error {
	n := int32((min(d, longestDelay) + time.Second - 1) / time.Second)
	_, err := q.client.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{
		QueueUrl: &q.url, ReceiptHandle: &handle, VisibilityTimeout: n,
	})
	return err
}

// forward puts an EventBridge event that reached the function directly on the queue,
// so that there is one path with one way of repeating.
func (h *handler) forward(ctx context.Context, payload []byte) ([]byte, error) {
	l := h.begin(sourceEvent)
	sending, cancel := context.WithTimeout(ctx, enqueueLimit)
	defer cancel()
	if err := h.queue.send(sending, string(payload)); err != nil {
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
// the unified response as its text.
func failure(a api.Answer) error {
	return messages.InvokeResponse_Error{Type: string(a.Failure), Message: a.Body}
}

// record is one of an SQS event (AWS: Using Lambda with Amazon SQS).
type record struct {
	ID         string `json:"messageId"`
	Handle     string `json:"receiptHandle"`
	Body       string `json:"body"`
	Attributes struct {
		Sent string `json:"SentTimestamp"`
	} `json:"attributes"`
}

func (r *record) sent(now time.Time) time.Time {
	if n, err := strconv.ParseInt(r.Attributes.Sent, 10, 64); err == nil && n > 0 {
		return time.UnixMilli(n)
	}
	return now
}

// batch is what the records of one event share.
type batch struct {
	mu     sync.Mutex
	wait   time.Duration // asked for by a rate limit; 0 without one
	failed []failedItem
}

type failedItem struct {
	ID string `json:"itemIdentifier"`
}

func (b *batch) limited() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.wait
}

func (b *batch) limit(wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wait = max(b.wait, wait)
}

// records handles each record on its own, and reports those that are to come again.
func (h *handler) records(ctx context.Context, payload []byte) ([]byte, error) {
	var all []record
	if err := json.Unmarshal(members(payload)["Records"], &all); err != nil {
		return nil, messages.InvokeResponse_Error{Type: string(api.UnsupportedEvent), Message: otherRecord.text}
	}
	b := batch{failed: []failedItem{}}
	slots := make(chan struct{}, parallel)
	var handled sync.WaitGroup
	for i := range all {
		slots <- struct{}{}
		handled.Go(func() {
			defer func() { <-slots }()
			h.record(ctx, &all[i], &b)
		})
	}
	handled.Wait()
	return json.Marshal(map[string]any{"batchItemFailures": b.failed})
}

// record handles one record.
func (h *handler) record(ctx context.Context, r *record, b *batch) {
	l := h.begin(sourceSQS)
	l.record = r.ID
	again, wait := h.process(ctx, r, b, &l)
	if again {
		l.outcome = "later"
		delaying, cancel := context.WithTimeout(ctx, readLimit)
		// Without the delay the queue's visibility timeout brings it back.
		if err := h.queue.delay(delaying, r.Handle, wait); err != nil && l.err == nil {
			l.err = err
		}
		cancel()
		b.mu.Lock()
		b.failed = append(b.failed, failedItem{r.ID})
		b.mu.Unlock()
	}
	h.summarise(ctx, &l, api.Answer{})
}

// process says whether the record is to come again, and after what time.
func (h *handler) process(ctx context.Context, r *record, b *batch, l *line) (again bool, wait time.Duration) {
	now := h.now()
	if wait := b.limited(); wait > 0 {
		l.reason = gateway.ReasonRateLimited
		return true, jitter(wait, wait/5)
	}
	sent := r.sent(now)
	v := visit{request: ledger.Request{Source: ledger.Bare, Sent: sent, RetentionDays: h.retentionDays}}
	v.request.ProcessEnds = h.processEnds(ctx)
	v.request.AnswerBy = v.request.ProcessEnds.Add(-answerMargin)
	o, id, bad := readRecord(r)
	l.client = o.client
	expired := id == "" && !now.Before(sent.Add(validity(&o)))
	switch {
	case id != "":
		v.request.Source = ledger.ByID
	case bad != nil:
		return h.refuse(ctx, r, &o, *bad, l)
	case o.summary.Receipt && expired:
		l.outcome = "expired"
		return false, 0
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
	if v.result != nil && v.result.Status == 429 && v.end.Do == ledger.DoLater {
		b.limit(v.end.Delay)
	}
	if l.has(ledger.NoteKeyReused) {
		return h.refuse(ctx, r, &o, api.Fail(api.KeyReused, "", nil), l)
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
	return wait + rand.N(spread)
}

// readRecord tells what a record's body is: our own {"id"}, an EventBridge event, an
// envelope, or a bare message.
func readRecord(r *record) (o order, id string, bad *api.Answer) {
	o.scope, o.key = sourceSQS, r.ID
	m := members([]byte(r.Body))
	if len(m) == 1 && m["id"] != nil {
		if json.Unmarshal(m["id"], &id) == nil && ledger.ValidID(id) {
			return o, id, nil
		}
		id = ""
	}
	body := []byte(r.Body)
	if m["detail-type"] != nil && m["source"] != nil && m["detail"] != nil {
		var source, event string
		if json.Unmarshal(m["source"], &source) == nil && json.Unmarshal(m["id"], &event) == nil && ledger.ValidKey(event) {
			o.scope, o.key = "event/"+source, event
		}
		body = m["detail"]
		m = members(body)
	}
	f := faults{}
	if m["message"] != nil {
		key := o.key
		bad = o.envelope(m, f)
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
func (h *handler) refuse(ctx context.Context, r *record, o *order, why api.Answer, l *line) (again bool, wait time.Duration) {
	v := visit{request: ledger.Request{Source: ledger.Bare, AnswerBy: h.processEnds(ctx)}}
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
	result, err := h.table.WriteSend(writing, ledger.Refused(&v.request, h.now(), ledger.Outcome{HTTP: why.Status, Body: []byte(why.Body), Reason: why.Code}), v.about)
	if result.Lost || result.Missed {
		l.err = err
		return true, jitter(shortest, spread)
	}
	l.outcome, l.reason = "refused", "record_refused"
	return false, 0
}

// queuedReceipt sends a receipt until it arrives or its validity ends.
func (h *handler) queuedReceipt(ctx context.Context, r *record, o *order, v *visit, l *line) (again bool, wait time.Duration) {
	l.receipt = true
	result := h.postReceipt(ctx, o, v)
	l.visit(v)
	switch result.Kind {
	case gateway.Accepted:
		return false, 0
	case gateway.Rejected:
		return h.refuse(ctx, r, o, h.own(&result), l)
	}
	delay := ledger.Backoff(h.now().Sub(v.request.Sent), result.RetryAfter)
	return true, jitter(delay, delay/5)
}
