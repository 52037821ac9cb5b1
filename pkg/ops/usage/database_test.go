package usage_test

import (
	"os"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"golang.org/x/sync/errgroup"

	"connexease-functions/pkg/proof/harness"
	"connexease-functions/pkg/table"
)

func TestMain(m *testing.M) { os.Exit(harness.Run(m, nil)) }

func TestAMonthInDynamoDBIsCountedExactly(t *testing.T) {
	name := harness.NewTable(t)
	m := &month{n: 3_000, since: october}
	var all []types.WriteRequest
	for i := range m.n {
		for _, it := range m.message(i).items {
			all = append(all, types.WriteRequest{PutRequest: &types.PutRequest{Item: it}})
		}
	}
	group, ctx := errgroup.WithContext(t.Context())
	group.SetLimit(8)
	for batch := range slices.Chunk(all, 25) {
		group.Go(func() error {
			_, err := harness.Backends.DB.BatchWriteItem(ctx, &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{name: batch}})
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	m.equal(t, read(t, table.New(dynamodb.New(harness.Backends.DB.Options(), func(o *dynamodb.Options) { o.Retryer = aws.NopRetryer{} }), name, 365), m.query()))
}
