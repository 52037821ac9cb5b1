package harness

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-resty/resty/v2"

	"connexease-functions/pkg/proof/laptop"
)

// Fault handles a call; it returns true if it has written a response. action is the operation's
// name, such as PutItem.
type Fault func(w http.ResponseWriter, action string, body []byte) bool

// Proxy is an AWS endpoint that misbehaves on demand.
type Proxy struct {
	URL    string
	Calls  atomic.Int64
	faults atomic.Pointer[Fault]
	meter  atomic.Pointer[Meter]
}

// Meter receives the capacity that one call consumed, as DynamoDB reports it.
type Meter func(action string, units float64)

// NewProxy starts a proxy in front of an AWS endpoint until the test has ended.
func NewProxy(t testing.TB, endpoint string) *Proxy {
	t.Helper()
	laptop.NeedsJava(t)
	target, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.ModifyResponse = p.measure
	proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		_, action, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
		if action != "" {
			p.Calls.Add(1)
		}
		if f := p.faults.Load(); f != nil && (*f)(w, action, body) {
			return
		}
		if p.meter.Load() != nil && len(body) > 0 {
			body = append([]byte(`{"ReturnConsumedCapacity":"TOTAL",`), bytes.TrimPrefix(body, []byte("{"))...)
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
			r.Header.Set("Content-Length", strconv.Itoa(len(body)))
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	p.URL = server.URL
	return p
}

// Faulty reports whether a fault is set.
func (p *Proxy) Faulty() bool { return p.faults.Load() != nil }

// Set sets the fault; nil ends it.
func (p *Proxy) Set(f Fault) {
	if f == nil {
		p.faults.Store(nil)
		return
	}
	p.faults.Store(&f)
}

// Measure calls m for each call from now on.
func (p *Proxy) Measure(m Meter) { p.meter.Store(&m) }

func (p *Proxy) measure(response *http.Response) error {
	m := p.meter.Load()
	if m == nil {
		return nil
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	type capacity struct{ CapacityUnits float64 }
	var one struct{ ConsumedCapacity capacity }
	var several struct{ ConsumedCapacity []capacity } // of a batch: for each table
	_ = json.Unmarshal(body, &one)                    // a failed condition reports none
	_ = json.Unmarshal(body, &several)
	units := one.ConsumedCapacity.CapacityUnits
	for _, c := range several.ConsumedCapacity {
		units += c.CapacityUnits
	}
	_, action, _ := strings.Cut(response.Request.Header.Get("X-Amz-Target"), ".")
	(*m)(action, units)
	return nil
}

// Forward passes a call on to the endpoint and returns its response, for faults that lose the
// response of a completed call.
func Forward(endpoint, action string, body []byte) (status int, answer []byte) {
	response, err := resty.New().R().SetHeader("X-Amz-Target", "DynamoDB_20120810."+action).SetHeader("Content-Type", "application/x-amz-json-1.0").
		SetHeader("Authorization", "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0").
		SetBody(body).Post(endpoint)
	if err != nil {
		return 0, nil
	}
	return response.StatusCode(), response.Body()
}

// Refuse writes an error as DynamoDB does.
func Refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, `{"__type":"com.amazonaws.dynamodb.v20120810#`+code+`","message":"requested"}`)
}
