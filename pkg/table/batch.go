package table

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"

	"connexease-functions/pkg/whatsapp"
)

const (
	firstWait = 25 * time.Millisecond
	maxWait   = 400 * time.Millisecond
	// callTimeout bounds one call, so that a connection that died silently leaves
	// time for another try.
	callTimeout = 1900 * time.Millisecond
	// leastCall is the least time in which a call may succeed; with less time left, another try is
	// pointless.
	leastCall = 20 * time.Millisecond
)

// ErrUnprocessed means that DynamoDB kept returning items unprocessed until time ran out.
var ErrUnprocessed = errors.New("items were left unprocessed")

// batch writes up to 25 rows.
func (w *writer) batch(ctx context.Context, all []row) {
	if len(all) == 1 {
		w.single(ctx, all[0])
		return
	}
	pending := make(map[[2]string]row, len(all))
	requests := make([]types.WriteRequest, len(all))
	for i, r := range all {
		pending[[2]string{r.pk, r.sk}] = r
		requests[i] = types.WriteRequest{PutRequest: &types.PutRequest{Item: w.item(r)}}
	}
	err := attempts(ctx, w.retried, func(ctx context.Context) (again bool, err error) {
		out, err := w.table.client.BatchWriteItem(ctx, &dynamodb.BatchWriteItemInput{
			RequestItems: map[string][]types.WriteRequest{w.table.name: requests},
		})
		if err != nil {
			return true, err
		}
		requests = requests[:0]
		for _, left := range out.UnprocessedItems {
			requests = append(requests, left...)
		}
		still := make(map[[2]string]row, len(requests))
		for _, r := range requests {
			key := [2]string{text(r.PutRequest.Item["pk"]), text(r.PutRequest.Item["sk"])}
			still[key] = pending[key]
		}
		pending = still
		if len(requests) > 0 {
			return true, ErrUnprocessed
		}
		return false, nil
	})
	if err == nil {
		return
	}
	if invalid(err) {
		// One of them is invalid, and DynamoDB does not say which.
		for _, r := range pending {
			w.single(ctx, r)
		}
		return
	}
	for _, r := range pending {
		w.lose(err, r)
	}
}

// single writes one row; one that DynamoDB refuses as invalid is quarantined.
func (w *writer) single(ctx context.Context, r row) {
	err := w.put(ctx, w.item(r))
	if !invalid(err) {
		if err != nil {
			w.lose(err, r)
		}
		return
	}
	if r.alias {
		return // names that the table cannot store; the event itself is stored
	}
	e := w.events[r.event]
	if e.Kind == whatsapp.KindQuarantine || r.part > 0 {
		w.lose(err, r)
		return
	}
	bare := whatsapp.Quarantine(e.Payload, whatsapp.ReasonRefused)
	full := e
	full.Kind, full.Reason, full.Key = bare.Kind, bare.Reason, bare.Key
	if err = w.quarantine(ctx, &full); invalid(err) { // one of the facts is invalid
		err = w.quarantine(ctx, &bare)
	}
	if err != nil {
		w.lose(err, r)
		return
	}
	w.mu.Lock()
	w.quarantined++
	w.mu.Unlock()
}

func (w *writer) quarantine(ctx context.Context, e *whatsapp.Event) error {
	for _, r := range rows(0, e) {
		if err := w.put(ctx, w.table.item(r, e, w.today)); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) put(ctx context.Context, it item) error { return w.table.store(ctx, w.retried, it) }

// store writes one item, and retries until ctx ends.
func (t *Table) store(ctx context.Context, retried func(), it item) error {
	return attempts(ctx, retried, func(ctx context.Context) (bool, error) {
		_, err := t.client.PutItem(ctx, &dynamodb.PutItemInput{TableName: &t.name, Item: it})
		return err != nil, err
	})
}

// attempts calls call until it wants no further try, the error is final, or another wait and call
// would not fit before ctx ends. It calls retried for each further try.
func attempts(ctx context.Context, retried func(), call func(context.Context) (again bool, err error)) error {
	for wait := firstWait; ; wait = min(2*wait, maxWait) {
		one, cancel := context.WithTimeout(ctx, callTimeout)
		again, err := call(one)
		cancel()
		if !again || final(err) {
			return err
		}
		pause := wait/2 + rand.N(wait/2) // #nosec G404 -- spreads retries, not used for security
		if end, ok := ctx.Deadline(); ok && time.Until(end) < pause+leastCall {
			return err
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return err
		case <-timer.C:
		}
		retried()
	}
}

// invalid reports whether DynamoDB refused a request that it will always refuse.
func invalid(err error) bool {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return false
	}
	switch api.ErrorCode() {
	case "ValidationException", "ItemCollectionSizeLimitExceededException", "SerializationException":
		return true
	}
	return false
}

// final reports whether a retry would fail the same way.
func final(err error) bool {
	var api smithy.APIError
	if invalid(err) {
		return true
	}
	if errors.As(err, &api) {
		switch api.ErrorCode() {
		case "AccessDeniedException", "ResourceNotFoundException", "UnrecognizedClientException":
			return true
		}
	}
	return false
}

func text(v types.AttributeValue) string {
	if s, ok := v.(*types.AttributeValueMemberS); ok {
		return s.Value
	}
	return ""
}
