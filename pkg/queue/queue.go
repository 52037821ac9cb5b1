// Package queue is SQS as the functions use it: records that a mapping delivers, and
// messages that they send.
package queue

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// longestDelay stays below what SQS allows in total from the receipt of a message on: 12
// hours (AWS: Amazon SQS visibility timeout).
const longestDelay = 11 * time.Hour

// Queue is one queue.
type Queue struct {
	client *sqs.Client
	url    string
}

// New returns the queue of that URL.
func New(cfg aws.Config, url string) Queue { return Queue{sqs.NewFromConfig(cfg), url} }

// Send puts a message on the queue. After an error it may be there all the same.
func (q Queue) Send(ctx context.Context, body string) error {
	_, err := q.client.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: &q.url, MessageBody: &body})
	return err
}

// Delay makes a record visible again after d, in whole seconds, at most 11 hours.
func (q Queue) Delay(ctx context.Context, r *Record, d time.Duration) error {
	_, err := q.client.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{
		QueueUrl: &q.url, ReceiptHandle: &r.Handle,
		VisibilityTimeout: int32((min(d, longestDelay) + time.Second - 1) / time.Second), // #nosec G115 -- at most 39,600
	})
	return err
}

// Record is one record of an event (AWS: Using Lambda with Amazon SQS).
type Record struct {
	ID         string `json:"messageId"`
	Handle     string `json:"receiptHandle"`
	Body       string `json:"body"`
	Source     string `json:"eventSourceARN"` // its queue's ARN
	Attributes struct {
		Sent string `json:"SentTimestamp"`
	} `json:"attributes"`
}

// Sent returns when the record was put on the queue, or now where the record does not say.
func (r *Record) Sent(now time.Time) time.Time {
	if n, err := strconv.ParseInt(r.Attributes.Sent, 10, 64); err == nil && n > 0 {
		return time.UnixMilli(n)
	}
	return now
}

// ErrNotSQS reports an event whose Records are missing, or those of a different service.
var ErrNotSQS = errors.New("the event has no Records of SQS")

// Read reads the value of an event's member Records. All of them must be of SQS.
func Read(records json.RawMessage) ([]Record, error) {
	var marks []map[string]json.RawMessage // exact names, unlike a struct: SNS has EventSource
	if json.Unmarshal(records, &marks) != nil || len(marks) == 0 {
		return nil, ErrNotSQS
	}
	for _, m := range marks {
		var source string // in any notation
		if json.Unmarshal(m["eventSource"], &source) != nil || source != "aws:sqs" {
			return nil, ErrNotSQS
		}
	}
	var all []Record
	if json.Unmarshal(records, &all) != nil {
		return nil, ErrNotSQS
	}
	return all, nil
}

// Failed is a partial batch response: the ids of the records that are to be retried
// (AWS: Implementing partial batch responses).
func Failed(ids []string) ([]byte, error) {
	type item struct {
		ID string `json:"itemIdentifier"`
	}
	failures := make([]item, len(ids))
	for i, id := range ids {
		failures[i] = item{id}
	}
	return json.Marshal(map[string]any{"batchItemFailures": failures})
}
