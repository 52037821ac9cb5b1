package table

import (
	"context"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

// Place is where a send stands in the index unsettled: a time, and its id. Places sort by time.
type Place string

// PlaceAt is after every place of its time, and before those that are later.
func PlaceAt(at time.Time) Place { return Place(timelineKey(at, "~")) }

// ID returns the id of the send; empty for a place that is none.
func (p Place) ID() string {
	at, id, _ := strings.Cut(string(p), "#")
	if _, err := time.Parse(timelineTime, at); err != nil {
		return ""
	}
	return id
}

// Unsettled returns up to most places of a client's sends that are queued, scheduled or unknown, and
// of others that were: who asks looks at each. later: those after from, the earliest first; else
// those before it, the latest first. The index lags behind the table by moments.
func (t *Table) Unsettled(ctx context.Context, client string, from Place, later bool, most int) (found []Place, err error) {
	condition := "unsettled_client = :client AND unsettled_from < :from"
	if later {
		condition = "unsettled_client = :client AND unsettled_from > :from"
	}
	out, err := t.page(ctx, &dynamodb.QueryInput{
		TableName: &t.name, IndexName: aws.String("unsettled"), Limit: aws.Int32(int32(most)), // #nosec G115 -- its callers ask for few
		KeyConditionExpression: &condition, ScanIndexForward: &later,
		ExpressionAttributeValues: item{":client": str(client), ":from": str(string(from))},
	})
	if err != nil {
		return nil, err
	}
	for _, it := range out.Items {
		found = append(found, Place(text(it["unsettled_from"])))
	}
	return found, nil
}
