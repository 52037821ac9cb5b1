package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"connexease-functions/pkg/config"
	"connexease-functions/pkg/local/pause"
	"connexease-functions/pkg/table"
)

func init() { register(restoreCommand) }

func restoreCommand(p *program) *cobra.Command {
	r := &restore{program: p}
	all := &cobra.Command{
		Use:   "restore -stack NAME table|merge|swap",
		Short: "Restore the table as it was at a time, merge what was sent since, use it instead",
		Long: "Restore the stack's table as it was at a time: table makes a new one of the backup, merge adds to it\n" +
			"what the old one knows of messages that were sent since, so that none is sent again, and swap writes\n" +
			"what CloudFormation needs to use it instead. pkg/ops/README.md has the order of steps. Each step can\n" +
			"be run again. --help of each says more.",
		RunE: func(*cobra.Command, []string) error {
			return errors.New("say what to do: table, merge or swap (DO= for make)")
		},
	}
	flags := all.PersistentFlags()
	flags.StringVar(&r.at, "time", "", "when the table was right, such as 2026-01-31T12:00:00Z, 1h (ago) or epoch seconds")
	flags.StringVar(&r.source, "from", "", "the old table; the stack's, where it still has it")
	flags.StringVar(&r.dest, "into", "", "the restored table; named for the old one and the time, where that is given")
	flags.StringVar(&r.leaveOut, "without", "", "kinds that are not merged, by commas: "+strings.Join(optional, ", "))
	flags.BoolVar(&r.apply, "apply", set("APPLY"), "change something; without it, only say what would be (or APPLY=1)")
	var actions []string
	const both = "dynamodb:DescribeTable dynamodb:Scan dynamodb:GetItem dynamodb:BatchGetItem "
	for _, one := range []struct {
		use, long, needs string
		run              func(context.Context) error
	}{
		{"table", "Restore the backup of -time into a new table, set what a restored table lacks (expiry, its own\n" +
			"recovery, protection, tags), and look at every item of it. Without -apply it says what that costs.\n" +
			"AWS takes from minutes to hours; interrupted, run it again.",
			both + "dynamodb:DescribeContinuousBackups dynamodb:RestoreTableToPointInTime dynamodb:BatchWriteItem dynamodb:DeleteItem dynamodb:PutItem " +
				"dynamodb:Query dynamodb:UpdateItem dynamodb:DescribeTimeToLive dynamodb:UpdateTimeToLive dynamodb:UpdateContinuousBackups " +
				"dynamodb:UpdateTable dynamodb:ListTagsOfResource dynamodb:TagResource", r.makeTable},
		{"merge", "Add to the table -into what the table -from knows more: sends with their attempts, receipts,\n" +
			"cancellations, and what people said about marketing messages, always; and other items, unless\n" +
			"-without names their kind: upgraded are those that make upgrade has moved to another key. Nothing\n" +
			"that is there is replaced by something older. It reads both tables whole, writes only what differs,\n" +
			"and can be run again, in either direction. Nothing that it adds becomes an event, if the table has a stream.",
			both + "dynamodb:PutItem dynamodb:UpdateItem", r.mergeTables},
		{"swap", "Turn on the stream of the table -into, and write into the folder of -state the templates with\n" +
			"which CloudFormation uses it as the stack's, and the commands to type. It changes no stack.",
			both + "dynamodb:UpdateTable cloudformation:GetTemplate", r.swap},
	} {
		actions = append(actions, strings.Fields(one.needs)...)
		short, _, _ := strings.Cut(one.long, ",")
		all.AddCommand(needs(&cobra.Command{Use: one.use, Short: strings.ReplaceAll(short, "\n", " "), Long: one.long, RunE: func(c *cobra.Command, _ []string) error {
			if err := r.find(c.Context(), one.use); err != nil {
				return err
			}
			return one.run(c.Context())
		}}, one.needs))
	}
	slices.Sort(actions)
	return needs(all, strings.Join(slices.Compact(actions), " "))
}

