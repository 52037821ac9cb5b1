package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"

	"connexease-functions/pkg/config"
	"connexease-functions/pkg/consent"
	"connexease-functions/pkg/local/environment"
	"connexease-functions/pkg/local/template"
	"connexease-functions/pkg/schedule"
	"connexease-functions/pkg/table"
)

// local is the stack of make run.
const local = "local"

// Logical names of the template.
const (
	tableID     = "EventsTable"
	retentionID = "RetentionDays"
	webhookID   = "WebhookFunction"
	sendID      = "SendFunction"
	// scheduleGroup is the group of the schedules, under which the laptop has them too.
	scheduleGroup = "ScheduleGroup"
)

// target is a stack that was found.
type target struct {
	name       string
	env        map[string]string // content of .local/env for the laptop's stack; nil for a deployed one
	cfg        aws.Config
	id         string            // ARN of a deployed stack, by which it can be found even once it is deleted
	resources  map[string]string // physical ids of a deployed stack, by logical id
	kinds      map[string]string // types of those
	outputs    map[string]string
	parameters map[string]string
	tpl        *template.Template
}

// find finds the named stack.
func (p *program) find(ctx context.Context) (*target, error) {
	t := &target{name: p.stack}
	var err error
	if t.tpl, err = template.Load(p.template, map[string]string{"BulkLane": "yes"}); err != nil {
		return nil, err
	}
	if p.stack == local {
		err = t.findLocal(ctx, p.state)
	} else {
		err = t.findDeployed(ctx, p.watched)
	}
	return t, err
}

func (t *target) local() bool { return t.env != nil }

const (
	startIt     = "Start it with: make run"
	dialTimeout = 2 * time.Second
)

// findLocal reads the addresses of the laptop's stack. It ignores profiles and addresses of the
// environment, so that no call ever reaches AWS.
func (t *target) findLocal(ctx context.Context, state string) error {
	var err error
	t.env, err = environment.Read(state)
	if errors.Is(err, os.ErrNotExist) {
		return errors.New("nothing runs here. " + startIt)
	}
	if err != nil {
		return err
	}
	if t.env["TABLE_NAME"] == "" {
		return fmt.Errorf("%s has no addresses. %s", filepath.Join(state, "env"), startIt)
	}
	database, err := url.Parse(t.env["AWS_ENDPOINT_URL_DYNAMODB"])
	if err == nil {
		var connection net.Conn
		dialer := net.Dialer{Timeout: dialTimeout}
		if connection, err = dialer.DialContext(ctx, "tcp", database.Host); err == nil {
			_ = connection.Close()
		}
	}
	if err != nil {
		return fmt.Errorf("the laptop's stack is not running: nothing responds at %s. %s", t.env["AWS_ENDPOINT_URL_DYNAMODB"], startIt)
	}
	t.cfg = aws.Config{
		Region:      t.env["AWS_REGION"],
		Credentials: credentials.NewStaticCredentialsProvider(t.env["AWS_ACCESS_KEY_ID"], t.env["AWS_SECRET_ACCESS_KEY"], ""),
		HTTPClient:  awshttp.NewBuildableClient().WithTransportOptions(func(transport *http.Transport) { transport.Proxy = nil }),
	}
	return nil
}

func (t *target) findDeployed(ctx context.Context, watch func(*middleware.Stack) error) error {
	if os.Getenv("AWS_ENDPOINT_URL_DYNAMODB") != "" && os.Getenv("AWS_ACCESS_KEY_ID") == local {
		return fmt.Errorf("this shell has the laptop's addresses, from .local/env: run this for %s in a different one", t.name)
	}
	var err error
	if t.cfg, err = awsconfig.LoadDefaultConfig(ctx); err != nil {
		return fmt.Errorf("AWS configuration: %w", why(err))
	}
	if t.cfg.Region == "" {
		return errors.New("no AWS region is set. Set one, such as AWS_DEFAULT_REGION=eu-central-1")
	}
	t.cfg.APIOptions = append(t.cfg.APIOptions, watch)
	client := cloudformation.NewFromConfig(t.cfg)
	described, err := client.DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: &t.name})
	if err != nil {
		return fmt.Errorf("the stack %s cannot be read: %w", t.name, why(err))
	}
	t.outputs, t.parameters, t.resources, t.kinds = map[string]string{}, map[string]string{}, map[string]string{}, map[string]string{}
	for _, one := range described.Stacks {
		t.id = aws.ToString(one.StackId)
		for _, o := range one.Outputs {
			t.outputs[aws.ToString(o.OutputKey)] = aws.ToString(o.OutputValue)
		}
		for _, o := range one.Parameters {
			t.parameters[aws.ToString(o.ParameterKey)] = aws.ToString(o.ParameterValue)
		}
	}
	for pages := cloudformation.NewListStackResourcesPaginator(client, &cloudformation.ListStackResourcesInput{StackName: &t.name}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("the resources of the stack %s cannot be read: %w", t.name, why(err))
		}
		for _, r := range page.StackResourceSummaries {
			id := aws.ToString(r.LogicalResourceId)
			t.resources[id], t.kinds[id] = aws.ToString(r.PhysicalResourceId), aws.ToString(r.ResourceType)
		}
	}
	return nil
}

// watched passes the IAM action of each call to watch.
func (p *program) watched(stack *middleware.Stack) error {
	if p.watch == nil {
		return nil
	}
	return stack.Finalize.Add(middleware.FinalizeMiddlewareFunc("watch", func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (
		middleware.FinalizeOutput, middleware.Metadata, error) {
		p.watch(action(awsmiddleware.GetServiceID(ctx), awsmiddleware.GetOperationName(ctx)))
		return next.HandleFinalize(ctx, in)
	}), middleware.Before)
}

