package command

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	metrics "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"connexease-functions/pkg/local/sim/pipes"
	"connexease-functions/pkg/ops/console"
	"connexease-functions/pkg/telemetry"
)

// pollStream is how often the shards of a stream are read: with the pipe, which reads four times a
// second, that is within the five reads a second that a shard has (Amazon DynamoDB: "Service,
// account, and table quotas").
var pollStream = 2 * time.Second

// follow adds to the feed what the pipe would put on the bus, from the table's stream, from now on.
func (o *operator) follow(ctx context.Context, feed *console.Feed, trouble func(error)) error {
	found, err := o.target.tpl.Pipes()
	if err == nil && len(found) != 1 {
		err = fmt.Errorf("%s has %d pipes", o.template, len(found))
	}
	if err != nil {
		return err
	}
	c := found[0].Config
	c.Trouble = func(err error) { trouble(why(err)) }
	c.DeadLetter = func([]byte) {}
	c.Put = func(_ context.Context, entries []pipes.Entry) []error {
		for _, e := range entries {
			feed.Add(console.NewEvent(time.Now(), e.DetailType, []byte(e.Detail)))
		}
		return make([]error, len(entries))
	}
	pipe, err := pipes.New(c)
	if err != nil {
		return err
	}
	(&pipes.Stream{Client: o.target.streams(), Table: o.table.Name(), Newest: true, Idle: pollStream}).Run(ctx, pipe)
	return nil
}

// series returns what fetch does, at most once a minute: CloudWatch has nothing newer meanwhile, and
// charges for each value.
func (o *operator) series(ctx context.Context, wanted []console.Metric, since time.Time, minutes int) ([][]float64, error) {
	o.reading.Lock()
	defer o.reading.Unlock()
	if !since.Equal(o.since) || !slices.Equal(wanted, o.wanted) {
		read, err := o.fetch(ctx, wanted, since, minutes)
		if err != nil {
			return nil, err
		}
		o.values, o.since, o.wanted = read, since, wanted
	}
	all := make([][]float64, len(o.values))
	for i := range all {
		all[i] = slices.Clone(o.values[i])
	}
	return all, nil
}

// fetch reads metrics of CloudWatch, a minute each.
func (o *operator) fetch(ctx context.Context, wanted []console.Metric, since time.Time, minutes int) ([][]float64, error) {
	in := &cloudwatch.GetMetricDataInput{StartTime: &since, EndTime: aws.Time(since.Add(time.Duration(minutes) * time.Minute)), ScanBy: metrics.ScanByTimestampAscending}
	all, of := make([][]float64, len(wanted)), map[string][]float64{}
	for i, m := range wanted {
		all[i] = make([]float64, minutes)
		for n := range all[i] {
			all[i][n] = math.NaN()
		}
		id := fmt.Sprintf("m%d", i)
		of[id] = all[i]
		in.MetricDataQueries = append(in.MetricDataQueries, metrics.MetricDataQuery{Id: &id, MetricStat: &metrics.MetricStat{
			Period: aws.Int32(60), Stat: aws.String(m.Stat),
			Metric: &metrics.Metric{
				Namespace: aws.String(telemetry.Namespace), MetricName: aws.String(m.Name),
				Dimensions: []metrics.Dimension{{Name: aws.String("FunctionName"), Value: aws.String(o.target.resources[m.Function])}},
			},
		}})
	}
	for pages := cloudwatch.NewGetMetricDataPaginator(cloudwatch.NewFromConfig(o.target.cfg), in); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("the metrics cannot be read: %w", why(err))
		}
		for _, r := range page.MetricDataResults {
			for i, at := range r.Timestamps {
				if n := int(at.Sub(since) / time.Minute); n >= 0 && n < minutes && i < len(r.Values) {
					of[aws.ToString(r.Id)][n] = r.Values[i]
				}
			}
		}
	}
	return all, nil
}
