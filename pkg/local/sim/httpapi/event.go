package httpapi

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"

	"connexease-functions/pkg/local/sim/lambda"
)

// event is a request as API Gateway passes it to a function (AWS: Create AWS Lambda proxy
// integrations for HTTP APIs, payload format 2.0).
type event struct {
	events.APIGatewayV2HTTPRequest
	RequestContext requestContext `json:"requestContext"`
}

// requestContext leaves out the client's certificate: there is none without mutual TLS.
type requestContext struct {
	events.APIGatewayV2HTTPRequestContext
	Authentication *struct{} `json:"authentication,omitempty"`
}

// hopByHop lists the headers of a single connection, which gateways do not forward (RFC 9110,
// section 7.6.1).
var hopByHop = map[string]bool{"Connection": true, "Keep-Alive": true, "Proxy-Connection": true, "Te": true, "Trailer": true,
	"Transfer-Encoding": true, "Upgrade": true}

func newEvent(r *http.Request, route *route, parameters map[string]string, body []byte, id string, now time.Time) ([]byte, error) {
	source, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		source = r.RemoteAddr
	}
	domain := r.Host
	port := "80"
	if host, p, err := net.SplitHostPort(r.Host); err == nil {
		domain, port = host, p
	}
	prefix, _, _ := strings.Cut(domain, ".")
	e := event{
		// HTTP APIs decode the path, even the "raw" one; only the query string is passed on
		// unchanged.
		APIGatewayV2HTTPRequest: events.APIGatewayV2HTTPRequest{
			Version: "2.0", RouteKey: route.key, RawPath: r.URL.Path, RawQueryString: r.URL.RawQuery,
			Headers: make(map[string]string, len(r.Header)+6), QueryStringParameters: query(r.URL.RawQuery), PathParameters: parameters,
		},
		RequestContext: requestContext{APIGatewayV2HTTPRequestContext: events.APIGatewayV2HTTPRequestContext{
			AccountID: accountID, APIID: "local", DomainName: domain, DomainPrefix: prefix,
			HTTP:      events.APIGatewayV2HTTPRequestContextHTTPDescription{Method: r.Method, Path: r.URL.Path, Protocol: r.Proto, SourceIP: source, UserAgent: r.UserAgent()},
			RequestID: id, RouteKey: route.key, Stage: "$default",
			Time: now.UTC().Format("02/Jan/2006:15:04:05 -0700"), TimeEpoch: now.UnixMilli(),
		}},
	}
	for name, values := range r.Header {
		switch {
		case name == "Cookie":
			for _, v := range values {
				for c := range strings.SplitSeq(v, ";") {
					if c = strings.TrimSpace(c); c != "" {
						e.Cookies = append(e.Cookies, c)
					}
				}
			}
		case !hopByHop[name]:
			e.Headers[strings.ToLower(name)] = strings.Join(values, ",")
		}
	}
	e.Headers["host"] = r.Host
	e.Headers["content-length"] = strconv.Itoa(len(body))
	e.Headers["x-forwarded-proto"] = "http"
	e.Headers["x-forwarded-port"] = port
	if before := e.Headers["x-forwarded-for"]; before != "" {
		source = before + ", " + source
	}
	e.Headers["x-forwarded-for"] = source
	if e.Headers["x-amzn-trace-id"] == "" {
		e.Headers["x-amzn-trace-id"] = lambda.NewTraceRoot(now)
	}
	if len(body) > 0 {
		if e.IsBase64Encoded = !textual(r.Header.Get("Content-Type")) || !utf8.Valid(body); e.IsBase64Encoded {
			e.Body = base64.StdEncoding.EncodeToString(body)
		} else {
			e.Body = string(body)
		}
	}
	var b bytes.Buffer
	b.Grow(len(e.Body) + len(e.Body)/8 + 2<<10)
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(e); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// query decodes a query string, with repeated values joined by commas in order; nil if it is empty.
// Parts that cannot be decoded are left as they are.
func query(raw string) map[string]string {
	if raw == "" {
		return nil
	}
	values := map[string]string{}
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		name, value = unescape(name), unescape(value)
		if before, again := values[name]; again {
			value = before + "," + value
		}
		values[name] = value
	}
	return values
}

func unescape(s string) string {
	if u, err := url.QueryUnescape(s); err == nil {
		return u
	}
	return s
}

// textual reports whether HTTP APIs pass a body of this type on as text. AWS does not document the
// list; tests against AWS found text/*, JSON, XML and JavaScript, and that a form or a body without
// a type arrives in base64.
func textual(contentType string) bool {
	media, _, _ := strings.Cut(contentType, ";")
	media = strings.ToLower(strings.TrimSpace(media))
	switch media {
	case "application/json", "application/xml", "application/javascript":
		return true
	}
	return strings.HasPrefix(media, "text/") || strings.HasPrefix(media, "application/") && strings.HasSuffix(media, "+json")
}
