package console_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"connexease-functions/pkg/local/control"
	"connexease-functions/pkg/local/sim/httpapi"
	simlambda "connexease-functions/pkg/local/sim/lambda"
	"connexease-functions/pkg/local/stack"
	"connexease-functions/pkg/ops/console"
	"connexease-functions/pkg/proof/await"
	"connexease-functions/pkg/proof/browser"
	"connexease-functions/pkg/proof/harness"
	"connexease-functions/pkg/table"
)

const root = "../../.."

// screens is where pictures of all pages are, for people to look at.
var screens = filepath.Join(root, ".local", "screens")

func TestMain(m *testing.M) {
	code := harness.Run(m, nil)
	browser.Close()
	os.Exit(code)
}

// laptop is a running stack with its control address, as make run has them.
type laptop struct {
	t       *testing.T
	stack   *stack.Stack
	console *console.Console
	server  *httptest.Server
	url     string
}

func newLaptop(t *testing.T) *laptop {
	t.Helper()
	l := &laptop{t: t}
	recorded := control.NewRecorder(&harness.Logs)
	state := t.TempDir()
	l.stack = harness.StartStack(t, stack.Options{
		DynamoDB: harness.Backends.DynamoDBURL, Logs: recorded, Overrides: control.Parameters(), MaxProcesses: 2,
		Observe:           func(x httpapi.Exchange) { recorded.Exchange(x, x.RouteKey, "") },
		ObserveBatch:      func(b stack.Batch) { recorded.Batch(b, "") },
		ObserveInvocation: func(i simlambda.Invocation) { recorded.Invocation(i, "") },
	})
	var handler http.Handler
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	l.server, l.url = server, server.URL
	save := func() error { return control.WriteEnvironment(l.stack, state, l.url) }
	if err := save(); err != nil {
		t.Fatal(err)
	}
	var err error
	if l.console, err = control.NewConsole(t.Context(), l.stack, root, state, recorded); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.console.Close() })
	handler = control.New(l.stack, save, l.console)
	t.Cleanup(server.CloseClientConnections) // streams of tabs that are open
	return l
}

// open opens a page in a browser.
func (l *laptop) open(path string) *browser.Tab {
	l.t.Helper()
	tab := browser.Open(l.t)
	tab.Go(l.url + path)
	return tab
}

// trigger delivers a fixture through the webhook, with new ids and times.
func (l *laptop) trigger(name, query string) {
	l.t.Helper()
	status, text := l.do(http.MethodPost, l.url+"/trigger/"+name+"?fresh=1"+query, "", nil)
	if status != 200 || !strings.Contains(text, `"status":200`) {
		l.t.Fatalf("trigger %s: %d %s", name, status, text)
	}
}

// send sends a message through the send endpoint.
func (l *laptop) send(key, body string, headers map[string]string) (int, string) {
	l.t.Helper()
	all := map[string]string{"Authorization": "Bearer " + l.stack.ClientKey(), "Idempotency-Key": key}
	for name, value := range headers {
		all[name] = value
	}
	return l.do(http.MethodPost, l.stack.APIURL+"/v1/wa/message", body, all)
}

// deliver posts a body to the webhook.
func (l *laptop) deliver(body string) {
	l.t.Helper()
	secret, _ := l.stack.Secrets.Current(stack.WebhookSecret)
	if status, text := l.do(http.MethodPost, l.stack.APIURL+"/webhook", body, map[string]string{"Authorization": "Bearer " + secret}); status != 200 {
		l.t.Fatalf("delivered: %d %s", status, text)
	}
}

// items counts the table's items that a query of the control address selects.
func (l *laptop) items(query string) int {
	l.t.Helper()
	var list struct{ Count int }
	if _, text := l.do(http.MethodGet, l.url+"/items"+query, "", nil); json.Unmarshal([]byte(text), &list) != nil {
		l.t.Fatal(text)
	}
	return list.Count
}

// shows waits until a page has a text when it is read again, as pages without scripts are.
func (l *laptop) shows(path, text string) {
	l.t.Helper()
	await.Until(l.t, path+" has "+text, func() bool {
		_, page := l.do(http.MethodGet, l.url+path, "", map[string]string{"Accept": "text/html"})
		return strings.Contains(page, text)
	})
}

// replays returns the details of the replayed events on the bus: what else comes is of its own time.
func (l *laptop) replays() (all []string) {
	for _, e := range l.stack.Bus.Events() {
		if strings.Contains(string(e.Detail), `"replay":"replay-`) {
			all = append(all, string(e.Detail))
		}
	}
	return all
}

// settled waits for empty queues. A copy of a message that is under way would wait for the end of its
// lease: it is received again at once.
func (l *laptop) settled() {
	l.t.Helper()
	await.Until(l.t, "the queues are empty", func() bool {
		return !slices.ContainsFunc(l.stack.QueueNames, func(name string) bool {
			l.stack.Queues.EndVisibility(name)
			return !l.stack.Queues.Idle(name)
		})
	})
}

// writer is the table as the webhook function writes it.
func (l *laptop) writer() *table.Table {
	return table.New(l.stack.DB, l.stack.TableName, 365)
}

func (l *laptop) do(method, url, body string, headers map[string]string) (int, string) {
	l.t.Helper()
	r, err := http.NewRequestWithContext(l.t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		l.t.Fatal(err)
	}
	for name, value := range headers {
		r.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		l.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		l.t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// hello is a message to send.
const hello = `{"messaging_product":"whatsapp","to":"15550100001","type":"text","text":{"body":"Your order has shipped."}}`

// A name and a text that try to become part of a page.
const hostile = `"><img src=x onerror=alert(1)><script>alert(2)</script>{{.CSRF}} <b>'`

// life fills a stack with what a day brings.
func (l *laptop) life() {
	l.t.Helper()
	for _, name := range []string{"text", "image", "interactive-button-reply", "status-failed", "template-status", "dashboard-test"} {
		l.trigger(name, "")
	}
	l.trigger("text", "&from=15550100042&text=Where+is+my+order%3F")
	l.trigger("text", "&from=15550100043&text="+url.QueryEscape(hostile))
	for i := range 3 {
		if status, text := l.send(fmt.Sprint("order-", i), hello, nil); status != 200 {
			l.t.Fatalf("send: %d %s", status, text)
		}
	}
	l.send("order-async", hello, map[string]string{"Prefer": "respond-async"})
	l.send("order-bad", `{"messaging_product":"whatsapp"}`, nil)
}

func quoted(text string) string {
	b, _ := json.Marshal(text) // a string always marshals
	return string(b)
}

// cookie returns the session of a tab, as a request's header.
func (l *laptop) cookie(tab *browser.Tab) string {
	l.t.Helper()
	return tab.Cookies()
}
