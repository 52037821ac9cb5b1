package httpapi

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"connexease-functions/pkg/local/sim/echo"
	"connexease-functions/pkg/local/sim/lambda"
)

func newAPI(t testing.TB, f *lambda.Function, observe func(Exchange)) (*httptest.Server, *API) {
	t.Helper()
	a := New([]Route{
		{"ANY", "/files/{proxy+}", f},
		{"GET", "/v1/wa/message/{id}", f},
		{"POST", "/v1/wa/message", f},
		{"GET", "/v1/wa/message/fixed", f},
		{"POST", "/webhook", f},
		{"GET", "/", f},
	}, observe)
	s := httptest.NewServer(a)
	t.Cleanup(s.Close)
	return s, a
}

func TestARequestArrivesAsAnEventOfFormat2(t *testing.T) {
	var seen Exchange
	s, a := newAPI(t, newFunction(t, nil), func(x Exchange) { seen = x })
	at := time.Date(2026, 11, 24, 1, 39, 53, 7e6, time.FixedZone("", 3600))
	a.now = func() time.Time { return at }
	answer, body := echo.Send(t, s, "POST", "/v1/wa/message?b=2&a=1&b=x%2Cy+z&empty", `{"text":"<&> ü"}`,
		"Content-Type", "application/json; charset=utf-8", "X-Two", "1", "X-Two", "2", "Cookie", "c=1; d=2", "User-Agent", "test", "X-Amzn-Trace-Id", "Root=1-a-b")
	var got, want map[string]any
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	host := strings.TrimPrefix(s.URL, "http://")
	_, port, _ := strings.Cut(host, ":")
	id := answer.Header.Get("apigw-requestid")
	err := json.Unmarshal([]byte(`{"version":"2.0","routeKey":"POST /v1/wa/message","rawPath":"/v1/wa/message","rawQueryString":"b=2&a=1&b=x%2Cy+z&empty",
		"cookies":["c=1","d=2"],
		"headers":{"accept-encoding":"gzip","content-length":"17","content-type":"application/json; charset=utf-8","host":"`+host+`","user-agent":"test","x-two":"1,2",
			"x-amzn-trace-id":"Root=1-a-b","x-forwarded-for":"127.0.0.1","x-forwarded-port":"`+port+`","x-forwarded-proto":"http"},
		"queryStringParameters":{"a":"1","b":"2,x,y z","empty":""},
		"requestContext":{"accountId":"123456789012","apiId":"local","domainName":"127.0.0.1","domainPrefix":"127",
			"http":{"method":"POST","path":"/v1/wa/message","protocol":"HTTP/1.1","sourceIp":"127.0.0.1","userAgent":"test"},
			"requestId":"`+id+`","routeKey":"POST /v1/wa/message","stage":"$default","time":"24/Nov/2026:00:39:53 +0000","timeEpoch":1795480793007},
		"body":"{\"text\":\"<&> ü\"}","isBase64Encoded":false}`), &want)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("event\n got %s\nwant %v", body, want)
	}
	if strings.Contains(body, `\u003c`) {
		t.Error("the event is escaped for HTML")
	}
	if answer.StatusCode != 201 || answer.Header.Get("X-Own") != "1" || !reflect.DeepEqual(answer.Header["Set-Cookie"], []string{"a=1", "b=2"}) || len(id) != 16 {
		t.Errorf("response %d %v", answer.StatusCode, answer.Header)
	}
	if seen.FunctionRequestID == "" || seen.RequestHeaders.Get("X-Two") != "1" {
		t.Errorf("exchange %+v", seen)
	}
	if string(seen.Response) != body || seen.ResponseHeaders.Get("X-Own") != "1" {
		t.Errorf("observed response %v %s", seen.ResponseHeaders, seen.Response)
	}
	seen.FunctionRequestID, seen.RequestHeaders, seen.Response, seen.ResponseHeaders = "", nil, nil, nil
	if x := (Exchange{Time: at, Method: "POST", Path: "/v1/wa/message", RouteKey: "POST /v1/wa/message", Status: 201, RequestID: id, Body: []byte(`{"text":"<&> ü"}`)}); !reflect.DeepEqual(seen, x) {
		t.Errorf("exchange\n got %+v\nwant %+v", seen, x)
	}
}

func TestAbsentPartsOfARequestAreAbsentFromTheEvent(t *testing.T) {
	s, _ := newAPI(t, newFunction(t, nil), nil)
	_, body := echo.Send(t, s, "GET", "/", "")
	var got map[string]any
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	for _, absent := range []string{"body", "cookies", "queryStringParameters", "pathParameters"} {
		if v, there := got[absent]; there {
			t.Errorf("%s is %v", absent, v)
		}
	}
	if got["isBase64Encoded"] != false || got["rawQueryString"] != "" {
		t.Errorf("event %s", body)
	}
}

