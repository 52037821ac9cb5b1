package stack

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"connexease-functions/pkg/gateway"
	"connexease-functions/pkg/local/dynamodblocal"
	simlambda "connexease-functions/pkg/local/sim/lambda"
	simsqs "connexease-functions/pkg/local/sim/sqs"
	"connexease-functions/pkg/proof/await"
	"connexease-functions/pkg/proof/laptop"
)

// database is one DynamoDB shared by all stacks of the package: none of them writes to it.
var database *dynamodblocal.Server

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(func() int {
		if testing.Short() {
			return m.Run()
		}
		ctx := context.Background()
		cache, err := dynamodblocal.Cache()
		folder := ""
		if err == nil {
			folder, err = dynamodblocal.Install(ctx, cache, func(line string) { fmt.Println(line) })
		}
		if err == nil {
			database, err = dynamodblocal.Start(ctx, folder)
		}
		if err != nil {
			fmt.Println(err)
			return 1
		}
		defer database.Stop()
		return m.Run()
	}())
}

func start(t *testing.T, o Options) *Stack {
	t.Helper()
	laptop.NeedsJava(t)
	o.State, o.DynamoDB = t.TempDir(), database.Endpoint()
	if o.Root == "" {
		o.Root = "../../.."
	}
	s, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func (s *Stack) queueClient() *sqs.Client {
	return sqs.New(sqs.Options{
		Region: Region, BaseEndpoint: aws.String(s.Environment()["AWS_ENDPOINT_URL_SQS"]),
		Credentials: credentials.NewStaticCredentialsProvider(accessKey, secretKey, ""),
	})
}

func put(t *testing.T, s *Stack, url, body string) {
	t.Helper()
	if _, err := s.queueClient().SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &url, MessageBody: &body}); err != nil {
		t.Fatal(err)
	}
}

const message = `{"messaging_product":"whatsapp","to":"15550100001","type":"text","text":{"body":"hi"}}`

func send(t *testing.T, url, key string) gateway.Result {
	t.Helper()
	client, err := gateway.New(url)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	return client.Send(t.Context(), key, []byte(message), false, false)
}

func TestBackendsServeEverythingThatTheFunctionsCall(t *testing.T) {
	s := start(t, Options{Backends: true})
	if len(s.ClientKey()) != keyLength || s.GatewayURL == "" || s.QueueURL != s.SQSURL+"/000000000000/OutboundQueue" {
		t.Errorf("client key %q, gateway %s, queue %s", s.ClientKey(), s.GatewayURL, s.QueueURL)
	}
	if names := strings.Join(s.QueueNames, " "); names != "OverflowDeadLetters OverflowQueue OutboundDeadLetters OutboundQueue FailedInvocations EventDeadLetters ScheduleDeadLetters" {
		t.Errorf("queues are %s", names)
	}
	env := s.SAMVariables()["SendFunction"]
	inContainers := func(address string) string {
		return strings.Replace(address, "http://127.0.0.1:", "http://host.docker.internal:", 1)
	}
	if env["GATEWAY_URL"] != inContainers(s.GatewayURL) || env["QUEUE_URL"] != inContainers(s.QueueURL) || env["AWS_ENDPOINT_URL_SQS"] != inContainers(s.SQSURL) {
		t.Errorf("the send function's variables in a container are %v", env)
	}
	put(t, s, s.QueueURL, message)
	if d := s.Queues.Depth("OutboundQueue"); d != (simsqs.Depth{Visible: 1}) {
		t.Errorf("without the functions, the queue is read all the same: %+v", d)
	}
	r, err := http.Post(s.Environment()["AWS_ENDPOINT_URL_LAMBDA"]+"/2015-03-31/functions/SendFunction/invocations", "application/json", nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Body.Close()
	if r.StatusCode != http.StatusNotFound {
		t.Errorf("invoke without functions: %d", r.StatusCode)
	}

	// A server on the API's port gets the callbacks.
	l, err := net.Listen("tcp", strings.TrimPrefix(s.APIURL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	called := make(chan string, 9)
	webhook := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		called <- r.URL.Path + " " + r.Header.Get("Authorization") + " " + string(body)
	})}
	go func() { _ = webhook.Serve(l) }()
	defer func() { _ = webhook.Close() }()
	key, _ := s.Secrets.Current(GatewayKeySecret)
	result := send(t, s.GatewayURL, key)
	secret, _ := s.Secrets.Current(WebhookSecret)
	if got := <-called; len(key) != keyLength || result.State != gateway.Accepted || !strings.HasPrefix(got, "/webhook Bearer "+secret+" {") || !strings.Contains(got, result.Wamid) {
		t.Errorf("%+v was called back with %s", result, got)
	}

	// A rotated key is accepted at once, the previous one no longer.
	s.Secrets.Put(GatewayKeySecret, "new")
	if now, before := send(t, s.GatewayURL, "new"), send(t, s.GatewayURL, key); now.State != gateway.Accepted || before.Status != http.StatusUnauthorized {
		t.Errorf("after the rotation: new %+v, old %+v", now, before)
	}
}

