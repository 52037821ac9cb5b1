package command

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	streams "github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"

	"connexease-functions/pkg/table"
)

const (
	// kept is how long a stream keeps its records (AWS: Change data capture for DynamoDB Streams,
	// data retention limit).
	kept = 24 * time.Hour
	// slack is more than the difference between the clocks of this machine and of DynamoDB.
	slack = 10 * time.Minute
	// rounded is how much a record's time may be rounded down: DynamoDB has documented seconds and
	// minutes, and DynamoDB Local rounds to minutes.
	rounded = time.Minute - time.Second
	// quiet is how many consecutive empty responses mean the end of an open shard. A single one
	// does not: GetRecords may return no records although more follow.
	quiet = 10
)

// arrivals knows when items arrived.
type arrivals struct {
	table   *table.Table
	exact   map[[2]string]time.Time // by key, of the stream
	horizon time.Time               // items not in the stream arrived before that; zero: the stream could not be read

	byStream, byDay, byUpdate int // number of choices by day and by update
}

// readArrivals reads the table's stream.
func (r *replay) readArrivals(ctx context.Context) (*arrivals, error) {
	a := &arrivals{table: r.table, exact: map[[2]string]time.Time{}}
	shown := r.progress("Reading the stream", 0)
	defer shown.end()
	client, name, start := r.target.streams(), r.table.Name(), time.Now()
	listed, err := client.ListStreams(ctx, &dynamodbstreams.ListStreamsInput{TableName: &name})
	if err != nil {
		return nil, fmt.Errorf("the stream of the table %s: %w", name, why(err))
	}
	for _, one := range listed.Streams {
		in := &dynamodbstreams.DescribeStreamInput{StreamArn: one.StreamArn}
		for more := true; more; more = in.ExclusiveStartShardId != nil {
			out, err := client.DescribeStream(ctx, in)
			if err != nil {
				return nil, fmt.Errorf("the stream of the table %s: %w", name, why(err))
			}
			for _, shard := range out.StreamDescription.Shards {
				if err := a.read(ctx, client, one.StreamArn, shard.ShardId, shown); err != nil {
					return nil, fmt.Errorf("the stream of the table %s: %w", name, why(err))
				}
			}
			in.ExclusiveStartShardId = out.StreamDescription.LastEvaluatedShardId
		}
	}
	if len(listed.Streams) > 0 {
		a.horizon = start.Add(-kept + slack)
	}
	return a, nil
}

// read records the arrivals of a shard.
func (a *arrivals) read(ctx context.Context, client *dynamodbstreams.Client, stream, shard *string, shown *progress) error {
	first, err := client.GetShardIterator(ctx, &dynamodbstreams.GetShardIteratorInput{
		StreamArn: stream, ShardId: shard, ShardIteratorType: streams.ShardIteratorTypeTrimHorizon,
	})
	if _, ok := errors.AsType[*streams.ResourceNotFoundException](err); ok {
		return nil // it may have been trimmed meanwhile
	}
	if err != nil {
		return err
	}
	for at, none := first.ShardIterator, 0; at != nil && none < quiet; {
		out, err := client.GetRecords(ctx, &dynamodbstreams.GetRecordsInput{ShardIterator: at})
		if err != nil {
			return err
		}
		none++
		for _, record := range out.Records {
			none = 0
			if record.EventName == streams.OperationTypeRemove || record.Dynamodb.NewImage[table.Upgraded] != nil {
				continue
			}
			pk, _ := record.Dynamodb.Keys["pk"].(*streams.AttributeValueMemberS)
			sk, _ := record.Dynamodb.Keys["sk"].(*streams.AttributeValueMemberS)
			if pk == nil || sk == nil {
				continue
			}
			key, when := [2]string{pk.Value, sk.Value}, aws.ToTime(record.Dynamodb.ApproximateCreationDateTime)
			if when.After(a.exact[key]) {
				a.exact[key] = when
			}
		}
		shown.add(len(out.Records))
		at = out.NextShardIterator
	}
	return nil
}

// takes reports whether an item arrived in a period; until is zero for no bound. An item whose day
// alone is known is selected if any of that day is in the period.
func (a *arrivals) takes(it table.Item, since, until time.Time) bool {
	pk, sk := it.Key()
	first, count := a.exact[[2]string{pk, sk}], &a.byStream
	last := first.Add(rounded)
	if first.IsZero() {
		first, last, count = a.estimate(it)
	}
	if !last.After(since.Add(-time.Second)) || !until.IsZero() && first.After(until) { // bounds are in seconds
		return false
	}
	*count++
	return true
}

// estimate returns the bounds, first and last, of the arrival of an item that the stream lacks.
func (a *arrivals) estimate(it table.Item) (first, last time.Time, count *int) {
	if s := it.Send(); s != nil { // the event of a send is its outcome
		for _, attempt := range s.Attempts {
			if attempt.Outcome != nil && attempt.Outcome.At.After(first) {
				first = attempt.Outcome.At
			}
		}
		return first, first, &a.byStream
	}
	first = a.table.Received(it)
	if first.IsZero() {
		first = time.Unix(it.Number("timestamp"), 0)
		return first, first, &a.byUpdate
	}
	last = first.Add(24*time.Hour - time.Second)
	if first.Before(a.horizon) && last.After(a.horizon) {
		last = a.horizon
	}
	return first, last, &a.byDay
}

// says prints how the arrival of selected events is known.
func (r *replay) says(a *arrivals) {
	if a.byDay > 0 {
		r.printf("%d of them are selected by their day of arrival: the table does not know the hour of items older than a day.\n", a.byDay)
	}
	if a.byUpdate > 0 {
		r.printf("%d of them are selected by the time of the update: with RetentionDays=0 the table does not know when they arrived.\n", a.byUpdate)
	}
}
