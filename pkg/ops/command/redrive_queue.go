package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"connexease-functions/pkg/bounded"
	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/order"
)

const (
	// atOnce is how many messages one call receives or makes visible again (AWS: ReceiveMessage,
	// ChangeMessageVisibilityBatch).
	atOnce = 10
	// hidden is how long a received message is hidden from other readers: longer than ten
	// invocations of the send function take.
	hidden = 15 * time.Minute
	// putBack bounds the clean-up, also of a redrive that was interrupted, and a call that it waits for.
	putBack = 10 * time.Second
	// putAtOnce is how many calls make messages visible again at the same time.
	putAtOnce = 10
)

// plan says what to do with a dead-lettered message: one of stays, invoke and body is set.
type plan struct {
	kind   string // in words
	stays  string // why nothing is done
	invoke []byte // payload of an invocation
	queue  string // that gets body
	body   string
}

func (p plan) would() string {
	if p.invoke != nil {
		return "would be invoked again"
	}
	return "would be put on " + p.queue
}

func (p plan) was() string {
	if p.invoke != nil {
		return "was invoked again"
	}
	return "was put on " + p.queue
}

// again runs the messages of a dead-letter queue again, each under its original key, and deletes
// those that were run. Without apply it only says what it would do.
func (r *redrive) again(ctx context.Context, q deadQueue, apply bool) (err error) {
	if q.url == "" {
		return fmt.Errorf("the stack %s has no %s", r.target.name, q.name)
	}
	client := r.target.sqs()
	out, err := client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &q.url, AttributeNames: depths})
	if err != nil {
		return fmt.Errorf("the queue %s: %w", q.name, why(err))
	}
	shown := r.progress("Reading "+q.name, int64(depth(out)))
	defer shown.end()
	var left []string // receipt handles of messages that stay
	defer func() { err = errors.Join(err, r.putBack(ctx, q, left)) }()
	seen, ran := map[string]bool{}, 0
	for {
		// Also one that was interrupted waits for the response: what is in it is hidden.
		receiving, cancel := context.WithTimeout(context.WithoutCancel(ctx), putBack)
		received, err := client.ReceiveMessage(receiving, &sqs.ReceiveMessageInput{
			QueueUrl: &q.url, MaxNumberOfMessages: atOnce, VisibilityTimeout: int32(hidden / time.Second), WaitTimeSeconds: 1,
		})
		cancel()
		if err != nil {
			return fmt.Errorf("the queue %s: %w", q.name, why(err))
		}
		if len(received.Messages) == 0 {
			break
		}
		for n, m := range received.Messages {
			if seen[*m.MessageId] { // it took longer than messages are hidden
				left = append(left, *m.ReceiptHandle)
				continue
			}
			seen[*m.MessageId] = true
			shown.add(1)
			done, err := false, ctx.Err()
			if err == nil {
				done, err = r.one(ctx, q, m, apply)
			}
			if err != nil {
				for _, rest := range received.Messages[n:] {
					left = append(left, *rest.ReceiptHandle)
				}
				return fmt.Errorf("after %d: %s: %w. It is still in %s; run this again", ran, *m.MessageId, why(err), q.name)
			}
			if done {
				ran++
			}
			if !done || !apply {
				left = append(left, *m.ReceiptHandle)
			}
		}
	}
	if apply {
		r.printf("%d of %d messages of %s were run again and deleted from it.\n", ran, len(seen), q.name)
	} else {
		r.printf("%d of %d messages of %s would be run again. Nothing was changed; APPLY=1 does it.\n", ran, len(seen), q.name)
	}
	return nil
}

// one runs one message again; done reports that it was run, or would be.
func (r *redrive) one(ctx context.Context, q deadQueue, m sqstypes.Message, apply bool) (done bool, err error) {
	plan := r.plan(q, *m.MessageId, *m.Body)
	switch {
	case plan.stays != "":
		r.printf("%s  %s  stays: %s\n", *m.MessageId, plan.kind, plan.stays)
		return false, nil
	case !apply:
		r.printf("%s  %s  %s\n", *m.MessageId, plan.kind, plan.would())
		return true, nil
	case plan.invoke != nil:
		refused, err := r.invoke(ctx, plan.invoke)
		if err != nil {
			return false, err
		}
		if refused != "" {
			r.printf("%s  %s  stays: the function returned %s\n", *m.MessageId, plan.kind, refused)
			return false, nil
		}
	default:
		url, err := r.target.queue(ctx, plan.queue)
		if err != nil {
			return false, err
		}
		if _, err := r.target.sqs().SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: &url, MessageBody: &plan.body}); err != nil {
			return false, err
		}
	}
	if _, err := r.target.sqs().DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &q.url, ReceiptHandle: m.ReceiptHandle}); err != nil {
		return false, fmt.Errorf("it %s, but cannot be deleted: %w", plan.was(), err)
	}
	r.printf("%s  %s  %s\n", *m.MessageId, plan.kind, plan.was())
	return true, nil
}

// invoke invokes the send function and waits for its response; refused is its error's name.
func (r *redrive) invoke(ctx context.Context, payload []byte) (refused string, err error) {
	name := r.target.sendFunction()
	out, err := r.target.lambda().Invoke(ctx, &lambda.InvokeInput{FunctionName: &name, Payload: payload})
	if err != nil || out.FunctionError == nil {
		return "", err
	}
	var failed struct{ ErrorType string }
	_ = json.Unmarshal(out.Payload, &failed) // an error, even without a name
	return word(failed.ErrorType), nil
}

