package harness

import (
	"context"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	simscheduler "connexease-functions/pkg/local/sim/scheduler"
	simsqs "connexease-functions/pkg/local/sim/sqs"
	"connexease-functions/pkg/local/stack"
)

// retention is the retention of every queue in template.yaml.
const retention = 14 * 24 * time.Hour

// NewQueues starts an SQS endpoint with one queue, its dead-letter queue "dead", and a proxy in
// front of it, until the test has ended.
func NewQueues(t testing.TB, now func() time.Time, name string, visibility time.Duration) (*simsqs.Server, *Proxy) {
	t.Helper()
	queues := simsqs.New(now)
	server := httptest.NewServer(queues)
	t.Cleanup(server.Close)
	queues.SetBase(server.URL)
	for _, q := range []simsqs.QueueConfig{
		{Name: "dead", Retention: retention},
		{Name: name, VisibilityTimeout: visibility, Retention: retention, DeadLetter: "dead", MaxReceiveCount: 1000},
	} {
		if err := queues.AddQueue(q); err != nil {
			t.Fatal(err)
		}
	}
	return queues, NewProxy(t, server.URL)
}

// NewScheduler starts an endpoint of EventBridge Scheduler with the group "schedules", which puts
// messages into these queues, until the test has ended.
func NewScheduler(t testing.TB, now func() time.Time, queues *simsqs.Server, client *sqs.Client) (scheduler *simscheduler.Server, url string) {
	t.Helper()
	scheduler = simscheduler.New(now, func(ctx context.Context, queueARN, body string) error {
		url := queues.URL(queueARN[strings.LastIndexByte(queueARN, ':')+1:])
		_, err := client.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: &url, MessageBody: &body})
		return err
	})
	scheduler.AddGroup("schedules")
	server := httptest.NewServer(scheduler)
	t.Cleanup(server.Close)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { scheduler.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
	return scheduler, server.URL
}

// SQS returns a client for an SQS endpoint on this machine.
func SQS(endpoint string) *sqs.Client {
	return sqs.New(sqs.Options{
		Region: stack.Region, BaseEndpoint: &endpoint, Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""),
	})
}

// Receive receives up to ten messages. Messages of a receive whose response was lost, so that the
// client repeated it, are made visible at once.
func Receive(t testing.TB, queues *simsqs.Server, client *sqs.Client, name string) []types.Message {
	t.Helper()
	url := queues.URL(name)
	for {
		before := queues.Depth(name).InFlight
		out, err := client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{
			QueueUrl: &url, MaxNumberOfMessages: 10, MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(out.Messages) > 0 || queues.Depth(name).InFlight <= before {
			return out.Messages
		}
		queues.EndVisibility(name)
	}
}
