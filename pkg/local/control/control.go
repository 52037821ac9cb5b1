// Package control serves the laptop stack's control address: it shows the table's contents and what
// runs, delivers fixtures and rotates secrets on demand. Browsers get the console there.
package control

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"connexease-functions/pkg/local/fixtures"
	"connexease-functions/pkg/local/loopback"
	simlambda "connexease-functions/pkg/local/sim/lambda"
	"connexease-functions/pkg/local/stack"
	"connexease-functions/pkg/ops/console"
)

const maxRequest = 1 << 20

// Control implements http.Handler.
type Control struct {
	stack *stack.Stack
	// rotated is called after a secret got a new value.
	rotated func() error
	console *console.Console
	mux     http.ServeMux
}

// New returns the handler of a stack's control address. Browsers get the console, which may be nil.
func New(s *stack.Stack, rotated func() error, shown *console.Console) *Control {
	c := &Control{stack: s, rotated: rotated, console: shown}
	c.mux.HandleFunc("GET /{$}", c.index)
	for _, route := range c.routes() {
		pattern, _, _ := strings.Cut(route.pattern, "?")
		c.mux.HandleFunc(pattern, route.handle)
	}
	if shown != nil {
		shown.Laptop.(*laptop).routes = &c.mux
	}
	return c
}

type route struct {
	pattern string // with the names of its query parameters
	handle  http.HandlerFunc
}

// routes lists the routes that the index shows.
func (c *Control) routes() []route {
	return []route{
		{"GET /items?kind=&contact=&client=&since=&until=&limit=", c.items},
		{"GET /conversations/{contact}", c.conversation},
		{"GET /events?follow=&kind=&contact=&limit=", c.events},
		{"GET /rules", c.rules},
		{"PUT /rules/{name}", c.putRule},
		{"DELETE /rules/{name}", c.deleteRule},
		{"GET /functions", c.functions},
		{"DELETE /functions/{name}/processes", c.kill},
		{"GET /queues", c.queues},
		{"GET /schedules", c.schedules},
		{"POST /schedules/advance?by=", c.advance},
		{"GET /schedules/faults", c.scheduleFaults().show},
		{"PUT /schedules/faults", c.scheduleFaults().put},
		{"GET /trigger", c.fixtures},
		{"POST /trigger/{name}?repeat=&from=&text=&fresh=&ago=", c.trigger},
		{"GET /gateway/messages", c.messages},
		{"GET /gateway/faults", c.faults().show},
		{"PUT /gateway/faults", c.faults().put},
		{"GET /gateway/callbacks", c.callbacks().show},
		{"PUT /gateway/callbacks", c.callbacks().put},
		{"GET /gateway/limits", c.limits().show},
		{"PUT /gateway/limits", c.limits().put},
		{"PUT /secrets/{name}?sender=", c.putSecret},
	}
}

// ServeHTTP refuses requests from web pages.
func (c *Control) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if _, served := c.mux.Handler(r); c.console != nil && c.console.Wants(r, served != "") {
		c.console.ServeHTTP(w, r)
		return
	}
	loopback.Only(&c.mux).ServeHTTP(w, r)
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	_ = e.Encode(body)
}

func fail(w http.ResponseWriter, status int, err error) {
	answer(w, status, map[string]string{"error": err.Error()})
}

// atMost reads the query's limit of a list with n elements, or responds with its fault.
func atMost(w http.ResponseWriter, q url.Values, n int) (limit int, ok bool) {
	text := q.Get("limit")
	if text == "" {
		return n, true
	}
	limit, err := strconv.Atoi(text)
	if err != nil || limit < 0 {
		fail(w, http.StatusBadRequest, errors.New("limit must be a whole number"))
		return 0, false
	}
	return min(limit, n), true
}

func (c *Control) index(w http.ResponseWriter, _ *http.Request) {
	var all []string
	for _, route := range c.routes() {
		all = append(all, route.pattern)
	}
	answer(w, http.StatusOK, map[string][]string{"routes": all})
}

func (c *Control) functions(w http.ResponseWriter, _ *http.Request) {
	all := []simlambda.Status{}
	for _, name := range slices.Sorted(maps.Keys(c.stack.Functions)) {
		all = append(all, c.stack.Functions[name].Status())
	}
	body := map[string]any{"functions": all}
	if db := c.stack.Database; db != nil {
		body["database"] = map[string]int{"pid": db.PID()}
	}
	answer(w, http.StatusOK, body)
}

// kill ends a function's processes as a crash does.
func (c *Control) kill(w http.ResponseWriter, r *http.Request) {
	f := c.stack.Functions[r.PathValue("name")]
	if f == nil {
		fail(w, http.StatusNotFound, fmt.Errorf("there is no function %q", r.PathValue("name")))
		return
	}
	answer(w, http.StatusOK, map[string][]int{"killed": f.Kill()})
}

func (c *Control) fixtures(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Get("format") == "text" {
		for _, name := range fixtures.Names() {
			_, _ = fmt.Fprintf(w, "%-32s%s\n", name, fixtures.About(name))
		}
		return
	}
	type fixture struct {
		Name  string `json:"name"`
		About string `json:"about"`
	}
	var all []fixture
	for _, name := range fixtures.Names() {
		all = append(all, fixture{name, fixtures.About(name)})
	}
	answer(w, http.StatusOK, map[string]any{"fixtures": all})
}

// trigger delivers a fixture through the webhook route, as the Gateway would.
func (c *Control) trigger(w http.ResponseWriter, r *http.Request) {
	body, err := fixtures.Body(r.PathValue("name"))
	if err != nil {
		fail(w, http.StatusNotFound, err)
		return
	}
	q := r.URL.Query()
	repeat := 1
	if text := q.Get("repeat"); text != "" {
		if repeat, err = strconv.Atoi(text); err != nil || repeat < 1 || repeat > 1000 {
			fail(w, http.StatusBadRequest, errors.New("repeat must be a whole number from 1 to 1000"))
			return
		}
	}
	v := fixtures.Variation{From: q.Get("from"), Text: q.Get("text")}
	if fresh := q.Get("fresh"); fresh != "" && fresh != "0" && fresh != "no" {
		v.Fresh, v.Now = true, time.Now()
		v.NewID = func() string { return "wamid." + rand.Text() + rand.Text() }
	}
	if text := q.Get("ago"); text != "" {
		ago, err := time.ParseDuration(text)
		if err != nil || ago < 0 || !v.Fresh {
			fail(w, http.StatusBadRequest, errors.New("ago must be a time such as 25h or 90m, and needs fresh ids and times"))
			return
		}
		v.Now = v.Now.Add(-ago)
	}
	if body, err = fixtures.Vary(body, v); err != nil {
		fail(w, http.StatusInternalServerError, err)
		return
	}
	type delivery struct {
		Status int             `json:"status"`
		Answer json.RawMessage `json:"answer"`
	}
	var all []delivery
	for range repeat {
		status, text, err := c.deliver(r, body)
		if err != nil {
			fail(w, http.StatusBadGateway, err)
			return
		}
		all = append(all, delivery{status, text})
	}
	answer(w, http.StatusOK, map[string]any{"deliveries": all})
}

func (c *Control) deliver(r *http.Request, body []byte) (int, json.RawMessage, error) {
	secret, _ := c.stack.Secrets.Current(stack.WebhookSecret)
	request, err := http.NewRequestWithContext(r.Context(), http.MethodPost, c.stack.APIURL+"/webhook", bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Authorization", "Bearer "+secret)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxRequest))
	return response.StatusCode, text, err
}
