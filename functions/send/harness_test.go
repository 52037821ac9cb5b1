package main

import (
	"encoding/json"
	"flag"
	"io"
	"os"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"connexease-functions/pkg/auth"
	"connexease-functions/pkg/local/sim/connexease"
	simscheduler "connexease-functions/pkg/local/sim/scheduler"
	simsqs "connexease-functions/pkg/local/sim/sqs"
	"connexease-functions/pkg/proof/harness"
	"connexease-functions/pkg/proof/must"
	"connexease-functions/pkg/telemetry"
	"connexease-functions/pkg/whatsapp"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if flag.Lookup("test.parallel").Value.String() == strconv.Itoa(runtime.GOMAXPROCS(0)) { // not given
		must.OK(flag.Set("test.parallel", strconv.Itoa(max(4, runtime.GOMAXPROCS(0))))) // they wait more than they compute
	}
	os.Exit(harness.Run(m, []string{
		"wamid", "1555010", "Bearer", "client-key", "gateway-key", "Hello", "secret-text", "idem-", "wa#", "contact#", "biz_opaque",
	}))
}

const clientKey, otherKey, gatewayKey = "client-key-of-crm", "client-key-of-shop", "gateway-key-1"

// world is a handler with a table, a queue, a simulated Gateway, secrets, and a
// DynamoDB that misbehaves on demand.
type world struct {
	t         testing.TB
	handler   *handler
	env       map[string]string // the function's own
	aws       map[string]string // of AWS's clients
	table     string
	database  *harness.Proxy
	gateway   *connexease.Server
	queues    *simsqs.Server
	sqsCalls  *harness.Proxy // before the queues
	client    *sqs.Client
	scheduler *simscheduler.Server
	logs      harness.Buffer
	lambda    time.Duration // the function's timeout
	shift     atomic.Int64  // how far the function's and the queues' clock is ahead
}

func (w *world) ahead() time.Duration { return time.Duration(w.shift.Load()) }

// now is the clock of the function and of the queues. It is never before the real one,
// so that no deadline of a connection is over before its time.
func (w *world) now() time.Time { return time.Now().Add(w.ahead()) }

// pass lets time go by.
func (w *world) pass(d time.Duration) {
	w.shift.Add(int64(d))
	w.queues.Wake()
	w.scheduler.Wake()
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, table: harness.NewTable(t), database: harness.NewProxy(t, harness.Backends.DynamoDBURL), lambda: 28 * time.Second}
	gatewaySecret, clientsSecret := harness.Name("gateway"), harness.Name("clients")
	harness.Backends.Secrets.Put(gatewaySecret, gatewayKey)
	harness.Backends.Secrets.Put(clientsSecret, `{"crm":["`+clientKey+`","client-key-old"],"shop":"`+otherKey+`"}`)

	w.gateway = connexease.New(connexease.Config{
		Numbers: func() (all []connexease.Number) {
			text, _ := harness.Backends.Secrets.Current(gatewaySecret)
			senders, _ := auth.ReadSenders(text)
			for _, one := range senders {
				all = append(all, connexease.Number{Key: one.Key.Reveal(), PhoneNumberID: one.PhoneNumberID})
			}
			return all
		},
		Limits: connexease.Limits{PerSecond: 100_000, PerMinute: 1_000_000},
	})
	t.Cleanup(w.gateway.Close)
	base, err := w.gateway.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.queues, w.sqsCalls = harness.NewQueues(t, w.now, "outbound", 180*time.Second)
	w.client = harness.SQS(w.sqsCalls.URL)
	scheduler, schedulerURL := harness.NewScheduler(t, w.now, w.queues, w.client)
	w.scheduler = scheduler
	w.env = map[string]string{
		"TABLE_NAME": w.table, "GATEWAY_URL": base, "GATEWAY_KEY_SECRET_ID": gatewaySecret, "CLIENT_KEYS_SECRET_ID": clientsSecret,
		"QUEUE_ARN": simsqs.ARN("outbound"), "SCHEDULE_GROUP": "schedules", "SCHEDULE_ROLE_ARN": "arn:aws:iam::000000000000:role/schedules", "SCHEDULE_DLQ_ARN": simsqs.ARN("dead"),
		"QUEUE_URL": w.queues.URL("outbound"), "RETENTION_DAYS": "", "AWS_LAMBDA_FUNCTION_NAME": "send",
	}
	w.aws = harness.Backends.Environment()
	w.aws["AWS_ENDPOINT_URL_DYNAMODB"], w.aws["AWS_ENDPOINT_URL_SQS"], w.aws["AWS_ENDPOINT_URL_SCHEDULER"] = w.database.URL, w.sqsCalls.URL, schedulerURL
	w.start()
	return w
}

