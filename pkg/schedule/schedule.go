// Package schedule is EventBridge Scheduler as the functions use it: one-time schedules, each of
// which puts one message into a queue and deletes itself.
package schedule

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	"github.com/aws/aws-sdk-go-v2/service/scheduler/types"
)

// Scheduler makes schedules in one group.
type Scheduler struct {
	client                   *scheduler.Client
	group, role, deadLetters string
}

// New returns the scheduler of a group. role is the ARN of the role under which Scheduler writes
// to the queues, deadLetters the ARN of the queue for messages that it cannot deliver.
func New(cfg aws.Config, group, role, deadLetters string) *Scheduler {
	return &Scheduler{scheduler.NewFromConfig(cfg), group, role, deadLetters}
}

// retries is for how long Scheduler tries to put a message on its queue. By its default of a day the
// message would have expired before anybody heard of it.
const retries = time.Hour

// name of a send's schedule, at most 64 characters of A-Z, a-z, 0-9, -, _ and . (AWS: CreateSchedule).
// It has the time, so that a send that is scheduled anew does not meet its earlier schedule.
func name(id string, at time.Time) string { return id + "." + strconv.FormatInt(at.Unix(), 10) }

// Put makes sure that a schedule puts body into the queue at a time, in whole seconds. A send has
// one schedule for each time: where it is there already, nothing changes. After an error it may be
// there all the same.
//
// Scheduler fires within the minute after that time, and may fire more than once (AWS: EventBridge
// Scheduler user guide).
func (s *Scheduler) Put(ctx context.Context, id string, at time.Time, queueARN, body string) error {
	_, err := s.client.CreateSchedule(ctx, &scheduler.CreateScheduleInput{
		Name: aws.String(name(id, at)), GroupName: &s.group,
		ScheduleExpression:    aws.String("at(" + at.UTC().Format("2006-01-02T15:04:05") + ")"),
		FlexibleTimeWindow:    &types.FlexibleTimeWindow{Mode: types.FlexibleTimeWindowModeOff},
		ActionAfterCompletion: types.ActionAfterCompletionDelete,
		Target: &types.Target{
			Arn: &queueARN, RoleArn: &s.role, Input: &body, DeadLetterConfig: &types.DeadLetterConfig{Arn: &s.deadLetters},
			RetryPolicy: &types.RetryPolicy{MaximumEventAgeInSeconds: aws.Int32(int32(retries / time.Second))},
		},
	})
	if _, there := errors.AsType[*types.ConflictException](err); there {
		return nil
	}
	return err
}

// Remove deletes the schedule of a send for a time. That it is not there is not an error.
func (s *Scheduler) Remove(ctx context.Context, id string, at time.Time) error {
	_, err := s.client.DeleteSchedule(ctx, &scheduler.DeleteScheduleInput{Name: aws.String(name(id, at)), GroupName: &s.group})
	if _, gone := errors.AsType[*types.ResourceNotFoundException](err); gone {
		return nil
	}
	return err
}
