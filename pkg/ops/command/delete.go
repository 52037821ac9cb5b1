package command

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"connexease-functions/pkg/config"
	"connexease-functions/pkg/local/pause"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/spf13/cobra"
)

func init() { register(deleteCommand) }

func deleteCommand(p *program) *cobra.Command {
	var withTable string
	c := &cobra.Command{
		Use:   "delete -stack NAME",
		Short: "Delete a deployed stack; its table only if that is named too",
		Long: "Delete a deployed stack, after showing what goes and what stays and asking for its name to be\n" +
			"typed. The table stays, with every message in it, until its own name is typed; with -yes it\n" +
			"goes only where -with-table names it. Deleting needs the permissions of every service of the\n" +
			"stack as well, as deploying it does.",
		RunE: func(c *cobra.Command, _ []string) error { return p.delete(c.Context(), withTable) },
	}
	c.Flags().StringVar(&withTable, "with-table", "", "name of the table to delete with the stack")
	return needs(c, "cloudformation:DeleteStack sqs:GetQueueAttributes dynamodb:UpdateTable dynamodb:DescribeTable dynamodb:DeleteTable scheduler:ListSchedules")
}

// poll is how often AWS is asked for its progress.
var poll = 3 * time.Second

func (p *program) delete(ctx context.Context, withTable string) error {
	if p.stack == local {
		return errors.New("name a deployed stack: -stack (STACK= for make). The laptop's ends with Ctrl-C, and make clean removes what it left behind")
	}
	t, err := p.find(ctx)
	if err != nil {
		return err
	}
	tables := t.of("AWS::DynamoDB::Table")
	if withTable != "" && !slices.Contains(tables, withTable) {
		return fmt.Errorf("the stack %s has no table %s; it has %s", t.name, withTable, strings.Join(tables, ", "))
	}
	if err := p.saysWhatGoes(ctx, t, tables); err != nil {
		return err
	}
	if !p.confirm("Type the name of the stack to delete it: ", t.name) {
		return errors.New("nothing was deleted")
	}
	if err := p.deleteStack(ctx, t); err != nil {
		return err
	}
	p.printf("Deleted.\n")
	for _, name := range tables {
		if name != withTable && (p.yes || !p.confirm(fmt.Sprintf("To delete the table and every message in it, type %s; anything else keeps it: ", name), name)) {
			p.printf("The table %s is kept.\n", name)
			continue
		}
		if err := p.deleteTable(ctx, t, name); err != nil {
			return fmt.Errorf("the table %s was not deleted: %w", name, why(err))
		}
		p.printf("The table %s is deleted.\n", name)
	}
	return nil
}

// of returns the physical ids of the resources of a type.
func (t *target) of(kind string) (all []string) {
	for _, id := range slices.Sorted(maps.Keys(t.kinds)) {
		if t.kinds[id] == kind && t.resources[id] != "" {
			all = append(all, t.resources[id])
		}
	}
	return all
}

func (p *program) saysWhatGoes(ctx context.Context, t *target, tables []string) error {
	p.printf("The stack %s has %d resources. Its functions, API, secrets, logs and alarms are deleted with it, and its queues:\n", t.name, len(t.resources))
	for _, queue := range t.of("AWS::SQS::Queue") {
		out, err := t.sqs().GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &queue, AttributeNames: depths})
		if err != nil {
			return fmt.Errorf("the queue %s cannot be read: %w", path.Base(queue), why(err))
		}
		p.printf("  %d messages in %s\n", depth(out), path.Base(queue))
	}
	if group := t.resources[scheduleGroup]; group != "" {
		count := 0
		for pages := scheduler.NewListSchedulesPaginator(scheduler.NewFromConfig(t.cfg), &scheduler.ListSchedulesInput{GroupName: &group}); pages.HasMorePages(); {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return fmt.Errorf("the schedules of %s cannot be listed: %w", group, why(err))
			}
			count += len(page.Schedules)
		}
		p.printf("and %d scheduled messages, which are never sent then.\n", count)
	}
	p.printf("The table with all messages is kept, and what SAM uploaded to its bucket:\n")
	for _, name := range tables {
		p.printf("  %s\n", name)
	}
	return nil
}

func (p *program) deleteStack(ctx context.Context, t *target) error {
	client := cloudformation.NewFromConfig(t.cfg)
	if _, err := client.DeleteStack(ctx, &cloudformation.DeleteStackInput{StackName: &t.name}); err != nil {
		return fmt.Errorf("the stack was not deleted: %w", why(err))
	}
	shown := p.progress("Deleting resources", int64(len(t.resources)))
	defer shown.end()
	for {
		// A deleted stack cannot be found by its name.
		out, err := client.DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: &t.id})
		if err != nil {
			return fmt.Errorf("the stack is being deleted, but its progress is unknown: %w", why(err))
		}
		switch status := out.Stacks[0].StackStatus; {
		case status == types.StackStatusDeleteComplete:
			return nil
		case status != types.StackStatusDeleteInProgress:
			return fmt.Errorf("it was not deleted completely (%s): %s", status, aws.ToString(out.Stacks[0].StackStatusReason))
		}
		gone := int64(0)
		for pages := cloudformation.NewListStackResourcesPaginator(client, &cloudformation.ListStackResourcesInput{StackName: &t.id}); pages.HasMorePages(); {
			page, err := pages.NextPage(ctx)
			if err != nil {
				break // only for the progress
			}
			for _, r := range page.StackResourceSummaries {
				if r.ResourceStatus == types.ResourceStatusDeleteComplete || r.ResourceStatus == types.ResourceStatusDeleteSkipped {
					gone++
				}
			}
		}
		shown.set(gone)
		if err := pause.For(ctx, poll); err != nil {
			return err
		}
	}
}

func (p *program) deleteTable(ctx context.Context, t *target, name string) error {
	db := t.dynamodb(config.Rereading())
	off := false
	if _, err := db.UpdateTable(ctx, &dynamodb.UpdateTableInput{TableName: &name, DeletionProtectionEnabled: &off}); err != nil {
		return err
	}
	shown := p.progress("Waiting for the table", 0)
	defer shown.end()
	exists := dynamodb.NewTableExistsWaiter(db, func(o *dynamodb.TableExistsWaiterOptions) { o.MinDelay = poll })
	if err := exists.Wait(ctx, &dynamodb.DescribeTableInput{TableName: &name}, 10*time.Minute); err != nil {
		return err
	}
	_, err := db.DeleteTable(ctx, &dynamodb.DeleteTableInput{TableName: &name})
	return err
}