// action returns IAM's name for an operation (AWS: Service Authorization Reference).
func action(service, operation string) string {
	prefix := strings.ToLower(strings.ReplaceAll(service, " ", ""))
	switch prefix {
	case "eventbridge":
		prefix = "events"
	case "dynamodbstreams":
		prefix = "dynamodb"
	case "sqs":
		operation = strings.TrimSuffix(operation, "Batch") // no action of its own
	case "lambda":
		if operation == "Invoke" {
			operation += "Function"
		}
	}
	return prefix + ":" + operation
}

// why returns an error without the details that only AWS's support needs.
func why(err error) error {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return fmt.Errorf("%s: %s", api.ErrorCode(), strings.TrimSuffix(api.ErrorMessage(), "."))
	}
	return errors.New(strings.Join(strings.Fields(err.Error()), " "))
}

// at sets base to the address of a service of the laptop's stack, and leaves AWS's own. For a
// service that the laptop lacks, it is an address without a server.
func (t *target) at(base **string, service string) {
	if t.local() {
		*base = aws.String(cmp.Or(t.env["AWS_ENDPOINT_URL_"+service], "http://127.0.0.1:9"))
	}
}

func (t *target) dynamodb(retryer aws.Retryer) *dynamodb.Client {
	return dynamodb.NewFromConfig(t.cfg, func(o *dynamodb.Options) { o.Retryer = retryer; t.at(&o.BaseEndpoint, "DYNAMODB") })
}

func (t *target) streams() *dynamodbstreams.Client {
	return dynamodbstreams.NewFromConfig(t.cfg, func(o *dynamodbstreams.Options) {
		o.Retryer = config.Rereading()
		t.at(&o.BaseEndpoint, "DYNAMODB") // DynamoDB Local serves both
	})
}

func (t *target) sqs() *sqs.Client {
	return sqs.NewFromConfig(t.cfg, func(o *sqs.Options) { t.at(&o.BaseEndpoint, "SQS") })
}

func (t *target) lambda() *lambda.Client {
	return lambda.NewFromConfig(t.cfg, func(o *lambda.Options) { o.Retryer = aws.NopRetryer{}; t.at(&o.BaseEndpoint, "LAMBDA") })
}

// schedules returns the stack's schedules, for deleting them.
func (t *target) schedules() *schedule.Scheduler {
	cfg, group := t.cfg, t.resources[scheduleGroup]
	if t.local() {
		group = scheduleGroup
	}
	t.at(&cfg.BaseEndpoint, "SCHEDULER")
	return schedule.New(cfg, group, "", "")
}

func (t *target) events() *eventbridge.Client {
	return eventbridge.NewFromConfig(t.cfg, func(o *eventbridge.Options) { t.at(&o.BaseEndpoint, "EVENTBRIDGE") })
}

func (t *target) secrets() *secretsmanager.Client {
	return secretsmanager.NewFromConfig(t.cfg, func(o *secretsmanager.Options) { t.at(&o.BaseEndpoint, "SECRETS_MANAGER") })
}

// named returns what the laptop's environment file has under a variable, and a deployed stack as an
// output.
func (t *target) named(variable, output string) string {
	if t.local() {
		return t.env[variable]
	}
	return t.outputs[output]
}

// table returns a table for reading, whose client retries calls.
func (t *target) table() (*table.Table, error) { return t.tableWith(config.Rereading()) }

// writer returns the table as configured in the webhook function: pkg/table retries, its client
// does not.
func (t *target) writer() (*table.Table, error) { return t.tableWith(aws.NopRetryer{}) }

func (t *target) tableName() (string, error) {
	name := t.resources[tableID]
	if t.local() {
		name = t.env["TABLE_NAME"]
	}
	if name == "" {
		return "", fmt.Errorf("the stack %s has no %s", t.name, tableID)
	}
	return name, nil
}

func (t *target) tableWith(retryer aws.Retryer) (*table.Table, error) {
	name, err := t.tableName()
	if err != nil {
		return nil, err
	}
	days, err := t.days()
	return table.New(t.dynamodb(retryer), name, days), err
}

// words returns the words that the stack's webhook function recognizes.
func (t *target) words() (consent.Words, error) {
	if t.local() {
		return consent.NewWords(t.env["OPT_OUT_WORDS"], t.env["OPT_IN_WORDS"])
	}
	return consent.NewWords(t.parameters["OptOutWords"], t.parameters["OptInWords"])
}

// days returns for how many days the stack keeps its events.
func (t *target) days() (int, error) {
	text, name := t.parameters[retentionID], retentionID
	if t.local() {
		functions, err := t.tpl.Functions()
		if err != nil {
			return 0, err
		}
		name = "RETENTION_DAYS"
		for _, f := range functions {
			if f.Name == webhookID {
				text = f.Environment[name]
			}
		}
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, fmt.Errorf("the stack %s has %s=%q", t.name, name, text)
	}
	return n, nil
}

// queue returns the address of a queue by its logical name; empty if the stack was deployed before
// the template had the queue.
func (t *target) queue(ctx context.Context, name string) (string, error) {
	if !t.local() {
		return t.resources[name], nil
	}
	found, err := t.sqs().GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &name})
	if err != nil {
		return "", fmt.Errorf("the queue %s: %w", name, why(err))
	}
	return *found.QueueUrl, nil
}
