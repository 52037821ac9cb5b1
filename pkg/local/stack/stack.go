// Package stack starts everything that the product needs on one machine, and ends
// it: DynamoDB Local, a Secrets Manager endpoint, and the function binaries behind an
// HTTP API, as template.yaml says.
package stack

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"connexease-functions/pkg/local/dynamodblocal"
	"connexease-functions/pkg/local/lambdasim"
	"connexease-functions/pkg/local/secretsim"
	"connexease-functions/pkg/local/template"
)

// Region and credentials of the local stack. DynamoDB Local takes letters and digits.
const (
	Region    = "us-east-1"
	accessKey = "local"
	secretKey = "local"
)

// Options of Start.
type Options struct {
	Root         string            // the project's folder
	State        string            // folder for what is built
	Port         int               // of the API; 0 takes a free one
	Backends     bool              // everything but the functions
	DynamoDB     string            // endpoint of a DynamoDB to use; empty starts DynamoDB Local
	Cache        string            // folder that keeps DynamoDB Local
	Overrides    map[string]string // template parameters
	MaxProcesses int               // of each function; 0 is the simulator's own bound
	Progress     func(string)      // takes a line per slow step; may be nil
	Observe      func(lambdasim.Exchange)
	Logs         io.Writer // what the functions write; may be nil
}

// Stack is what runs.
type Stack struct {
	APIURL      string
	SecretsURL  string
	DynamoDBURL string
	TableName   string

	DB        *dynamodb.Client
	Secrets   *secretsim.Server
	Database  *dynamodblocal.Server // nil where the endpoint was given
	Functions map[string]*lambdasim.Function

	tpl     *template.Template
	failed  chan error
	servers []*http.Server
	close   sync.Once
}

// Start starts the stack. Whatever it had started is ended again when it fails; its
// error is one sentence that says what to do.
func Start(ctx context.Context, o Options) (_ *Stack, err error) {
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	s := &Stack{Secrets: secretsim.New(time.Now), Functions: map[string]*lambdasim.Function{}, failed: make(chan error, 8)}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	if s.tpl, err = template.Load(filepath.Join(o.Root, "template.yaml"), o.Overrides); err != nil {
		return nil, err
	}
	api, err := listen(o.Port)
	if err != nil {
		return nil, err
	}
	s.APIURL = "http://" + api.Addr().String()
	defer func() {
		if err != nil {
			_ = api.Close()
		}
	}()
	functions, err := s.tpl.Functions()
	if err != nil {
		return nil, err
	}
	built := make(chan error, 1)
	go func() {
		if o.Backends {
			built <- nil
			return
		}
		built <- buildFunctions(ctx, o, functions)
	}()
	dbErr := s.startDatabase(ctx, o)
	if err := errors.Join(dbErr, <-built); err != nil {
		return nil, err
	}
	if err := s.createTables(ctx); err != nil {
		return nil, err
	}
	if err := s.startSecrets(); err != nil {
		return nil, err
	}
	if o.Backends {
		return s, api.Close()
	}
	if err := s.startFunctions(o, api); err != nil {
		return nil, err
	}
	return s, nil
}

// listen takes a port on 127.0.0.1.
func listen(port int) (net.Listener, error) {
	l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, &dynamodblocal.Mend{Problem: fmt.Sprintf("Port %d is taken", port), Command: fmt.Sprintf("make run PORT=%d", port+10)}
	}
	return l, err
}

func buildFunctions(ctx context.Context, o Options, functions []template.Function) error {
	o.Progress("Building the functions ...")
	for _, f := range functions {
		build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-tags", "lambda.norpc", "-ldflags", "-s -w",
			"-o", binary(o, f), "./"+f.Folder)
		build.Dir = o.Root
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("go build ./%s failed:\n%s", f.Folder, strings.TrimSpace(string(out)))
		}
	}
	return nil
}

func binary(o Options, f template.Function) string {
	return filepath.Join(o.State, "bin", filepath.Base(f.Folder))
}