// optional lists the kinds that -without may name. What keeps a message from being sent again, or
// against a person's will, is always merged.
var optional = []string{"message", "status", "event", "quarantine", "alias", "upgraded"}

// restore is one run of the command.
type restore struct {
	*program
	at, source, dest, leaveOut string // as given
	apply                      bool

	time       time.Time
	target     *target
	client     *dynamodb.Client
	from, into *table.Table
	without    []string
}

func (r *restore) find(ctx context.Context, do string) (err error) {
	if r.target, err = r.program.find(ctx); err != nil {
		return err
	}
	if r.target.local() && do != "merge" {
		return errors.New("the laptop's table is in memory, and has no backups: -stack (STACK= for make) with a deployed stack")
	}
	if r.leaveOut != "" {
		r.without = strings.Split(r.leaveOut, ",")
	}
	for _, kind := range r.without {
		if !slices.Contains(optional, kind) {
			return fmt.Errorf("-without (WITHOUT for make) may name %s, not %q", strings.Join(optional, ", "), kind)
		}
	}
	seconds, err := parseTime(r.at)
	if err != nil {
		return fmt.Errorf("-time (TIME for make): %w", err)
	}
	if r.time = time.Unix(seconds, 0).UTC(); do == "table" && seconds == 0 {
		return errors.New("say when the table was right: -time (TIME= for make)")
	}
	own, err := r.target.tableName()
	if err != nil && r.source == "" {
		return err
	}
	if r.source == "" {
		r.source = own
	}
	if r.dest == "" && seconds != 0 {
		r.dest = r.source + "-" + r.time.Format("20060102T150405Z")
	}
	switch {
	case r.dest == "":
		return errors.New("name the restored table: -into (INTO= for make)")
	case r.dest == r.source:
		return fmt.Errorf("%s is the stack's table already: name the old one with -from (FROM= for make)", r.dest)
	}
	days, err := r.target.days()
	if err != nil {
		return err
	}
	r.client = r.target.dynamodb(config.Rereading())
	r.from, r.into = table.New(r.client, r.source, days), table.New(r.client, r.dest, days)
	return nil
}

// Dollars in us-east-1 (Amazon DynamoDB pricing): of a gigabyte restored, and of a million units of
// reading.
const (
	restorePrice = 0.15
	readPrice    = 0.125
	gigabyte     = 1 << 30
)

// reading returns what reading a table once costs, in dollars: an item takes a unit at least.
func reading(items, bytes int64) float64 {
	return float64(max(items, bytes/readUnit)) * readPrice / 1e6
}

func (r *restore) makeTable(ctx context.Context) error {
	there, err := r.restorable(ctx)
	if err != nil {
		return err
	}
	items, bytes, err := r.from.Size(ctx)
	if err != nil {
		return why(err)
	}
	r.printf("The table %s as of %s becomes the table %s.\n", r.source, r.time.Format(time.RFC3339), r.dest)
	r.printf("About %d items, %.1f GB: restoring costs about $%.2f, looking at each item $%.2f, and the second table's storage counts meanwhile.\n",
		items, float64(bytes)/gigabyte, float64(bytes)/gigabyte*restorePrice, reading(items, bytes))
	if !r.apply {
		r.printf("Nothing was changed: APPLY=1 restores it.\n")
		return nil
	}
	if !there {
		if _, err := r.client.RestoreTableToPointInTime(ctx, &dynamodb.RestoreTableToPointInTimeInput{SourceTableName: &r.source, TargetTableName: &r.dest, RestoreDateTime: &r.time}); err != nil {
			return fmt.Errorf("the table %s was not restored: %w", r.dest, why(err))
		}
	}
	if err := r.active(ctx, "AWS restores the table"); err != nil {
		return err
	}
	if err := r.settings(ctx); err != nil {
		return fmt.Errorf("the table %s lacks a setting: %w. Run it again", r.dest, why(err))
	}
	if err := r.check(ctx); err != nil {
		return err
	}
	r.printf("Next: make restore STACK=%s DO=merge INTO=%s\n", r.stack, r.dest)
	return nil
}

