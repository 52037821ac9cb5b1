package lambdasim

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	maxHTTPBody        = 10 << 20         // AWS: HTTP API quotas
	integrationTimeout = 30 * time.Second // AWS: HTTP API quotas
)

// Route sends requests to a function. Path is as in API Gateway: "/webhook",
// "/v1/wa/message/{id}", "/{proxy+}". Method may be ANY.
type Route struct {
	Method, Path string
	Function     *Function
}

// Exchange is one finished request.
type Exchange struct {
	Time         time.Time
	Method, Path string
	RouteKey     string // empty for an unknown route
	Status       int
	Duration     time.Duration
	Response     []byte
}

// Gateway is an HTTP API of API Gateway (payload format 2.0).
type Gateway struct {
	routes  []Route
	observe func(Exchange)
}

// NewGateway returns the HTTP API with these routes. observe, where given, is called
// after each request.
func NewGateway(routes []Route, observe func(Exchange)) *Gateway {
	if observe == nil {
		observe = func(Exchange) {}
	}
	return &Gateway{routes, observe}
}

type httpEvent struct {
	Version        string            `json:"version"`
	RouteKey       string            `json:"routeKey"`
	RawPath        string            `json:"rawPath"`
	RawQuery       string            `json:"rawQueryString"`
	Cookies        []string          `json:"cookies,omitempty"`
	Headers        map[string]string `json:"headers"`
	Query          map[string]string `json:"queryStringParameters,omitempty"`
	RequestContext requestContext    `json:"requestContext"`
	Path           map[string]string `json:"pathParameters,omitempty"`
	Body           string            `json:"body,omitempty"`
	Base64         bool              `json:"isBase64Encoded"`
}

type requestContext struct {
	AccountID    string      `json:"accountId"`
	APIID        string      `json:"apiId"`
	DomainName   string      `json:"domainName"`
	DomainPrefix string      `json:"domainPrefix"`
	HTTP         httpContext `json:"http"`
	RequestID    string      `json:"requestId"`
	RouteKey     string      `json:"routeKey"`
	Stage        string      `json:"stage"`
	Time         string      `json:"time"`
	TimeEpoch    int64       `json:"timeEpoch"`
}

type httpContext struct {
	Method    string `json:"method"`
	Path      string `json:"path"`
	Protocol  string `json:"protocol"`
	SourceIP  string `json:"sourceIp"`
	UserAgent string `json:"userAgent"`
}

type httpAnswer struct {
	Status  int               `json:"statusCode"`
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
	Cookies []string          `json:"cookies"`
	Base64  bool              `json:"isBase64Encoded"`
}

// ServeHTTP implements http.Handler.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := Exchange{Time: time.Now(), Method: r.Method, Path: r.URL.Path}
	w.Header().Set("apigw-requestid", requestID())
	x.Status, x.RouteKey, x.Response = g.serve(w, r)
	x.Duration = time.Since(x.Time)
	g.observe(x)
}

func (g *Gateway) serve(w http.ResponseWriter, r *http.Request) (status int, routeKey string, body []byte) {
	refuse := func(status int, message string) (int, string, []byte) {
		body := []byte(`{"message":"` + message + `"}`)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write(body)
		return status, routeKey, body
	}
	route, parameters := g.find(r)
	if route == nil {
		return refuse(http.StatusNotFound, "Not Found")
	}
	routeKey = route.Method + " " + route.Path
	content, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxHTTPBody))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return refuse(http.StatusRequestEntityTooLarge, "Request Entity Too Large")
	}
	if err != nil {
		return refuse(http.StatusBadRequest, "Bad Request")
	}
	// The invocation goes on when the client has gone, as in AWS.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), integrationTimeout)
	defer cancel()
	type outcome struct {
		result Result
		err    error
	}
	done := make(chan outcome, 1)
	go func() {
		result, err := route.Function.Invoke(ctx, encode(newEvent(r, routeKey, parameters, content)))
		done <- outcome{result, err}
	}()
	var o outcome
	select {
	case o = <-done:
	case <-ctx.Done():
		return refuse(http.StatusServiceUnavailable, "Service Unavailable")
	}
	switch {
	case errors.Is(o.err, ErrTooLarge):
		return refuse(http.StatusRequestEntityTooLarge, "Request Entity Too Large")
	case errors.Is(o.err, context.DeadlineExceeded):
		return refuse(http.StatusServiceUnavailable, "Service Unavailable")
	case o.err != nil || o.result.FunctionError != "":
		return refuse(http.StatusInternalServerError, "Internal Server Error")
	}
	answer, ok := decode(o.result.Payload)
	if !ok {
		return refuse(http.StatusInternalServerError, "Internal Server Error")
	}
	body = []byte(answer.Body)
	if answer.Base64 {
		if body, err = base64.StdEncoding.DecodeString(answer.Body); err != nil {
			return refuse(http.StatusInternalServerError, "Internal Server Error")
		}
	}
	for k, v := range answer.Headers {
		w.Header().Set(k, v)
	}
	for _, c := range answer.Cookies {
		w.Header().Add("Set-Cookie", c)
	}
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	}
	w.WriteHeader(answer.Status)
	_, _ = w.Write(body)
	return answer.Status, routeKey, body
}