func (s *Stack) startDatabase(ctx context.Context, o Options) error {
	s.DynamoDBURL = o.DynamoDB
	if o.DynamoDB == "" {
		folder, err := dynamodblocal.Install(ctx, o.Cache, o.Progress)
		if err != nil {
			return err
		}
		o.Progress("Starting DynamoDB Local ...")
		if s.Database, err = dynamodblocal.Start(ctx, folder); err != nil {
			return err
		}
		s.DynamoDBURL = s.Database.Endpoint()
		go func() {
			<-s.Database.Done()
			s.fail(errors.New("DynamoDB Local has ended"))
		}()
	}
	s.DB = dynamodb.New(dynamodb.Options{
		Region: Region, BaseEndpoint: aws.String(s.DynamoDBURL),
		Credentials: credentials.NewStaticCredentialsProvider(accessKey, secretKey, ""),
	})
	return nil
}

// createTables makes the template's tables, where a given DynamoDB does not have them.
func (s *Stack) createTables(ctx context.Context) error {
	tables, err := s.tpl.Tables()
	if err != nil {
		return err
	}
	have, err := s.DB.ListTables(ctx, &dynamodb.ListTablesInput{})
	if err != nil {
		return fmt.Errorf("DynamoDB at %s does not answer: %w", s.DynamoDBURL, err)
	}
	for _, table := range tables {
		s.TableName = aws.ToString(table.TableName)
		there := false
		for _, name := range have.TableNames {
			there = there || name == s.TableName
		}
		if there {
			continue
		}
		if _, err := s.DB.CreateTable(ctx, table); err != nil {
			return fmt.Errorf("create table %s: %w", s.TableName, err)
		}
	}
	return nil
}

func (s *Stack) startSecrets() error {
	secrets, err := s.tpl.Secrets()
	if err != nil {
		return err
	}
	for _, secret := range secrets {
		s.Secrets.Create(secret.Name)
		if secret.Generated > 0 {
			s.Secrets.Put(secret.Name, NewSecret(secret.Generated))
		}
	}
	l, err := listen(0)
	if err != nil {
		return err
	}
	s.SecretsURL = "http://" + l.Addr().String()
	s.serve(l, s.Secrets)
	return nil
}

// NewSecret returns random letters and digits, as Secrets Manager generates them
// without punctuation.
func NewSecret(length int) string {
	text := ""
	for len(text) < length {
		text += rand.Text()
	}
	return text[:length]
}

func (s *Stack) serve(l net.Listener, h http.Handler) {
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	s.servers = append(s.servers, server)
	go func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.fail(err)
		}
	}()
}

// Environment returns what makes any AWS tool use this stack.
func (s *Stack) Environment() map[string]string {
	return map[string]string{
		"AWS_ENDPOINT_URL_DYNAMODB":        s.DynamoDBURL,
		"AWS_ENDPOINT_URL_SECRETS_MANAGER": s.SecretsURL,
		"AWS_REGION":                       Region,
		"AWS_DEFAULT_REGION":               Region,
		"AWS_ACCESS_KEY_ID":                accessKey,
		"AWS_SECRET_ACCESS_KEY":            secretKey,
	}
}

func (s *Stack) startFunctions(o Options, api net.Listener) error {
	functions, err := s.tpl.Functions()
	if err != nil {
		return err
	}
	var routes []lambdasim.Route
	for _, f := range functions {
		env := s.Environment()
		for k, v := range f.Environment {
			env[k] = v
		}
		function := lambdasim.New(lambdasim.Config{
			Name: f.Name, Command: []string{binary(o, f)}, Env: env, Timeout: f.Timeout,
			MemoryMB: f.MemoryMB, MaxProcesses: o.MaxProcesses, Logs: o.Logs,
		})
		s.Functions[f.Name] = function
		for _, r := range f.Routes {
			routes = append(routes, lambdasim.Route{Method: r.Method, Path: r.Path, Function: function})
		}
	}
	s.serve(api, lambdasim.NewGateway(routes, o.Observe))
	return nil
}

// WebhookSecret is the logical id of the secret that the webhook verifies with.
const WebhookSecret = "WebhookSecret"

func (s *Stack) fail(err error) {
	select {
	case s.failed <- err:
	default:
	}
}

// Failed tells when a part has ended on its own: the rest is of no use then.
func (s *Stack) Failed() <-chan error { return s.failed }

// Close ends every part and waits for its processes.
func (s *Stack) Close() {
	s.close.Do(func() {
		for _, server := range s.servers {
			_ = server.Close()
		}
		for _, f := range s.Functions {
			_ = f.Close()
		}
		if s.Database != nil {
			s.Database.Stop()
		}
	})
}
