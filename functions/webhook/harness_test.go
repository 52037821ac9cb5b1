package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"connexease-functions/pkg/gateway"
	"connexease-functions/pkg/local/stack"
	"connexease-functions/pkg/local/template"
	"connexease-functions/pkg/telemetry"
)

// backends are one DynamoDB Local and one Secrets Manager endpoint for all tests of
// the package; each test has a table and a secret of its own.
var backends *stack.Stack

// everyLog holds what all handlers of the run logged, for the scan at its end.
var everyLog lockedBuffer

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func TestMain(m *testing.M) {
	os.Exit(func() int {
		cache, err := os.UserCacheDir()
		if err == nil {
			backends, err = stack.Start(context.Background(), stack.Options{
				Root: "../..", Backends: true, Cache: filepath.Join(cache, "connexease-functions"),
				Progress: func(line string) { fmt.Println(line) },
			})
		}
		if err != nil {
			fmt.Println(err)
			return 1
		}
		defer backends.Close()
		code := m.Run()
		if leaks := scan(everyLog.String()); len(leaks) > 0 {
			fmt.Printf("--- FAIL: the logs of all tests hold secrets or personal data: %q\n", leaks)
			return 1
		}
		return code
	}())
}

// times are the only long numbers that log lines have: their digits may be anything.
var times = regexp.MustCompile(`"Timestamp":\d+|"timestamp":"[^"]*"`)

// scan returns what must never be in a log line of the tests' deliveries.
func scan(log string) (leaks []string) {
	log = times.ReplaceAllString(log, "")
	for _, secret := range []string{"wamid", "15550", "16505", "5491", "9055", "msg_", "Bearer", "test-secret", "Ada", "Pablo", "Sheena", "hello from", "wa#", "contact#", "user.", "US."} {
		if at := strings.Index(log, secret); at >= 0 {
			leaks = append(leaks, log[max(0, at-40):min(len(log), at+60)])
		}
	}
	return leaks
}

// world is a handler with a table, a secret and a DynamoDB that misbehaves on demand.
type world struct {
	t       testing.TB
	handler *handler
	table   string
	secret  string // its name
	days    string // RETENTION_DAYS
	token   string
	logs    lockedBuffer
	faults  atomic.Pointer[fault]
	calls   atomic.Int64 // DynamoDB calls
}

// fault takes a DynamoDB call; it returns true where it has answered.
type fault func(w http.ResponseWriter, action string, body []byte) bool

var worlds atomic.Int64

func newWorld(t testing.TB) *world {
	t.Helper()
	n := worlds.Add(1)
	w := &world{t: t, table: "Events" + strconv.FormatInt(n, 10), secret: "secret" + strconv.FormatInt(n, 10), token: "test-secret-" + strconv.FormatInt(n, 10)}
	tpl, err := template.Load("../../template.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	tables, err := tpl.Tables()
	if err != nil {
		t.Fatal(err)
	}
	tables[0].TableName = &w.table
	if _, err := backends.DB.CreateTable(t.Context(), tables[0]); err != nil {
		t.Fatal(err)
	}
	backends.Secrets.Put(w.secret, w.token)

	target, err := url.Parse(backends.DynamoDBURL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.ErrorHandler = func(rw http.ResponseWriter, _ *http.Request, _ error) { rw.WriteHeader(http.StatusBadGateway) }
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		_, action, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
		if action != "" {
			w.calls.Add(1)
		}
		if f := w.faults.Load(); f != nil && (*f)(rw, action, body) {
			return
		}
		proxy.ServeHTTP(rw, r)
	}))
	t.Cleanup(server.Close)
	w.build(server.URL)
	return w
}

// build makes the handler as main does, from an environment.
func (w *world) build(dynamoDB string) {
	w.t.Helper()
	env := backends.Environment()
	env["AWS_ENDPOINT_URL_DYNAMODB"] = dynamoDB
	for k, v := range env {
		w.t.(interface{ Setenv(k, v string) }).Setenv(k, v)
	}
	h, err := build(func(name string) string {
		return map[string]string{"TABLE_NAME": w.table, "WEBHOOK_SECRET_ID": w.secret, "RETENTION_DAYS": w.days, "AWS_LAMBDA_FUNCTION_NAME": "webhook"}[name]
	})
	if err != nil {
		w.t.Fatal(err)
	}
	h.log = telemetry.New(io.MultiWriter(&w.logs, &everyLog), "webhook", time.Now)
	w.handler = h
}

func (w *world) fault(f fault) { w.faults.Store(&f) }

// answer is what a caller of API Gateway would see.
type answer struct {
	Status  int               `json:"statusCode"`
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
}

func (a answer) code() string {
	var r gateway.Response
	if json.Unmarshal([]byte(a.Body), &r) != nil || r.Errors == nil {
		return ""
	}
	return r.Errors.Code
}

// event is an HTTP API event as a map, so that tests can bend it.
func event(authorization, body string) map[string]any {
	headers := map[string]string{"content-type": "application/json"}
	if authorization != "" {
		headers["authorization"] = authorization
	}
	return map[string]any{
		"version": "2.0", "routeKey": "POST /webhook", "rawPath": "/webhook", "headers": headers,
		"requestContext": map[string]any{"http": map[string]string{"method": "POST", "path": "/webhook"}, "timeEpoch": time.Now().UnixMilli(), "requestId": "r"},
		"body":           body, "isBase64Encoded": false,
	}
}

func (w *world) invoke(e any) (answer, error) {
	payload, err := json.Marshal(e)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx := lambdacontext.NewContext(w.t.Context(), &lambdacontext.LambdaContext{AwsRequestID: "request-1"})
	out, err := w.handler.Invoke(ctx, payload)
	if err != nil {
		return answer{}, err
	}
	var a answer
	if err := json.Unmarshal(out, &a); err != nil {
		w.t.Fatal(err)
	}
	return a, nil
}

// deliver sends a body with the right token and returns the answer.
func (w *world) deliver(body string) answer {
	w.t.Helper()
	a, err := w.invoke(event("Bearer "+w.token, body))
	if err != nil {
		w.t.Error(err)
	}
	return a
}

// stored sends a body and expects it to be stored as that many events.
func (w *world) stored(body string, events int) {
	w.t.Helper()
	a := w.deliver(body)
	want := fmt.Sprintf(`{"isSuccess":true,"data":{"events":%d}}`, events)
	if a.Status != 200 || a.Body != want {
		w.t.Fatalf("answered %d %s, want 200 %s", a.Status, a.Body, want)
	}
}

type tableItem map[string]types.AttributeValue

func (i tableItem) text(name string) string {
	switch v := i[name].(type) {
	case *types.AttributeValueMemberS:
		return v.Value
	case *types.AttributeValueMemberN:
		return v.Value
	case *types.AttributeValueMemberB:
		return string(v.Value)
	}
	return ""
}

// items returns the whole table by "pk sk".
func (w *world) items() map[string]tableItem {
	w.t.Helper()
	all := map[string]tableItem{}
	pages := dynamodb.NewScanPaginator(backends.DB, &dynamodb.ScanInput{TableName: &w.table, ConsistentRead: aws.Bool(true)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(w.t.Context())
		if err != nil {
			w.t.Fatal(err)
		}
		for _, it := range page.Items {
			item := tableItem(it)
			all[item.text("pk")+" "+item.text("sk")] = item
		}
	}
	return all
}

// one returns the table's only item.
func (w *world) one() tableItem {
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
