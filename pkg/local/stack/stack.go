// Package stack starts and ends everything that the product needs on one machine: DynamoDB Local,
// endpoints of Secrets Manager, SQS and Lambda, a simulated Gateway, and the function binaries
// behind an HTTP API and their queues, as in template.yaml.
package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"connexease-functions/pkg/local/dynamodblocal"
	"connexease-functions/pkg/local/loopback"
	"connexease-functions/pkg/local/sim/connexease"
	simeventbridge "connexease-functions/pkg/local/sim/eventbridge"
	"connexease-functions/pkg/local/sim/httpapi"
	simlambda "connexease-functions/pkg/local/sim/lambda"
	simscheduler "connexease-functions/pkg/local/sim/scheduler"
	simsecrets "connexease-functions/pkg/local/sim/secretsmanager"
	simsqs "connexease-functions/pkg/local/sim/sqs"
	"connexease-functions/pkg/local/template"
)

// Region and credentials of the local stack. DynamoDB Local accepts letters and digits.
const (
	Region    = "us-east-1"
	accessKey = "local"
	secretKey = "local"
)

const highestPort = 65535

// CheckPort returns an error unless a port is valid for the API and the next one for its control
// address.
func CheckPort(text string) (port int, err error) {
	if port, err = strconv.Atoi(text); err != nil || port < 1 || port >= highestPort {
		return 0, fmt.Errorf("PORT must be a whole number from 1 to %d, as the control address has the next one", highestPort-1)
	}
	return port, nil
}

// endGrace is how long running requests may take when the stack ends.
const endGrace = 3 * time.Second

// Options of Start.
type Options struct {
	Root         string            // the project's folder
	State        string            // folder for what is built; empty makes one that lasts until Close
	Port         int               // of the API; 0 picks a free one
	Built        bool              // the functions are in State already
	Backends     bool              // start everything but the functions
	DynamoDB     string            // endpoint of a DynamoDB to use; empty starts DynamoDB Local
	Table        string            // name of the table; empty means the template's
	Overrides    map[string]string // template parameters; GatewayUrl defaults to the simulated Gateway's
	MaxProcesses int               // of each function; 0 means the simulator's default
	RetryDelays  []time.Duration   // before repeats of asynchronous invocations; none means the simulator's default
	Progress     func(string)      // receives a line per slow step; may be nil
	Logs         io.Writer         // receives the functions' output; may be nil

	Observe           func(httpapi.Exchange)     // called for each request to the API; may be nil
	ObserveBatch      func(Batch)                // called for each batch of a queue's mapping; may be nil
	ObserveInvocation func(simlambda.Invocation) // called for each run that the Lambda endpoint caused; may be nil
}

// Stack is a running stack.
type Stack struct {
	APIURL      string
	SecretsURL  string
	DynamoDBURL string
	SQSURL      string
	LambdaURL   string
	GatewayURL  string // of the simulated Gateway
	BusURL      string // of the event bus
	ScheduleURL string // of Scheduler
	TableName   string
	QueueURL    string   // of OutboundQueue
	QueueNames  []string // all of the template's queues

	DB        *dynamodb.Client
	Secrets   *simsecrets.Server
	Queues    *simsqs.Server
	Gateway   *connexease.Server
	Bus       *simeventbridge.Server
	Scheduler *simscheduler.Server
	Database  *dynamodblocal.Server          // nil if the endpoint was given
	Functions map[string]*simlambda.Function // by logical id; none with Backends

	options   Options
	temporary string // State, where it was made here
	tpl       *template.Template
	functions []template.Function
	failed    chan error
	servers   []*http.Server
	lambda    *simlambda.InvokeAPI
	piping    context.CancelFunc // ends the pipes
	pipes     sync.WaitGroup
	firing    context.CancelFunc // ends the firing of schedules
	schedules sync.WaitGroup
	close     sync.Once
}

// Start starts the stack. If it fails, it ends all it had started; its error is one sentence that
// says what to do.
func Start(ctx context.Context, o Options) (_ *Stack, err error) {
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	s := &Stack{
		Secrets: simsecrets.New(time.Now), Queues: simsqs.New(time.Now), Bus: simeventbridge.New(eventBus, time.Now), Functions: map[string]*simlambda.Function{},
		options: o, failed: make(chan error, 8),
	}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	if o.State == "" {
		if s.temporary, err = os.MkdirTemp("", "stack-"); err != nil {
			return nil, err
		}
		s.options.State = s.temporary
	}
	api, err := Listen(o.Port, o.Port)
	if err != nil {
		return nil, err
	}
	s.APIURL = "http://" + api.Addr().String()
	defer func() {
		if err != nil {
			_ = api.Close()
		}
	}()
	if err := s.startGateway(); err != nil {
		return nil, err
	}
	if err := s.readTemplate(); err != nil {
		return nil, err
	}
	built := make(chan error, 1)
	go func() {
		if o.Backends || o.Built {
			built <- nil
			return
		}
		built <- s.buildFunctions(ctx)
	}()
	dbErr := s.startDatabase(ctx)
	if err := errors.Join(dbErr, <-built); err != nil {
		return nil, err
	}
	// The functions come last: the addresses are in their environment.
	for _, start := range []func() error{
		func() error { return s.createTables(ctx) }, s.startSecrets, s.startBus, s.startPipes, s.startScheduler,
	} {
		if err := start(); err != nil {
			return nil, err
		}
	}
	if o.Backends {
		// With Backends, a different program serves the API on its port.
		if _, err := s.startFunctions(nil); err != nil {
			return nil, err
		}
		return s, api.Close()
	}
	routes, err := s.startFunctions(s.functions)
	if err != nil {
		return nil, err
	}
	// The API accepts any Host, as API Gateway does, because a tunnel delivers real events here.
	// Its tokens protect it.
	s.serve(api, httpapi.New(routes, o.Observe))
	s.startMappings()
	return s, nil
}