// decode reads a function's answer. Without a statusCode the whole of it is the body
// (AWS: "Lambda function response for format 2.0").
func decode(payload []byte) (httpAnswer, bool) {
	var a httpAnswer
	if err := json.Unmarshal(payload, &a); err != nil || a.Status == 0 {
		return httpAnswer{Status: http.StatusOK, Headers: map[string]string{"content-type": "application/json"}, Body: string(payload)}, json.Valid(payload)
	}
	return a, a.Status >= 100 && a.Status < 600
}

// find returns the route of a request: fewer parameters win, and greedy ones lose.
func (g *Gateway) find(r *http.Request) (best *Route, parameters map[string]string) {
	for i := range g.routes {
		route := &g.routes[i]
		if route.Method != r.Method && route.Method != "ANY" {
			continue
		}
		p, ok := match(route.Path, r.URL.EscapedPath())
		if ok && (best == nil || len(p) < len(parameters) || strings.Contains(best.Path, "+}")) {
			best, parameters = route, p
		}
	}
	return best, parameters
}

func match(pattern, path string) (map[string]string, bool) {
	want, have := strings.Split(pattern, "/"), strings.Split(path, "/")
	found := map[string]string{}
	for i, w := range want {
		name, isParameter := strings.CutPrefix(w, "{")
		switch {
		case isParameter && strings.HasSuffix(name, "+}") && i < len(have):
			rest, err := url.PathUnescape(strings.Join(have[i:], "/"))
			found[strings.TrimSuffix(name, "+}")] = rest
			return found, err == nil
		case i >= len(have):
			return nil, false
		case isParameter:
			value, err := url.PathUnescape(have[i])
			if err != nil || value == "" {
				return nil, false
			}
			found[strings.TrimSuffix(name, "}")] = value
		case w != have[i]:
			return nil, false
		}
	}
	return found, len(want) == len(have)
}

func newEvent(r *http.Request, routeKey string, parameters map[string]string, body []byte) httpEvent {
	now := time.Now().UTC()
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	e := httpEvent{
		Version: "2.0", RouteKey: routeKey, RawPath: r.URL.EscapedPath(), RawQuery: r.URL.RawQuery,
		Headers: map[string]string{"host": r.Host, "content-length": strconv.Itoa(len(body))},
		RequestContext: requestContext{
			AccountID: "000000000000", APIID: "local", DomainName: r.Host, DomainPrefix: "local",
			HTTP:      httpContext{r.Method, r.URL.Path, r.Proto, host, r.UserAgent()},
			RequestID: requestID(), RouteKey: routeKey, Stage: "$default",
			Time: now.Format("02/Jan/2006:15:04:05 -0700"), TimeEpoch: now.UnixMilli(),
		},
	}
	if len(parameters) > 0 {
		e.Path = parameters
	}
	for name, values := range r.Header {
		if name == "Cookie" {
			for _, v := range values {
				e.Cookies = append(e.Cookies, strings.Split(v, "; ")...)
			}
			continue
		}
		e.Headers[strings.ToLower(name)] = strings.Join(values, ",")
	}
	for name, values := range r.URL.Query() {
		if e.Query == nil {
			e.Query = map[string]string{}
		}
		e.Query[name] = strings.Join(values, ",")
	}
	if e.Base64 = !isText(r.Header.Get("Content-Type"), body); e.Base64 {
		e.Body = base64.StdEncoding.EncodeToString(body)
	} else {
		e.Body = string(body)
	}
	return e
}

// isText reports whether API Gateway hands a body over as text.
func isText(contentType string, body []byte) bool {
	if !utf8.Valid(body) {
		return false
	}
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil || media == "" {
		return true
	}
	switch media {
	case "application/json", "application/xml", "application/javascript", "application/x-www-form-urlencoded":
		return true
	}
	return strings.HasPrefix(media, "text/") || strings.HasSuffix(media, "+json") || strings.HasSuffix(media, "+xml")
}

func encode(e httpEvent) []byte {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(e) // strings and numbers always encode
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
