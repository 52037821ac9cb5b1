package gateway

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
	"unicode"
)

const (
	path = "/v1/wa/message" // Connexease Gateway API: Send a message

	maxResponse = 1 << 20 // bytes; real responses have a few hundred
	maxHeader   = 64 << 10

	// A frozen Lambda environment wakes with connections that the other side
	// closed long ago, and a message written to one of them has an unknown outcome.
	idleTimeout = 4 * time.Second
	// Until a connection is obtained nothing has left, so giving up early is free.
	connectTimeout = 5 * time.Second
)

// Client posts messages to the Gateway. It never retries by itself: the Gateway has
// no idempotency key, so a repeat can be a second message.
type Client struct {
	endpoint  string
	transport http.RoundTripper
	now       func() time.Time
}

// New returns a client for the Gateway at base, such as
// https://proxy.gateway.connexease.com. The error says what is wrong with base.
func New(base string) (*Client, error) {
	u, err := url.Parse(base)
	if err != nil {
		return nil, errors.New("gateway base URL cannot be read")
	}
	if (u.Scheme != "https" && u.Scheme != "http") || u.Hostname() == "" || u.User != nil || strings.ContainsAny(base, "?#") || strings.ContainsFunc(base, blank) {
		return nil, errors.New("gateway base URL must be https://host, without user, query, fragment and white space")
	}
	if strings.HasSuffix(strings.TrimRight(u.Path, "/"), "message") {
		return nil, errors.New("gateway base URL must not have the path " + path + ": it is added to every base")
	}
	return &Client{strings.TrimRight(u.String(), "/") + path, newTransport(), time.Now}, nil
}

func blank(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }

func newTransport() *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: connectTimeout, KeepAlive: 15 * time.Second}).DialContext,
		TLSHandshakeTimeout:    connectTimeout,
		TLSClientConfig:        &tls.Config{ClientSessionCache: tls.NewLRUClientSessionCache(0), MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2:      true,
		IdleConnTimeout:        idleTimeout,
		MaxIdleConnsPerHost:    16,
		MaxResponseHeaderBytes: maxHeader,
		DisableCompression:     true,
	}
}

// Close drops idle connections.
func (c *Client) Close() {
	if t, ok := c.transport.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}

// Send posts a message once; ctx bounds all of it. isFake selects the sandbox,
// mmlite for the marketing messages lite route.
func (c *Client) Send(ctx context.Context, apiKey string, body []byte, isFake, mmlite bool) Result {
	return c.post(ctx, apiKey, body, isFake, mmlite, false)
}

// SendReceipt posts a read receipt or typing indicator: any 2xx is Accepted, without
// a Wamid.
func (c *Client) SendReceipt(ctx context.Context, apiKey string, body []byte, isFake, mmlite bool) Result {
	return c.post(ctx, apiKey, body, isFake, mmlite, true)
}

func (c *Client) post(ctx context.Context, apiKey string, body []byte, isFake, mmlite, receipt bool) Result {
	if !ValidKey(apiKey) {
		return Result{State: Released, Reason: ReasonBadKey, NotConnected: true, Err: errors.New("API key is empty or has characters that no header can hold")}
	}
	var connected atomic.Bool
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	})
	request, err := http.NewRequestWithContext(traced, http.MethodPost, c.endpoint+query(isFake, mmlite), bytes.NewReader(body))
	if err != nil { // the endpoint was parsed when the client was made
		return Result{State: Released, Reason: ReasonNotConnected, NotConnected: true, Err: errors.New("request cannot be made")}
	}
	request.GetBody = nil // without it the transport cannot post a second time
	request.Header.Set("Authorization", "Bearer "+apiKey)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json")

	// RoundTrip instead of Client.Do: it follows no redirect and keeps no cookie.
	response, err := c.transport.RoundTrip(request)
	if err != nil {
		if !connected.Load() {
			return Result{State: Released, Reason: ReasonNotConnected, NotConnected: true, Err: fmt.Errorf("connect to the Gateway: %w", err)}
		}
		return Result{State: Unknown, Reason: lost(ctx, err)}
	}
	defer response.Body.Close()
	return c.read(ctx, response, receipt)
}

