package sqs

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"sync"
)

// maxEvent is Lambda's limit of a request, in bytes; batches are kept below it (AWS: Lambda quotas;
// Using Lambda with Amazon SQS).
const maxEvent = 6 << 20

// Mapping invokes a function with a queue's messages (AWS::Lambda::EventSourceMapping).
type Mapping struct {
	Queue          string
	BatchSize      int  // 1 to 10; default 10
	MaxConcurrency int  // invocations at a time, 2 to 1,000; default 2
	WholeBatch     bool // the template has no FunctionResponseTypes: ReportBatchItemFailures

	// Invoke runs the function. functionError is Lambda's X-Amz-Function-Error; err means that the
	// function did not run.
	Invoke func(ctx context.Context, payload []byte) (result []byte, functionError string, err error)
}

// Run polls until ctx ends, and returns once its invocations have returned. An error means that the
// mapping is not valid.
func (s *Server) Run(ctx context.Context, m Mapping) error {
	m.BatchSize, m.MaxConcurrency = cmp.Or(m.BatchSize, maxBatch), cmp.Or(m.MaxConcurrency, 2)
	s.mu.Lock()
	q := s.queues[m.Queue]
	s.mu.Unlock()
	switch {
	case q == nil:
		return fmt.Errorf("mapping: queue %q does not exist", m.Queue)
	case m.BatchSize < 1 || m.BatchSize > maxBatch:
		return fmt.Errorf("mapping of %s: batch size must be between 1 and 10", m.Queue)
	case m.MaxConcurrency < 2 || m.MaxConcurrency > 1000:
		return fmt.Errorf("mapping of %s: maximum concurrency must be between 2 and 1,000", m.Queue)
	case m.Invoke == nil:
		return fmt.Errorf("mapping of %s: nothing to invoke", m.Queue)
	}
	var pollers sync.WaitGroup
	for range m.MaxConcurrency {
		pollers.Go(func() {
			for ctx.Err() == nil {
				s.poll(ctx, q, m)
			}
		})
	}
	pollers.Wait()
	return nil
}

// poll receives one batch and invokes the function with it. Failed messages return to the queue
// after their visibility timeout, which the function may have changed.
func (s *Server) poll(ctx context.Context, q *queue, m Mapping) {
	var payload []byte
	var batch []*message
	handles := map[string]string{} // by message id, as they were when received
	s.receive(ctx, q, m.BatchSize, q.VisibilityTimeout, maxWait, func(got []*message) {
		if ctx.Err() != nil {
			s.giveBack(got)
			return
		}
		for len(got) > 0 {
			if payload = event(q.Name, got); len(payload) <= maxEvent || len(got) == 1 {
				break
			}
			s.giveBack(got[len(got)-1:])
			got = got[:len(got)-1]
		}
		batch = got
		for _, one := range batch {
			one.handled++
			handles[one.id] = one.handle()
		}
	})
	if len(batch) == 0 {
		return
	}
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, one := range batch {
			one.handled--
		}
	}()
	result, functionError, err := m.Invoke(ctx, payload)
	if err != nil || functionError != "" {
		return
	}
	failed := map[string]bool{}
	if !m.WholeBatch {
		var ok bool
		if failed, ok = failures(result, handles); !ok {
			return
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, handle := range handles {
		if !failed[id] {
			_ = s.remove(q, input{ReceiptHandle: handle})
		}
	}
}

// failures reads a partial batch response. ok is false, which fails the whole batch, where it
// cannot be read or names a record that is not in the batch; a response that names none is success
// (AWS: Implementing partial batch responses).
func failures(result []byte, batch map[string]string) (failed map[string]bool, ok bool) {
	if len(result) == 0 {
		return nil, true
	}
	var members map[string]json.RawMessage // exact names, unlike a struct
	if json.Unmarshal(result, &members) != nil {
		return nil, false
	}
	list, there := members["batchItemFailures"]
	if !there {
		return nil, true
	}
	var items []map[string]json.RawMessage
	if json.Unmarshal(list, &items) != nil {
		return nil, false
	}
	failed = map[string]bool{}
	for _, item := range items {
		var id string
		if json.Unmarshal(item["itemIdentifier"], &id) != nil {
			return nil, false
		}
		if _, known := batch[id]; !known {
			return nil, false
		}
		failed[id] = true
	}
	return failed, true
}

type record struct {
	MessageID         string            `json:"messageId"`
	ReceiptHandle     string            `json:"receiptHandle"`
	Body              string            `json:"body"`
	Attributes        map[string]string `json:"attributes"`
	MessageAttributes map[string]any    `json:"messageAttributes"`
	MD5OfBody         string            `json:"md5OfBody"`
	EventSource       string            `json:"eventSource"`
	EventSourceARN    string            `json:"eventSourceARN"`
	AWSRegion         string            `json:"awsRegion"`
}

// event returns Lambda's event for a batch (AWS: Using Lambda with Amazon SQS).
func event(queue string, batch []*message) []byte {
	records := make([]record, len(batch))
	for i, m := range batch {
		records[i] = record{
			MessageID: m.id, ReceiptHandle: m.handle(), Body: m.body, Attributes: m.system(), MessageAttributes: map[string]any{},
			MD5OfBody:   md5Hex(m.body),
			EventSource: "aws:sqs", EventSourceARN: ARN(queue), AWSRegion: region,
		}
	}
	payload, _ := json.Marshal(map[string]any{"Records": records})
	return payload
}