// restorable returns an error if there is no backup of the time, and whether an earlier run has made
// the table of it already.
func (r *restore) restorable(ctx context.Context) (there bool, err error) {
	out, err := r.client.DescribeContinuousBackups(ctx, &dynamodb.DescribeContinuousBackupsInput{TableName: &r.source})
	if err != nil {
		return false, fmt.Errorf("the backups of %s: %w", r.source, why(err))
	}
	has := out.ContinuousBackupsDescription.PointInTimeRecoveryDescription
	if has == nil || has.PointInTimeRecoveryStatus != types.PointInTimeRecoveryStatusEnabled {
		return false, fmt.Errorf("the table %s has no point-in-time recovery", r.source)
	}
	first, last := aws.ToTime(has.EarliestRestorableDateTime).UTC(), aws.ToTime(has.LatestRestorableDateTime).UTC()
	if r.time.Before(first) || r.time.After(last) {
		return false, fmt.Errorf("the table %s can be restored to a time from %s to %s, not %s", r.source, first.Format(time.RFC3339), last.Format(time.RFC3339), r.time.Format(time.RFC3339))
	}
	now, err := r.describe(ctx, r.dest)
	if none := (*types.ResourceNotFoundException)(nil); errors.As(err, &none) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("the table %s: %w", r.dest, why(err))
	}
	before, err := r.describe(ctx, r.source)
	if err != nil {
		return false, fmt.Errorf("the table %s: %w", r.source, why(err))
	}
	// A restored table keeps its summary (Amazon DynamoDB API: RestoreSummary). It has whole seconds.
	what := "was not restored from a backup"
	if of := now.RestoreSummary; of != nil {
		at := aws.ToTime(of.RestoreDateTime).UTC()
		if aws.ToString(of.SourceTableArn) == aws.ToString(before.TableArn) && at.Unix() == r.time.Unix() {
			return true, nil
		}
		what = fmt.Sprintf("was restored from %s as of %s", cmp.Or(aws.ToString(of.SourceTableArn), "an unknown table"), at.Format(time.RFC3339))
	}
	return false, fmt.Errorf("there is a table %s, which %s, not from %s as of %s: nothing was changed; name another with -into (INTO= for make)",
		r.dest, what, r.source, r.time.Format(time.RFC3339))
}

// active waits until the restored table can be used and changed.
func (r *restore) active(ctx context.Context, what string) error {
	shown := r.progress(what, 0)
	defer shown.end()
	for {
		it, err := r.describe(ctx, r.dest)
		if err != nil {
			return fmt.Errorf("it is not known whether the table %s is there: %w. Run it again", r.dest, why(err))
		}
		if it.TableStatus == types.TableStatusActive && !slices.ContainsFunc(it.GlobalSecondaryIndexes, func(i types.GlobalSecondaryIndexDescription) bool { return i.IndexStatus != types.IndexStatusActive }) {
			return nil
		}
		shown.add(1)
		if err := pause.For(ctx, poll); err != nil {
			return err
		}
	}
}

func (r *restore) describe(ctx context.Context, name string) (*types.TableDescription, error) {
	out, err := r.client.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &name})
	if err != nil {
		return nil, err
	}
	return out.Table, nil
}

