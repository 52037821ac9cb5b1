package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"connexease-functions/pkg/local/stack"
	"connexease-functions/pkg/proof/browser"
	"connexease-functions/pkg/proof/harness"
	"connexease-functions/pkg/proof/laptop"
	"connexease-functions/pkg/table"
	"connexease-functions/pkg/whatsapp"
)

const (
	root = "../../.."
	days = 365 // RetentionDays's default
)

func TestMain(m *testing.M) {
	poll, pollStream, lookEvery = 10*time.Millisecond, 10*time.Millisecond, 10*time.Millisecond
	var err error
	if binaries, err = os.MkdirTemp("", "ops-"); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	code := harness.Run(m, nil)
	browser.Close()
	_ = os.RemoveAll(binaries)
	if undeclared := undeclared(); len(undeclared) > 0 {
		fmt.Printf("--- FAIL: IAM actions that were used and that --help does not name: %v\n", undeclared)
		code = 1
	}
	os.Exit(code)
}

// world is a table with its .local/env, and its DynamoDB behind a proxy.
type world struct {
	t        *testing.T
	table    string
	database *harness.Proxy
	stack    string
	state    string
	env      map[string]string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	laptop.NeedsJava(t)
	w := &world{t: t, table: harness.NewTable(t), database: harness.NewProxy(t, harness.Backends.DynamoDBURL), stack: local, state: t.TempDir(), env: harness.Backends.Environment()}
	w.env["AWS_ENDPOINT_URL_DYNAMODB"], w.env["TABLE_NAME"], w.env["EVENT_BUS_NAME"] = w.database.URL, w.table, harness.Backends.Bus.Name()
	w.save()
	return w
}

// save writes .local/env.
func (w *world) save() {
	w.t.Helper()
	var text strings.Builder
	for name, value := range w.env {
		_, _ = fmt.Fprintf(&text, "export %s='%s'\n", name, value)
	}
	if err := os.WriteFile(filepath.Join(w.state, "env"), []byte(text.String()), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) variable(name, value string) {
	w.t.Helper()
	w.env[name] = value
	w.save()
}

func (w *world) ops(arguments ...string) (string, error) {
	w.t.Helper()
	return ops(w.t, w.state, w.stack, "", arguments...)
}

// deadLetter puts messages into a dead-letter queue that tests share, until the test has ended: other
// tests count what is in it.
func deadLetter(t *testing.T, queue string, bodies ...string) {
	t.Helper()
	client, url := harness.SQS(harness.Backends.SQSURL), harness.Backends.Queues.URL(queue)
	t.Cleanup(func() {
		if _, err := client.PurgeQueue(context.WithoutCancel(t.Context()), &sqs.PurgeQueueInput{QueueUrl: &url}); err != nil {
			t.Error(err)
		}
	})
	for _, body := range bodies {
		if _, err := client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &url, MessageBody: &body}); err != nil {
			t.Fatal(err)
		}
	}
}

// put writes events like a delivery of ten days ago.
func put(t *testing.T, name string, events ...whatsapp.Event) {
	t.Helper()
	at := time.Now().AddDate(0, 0, -10)
	if r := table.New(harness.Backends.DB, name, days).Put(t.Context(), events, at); r.Err != nil || len(r.Unsaved) > 0 {
		t.Fatal(r.Err)
	}
}

// ops runs the program as make does, and returns its output.
func ops(t *testing.T, state, stack, typed string, arguments ...string) (string, error) {
	t.Helper()
	return opsUntil(t.Context(), t, state, stack, typed, arguments...)
}

// opsUntil runs it until ctx ends, as Ctrl-C would.
func opsUntil(ctx context.Context, t *testing.T, state, stack, typed string, arguments ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	p := &program{terminal: newTerminal(strings.NewReader(typed), &out, &out), watch: func(action string) { used.Store(arguments[0]+" "+action, true) }}
	err := p.run(ctx, append(arguments[:1:1], append([]string{"-template", filepath.Join(root, "template.yaml"), "-state", state, "-stack", stack}, arguments[1:]...)...))
	if err != nil && !errors.Is(err, errSaid) {
		_, _ = fmt.Fprintln(&out, sentence(err))
	}
	return out.String(), err
}

// used collects the IAM actions that commands used on deployed stacks.
var used sync.Map

// undeclared collects the actions that the help of their command lacks.
func undeclared() (all []string) {
	declared := map[string]string{}
	for _, add := range commands {
		c := add(&program{})
		declared[c.Name()] = " " + c.Annotations[permissions] + " "
	}
	used.Range(func(key, _ any) bool {
		command, action, _ := strings.Cut(key.(string), " ")
		if !strings.Contains(declared[command], " "+action+" ") {
			all = append(all, key.(string))
		}
		return true
	})
	return all
}

// run runs ops redrive.
func (w *world) run(arguments ...string) (string, error) {
	w.t.Helper()
	return ops(w.t, w.state, w.stack, "", append([]string{"redrive"}, arguments...)...)
}

func (w *world) ok(arguments ...string) string {
	w.t.Helper()
	out, err := w.run(arguments...)
	if err != nil {
		w.t.Fatalf("%v: %v\n%s", arguments, err, out)
	}
	return out
}

type item = table.Item

func str(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

// proxied returns a table without retries that meets the proxy's faults.
func (w *world) proxied() *table.Table {
	w.t.Helper()
	return table.New(dynamodb.New(dynamodb.Options{
		Region: stack.Region, BaseEndpoint: &w.database.URL, Credentials: harness.Backends.DB.Options().Credentials, Retryer: aws.NopRetryer{},
	}), w.table, days)
}