// readTemplate reads what to start. The queues come first, because their addresses are in the
// functions' environment.
func (s *Stack) readTemplate() error {
	overrides := map[string]string{gatewayParameter: s.GatewayURL}
	maps.Copy(overrides, s.options.Overrides)
	var err error
	if s.tpl, err = template.Load(filepath.Join(s.options.Root, "template.yaml"), overrides); err != nil {
		return err
	}
	if err := s.startQueues(); err != nil {
		return err
	}
	s.functions, err = s.tpl.Functions()
	return err
}

// Listen listens on a port of 127.0.0.1; 0 means any free one. api is the port that the user chose
// for the API: an error suggests a better one.
func Listen(port, api int) (net.Listener, error) {
	l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
	what := fmt.Sprintf("Port %d", port)
	if port != api {
		what += ", for the control address,"
	}
	better := api + 10
	if better >= highestPort {
		better = api - 10
	}
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, &dynamodblocal.Fixable{Problem: what + " is taken", Command: fmt.Sprintf("make run PORT=%d", better)}
	case errors.Is(err, syscall.EACCES): // systems reserve the lowest ports for root
		return nil, &dynamodblocal.Fixable{Problem: what + " is not allowed for this user", Command: fmt.Sprintf("make run PORT=%d", 8000+api)}
	}
	return l, err
}

func (s *Stack) serve(l net.Listener, h http.Handler) {
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	// Shutdown would wait for connections that clients opened in advance and did not use.
	var unused sync.Map
	server.ConnState = func(c net.Conn, state http.ConnState) {
		if unused.Delete(c); state == http.StateNew {
			unused.Store(c, nil)
		}
	}
	server.RegisterOnShutdown(func() {
		unused.Range(func(c, _ any) bool { _ = c.(net.Conn).Close(); return true })
	})
	s.servers = append(s.servers, server)
	go func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.fail(err)
		}
	}()
}

// serveAnywhere serves on a free port and returns the address.
func (s *Stack) serveAnywhere(h http.Handler) (url string, err error) {
	l, err := Listen(0, 0)
	if err != nil {
		return "", err
	}
	s.serve(l, loopback.Only(h))
	return "http://" + l.Addr().String(), nil
}

// Environment returns the variables that make any AWS tool use this stack.
func (s *Stack) Environment() map[string]string {
	return map[string]string{
		"AWS_ENDPOINT_URL_DYNAMODB":        s.DynamoDBURL,
		"AWS_ENDPOINT_URL_SECRETS_MANAGER": s.SecretsURL,
		"AWS_ENDPOINT_URL_SQS":             s.SQSURL,
		"AWS_ENDPOINT_URL_LAMBDA":          s.LambdaURL,
		"AWS_ENDPOINT_URL_EVENTBRIDGE":     s.BusURL,
		"AWS_ENDPOINT_URL_SCHEDULER":       s.ScheduleURL,
		"AWS_REGION":                       Region,
		"AWS_DEFAULT_REGION":               Region,
		"AWS_ACCESS_KEY_ID":                accessKey,
		"AWS_SECRET_ACCESS_KEY":            secretKey,
	}
}

func (s *Stack) fail(err error) {
	select {
	case s.failed <- err:
	default:
	}
}

// Failed receives an error when a part has ended on its own, which makes the rest useless.
func (s *Stack) Failed() <-chan error { return s.failed }

// Close ends every part and waits for its processes. Batches received from a queue and accepted
// asynchronous invocations finish first, while everything they need still runs.
func (s *Stack) Close() {
	s.close.Do(func() {
		if s.firing != nil {
			s.firing()
		}
		s.schedules.Wait()
		if s.lambda != nil {
			s.lambda.StopPolling()
			s.lambda.Close()
		}
		if s.Gateway != nil {
			s.Gateway.Close()
		}
		if s.piping != nil {
			s.piping()
		}
		s.pipes.Wait()
		s.Bus.Close()
		ctx, cancel := context.WithTimeout(context.Background(), endGrace)
		defer cancel()
		for i := len(s.servers) - 1; i >= 0; i-- { // the API before the parts that it needs
			_ = s.servers[i].Shutdown(ctx)
			_ = s.servers[i].Close()
		}
		for _, f := range s.Functions {
			_ = f.Close()
		}
		if s.Database != nil {
			s.Database.Stop()
		}
		if s.temporary != "" {
			_ = os.RemoveAll(s.temporary)
		}
	})
}
