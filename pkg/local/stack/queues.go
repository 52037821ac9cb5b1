package stack

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	simlambda "connexease-functions/pkg/local/sim/lambda"
	simsqs "connexease-functions/pkg/local/sim/sqs"
	"connexease-functions/pkg/local/template"
)

// Batch is one batch of records with which a queue's mapping invoked a function.
type Batch struct {
	Time          time.Time
	Queue         string
	Function      string
	Records       int
	Failed        int // number that the function reported as failed, or all if it failed itself
	Duration      time.Duration
	RequestID     string // Lambda's, as in the function's logs
	FunctionError string
	Err           error // the function did not run
}

// startQueues starts the SQS endpoint with the template's queues.
func (s *Stack) startQueues() error {
	queues, err := s.tpl.Queues()
	if err != nil {
		return err
	}
	for _, q := range queues {
		if err := s.Queues.AddQueue(q); err != nil {
			return err
		}
		s.QueueNames = append(s.QueueNames, q.Name)
	}
	if s.SQSURL, err = s.serveAnywhere(s.Queues); err != nil {
		return err
	}
	s.Queues.SetBase(s.SQSURL)
	if slices.Contains(s.QueueNames, outboundQueue) {
		s.QueueURL = s.Queues.URL(outboundQueue)
	}
	s.tpl.Resolve = func(id, attribute string) (string, error) {
		kind := template.Find(s.tpl.Root(), "Resources", id, "Type")
		switch {
		case kind != nil && kind.Value == "AWS::IAM::Role" && attribute == "Arn":
			return "arn:aws:iam::000000000000:role/" + id, nil
		case kind != nil && kind.Value == "AWS::DynamoDB::Table" && attribute == "":
			return s.tableName(id), nil
		case !slices.Contains(s.QueueNames, id):
			return id, nil
		case attribute == "" || attribute == "QueueUrl":
			return s.Queues.URL(id), nil
		case attribute == "Arn":
			return simsqs.ARN(id), nil
		case attribute == "QueueName":
			return id, nil
		}
		return "", fmt.Errorf("a queue has no attribute %s", attribute)
	}
	return nil
}

// startMappings invokes the functions with their queues' messages until Close.
func (s *Stack) startMappings() {
	for _, f := range s.functions {
		for _, m := range f.Mappings {
			m.Invoke = s.invoke(f.Name, m)
			s.lambda.Map(simlambda.Mapping{Function: f.Name, SourceARN: simsqs.ARN(m.Queue), BatchSize: m.BatchSize, Poll: func(ctx context.Context) {
				if err := s.Queues.Run(ctx, m); err != nil {
					s.fail(err)
				}
			}})
		}
	}
}

// invoke runs a function with a batch of a mapping. An invocation continues when polling ends,
// because its messages would be left in flight.
func (s *Stack) invoke(function string, m simsqs.Mapping) func(context.Context, []byte) ([]byte, string, error) {
	return func(ctx context.Context, payload []byte) ([]byte, string, error) {
		start := time.Now()
		result, err := s.Functions[function].Invoke(context.WithoutCancel(ctx), payload)
		if s.options.ObserveBatch != nil {
			b := Batch{
				Time: start, Queue: m.Queue, Function: function, Records: members(payload, "Records"), Duration: time.Since(start),
				RequestID: result.RequestID, FunctionError: result.FunctionError, Err: err,
			}
			switch {
			case err != nil || result.FunctionError != "":
				b.Failed = b.Records
			case !m.WholeBatch:
				b.Failed = members(result.Payload, "batchItemFailures")
			}
			s.options.ObserveBatch(b)
		}
		return result.Payload, result.FunctionError, err
	}
}

// members counts the elements of a list in an object.
func members(payload []byte, list string) int {
	var o map[string]json.RawMessage
	var all []json.RawMessage
	if json.Unmarshal(payload, &o) != nil || json.Unmarshal(o[list], &all) != nil {
		return 0
	}
	return len(all)
}

// onFailure returns a function that sends a function's failed asynchronous invocations to the queue
// named by the template.
func (s *Stack) onFailure(f template.Function) func(record []byte) {
	if f.OnFailure == "" {
		return nil
	}
	return func(record []byte) {
		if err := s.Enqueue(context.Background(), f.OnFailure, record); err != nil {
			s.options.Progress(fmt.Sprintf("%s: a failed invocation could not be put into %s: %v", f.Name, f.OnFailure, err))
		}
	}
}
