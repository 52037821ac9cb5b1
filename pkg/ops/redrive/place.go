package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"connexease-functions/pkg/config"
	"connexease-functions/pkg/local/template"
	"connexease-functions/pkg/table"
)

// local is the stack of make run, whose addresses are in the environment.
const local = "local"

// Logical names of the template.
const (
	tableID     = "EventsTable"
	retentionID = "RetentionDays"
	webhookID   = "WebhookFunction"
)

// place is where a stack's things are.
type place struct {
	out   io.Writer
	name  string // the table's
	days  int    // RetentionDays
	db    *dynamodb.Client
	items *table.Table // as the webhook function has it
	sqs   *sqs.Client
	dead  []queueURL
}

type queueURL struct{ name, url string }

// find takes the laptop's stack from the environment that .local/env sets, and a deployed
// one from CloudFormation.
func find(ctx context.Context, o options) (*place, error) {
	tpl, err := template.Load(o.template, nil)
	if err != nil {
		return nil, err
	}
	dead, err := deadQueues(tpl)
	if err != nil {
		return nil, err
	}
	cfg, err := awsconfig.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("AWS configuration: %w", err)
	}
	p := &place{db: dynamodb.NewFromConfig(cfg), sqs: sqs.NewFromConfig(cfg)}
	if o.stack == local {
		err = p.findLocal(ctx, tpl, dead)
	} else {
		err = p.findDeployed(ctx, cfg, o.stack, dead)
	}
	p.items = table.New(config.DynamoDB(cfg), p.name, p.days)
	return p, err
}

// deadQueues are the template's queues of what was given up.
func deadQueues(tpl *template.Template) (names []string, err error) {
	queues, err := tpl.Queues()
	if err != nil {
		return nil, err
	}
	functions, err := tpl.Functions()
	if err != nil {
		return nil, err
	}
	for _, q := range queues {
		names = append(names, q.DeadLetter)
	}
	for _, f := range functions {
		names = append(names, f.OnFailure)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	return slices.DeleteFunc(names, func(name string) bool { return name == "" }), nil
}

func (p *place) findLocal(ctx context.Context, tpl *template.Template, dead []string) error {
	if p.name = os.Getenv("TABLE_NAME"); p.name == "" || os.Getenv("AWS_ENDPOINT_URL_DYNAMODB") == "" {
		return errors.New("nothing runs here, or its addresses are not in the environment. Start it with: make run")
	}
	functions, err := tpl.Functions()
	if err != nil {
		return err
	}
	for _, f := range functions {
		if f.Name == webhookID {
			if p.days, err = strconv.Atoi(f.Environment["RETENTION_DAYS"]); err != nil {
				return fmt.Errorf("RETENTION_DAYS of %s: %w", webhookID, err)
			}
		}
	}
	for _, name := range dead {
		found, err := p.sqs.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &name})
		if err != nil {
			return fmt.Errorf("queue %s: %w", name, err)
		}
		p.dead = append(p.dead, queueURL{name, *found.QueueUrl})
	}
	return nil
}

func (p *place) findDeployed(ctx context.Context, cfg aws.Config, stack string, dead []string) error {
	if os.Getenv("AWS_ENDPOINT_URL_DYNAMODB") != "" && os.Getenv("AWS_ACCESS_KEY_ID") == local {
		return fmt.Errorf("this shell has the laptop's addresses, from .local/env: ask for %s in another one", stack)
	}
	client := cloudformation.NewFromConfig(cfg)
	resource := func(id string) (string, error) {
		found, err := client.DescribeStackResource(ctx, &cloudformation.DescribeStackResourceInput{StackName: &stack, LogicalResourceId: &id})
		if err != nil {
			return "", fmt.Errorf("%s of the stack %s cannot be found: %w", id, stack, err)
		}
		return aws.ToString(found.StackResourceDetail.PhysicalResourceId), nil
	}
	var err error
	if p.name, err = resource(tableID); err != nil {
		return err
	}
	described, err := client.DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: &stack})
	if err != nil {
		return fmt.Errorf("the stack %s cannot be read: %w", stack, err)
	}
	days := ""
	for _, one := range described.Stacks {
		for _, parameter := range one.Parameters {
			if aws.ToString(parameter.ParameterKey) == retentionID {
				days = aws.ToString(parameter.ParameterValue)
			}
		}
	}
	if p.days, err = strconv.Atoi(days); err != nil {
		return fmt.Errorf("the stack %s has %s=%q", stack, retentionID, days)
	}
	for _, name := range dead {
		url, err := resource(name)
		if err != nil { // deployed before the template had it
			url = ""
		}
		p.dead = append(p.dead, queueURL{name, url})
	}
	return nil
}

func (p *place) printf(format string, values ...any) { _, _ = fmt.Fprintf(p.out, format, values...) }
