//go:build oracles

package oracles

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go"

	"connexease-functions/pkg/local/loopback"
	simeventbridge "connexease-functions/pkg/local/sim/eventbridge"
	simsecrets "connexease-functions/pkg/local/sim/secretsmanager"
	simsqs "connexease-functions/pkg/local/sim/sqs"
)

// side is one of the two compared services: its clients, and what they saw.
type side struct {
	t       *testing.T
	sqs     *sqs.Client
	secrets *secretsmanager.Client
	events  *eventbridge.Client
	names   []string
	seen    map[string]string
}

// newSide returns a side with a client for each service's address.
func newSide(t *testing.T, queues, secrets, events string) *side {
	key := credentials.NewStaticCredentialsProvider("local", "local", "")
	return &side{
		t:       t,
		sqs:     sqs.New(sqs.Options{Region: "us-east-1", BaseEndpoint: &queues, Credentials: key, RetryMaxAttempts: 1}),
		secrets: secretsmanager.New(secretsmanager.Options{Region: "us-east-1", BaseEndpoint: &secrets, Credentials: key, RetryMaxAttempts: 1}),
		events:  eventbridge.New(eventbridge.Options{Region: "us-east-1", BaseEndpoint: &events, Credentials: key, RetryMaxAttempts: 1}),
		seen:    map[string]string{},
	}
}

// saw records the result of a step: the error's code, or the parts of the response.
func (s *side) saw(step string, err error, parts ...any) {
	s.t.Helper()
	if _, twice := s.seen[step]; twice {
		s.t.Fatalf("the step %q is there twice", step)
	}
	s.names = append(s.names, step)
	var api smithy.APIError
	switch {
	case errors.As(err, &api):
		s.seen[step] = "error " + strings.TrimPrefix(api.ErrorCode(), "AWS.SimpleQueueService.")
	case err != nil:
		s.seen[step] = "no response: " + err.Error()
	default:
		s.seen[step] = strings.TrimSpace(fmt.Sprintln(parts...))
	}
}

// moto starts moto's server, and returns its address.
func moto(t *testing.T) string {
	t.Helper()
	free, err := loopback.FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	port := strconv.Itoa(free)
	address := net.JoinHostPort("127.0.0.1", port)
	ctx, cancel := context.WithCancel(context.Background())
	command := exec.CommandContext(ctx, filepath.Join(tools(t), "moto", "bin", "moto_server"), "-H", "127.0.0.1", "-p", port)
	command.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID=local", "AWS_SECRET_ACCESS_KEY=local", "VALIDATE_LAMBDA_S3=false")
	var log strings.Builder
	command.Stdout, command.Stderr = &log, &log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	tick, late := time.NewTicker(100*time.Millisecond), time.After(3*time.Minute)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("moto ended: %v\n%s", err, log.String())
		case <-late:
			t.Fatal("moto does not respond")
		case <-tick.C:
		}
		if c, err := net.Dial("tcp", address); err == nil {
			_ = c.Close()
			return "http://" + address
		}
	}
}

func keys[V any](m map[string]V) string { return strings.Join(slices.Sorted(maps.Keys(m)), ",") }

// differences lists the steps at which moto deviates from AWS's documentation, each with the page
// or the error of AWS that says so. A step that no longer differs fails the test, so the list stays
// correct.
var differences = map[string]string{
	"send nothing":                          "AWS: SendMessage, MessageBody: the minimum size is one character",
	"send a control character":              "AWS: SendMessage, InvalidMessageContents",
	"send with a deduplication id":          "AWS: SendMessage, MessageDeduplicationId applies only to FIFO queues; InvalidParameterValue for others",
	"receive an unknown attribute":          "AWS: InvalidAttributeName, as moto itself says of GetQueueAttributes",
	"give back again":                       "AWS: ChangeMessageVisibility, MessageNotInflight",
	"attributes: policies that are not set": "AWS: GetQueueAttributes names RedriveAllowPolicy; moto does not know it",
	"receive from the dead-letter queue":    "AWS: ReceiveMessage, DeadLetterQueueSourceArn, which moto does not have",
	"move from no queue":                    "AWS: StartMessageMoveTask, which moto does not have",
	"an event whose detail is a list":       "AWS: PutEventsRequestEntry, Detail is a JSON object; moto only warns",
	"an event of AWS's":                     "AWS: PutEventsResultEntry, NotAuthorizedForSourceException",
	"events of over a megabyte":             "AWS: PutEvents, the size of a request",
}

func TestSimulatorsRespondAsMotoDoes(t *testing.T) {
	queues, secrets, bus := simsqs.New(time.Now), simsecrets.New(time.Now), simeventbridge.New("EventBus", time.Now)
	defer bus.Close()
	listen := func(h http.Handler) string {
		server := httptest.NewServer(h)
		t.Cleanup(server.Close)
		return server.URL
	}
	queuesURL := listen(queues)
	queues.SetBase(queuesURL)
	for _, c := range []simsqs.QueueConfig{{Name: "dead"}, {Name: "out", VisibilityTimeout: 180 * time.Second, DeadLetter: "dead", MaxReceiveCount: 2}} {
		if err := queues.AddQueue(c); err != nil {
			t.Fatal(err)
		}
	}
	secrets.Create("key")
	ours := newSide(t, queuesURL, listen(secrets), listen(bus))

	address := moto(t)
	theirs := newSide(t, address, address, address)
	ctx := t.Context()
	_, err := theirs.sqs.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String("dead")})
	if err == nil {
		_, err = theirs.sqs.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String("out"), Attributes: map[string]string{
			"VisibilityTimeout": "180", "RedrivePolicy": `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:123456789012:dead","maxReceiveCount":2}`,
		}})
	}
	if err == nil {
		_, err = theirs.secrets.CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: aws.String("key")})
	}
	if err == nil {
		_, err = theirs.events.CreateEventBus(ctx, &eventbridge.CreateEventBusInput{Name: aws.String("EventBus")})
	}
	if err != nil {
		t.Fatal(err)
	}

	for _, s := range []*side{ours, theirs} {
		askSQS(ctx, s)
		askSecrets(ctx, s)
		askEvents(ctx, s)
	}
	if !slices.Equal(ours.names, theirs.names) {
		t.Fatalf("the steps differ: %v and %v", ours.names, theirs.names)
	}
	for _, step := range ours.names {
		reason, known := differences[step]
		if same := ours.seen[step] == theirs.seen[step]; same == known {
			t.Errorf("%s\nmoto: %s\nhere: %s\nknown difference: %q", step, theirs.seen[step], ours.seen[step], reason)
		}
	}
	for step := range differences {
		if !slices.Contains(ours.names, step) {
			t.Errorf("there is no step %q", step)
		}
	}
	t.Logf("%d steps, %d of them different for a reason", len(ours.names), len(differences))
}

// nameOf returns the name in a queue's URL, as host and account differ.
func nameOf(url *string) string { return path.Base(aws.ToString(url)) }
