package usage_test

import (
	"cmp"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"golang.org/x/sync/errgroup"

	"connexease-functions/pkg/proof/harness"
	"connexease-functions/pkg/proof/memory"
	"connexease-functions/pkg/table"
)

func TestMain(m *testing.M) { os.Exit(harness.Run(m, nil)) }

// MONTH=100000 counts so many messages.
func TestAMonthInDynamoDBIsCountedExactly(t *testing.T) {
	name := harness.NewTable(t)
	n, err := strconv.Atoi(cmp.Or(os.Getenv("MONTH"), "3000"))
	if err != nil {
		t.Fatal(err)
	}
	m := &month{n: n, since: october}
	began := time.Now()
	group, ctx := errgroup.WithContext(t.Context())
	group.SetLimit(8)
	var some []types.WriteRequest
	items := 0
	for i := range n {
		for _, it := range m.message(i).items {
			some = append(some, types.WriteRequest{PutRequest: &types.PutRequest{Item: it}})
		}
		for batch := range slices.Chunk(some, 25) {
			if len(batch) < 25 && i < n-1 {
				break
			}
			items, some = items+len(batch), some[len(batch):]
			group.Go(func() error {
				_, err := harness.Backends.DB.BatchWriteItem(ctx, &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{name: batch}})
				return err
			})
		}
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	written := time.Since(began)
	began = time.Now()
	report := read(t, table.New(dynamodb.New(harness.Backends.DB.Options(), func(o *dynamodb.Options) { o.Retryer = aws.NopRetryer{} }), name, 365), m.query())
	peak, _ := memory.Peak(os.Getpid()) // which only Linux says
	t.Logf("%d messages: %d items written in %v, counted in %v: %+v, without a send %+v; peak of this process %.0f MB",
		n, items, written.Round(time.Second), time.Since(began).Round(time.Second), report.Total, report.WithoutSend, peak)
	m.equal(t, report)
}