// putBack makes the messages that stay in the queue visible again.
func (r *redrive) putBack(ctx context.Context, q deadQueue, receipts []string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), putBack)
	defer cancel()
	client, batches := r.target.sqs(), slices.Collect(slices.Chunk(receipts, atOnce))
	failed := make([]error, len(batches))
	bounded.Each(len(batches), putAtOnce, func(i int) {
		var entries []sqstypes.ChangeMessageVisibilityBatchRequestEntry
		for n := range batches[i] {
			entries = append(entries, sqstypes.ChangeMessageVisibilityBatchRequestEntry{Id: aws.String(strconv.Itoa(n)), ReceiptHandle: &batches[i][n]})
		}
		out, err := client.ChangeMessageVisibilityBatch(ctx, &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: &q.url, Entries: entries})
		if err == nil && len(out.Failed) > 0 {
			err = fmt.Errorf("%s: %s", aws.ToString(out.Failed[0].Code), aws.ToString(out.Failed[0].Message))
		}
		failed[i] = err
	})
	if i := slices.IndexFunc(failed, func(err error) bool { return err != nil }); i >= 0 {
		return fmt.Errorf("messages that stay in %s are hidden for up to %v: %w", q.name, hidden, why(failed[i]))
	}
	return nil
}

// plan decides how to run a message again.
func (r *redrive) plan(q deadQueue, id, body string) plan {
	switch {
	case q.of == "":
		return r.failedInvocation(body)
	case q.name == scheduleDead:
		return scheduled(body)
	case q.of == outboundQueue || q.of == bulkQueue:
		return plan{kind: "record", queue: q.of, body: underItsKey(body, id)}
	}
	return plan{kind: "message", queue: q.of, body: body}
}

const outboundQueue, bulkQueue = "OutboundQueue", "BulkQueue"

// scheduled plans for what EventBridge Scheduler could not deliver: the message itself, or the call
// that failed, with its members QueueUrl and MessageBody (AWS: EventBridge Scheduler, "Configuring
// a dead-letter queue"). It names a row of the ledger, and so its key.
func scheduled(body string) plan {
	m := members([]byte(body))
	var inner string
	if m["MessageBody"] != nil && json.Unmarshal(m["MessageBody"], &inner) == nil {
		body, m = inner, members([]byte(inner))
	}
	if len(m) != 1 || m["id"] == nil {
		return plan{kind: "other", stays: "it does not name a scheduled message"}
	}
	return plan{kind: "record", queue: outboundQueue, body: body}
}

// failedInvocation plans for Lambda's record of a failed asynchronous invocation (AWS: Capturing
// records of Lambda asynchronous invocations). The key of a direct invocation counts in the scope
// of direct invocations, so it must be invoked: on the queue it would be a different message. An
// event's key has its own scope, regardless of the source.
func (r *redrive) failedInvocation(body string) plan {
	var record struct {
		RequestContext struct{ FunctionArn string }
		RequestPayload json.RawMessage
	}
	if json.Unmarshal([]byte(body), &record) != nil || record.RequestPayload == nil {
		return plan{kind: "other", stays: "it is not the record of a failed invocation"}
	}
	if name := functionName(record.RequestContext.FunctionArn); name != r.target.sendFunction() {
		return plan{kind: "other", stays: "it is an invocation of a different function"}
	}
	payload := members(record.RequestPayload)
	event, direct := order.IsEvent(payload), payload["message"] != nil
	switch {
	case event && !direct:
		return plan{kind: "event", queue: outboundQueue, body: string(record.RequestPayload)}
	case direct && !event:
		return plan{kind: "direct", invoke: record.RequestPayload}
	}
	return plan{kind: "other", stays: "it is neither a direct invocation nor an EventBridge event"}
}

// functionName returns the name in an ARN, such as
// arn:aws:lambda:eu-central-1:1:function:name:$LATEST.
func functionName(arn string) string {
	_, name, _ := strings.Cut(arn, ":function:")
	name, _, _ = strings.Cut(name, ":")
	return name
}

// underItsKey returns a body that the send function treats as the same message as the record with
// this SQS id. Back on the queue the record gets a new id, which must not become its key.
func underItsKey(body, id string) string {
	m := members([]byte(body))
	if m == nil || len(m) == 1 && m["id"] != nil {
		return body
	}
	if order.IsEvent(m) {
		var event string
		if json.Unmarshal(m["id"], &event) == nil && ledger.ValidKey(event) {
			return body
		}
		body, m = string(m["detail"]), members(m["detail"])
	}
	envelope := map[string]json.RawMessage{"message": json.RawMessage(body)}
	if m["message"] != nil {
		var key string
		if _ = json.Unmarshal(m["idempotencyKey"], &key); key != "" {
			return body
		}
		envelope = m
	}
	envelope["idempotencyKey"], _ = json.Marshal(id)
	return string(plainJSON(envelope, "")) // the message stays unchanged
}

// members reads an object by its exact names; nil for anything else.
func members(text []byte) map[string]json.RawMessage {
	var m map[string]json.RawMessage
	if json.Unmarshal(text, &m) != nil {
		return nil
	}
	return m
}