// read reads what there is of a response. Where it breaks off, its status and anything
// that is complete still count: an id that arrived is an id.
func (c *Client) read(ctx context.Context, response *http.Response, receipt bool) Result {
	r := Result{Status: response.StatusCode, Header: rateHeaders(response.Header)}
	if r.Status < http.StatusOK {
		// What follows a 101 is the bare connection, which no context closes.
		r.State, r.Reason = Classify(r.Status, Facts{})
		return r
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxResponse+1))
	tooLarge := len(body) > maxResponse
	if tooLarge {
		body = body[:maxResponse]
	}
	r.Body = body
	f := Facts{Receipt: receipt}
	id := ""
	if !tooLarge {
		r.Response = parse(body)
		id = messageID(r.Response.Data)
		f.HasID = id != ""
		f.Unified, f.NotNow = refusal(body)
	}
	if e := r.Response.Errors; e != nil {
		f.Code = e.Code
		r.RetryAfter = RetryAfter(e.Params, response.Header, c.now())
	} else {
		r.RetryAfter = RetryAfter(nil, response.Header, c.now())
	}
	r.State, r.Reason = Classify(r.Status, f)
	switch r.Reason {
	case ReasonPairLimited:
		r.RetryAfter = max(r.RetryAfter, PairPause)
	case ReasonMetaLimited:
		r.RetryAfter = max(r.RetryAfter, NumberPause)
	}
	if r.State == Accepted {
		r.Wamid = id
	}
	if r.State == Unknown && err != nil && r.Reason != ReasonRedirect {
		r.Reason = lost(ctx, err)
	}
	return r
}

// refusal reads a body by its exact member names: whether it has the unified shape of a
// refusal, and Meta's "not now" in it.
func refusal(body []byte) (unified bool, notNow int) {
	members := func(object json.RawMessage) (m map[string]json.RawMessage) {
		_ = json.Unmarshal(object, &m) // nil for anything else
		return m
	}
	text := func(value json.RawMessage) (s string) {
		_ = json.Unmarshal(value, &s)
		return s
	}
	whole := members(body)
	e := members(whole["errors"])
	if string(whole["isSuccess"]) != "false" || text(e["code"]) == "" {
		return false, 0
	}
	return true, metaNotNow(text(e["description"]), e["params"])
}

// parse reads what it can. A member of a wrong type leaves the others as they are.
func parse(body []byte) Response {
	var r Response
	var wrongType *json.UnmarshalTypeError
	if err := json.Unmarshal(body, &r); err != nil && !errors.As(err, &wrongType) {
		return Response{}
	}
	return r
}

// MessageID returns the id of WhatsApp in a response; empty where it has none.
func MessageID(response []byte) string { return messageID(parse(response).Data) }

func messageID(data json.RawMessage) string {
	var d struct {
		Messages []struct {
			ID string `json:"id"`
		} `json:"messages"`
	}
	_ = json.Unmarshal(data, &d) // what could be read is there; the rest has no id
	if len(d.Messages) == 0 {
		return ""
	}
	return d.Messages[0].ID
}

func lost(ctx context.Context, err error) Reason {
	var timeout net.Error
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return ReasonCanceled
	case ctx.Err() != nil, errors.As(err, &timeout) && timeout.Timeout():
		return ReasonTimeout
	}
	return ReasonBroken
}

func rateHeaders(h http.Header) http.Header {
	kept := http.Header{}
	for name, values := range h {
		if name == "Retry-After" || strings.HasPrefix(name, "X-Ratelimit-") {
			kept[name] = values
		}
	}
	return kept
}

func query(isFake, mmlite bool) string {
	switch {
	case isFake && mmlite:
		return "?is_fake=true&mmlite=true"
	case isFake:
		return "?is_fake=true"
	case mmlite:
		return "?mmlite=true"
	}
	return ""
}

// ValidKey reports whether an API key can be sent in a header: visible ASCII, not empty.
func ValidKey(key string) bool {
	for i := range len(key) {
		if key[i] <= ' ' || key[i] > '~' {
			return false
		}
	}
	return key != ""
}
