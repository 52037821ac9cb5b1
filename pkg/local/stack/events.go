package stack

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"connexease-functions/pkg/config"
	simeventbridge "connexease-functions/pkg/local/sim/eventbridge"
	"connexease-functions/pkg/local/sim/pipes"
	simscheduler "connexease-functions/pkg/local/sim/scheduler"
)

func (s *Stack) startBus() (err error) {
	s.BusURL, err = s.serveAnywhere(s.Bus)
	return err
}

// startPipes moves the tables' streams to the event bus, as in template.yaml, until Close.
func (s *Stack) startPipes() error {
	found, err := s.tpl.Pipes()
	if err != nil {
		return err
	}
	var ctx context.Context
	ctx, s.piping = context.WithCancel(context.Background())
	for _, p := range found {
		p.Put = s.Bus.Put
		p.Trouble = s.trouble()
		p.DeadLetter = func(body []byte) {
			if err := s.Enqueue(context.Background(), p.DeadLetterQueue, body); err != nil {
				s.options.Progress(fmt.Sprintf("%s: the report of a record that was given up could not be put into %s: %v", p.Name, p.DeadLetterQueue, err))
			}
		}
		pipe, err := pipes.New(p.Config)
		if err != nil {
			return err
		}
		stream := &pipes.Stream{Client: s.Streams(), Table: s.tableName(p.Table)}
		s.pipes.Go(func() { stream.Run(ctx, pipe) })
	}
	return nil
}

// startScheduler fires schedules until Close.
func (s *Stack) startScheduler() error {
	groups, err := s.tpl.ScheduleGroups()
	if err != nil {
		return err
	}
	s.Scheduler = simscheduler.New(time.Now, func(ctx context.Context, queueARN, body string) error {
		return s.Enqueue(ctx, queueARN[strings.LastIndexByte(queueARN, ':')+1:], []byte(body))
	})
	for _, group := range groups {
		s.Scheduler.AddGroup(group)
	}
	if s.ScheduleURL, err = s.serveAnywhere(s.Scheduler); err != nil {
		return err
	}
	var ctx context.Context
	ctx, s.firing = context.WithCancel(context.Background())
	s.schedules.Go(func() { s.Scheduler.Run(ctx) })
	return nil
}

// Streams returns a client of the tables' streams.
func (s *Stack) Streams() *dynamodbstreams.Client {
	return dynamodbstreams.New(dynamodbstreams.Options{
		Region: Region, BaseEndpoint: aws.String(s.DynamoDBURL), Credentials: s.DB.Options().Credentials, Retryer: config.Rereading(),
	})
}

// trouble reports a lasting failure once a minute instead of at each try. A lost event is always
// reported.
func (s *Stack) trouble() func(error) {
	var last time.Time
	return func(err error) {
		if _, lost := errors.AsType[*simeventbridge.Dropped](err); lost {
			s.options.Progress("Events out: " + err.Error())
		} else if time.Since(last) > time.Minute {
			last = time.Now()
			s.options.Progress("Events out: " + err.Error())
		}
	}
}

// Enqueue puts a message into a queue, by its logical id.
func (s *Stack) Enqueue(ctx context.Context, queue string, body []byte) error {
	client := sqs.New(sqs.Options{Region: Region, BaseEndpoint: aws.String(s.SQSURL), Credentials: s.DB.Options().Credentials})
	_, err := client.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: aws.String(s.Queues.URL(queue)), MessageBody: aws.String(string(body))})
	return err
}

// PutRule adds a rule to the bus whose target is the outbound queue.
func (s *Stack) PutRule(name string, r simeventbridge.Rule) error {
	return s.Bus.PutRule(name, r, func(ctx context.Context, body []byte) error { return s.Enqueue(ctx, outboundQueue, body) }, s.trouble())
}