// settings gives the new table what AWS does not restore (Amazon DynamoDB API:
// RestoreTableToPointInTime), but for the stream: that begins with the swap, so that nothing that is
// merged before is published again.
func (r *restore) settings(ctx context.Context) error {
	before, err := r.describe(ctx, r.source)
	if err != nil {
		return err
	}
	now, err := r.describe(ctx, r.dest)
	if err != nil {
		return err
	}
	lives, err := r.client.DescribeTimeToLive(ctx, &dynamodb.DescribeTimeToLiveInput{TableName: &r.dest})
	if err != nil {
		return err
	}
	if s := lives.TimeToLiveDescription.TimeToLiveStatus; s != types.TimeToLiveStatusEnabled && s != types.TimeToLiveStatusEnabling {
		if _, err := r.client.UpdateTimeToLive(ctx, &dynamodb.UpdateTimeToLiveInput{
			TableName: &r.dest, TimeToLiveSpecification: &types.TimeToLiveSpecification{AttributeName: aws.String("expires_at"), Enabled: aws.Bool(true)},
		}); err != nil {
			return err
		}
	}
	if _, err := r.client.UpdateContinuousBackups(ctx, &dynamodb.UpdateContinuousBackupsInput{
		TableName: &r.dest, PointInTimeRecoverySpecification: &types.PointInTimeRecoverySpecification{PointInTimeRecoveryEnabled: aws.Bool(true)},
	}); err != nil {
		return err
	}
	var tags []types.Tag
	for in := (&dynamodb.ListTagsOfResourceInput{ResourceArn: before.TableArn}); ; {
		page, err := r.client.ListTagsOfResource(ctx, in)
		if err != nil {
			return err
		}
		for _, tag := range page.Tags {
			if !strings.HasPrefix(aws.ToString(tag.Key), "aws:") { // CloudFormation's own
				tags = append(tags, tag)
			}
		}
		if in.NextToken = page.NextToken; in.NextToken == nil {
			break
		}
	}
	if len(tags) > 0 {
		if _, err := r.client.TagResource(ctx, &dynamodb.TagResourceInput{ResourceArn: now.TableArn, Tags: tags}); err != nil {
			return err
		}
	}
	if !reflect.DeepEqual(before.DeletionProtectionEnabled, now.DeletionProtectionEnabled) {
		if _, err := r.client.UpdateTable(ctx, &dynamodb.UpdateTableInput{TableName: &r.dest, DeletionProtectionEnabled: before.DeletionProtectionEnabled}); err != nil {
			return err
		}
	}
	return r.active(ctx, "Waiting for the table's settings")
}

// check compares the form of both tables, and reads every item of the restored one.
func (r *restore) check(ctx context.Context) error {
	before, err := r.describe(ctx, r.source)
	if err != nil {
		return why(err)
	}
	now, err := r.describe(ctx, r.dest)
	if err != nil {
		return why(err)
	}
	if was, is := form(before), form(now); !reflect.DeepEqual(was, is) {
		return fmt.Errorf("the table %s has keys and indexes that %s has not: %v instead of %v", r.dest, r.source, is, was)
	}
	counts, broken := map[string]int{}, []string{}
	var latest time.Time
	group, working := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	found := make(chan string)
	collected := make(chan struct{})
	go func() {
		for one := range found {
			broken = append(broken, one)
		}
		close(collected)
	}()
	err = r.scan(working, r.into, table.Selection{}, func(it table.Item) {
		counts[it.MergeKind()]++
		if at := time.Unix(it.Number("timestamp"), 0).UTC(); at.After(latest) {
			latest = at
		}
		group.Go(func() error {
			if err := r.into.Whole(working, it); err != nil {
				pk, sk := it.Key()
				found <- fmt.Sprintf("%s %s: %s", pk, sk, why(err))
			}
			return nil
		})
	})
	_ = group.Wait() // its errors are found
	close(found)
	<-collected
	if err != nil {
		return err
	}
	r.printf("The table %s has", r.dest)
	total := 0
	for _, kind := range kindsOf(counts) {
		r.printf(" %d %s,", counts[kind], kind)
		total += counts[kind]
	}
	r.printf(" %d items in total. The last is of %s.\n", total, latest.Format(time.RFC3339))
	if len(broken) > 0 {
		slices.Sort(broken)
		return fmt.Errorf("%d of them cannot be read, such as %s", len(broken), broken[0])
	}
	r.printf("Its keys and indexes are those of %s, and every payload is whole.\n", r.source)
	return nil
}

// form is what two tables must have in common.
func form(t *types.TableDescription) map[string]any {
	all := map[string]any{"": t.KeySchema}
	for _, i := range t.GlobalSecondaryIndexes {
		sorted := slices.Clone(i.Projection.NonKeyAttributes)
		slices.Sort(sorted)
		all[aws.ToString(i.IndexName)] = []any{i.KeySchema, i.Projection.ProjectionType, sorted}
	}
	return all
}