// start makes a handler as main does: a process of its own, with nothing cached.
func (w *world) start() {
	w.t.Helper()
	var h *handler
	var err error
	harness.WithEnvironment(w.aws, func() { h, err = build(func(name string) string { return w.env[name] }) })
	if err != nil {
		w.t.Fatal(err)
	}
	h.now = w.now
	h.log = telemetry.New(io.MultiWriter(&w.logs, &harness.Logs), "send", time.Now)
	w.handler = h
}

// post sends a body over HTTP; headers come in pairs.
func (w *world) post(body string, headers ...string) harness.Answer {
	w.t.Helper()
	return w.request(w.event(body, headers...))
}

func (w *world) event(body string, headers ...string) map[string]any {
	e := harness.Event(routeSend, "Bearer "+clientKey, body)
	for i := 0; i+1 < len(headers); i += 2 {
		e["headers"].(map[string]string)[headers[i]] = headers[i+1]
	}
	return e
}

func (w *world) request(e map[string]any) harness.Answer {
	w.t.Helper()
	a, err := harness.Request(w.t, w.handler, w.lambda+w.ahead(), e)
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

// seen is what a look-up shows.
type seen struct {
	ID, State, Status, Explanation, Wamid, Type, Reason, Sender, Campaign string
	Failed                                                                bool
	IsFake                                                                bool `json:"is_fake"`
	Attempts                                                              int
	SendAt                                                                *time.Time `json:"send_at"`
	After                                                                 string
	Window                                                                string
	SentInstead                                                           string     `json:"sent_instead"`
	LastInbound                                                           string     `json:"last_inbound"`
	CancelledAt                                                           *time.Time `json:"cancelled_at"`
	CancelledBy                                                           string     `json:"cancelled_by"`
	Answer                                                                *struct {
		HTTP int
		Body json.RawMessage
	}
	Statuses []struct {
		Status string
		Errors json.RawMessage
	}
	Failures []whatsapp.Failure
}

func (w *world) lookUp(id string) seen {
	w.t.Helper()
	e := harness.Event(routeByID, "Bearer "+clientKey, "")
	e["pathParameters"] = map[string]string{"id": id}
	a := w.request(e)
	var r struct{ Data seen }
	if err := json.Unmarshal([]byte(a.Body), &r); err != nil || a.Status != 200 {
		w.t.Fatalf("look-up of %s: %d %s", id, a.Status, a.Body)
	}
	return r.Data
}

// direct invokes the function with an envelope.
func (w *world) direct(envelope string) ([]byte, error) {
	w.t.Helper()
	return harness.Invoke(w.t, w.handler, w.lambda+w.ahead(), []byte(envelope))
}

// sqs invokes the function with records, and returns those that are to be retried.
func (w *world) sqs(bodies ...string) (again []string) {
	w.t.Helper()
	type record map[string]any
	var all []record
	for _, body := range bodies {
		all = append(all, record{
			"messageId": harness.Name("record"), "receiptHandle": "none", "body": body, "eventSource": "aws:sqs",
			"attributes": map[string]string{"SentTimestamp": strconv.FormatInt(w.now().UnixMilli(), 10)},
		})
	}
	return w.batch(all)
}

func (w *world) batch(records any) (again []string) {
	w.t.Helper()
	return harness.Batch(w.t, w.handler, w.lambda+w.ahead(), records)
}

const hello = `{"messaging_product":"whatsapp","to":"+15550100001","type":"text","text":{"body":"Hello"}}`

// responds fails the test unless a caller was returned this status and this error code.
func responds(t testing.TB, what string, a harness.Answer, status int, code string) {
	t.Helper()
	if a.Status != status || a.Code() != code {
		t.Errorf("%s: returned %d %s, want %d %s", what, a.Status, a.Body, status, code)
	}
}

// spoil sets what callers of the Gateway meet from now on.
func (w *world) spoil(faults ...connexease.Fault) {
	w.t.Helper()
	if err := w.gateway.SetFaults(faults); err != nil {
		w.t.Fatal(err)
	}
}

// posted counts the messages and receipts that the Gateway accepted.
func (w *world) posted() int { return len(w.gateway.Messages()) }

func (w *world) queueURL() *string { return aws.String(w.env["QUEUE_URL"]) }