func TestRoutesAreMatchedAsInAPIGateway(t *testing.T) {
	s, _ := newAPI(t, newFunction(t, nil), nil)
	for request, want := range map[string]string{
		"POST /webhook":               `POST /webhook null /webhook`,
		"GET /v1/wa/message/msg_1":    `GET /v1/wa/message/{id} {"id":"msg_1"} /v1/wa/message/msg_1`,
		"GET /v1/wa/message/a%20b%3D": `GET /v1/wa/message/{id} {"id":"a b="} /v1/wa/message/a b=`,
		"GET /v1/wa/message/fixed":    `GET /v1/wa/message/fixed null /v1/wa/message/fixed`,
		"PUT /files/a//b%2Fc/":        `ANY /files/{proxy+} {"proxy":"a//b/c/"} /files/a//b/c/`,
		"HEAD /files/x":               ``,
		"GET /webhook":                `404`,
		"HEAD /":                      `404`,
		"POST /webhook/":              `404`,
		"POST //webhook":              `404`,
		"POST /Webhook":               `404`,
		"GET /v1/wa/message/":         `404`,
		"GET /v1/wa/message/a/b":      `404`,
		"GET /v1/wa/message/a%2Fb":    `404`,
		"GET /files/":                 `404`,
		"POST /v1//wa/message":        `404`,
		"POST /v1/wa/message/../../x": `404`,
		"POST /unknown?x=/webhook":    `404`,
	} {
		method, target, _ := strings.Cut(request, " ")
		answer, body := echo.Send(t, s, method, target, "")
		if want == "404" {
			if answer.StatusCode != 404 || method != "HEAD" && body != `{"message":"Not Found"}` || answer.Header.Get("Content-Type") != "application/json" {
				t.Errorf("%s: %d %s", request, answer.StatusCode, body)
			}
			continue
		}
		if method == "HEAD" {
			if answer.StatusCode != 201 || body != "" {
				t.Errorf("%s: %d %q", request, answer.StatusCode, body)
			}
			continue
		}
		var e struct {
			RouteKey       string          `json:"routeKey"`
			RawPath        string          `json:"rawPath"`
			PathParameters json.RawMessage `json:"pathParameters"`
		}
		if err := json.Unmarshal([]byte(body), &e); err != nil {
			t.Errorf("%s: %v %s", request, err, body)
		}
		if e.PathParameters == nil {
			e.PathParameters = json.RawMessage("null")
		}
		if got := e.RouteKey + " " + string(e.PathParameters) + " " + e.RawPath; got != want {
			t.Errorf("%s: got %s, want %s", request, got, want)
		}
	}
}

func TestABodyIsTextOrBase64ByItsTypeAndItsBytes(t *testing.T) {
	s, _ := newAPI(t, newFunction(t, nil), nil)
	for _, c := range []struct {
		kind, body string
		base64     bool
	}{
		{"application/json", `{"a":1}`, false}, {"APPLICATION/JSON;charset=UTF-8", `{}`, false}, {"application/problem+json", `{}`, false},
		{"text/plain", "x", false}, {"application/xml", "<a/>", false}, {"application/json", "\xff", true},
		{"application/octet-stream", "x", true}, {"application/x-www-form-urlencoded", "a=1", true}, {"", "x", true}, {"image/svg+xml", "<a/>", true},
	} {
		var headers []string
		if c.kind != "" {
			headers = []string{"Content-Type", c.kind}
		}
		_, body := echo.Send(t, s, "POST", "/webhook", c.body, headers...)
		var e struct {
			Body            []byte `json:"body"`
			IsBase64Encoded bool   `json:"isBase64Encoded"`
		}
		var text struct{ Body string }
		err := json.Unmarshal([]byte(body), &text)
		if c.base64 {
			err = json.Unmarshal([]byte(body), &e)
			text.Body = string(e.Body)
		} else if strings.Contains(body, `"isBase64Encoded":true`) {
			e.IsBase64Encoded = true
		}
		if err != nil || e.IsBase64Encoded != c.base64 || text.Body != c.body {
			t.Errorf("%q %q: base64 %v, body %q, %v", c.kind, c.body, e.IsBase64Encoded, text.Body, err)
		}
	}
}