func TestClientKeyReturnsTheDefaultClientsKey(t *testing.T) {
	s := start(t, Options{Backends: true})
	for value, want := range map[string]string{
		`{"default":"a","b":"c"}`: "a", `{"default":["new","old"]}`: "new", `{"default":[]}`: "", `{"b":"c"}`: "", `{"default":5}`: "", "no JSON": "",
	} {
		s.Secrets.Put(ClientKeysSecret, value)
		if got := s.ClientKey(); got != want {
			t.Errorf("%s: %q, want %q", value, got, want)
		}
	}
}

// project creates a project with one function, which does what a record's body or a direct event
// says.
func project(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for _, name := range []string{"go.mod", "go.sum"} {
		source, err := filepath.Abs(filepath.Join("../../..", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(source, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(root, "functions", "do"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"template.yaml": `
Parameters:
  GatewayUrl: {Type: String, Default: https://gateway.example}
Resources:
  Out: {Type: AWS::SQS::Queue, Properties: {VisibilityTimeout: 60}}
  Lost: {Type: AWS::SQS::Queue}
  DoFunction:
    Type: AWS::Serverless::Function
    Properties:
      Timeout: 20
      Environment: {Variables: {QUEUE: !Ref Out, QUEUE_ARN: !GetAtt Out.Arn, GATEWAY: !Ref GatewayUrl}}
      EventInvokeConfig: {MaximumRetryAttempts: 1, DestinationConfig: {OnFailure: {Type: SQS, Destination: !GetAtt Lost.Arn}}}
      Events:
        Q: {Type: SQS, Properties: {Queue: !GetAtt Out.Arn, FunctionResponseTypes: [ReportBatchItemFailures]}}
`,
		"functions/do/main.go": `package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"strings"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
)

func main() {
	lambda.Start(func(_ context.Context, raw json.RawMessage) (any, error) {
		var event events.SQSEvent
		if json.Unmarshal(raw, &event) != nil || event.Records == nil {
			if strings.Contains(string(raw), "fail") {
				return nil, errors.New("asked to fail")
			}
			return map[string]string{"queue": os.Getenv("QUEUE"), "arn": os.Getenv("QUEUE_ARN"), "gateway": os.Getenv("GATEWAY"), "sqs": os.Getenv("AWS_ENDPOINT_URL_SQS")}, nil
		}
		var answer events.SQSEventResponse
		for _, r := range event.Records {
			switch {
			case r.Body == "fail":
				answer.BatchItemFailures = append(answer.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: r.MessageId})
			case r.Body == "crash":
				os.Exit(1)
			case strings.HasPrefix(r.Body, "http"):
				if response, err := http.Get(r.Body); err == nil {
					_ = response.Body.Close()
				}
			}
		}
		return answer, nil
	})
}
`,
	} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// batches collects the batches of a stack's mappings.
type batches struct {
	mu  sync.Mutex
	all []Batch
}

func (b *batches) add(one Batch) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all = append(b.all, one)
}

func (b *batches) get() []Batch {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]Batch{}, b.all...)
}

func TestAQueueInvokesItsFunctionAndCloseWaitsForABatchInProgress(t *testing.T) {
	seen := &batches{}
	var invocations sync.Map
	s := start(t, Options{
		Root: project(t), ObserveBatch: seen.add, RetryDelays: []time.Duration{time.Millisecond},
		ObserveInvocation: func(i simlambda.Invocation) { invocations.Store(i.Attempt, i.Result.FunctionError) },
	})
	out := s.Queues.URL("Out")
	invoke := func(kind, payload string) string {
		r, err := http.NewRequest(http.MethodPost, s.LambdaURL+"/2015-03-31/functions/DoFunction/invocations", strings.NewReader(payload))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Amz-Invocation-Type", kind)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = answer.Body.Close() }()
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}

	var env map[string]string
	if err := json.Unmarshal([]byte(invoke("RequestResponse", "{}")), &env); err != nil {
		t.Fatal(err)
	}
	if env["queue"] != out || env["arn"] != simsqs.ARN("Out") || env["gateway"] != s.GatewayURL || env["sqs"] != s.SQSURL {
		t.Errorf("the function's environment is %v", env)
	}

	put(t, s, out, "done")
	await.Until(t, "the record is done", func() bool { return len(seen.get()) == 1 && s.Queues.Idle("Out") })
	put(t, s, out, "fail")
	await.Until(t, "the record has failed", func() bool { return len(seen.get()) == 2 })
	if d := s.Queues.Depth("Out"); d != (simsqs.Depth{InFlight: 1}) {
		t.Errorf("a record that failed is gone: %+v", d)
	}
	put(t, s, out, "crash")
	await.Until(t, "the function has crashed", func() bool { return len(seen.get()) == 3 })
	for i, want := range []Batch{{Failed: 0}, {Failed: 1}, {Failed: 1, FunctionError: "Unhandled"}} {
		got := seen.get()[i]
		if got.Queue != "Out" || got.Function != "DoFunction" || got.Records != 1 || got.Failed != want.Failed || got.FunctionError != want.FunctionError ||
			got.RequestID == "" || got.Duration <= 0 || got.Err != nil {
			t.Errorf("batch %d is %+v", i, got)
		}
	}

	// An event that fails twice is kept by its destination.
	invoke("Event", `{"do":"fail"}`)
	await.Until(t, "the destination has it", func() bool { return s.Queues.Depth("Lost").Visible == 1 })
	got, err := s.queueClient().ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: aws.String(s.Queues.URL("Lost"))})
	if err != nil || len(got.Messages) != 1 || !strings.Contains(*got.Messages[0].Body, `"approximateInvokeCount":2},"requestPayload":{"do":"fail"}`) {
		t.Errorf("the destination has %+v, %v", got, err)
	}
	for attempt, want := range map[int]string{0: "", 1: "Unhandled", 2: "Unhandled"} {
		if failed, there := invocations.Load(attempt); !there || failed != want {
			t.Errorf("attempt %d was observed as %v", attempt, failed)
		}
	}

	reached, release := make(chan struct{}), make(chan struct{})
	outside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(reached)
		<-release
	}))
	defer outside.Close()
	put(t, s, out, outside.URL)
	<-reached
	closed := make(chan struct{})
	go func() { s.Close(); close(closed) }()
	select {
	case <-closed:
		t.Fatal("the stack ended with a batch in hand")
	case <-time.After(100 * time.Millisecond):
	}
	close(release)
	<-closed
	if all := seen.get(); len(all) != 4 || all[3].Failed != 0 || all[3].Err != nil {
		t.Errorf("the last batch is %+v", all)
	}
	if d := s.Queues.Depth("Out"); d != (simsqs.Depth{InFlight: 2}) {
		t.Errorf("left in the queue: %+v, want the two that failed", d)
	}
}

func TestAGivenGatewayUrlIsKept(t *testing.T) {
	s := start(t, Options{Root: project(t), Overrides: map[string]string{"GatewayUrl": "https://mine.example"}})
	if got := s.functions[0].Environment["GATEWAY"]; got != "https://mine.example" {
		t.Errorf("the function's gateway is %s", got)
	}
}

func TestAFunctionThatCannotBeBuiltIsNamed(t *testing.T) {
	root := project(t)
	if err := os.RemoveAll(filepath.Join(root, "functions")); err != nil {
		t.Fatal(err)
	}
	// DynamoDB is not called before the functions are built.
	_, err := Start(t.Context(), Options{Root: root, State: t.TempDir(), DynamoDB: "http://127.0.0.1:9"})
	if err == nil || !strings.Contains(err.Error(), "go build ./functions/do failed") {
		t.Errorf("got %v", err)
	}
}
