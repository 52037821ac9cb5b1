package pipes

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"connexease-functions/pkg/local/pause"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
)

const (
	// idle is the pause after an empty read of a shard: AWS polls four times a second.
	idle = 50 * time.Millisecond
	// rediscover is how often the stream is checked for new shards.
	rediscover = 20 // rounds
)

// Stream reads the stream of one table.
type Stream struct {
	Client *dynamodbstreams.Client
	Table  string
	Newest bool          // begin with what comes from now on, instead of the oldest record
	Idle   time.Duration // the pause after an empty read; 0: as a pipe's. That after a failure is longer, up to a second

	arn    string
	shards map[string]*shard
	order  []string // shards as the stream lists them: parents before children
}

type shard struct {
	parent   string
	iterator *string // nil: must be requested
	last     string  // sequence number of the last record that was moved; empty: none yet
	newest   bool    // nothing before the first read is of interest
	done     bool
}

// Run moves the stream's records through the pipe until ctx ends. After a failure it resumes where
// it stopped. A shard waits for its parent, so records of one key stay in order.
func (s *Stream) Run(ctx context.Context, p *Pipe) {
	for round := 0; ctx.Err() == nil; round++ {
		moved, err := s.round(ctx, p, round%rediscover == 0)
		wait := cmp.Or(s.Idle, idle)
		switch {
		case err != nil && ctx.Err() == nil:
			p.config.Trouble(fmt.Errorf("the stream of %s: %w", s.Table, err))
			wait = max(wait, min(20*wait, 20*idle))
			round = -1
			s.restart(err)
		case moved:
			continue
		}
		_ = pause.For(ctx, wait)
	}
}

// Drain moves the stream's records through the pipe, and returns when there are no more.
func (s *Stream) Drain(ctx context.Context, p *Pipe) error {
	for {
		if moved, err := s.round(ctx, p, true); err != nil || !moved {
			return err
		}
	}
}

// restart drops the state that an error shows to be invalid.
func (s *Stream) restart(err error) {
	if _, ok := errors.AsType[*types.ResourceNotFoundException](err); ok { // a different table or stream
		s.arn, s.shards, s.order = "", nil, nil
	}
	var trimmed *types.TrimmedDataAccessException
	for _, one := range s.shards {
		one.iterator = nil // it may have expired
		if errors.As(err, &trimmed) {
			one.last = "" // from the oldest record that is still there
		}
	}
}

func (s *Stream) round(ctx context.Context, p *Pipe, discover bool) (moved bool, err error) {
	if discover || s.arn == "" {
		if err := s.discover(ctx); err != nil {
			return false, err
		}
	}
	for _, id := range s.order {
		one := s.shards[id]
		if parent := s.shards[one.parent]; one.done || parent != nil && !parent.done {
			continue
		}
		n, err := s.read(ctx, p, id, one)
		if err != nil {
			return moved, err
		}
		moved = moved || n > 0
	}
	return moved, nil
}

func (s *Stream) discover(ctx context.Context) error {
	if s.arn == "" {
		streams, err := s.Client.ListStreams(ctx, &dynamodbstreams.ListStreamsInput{TableName: &s.Table})
		if err != nil {
			return err
		}
		if len(streams.Streams) == 0 {
			return errors.New("the table has no stream")
		}
		// A table that was deleted and created again leaves its old stream behind.
		newest := slices.MaxFunc(streams.Streams, func(a, b types.Stream) int {
			return cmp.Compare(aws.ToString(a.StreamLabel), aws.ToString(b.StreamLabel))
		})
		s.arn, s.shards = aws.ToString(newest.StreamArn), map[string]*shard{}
	}
	begin := s.Newest && len(s.shards) == 0
	in := &dynamodbstreams.DescribeStreamInput{StreamArn: &s.arn}
	for {
		out, err := s.Client.DescribeStream(ctx, in)
		if err != nil {
			return err
		}
		for _, found := range out.StreamDescription.Shards {
			id := aws.ToString(found.ShardId)
			if s.shards[id] == nil {
				s.shards[id] = &shard{parent: aws.ToString(found.ParentShardId), newest: begin, done: begin && found.SequenceNumberRange.EndingSequenceNumber != nil}
				s.order = append(s.order, id)
			}
		}
		if in.ExclusiveStartShardId = out.StreamDescription.LastEvaluatedShardId; in.ExclusiveStartShardId == nil {
			return nil
		}
	}
}

func (s *Stream) read(ctx context.Context, p *Pipe, id string, one *shard) (n int, err error) {
	if one.iterator == nil {
		in := &dynamodbstreams.GetShardIteratorInput{StreamArn: &s.arn, ShardId: &id, ShardIteratorType: types.ShardIteratorTypeTrimHorizon}
		if one.newest {
			in.ShardIteratorType = types.ShardIteratorTypeLatest
		}
		if one.last != "" {
			in.ShardIteratorType, in.SequenceNumber = types.ShardIteratorTypeAfterSequenceNumber, &one.last
		}
		out, err := s.Client.GetShardIterator(ctx, in)
		if err != nil {
			return 0, err
		}
		one.iterator = out.ShardIterator
	}
	out, err := s.Client.GetRecords(ctx, &dynamodbstreams.GetRecordsInput{ShardIterator: one.iterator})
	if err != nil {
		return 0, err
	}
	var records []Record
	for _, r := range out.Records {
		record, err := s.record(id, r)
		if err != nil {
			return 0, err
		}
		records = append(records, record)
	}
	if err := p.Move(ctx, records); err != nil {
		return 0, err
	}
	if len(records) > 0 {
		one.last = records[len(records)-1].Sequence
	}
	one.iterator, one.done = out.NextShardIterator, out.NextShardIterator == nil
	return len(records), nil
}

// record returns a stream record as a pipe sees it (Amazon EventBridge: "Amazon DynamoDB stream as
// a source for EventBridge Pipes", example event).
func (s *Stream) record(id string, r types.Record) (Record, error) {
	d := r.Dynamodb
	created := aws.ToTime(d.ApproximateCreationDateTime)
	keys, err := typed(d.Keys)
	image, failed := typed(d.NewImage)
	if err = errors.Join(err, failed); err != nil {
		return Record{}, err
	}
	body, err := json.Marshal(map[string]any{
		"eventID": r.EventID, "eventVersion": r.EventVersion, "eventName": r.EventName, "eventSource": r.EventSource,
		"awsRegion": r.AwsRegion, "eventSourceARN": s.arn,
		"dynamodb": map[string]any{
			"ApproximateCreationDateTime": created.Unix(), "Keys": keys, "NewImage": image,
			"SequenceNumber": d.SequenceNumber, "SizeBytes": d.SizeBytes, "StreamViewType": d.StreamViewType,
		},
	})
	return Record{Body: body, Shard: id, Sequence: aws.ToString(d.SequenceNumber), Stream: s.arn, Created: created}, err
}

// typed writes attributes in DynamoDB's JSON.
func typed(item map[string]types.AttributeValue) (json.RawMessage, error) {
	converted, err := attributevalue.FromDynamoDBStreamsMap(item)
	if err != nil {
		return nil, err
	}
	return attributevalue.MarshalMapJSON(converted)
}
