package control

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"connexease-functions/pkg/local/sim/connexease"
	simeventbridge "connexease-functions/pkg/local/sim/eventbridge"
	"connexease-functions/pkg/local/sim/pipes"
	simscheduler "connexease-functions/pkg/local/sim/scheduler"
	simsecrets "connexease-functions/pkg/local/sim/secretsmanager"
	simsqs "connexease-functions/pkg/local/sim/sqs"
	"connexease-functions/pkg/local/stack"
)

// world is a control address whose stack has no database and no functions.
type world struct {
	t       *testing.T
	stack   *stack.Stack
	server  *httptest.Server
	rotated error
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, stack: &stack.Stack{
		Secrets: simsecrets.New(time.Now), Queues: simsqs.New(time.Now), Bus: simeventbridge.New("EventBus", time.Now), Gateway: connexease.New(connexease.Config{}),
		Scheduler: simscheduler.New(time.Now, nil),
	}}
	t.Cleanup(w.stack.Bus.Close)
	t.Cleanup(w.stack.Gateway.Close)
	w.server = httptest.NewServer(New(w.stack, func() error { return w.rotated }, nil))
	t.Cleanup(w.server.Close)
	return w
}

func (w *world) do(method, path, body string) (int, string) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.server.URL+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return response.StatusCode, strings.TrimSpace(string(text))
}

func TestASettingIsReplacedWholeOrNotAtAll(t *testing.T) {
	w := newWorld(t)
	for path, c := range map[string]struct{ good, bad, says string }{
		"/gateway/faults":    {`[{"kind":"refuse"}]`, `[{"kind":"refuse"},{"kind":"slow"}]`, "slow needs delay_ms"},
		"/gateway/callbacks": {`{"off":true}`, `{"loss":2}`, "loss and fail_share must be between 0 and 1"},
		"/schedules/faults":  {`{"away":true,"lost":false,"held":false,"twice":false}`, `{"away":1}`, "want a JSON object"},
		"/gateway/limits":    {`{"per_second":40,"per_minute":4800}`, `{"per_second":-1}`, "must be at least 1"},
	} {
		if status, text := w.do(http.MethodPut, path, c.good); status != 200 || text != c.good {
			t.Errorf("PUT %s: %d %s", path, status, text)
		}
		for _, bad := range []string{c.bad, `{"misspelt":1}`, c.good + c.good, "null", ""} {
			if status, text := w.do(http.MethodPut, path, bad); status != 400 || bad == c.bad && !strings.Contains(text, c.says) {
				t.Errorf("PUT %s %s: %d %s", path, bad, status, text)
			}
		}
		if status, text := w.do(http.MethodGet, path, ""); status != 200 || text != c.good {
			t.Errorf("GET %s: %d %s", path, status, text)
		}
	}
}

func TestTheLastEventsOfAKindAreListed(t *testing.T) {
	w := newWorld(t)
	for _, detail := range []string{`{"kind":"message","pk":"1"}`, `{"kind":"status","pk":"2"}`, `{"kind":"message","pk":"3"}`} {
		if failed := w.stack.Bus.Put(t.Context(), []pipes.Entry{{Source: "s", DetailType: "T", Detail: detail}}); failed[0] != nil {
			t.Fatal(failed)
		}
	}
	for query, want := range map[string]string{"": "123", "?kind=message": "13", "?kind=message&limit=1": "3", "?limit=2": "23", "?limit=0": "", "?limit=9": "123"} {
		_, text := w.do(http.MethodGet, "/events"+query, "")
		var list struct {
			Count  int
			Events []struct{ Detail struct{ PK string } }
		}
		if err := json.Unmarshal([]byte(text), &list); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		got := ""
		for _, e := range list.Events {
			got += e.Detail.PK
		}
		if all := map[bool]int{true: 2, false: 3}[strings.Contains(query, "kind")]; got != want || list.Count != all {
			t.Errorf("%s: %q of %d, want %q of %d", query, got, list.Count, want, all)
		}
	}
	for _, bad := range []string{"-1", "x"} {
		if status, _ := w.do(http.MethodGet, "/events?limit="+bad, ""); status != 400 {
			t.Errorf("limit %s: %d", bad, status)
		}
	}
}

func TestATriggerGoesThroughTheWebhookRouteWithTheSecret(t *testing.T) {
	w := newWorld(t)
	w.stack.Secrets.Create(stack.WebhookSecret)
	w.stack.Secrets.Put(stack.WebhookSecret, "the-secret")
	var bodies []string
	api := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		bodies = append(bodies, string(body))
		if r.URL.Path != "/webhook" || r.Header.Get("Authorization") != "Bearer the-secret" {
			rw.WriteHeader(http.StatusUnauthorized)
		}
		_, _ = io.WriteString(rw, "{}")
	}))
	defer api.Close()
	w.stack.APIURL = api.URL
	if status, text := w.do(http.MethodPost, "/trigger/text?repeat=2&from=15550100042&text=Good+day", ""); status != 200 || text != `{"deliveries":[{"status":200,"answer":{}},{"status":200,"answer":{}}]}` {
		t.Errorf("%d %s", status, text)
	}
	for _, body := range bodies {
		if !strings.Contains(body, "15550100042") || !strings.Contains(body, "Good day") {
			t.Errorf("delivered %s", body)
		}
	}
	for path, want := range map[string]int{"none": 404, "text?repeat=0": 400, "text?repeat=1001": 400, "text?ago=1h": 400, "text?fresh=1&ago=-1h": 400} {
		if status, text := w.do(http.MethodPost, "/trigger/"+path, ""); status != want {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
	if len(bodies) != 2 {
		t.Errorf("%d bodies were delivered", len(bodies))
	}
}

func TestARotationThatIsNotWrittenDownIsReported(t *testing.T) {
	w := newWorld(t)
	w.rotated = errors.New("the folder is gone")
	if status, text := w.do(http.MethodPut, "/secrets/webhook", `{"value":"new"}`); status != 500 || !strings.Contains(text, "the folder is gone") {
		t.Errorf("%d %s", status, text)
	}
	if now, _ := w.stack.Secrets.Current(stack.WebhookSecret); now != "new" {
		t.Errorf("the secret is %q", now)
	}
}

func TestEveryRouteOfTheIndexExists(t *testing.T) {
	w := newWorld(t)
	_, text := w.do(http.MethodGet, "/", "")
	var index struct{ Routes []string }
	if err := json.Unmarshal([]byte(text), &index); err != nil || len(index.Routes) < 15 {
		t.Fatalf("%v: %s", err, text)
	}
	for _, route := range index.Routes {
		method, path, _ := strings.Cut(route, " ")
		path, _, _ = strings.Cut(path, "?")
		if path == "/items" || strings.HasPrefix(path, "/conversations") || path == "/events" { // they need a table, or wait
			continue
		}
		if status, text := w.do(method, path, "{"); status == http.StatusMethodNotAllowed || text == "404 page not found" {
			t.Errorf("%s: %d %s", route, status, text)
		}
	}
}
