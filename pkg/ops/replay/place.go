package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"

	"connexease-functions/pkg/local/sim/pipes"
	"connexease-functions/pkg/local/template"
)

// local is the stack of make run, whose addresses are in the environment.
const local = "local"

// place is where a stack's events are and go.
type place struct {
	table, bus string
	db         *dynamodb.Client
	events     *eventbridge.Client
	pipe       *pipes.Pipe // template.yaml's: a replay is the event that the pipe made
}

func find(ctx context.Context, o options) (*place, error) {
	tpl, err := template.Load(o.template, nil)
	if err != nil {
		return nil, err
	}
	found, err := tpl.Pipes()
	if err != nil || len(found) != 1 {
		return nil, fmt.Errorf("%s has %d pipes: %w", o.template, len(found), err)
	}
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("AWS configuration: %w", err)
	}
	p := &place{db: dynamodb.NewFromConfig(cfg), events: eventbridge.NewFromConfig(cfg)}
	if p.pipe, err = pipes.New(found[0].Config); err != nil {
		return nil, err
	}
	if o.stack == local {
		p.table, p.bus = os.Getenv("TABLE_NAME"), os.Getenv("EVENT_BUS_NAME")
		if p.table == "" || p.bus == "" || os.Getenv("AWS_ENDPOINT_URL_DYNAMODB") == "" {
			return nil, errors.New("nothing runs here, or its addresses are not in the environment. Start it with: make run")
		}
		return p, nil
	}
	if os.Getenv("AWS_ACCESS_KEY_ID") == local && os.Getenv("AWS_ENDPOINT_URL_DYNAMODB") != "" {
		return nil, fmt.Errorf("this shell has the laptop's addresses, from .local/env: ask for %s in another one", o.stack)
	}
	described, err := cloudformation.NewFromConfig(cfg).DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: &o.stack})
	if err != nil {
		return nil, fmt.Errorf("the stack %s cannot be read: %w", o.stack, err)
	}
	for _, stack := range described.Stacks {
		for _, output := range stack.Outputs {
			switch aws.ToString(output.OutputKey) {
			case "TableName":
				p.table = aws.ToString(output.OutputValue)
			case "EventBusName":
				p.bus = aws.ToString(output.OutputValue)
			}
		}
	}
	if p.table == "" || p.bus == "" {
		return nil, fmt.Errorf("the stack %s has no outputs TableName and EventBusName", o.stack)
	}
	return p, nil
}
