package main

import (
	"fmt"
	"io"
	"os"
	"testing"
	"time"

	simsqs "connexease-functions/pkg/local/sim/sqs"
	"connexease-functions/pkg/proof/harness"
	"connexease-functions/pkg/telemetry"
)

func TestMain(m *testing.M) {
	os.Exit(harness.Run(m, []string{
		"wamid", "15550", "16505", "5491", "9055", "msg_", "Bearer", "test-secret", "Ada", "Pablo", "Sheena", "hello from", "wa#", "contact#", "user.", "US.",
	}))
}

// world is a handler with a table, a secret and a DynamoDB that misbehaves on demand.
type world struct {
	t        testing.TB
	handler  *handler
	table    string
	secret   string // its name
	days     string // RETENTION_DAYS
	token    string
	words    [2]string // OPT_OUT_WORDS, OPT_IN_WORDS
	logs     harness.Buffer
	database *harness.Proxy
	queues   *simsqs.Server
	sqs      *harness.Proxy // before the queues
	secrets  *harness.Proxy // before Secrets Manager, or nil
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, table: harness.NewTable(t), secret: harness.Name("secret"), database: harness.NewProxy(t, harness.Backends.DynamoDBURL)}
	w.token = "test-" + w.secret
	w.queues, w.sqs = harness.NewQueues(t, time.Now, "overflow", time.Minute)
	harness.Backends.Secrets.Put(w.secret, w.token)
	w.build(w.database.URL)
	return w
}

// build makes the handler as main does, from an environment.
func (w *world) build(dynamoDB string) {
	w.t.Helper()
	env := harness.Backends.Environment()
	env["AWS_ENDPOINT_URL_DYNAMODB"], env["AWS_ENDPOINT_URL_SQS"] = dynamoDB, w.sqs.URL
	if w.secrets != nil {
		env["AWS_ENDPOINT_URL_SECRETS_MANAGER"] = w.secrets.URL
	}
	harness.WithEnvironment(env, func() {
		h, err := build(func(name string) string {
			return map[string]string{"TABLE_NAME": w.table, "WEBHOOK_SECRET_ID": w.secret, "RETENTION_DAYS": w.days, "OPT_OUT_WORDS": w.words[0], "OPT_IN_WORDS": w.words[1], "OVERFLOW_QUEUE_URL": w.queues.URL("overflow"), "AWS_LAMBDA_FUNCTION_NAME": "webhook"}[name]
		})
		if err != nil {
			w.t.Fatal(err)
		}
		h.log = telemetry.New(io.MultiWriter(&w.logs, &harness.Logs), "webhook", time.Now)
		w.handler = h
	})
}

func event(authorization, body string) map[string]any {
	return harness.Event("POST /webhook", authorization, body)
}

func (w *world) invoke(e any) (harness.Answer, error) {
	return harness.Request(w.t, w.handler, time.Minute, e)
}

// deliver sends a body with the right token and returns the response.
func (w *world) deliver(body string) harness.Answer {
	w.t.Helper()
	a, err := w.invoke(event("Bearer "+w.token, body))
	if err != nil {
		w.t.Error(err)
	}
	if !w.database.Faulty() {
		w.settle()
	}
	return a
}

// settle drains what a busy machine could not write within a request's budget: an event is durable
// in the table or in the queue, and the tests look into the table.
func (w *world) settle() {
	w.t.Helper()
	for !w.queues.Idle("overflow") {
		if again := w.drain(w.overflowed()...); again != nil {
			w.t.Fatalf("%v cannot be drained", again)
		}
	}
}

// stored sends a body and expects it to be stored as n events.
func (w *world) stored(body string, events int) {
	w.t.Helper()
	a := w.deliver(body)
	want := fmt.Sprintf(`{"isSuccess":true,"data":{"events":%d}}`, events)
	if a.Status != 200 || a.Body != want {
		w.t.Fatalf("returned %d %s, want 200 %s", a.Status, a.Body, want)
	}
}

// items returns the whole table, keyed by "pk sk".
func (w *world) items() map[string]harness.Item { return harness.Items(w.t, w.table) }

// one returns the table's only item.
func (w *world) one() harness.Item {
	w.t.Helper()
	all := w.items()
	if len(all) != 1 {
		w.t.Fatalf("the table has %d items, want 1", len(all))
	}
	for _, it := range all {
		return it
	}
	return nil
}