func TestAFunctionsReplyBecomesTheResponse(t *testing.T) {
	s, _ := newAPI(t, newFunction(t, nil), nil)
	const text, jsonKind = "text/plain; charset=utf-8", "application/json"
	for payload, want := range map[string]struct {
		status     int
		kind, body string
	}{
		`{"statusCode":200,"body":"hi"}`: {200, text, "hi"},
		`{"statusCode":503,"headers":{"CONTENT-TYPE":"a/b","content-length":"9"},"body":"x"}`: {503, "a/b", "x"},
		`{"statusCode":204,"headers":{"x-n":5}}`:                                              {204, text, ""},
		`{"statusCode":200,"body":"aGk=","isBase64Encoded":true}`:                             {200, text, "hi"},
		`{"hello":"world"}`:            {200, jsonKind, `{"hello":"world"}`},
		`{"body":5}`:                   {200, jsonKind, `{"body":5}`},
		`"plain"`:                      {200, jsonKind, "plain"},
		`null`:                         {200, jsonKind, "null"},
		`{"statusCode":200,"body":{}}`: {500, jsonKind, `{"message":"Internal Server Error"}`},
		`{"statusCode":"many"}`:        {500, jsonKind, `{"message":"Internal Server Error"}`},
		`{"statusCode":99}`:            {500, jsonKind, `{"message":"Internal Server Error"}`},
		`{"statusCode":200,"body":"?","isBase64Encoded":true}`: {500, jsonKind, `{"message":"Internal Server Error"}`},
	} {
		answer, body := echo.Send(t, s, "POST", "/webhook", "", "X-Do", "raw", "X-Text", payload)
		if answer.StatusCode != want.status || body != want.body || answer.Header.Get("Content-Type") != want.kind || answer.Header.Get("apigw-requestid") == "" {
			t.Errorf("%s: %d %s %q", payload, answer.StatusCode, answer.Header.Get("Content-Type"), body)
		}
	}
	if a := readReply([]byte("no JSON")); a.status != 500 {
		t.Errorf("a payload that is not JSON: %d", a.status)
	}
}

func TestAFunctionsFailureIsAnInternalServerErrorWithoutDetails(t *testing.T) {
	s, _ := newAPI(t, newFunction(t, func(c *lambda.Config) { c.Timeout = time.Second }), nil)
	for _, wrong := range []string{"fail", "exit", "panic", "hang"} {
		answer, body := echo.Send(t, s, "POST", "/webhook", "", "X-Do", wrong, "X-Text", "a secret")
		if answer.StatusCode != 500 || body != `{"message":"Internal Server Error"}` || answer.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %s", wrong, answer.StatusCode, body)
		}
		if answer, _ := echo.Send(t, s, "POST", "/webhook", ""); answer.StatusCode != 201 {
			t.Errorf("after %s: %d", wrong, answer.StatusCode)
		}
	}
}

func TestARequestThatIsTooLargeIsRefusedByTheGateway(t *testing.T) {
	f := newFunction(t, nil)
	s, _ := newAPI(t, f, nil)
	for size, kind := range map[int]string{maxBody + 1: "text/plain", lambda.MaxRequestBytes: "text/plain", lambda.MaxRequestBytes * 3 / 4: "image/png"} {
		answer, body := echo.Send(t, s, "POST", "/webhook", strings.Repeat("x", size), "Content-Type", kind)
		if answer.StatusCode != 413 || body != `{"message":"Request Entity Too Large"}` {
			t.Errorf("%d bytes of %s: %d %.60s", size, kind, answer.StatusCode, body)
		}
	}
	r, err := http.NewRequest("POST", s.URL+"/webhook", io.LimitReader(zeros{}, maxBody+1)) // no Content-Length
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	s.Config.Handler.ServeHTTP(w, r)
	if w.Code != 413 || f.Status().Invocations != 0 {
		t.Errorf("a chunked body: %d, %+v", w.Code, f.Status())
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

func TestTheIntegrationTimeoutEndsTheWaitButNotTheInvocation(t *testing.T) {
	arrived, release := make(chan struct{}, 1), make(chan struct{})
	gate := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		arrived <- struct{}{}
		<-release
	}))
	defer gate.Close()
	f := newFunction(t, func(c *lambda.Config) { c.MaxProcesses = 1 }) // the next request waits for it
	s, a := newAPI(t, f, nil)
	before := pid(t, f)
	a.limit = 50 * time.Millisecond
	answer, body := echo.Send(t, s, "POST", "/webhook", "", "X-Do", "get", "X-Url", gate.URL)
	if answer.StatusCode != 503 || body != `{"message":"Service Unavailable"}` {
		t.Errorf("%d %s", answer.StatusCode, body)
	}
	<-arrived
	close(release)
	if after := pid(t, f); after != before {
		t.Errorf("process %d was replaced by %d", before, after)
	}
}

func BenchmarkWarmRoundTrip(b *testing.B) {
	body := strings.Repeat("x", 1000)
	s, _ := newAPI(b, newFunction(b, nil), nil)
	echo.Send(b, s, "POST", "/webhook", body, "Content-Type", "text/plain")
	for b.Loop() {
		echo.Send(b, s, "POST", "/webhook", body, "Content-Type", "text/plain")
	}
}
