package gateway

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const (
	apiKey  = "sk_test_never_in_any_error"
	message = `{"messaging_product":"whatsapp","to":"905551234567","type":"text","text":{"body":"hi"}}`
	success = `{"isSuccess":true,"data":{"messaging_product":"whatsapp","contacts":[{"input":"905551234567","wa_id":"905551234567"}],"messages":[{"id":"wamid.HBgM"}]}}`
)

func failure(code string) string {
	return `{"isSuccess":false,"errors":{"code":"` + code + `","group":"G","description":"d","params":{"limit_type":"sec","retry_after":"1s"}}}`
}

func client(t *testing.T, base string) *Client {
	t.Helper()
	c, err := New(base)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func serve(t *testing.T, h http.HandlerFunc) (*Client, *httptest.Server) {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return client(t, s.URL), s
}

func send(t *testing.T, c *Client) Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	r := c.Send(ctx, apiKey, []byte(message), false, false)
	if strings.Contains(fmt.Sprintf("%+v %v", r, r.Err), apiKey) {
		t.Errorf("the API key is in the result: %+v", r)
	}
	return r
}

func TestTheRequestIsTheGatewaysContract(t *testing.T) {
	type seen struct{ method, uri, authorization, contentType, idempotency, body string }
	got := make(chan seen, 1)
	c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- seen{r.Method, r.RequestURI, r.Header.Get("Authorization"), r.Header.Get("Content-Type"),
			r.Header.Get("Idempotency-Key") + r.Header.Get("X-Idempotency-Key"), string(body)}
		w.Header().Set("X-RateLimit-sec-Remaining", "79")
		w.Header().Set("Set-Cookie", "a=b")
		_, _ = io.WriteString(w, success)
	})
	for _, f := range []struct {
		isFake, mmlite bool
		uri            string
	}{
		{false, false, "/v1/wa/message"},
		{true, false, "/v1/wa/message?is_fake=true"},
		{false, true, "/v1/wa/message?mmlite=true"},
		{true, true, "/v1/wa/message?is_fake=true&mmlite=true"},
	} {
		r := c.Send(t.Context(), apiKey, []byte(message), f.isFake, f.mmlite)
		want := seen{"POST", f.uri, "Bearer " + apiKey, "application/json", "", message}
		if s := <-got; s != want {
			t.Errorf("sent %+v, want %+v", s, want)
		}
		if r.State != Accepted || r.Wamid != "wamid.HBgM" || r.Status != 200 || string(r.Body) != success || !r.Response.IsSuccess || r.NotConnected || r.Err != nil {
			t.Errorf("%+v", r)
		}
		if len(r.Header) != 1 || r.Header.Get("X-RateLimit-sec-Remaining") != "79" {
			t.Errorf("headers %v", r.Header)
		}
	}
}

func TestEveryAnswerHasItsKind(t *testing.T) {
	for _, a := range []struct {
		name, contentType, body string
		status                  int
		state                   State
		reason                  Reason
		code                    string
	}{
		{"no id", "application/json", `{"isSuccess":true,"data":{}}`, 200, Unknown, ReasonUnreadable, ""},
		{"empty", "application/json", ``, 200, Unknown, ReasonUnreadable, ""},
		{"not JSON", "application/json", `{"isSuccess":tr`, 200, Unknown, ReasonUnreadable, ""},
		{"HTML", "text/html", `<html>wait</html>`, 200, Unknown, ReasonUnreadable, ""},
		{"right JSON under a wrong type", "text/html", success, 200, Accepted, ReasonAccepted, ""},
		{"failure in a 200", "application/json", failure("GW_001"), 200, Unknown, ReasonUnreadable, "GW_001"},
		{"sandbox", "application/json", `{"isSuccess":true,"data":{"messages":[{"id":"wamid.FAKE_1","message_status":"accepted"}]}}`, 200, Accepted, ReasonAccepted, ""},
		{"a member of a wrong type next to the id", "application/json", `{"isSuccess":"yes","data":{"messages":[{"id":"wamid.1"}]}}`, 200, Accepted, ReasonAccepted, ""},
		{"400", "application/json", failure("X_1"), 400, Rejected, ReasonInvalid, "X_1"},
		{"401 of a proxy", "text/html", `<html>`, 401, Released, ReasonUnauthorized, ""},
		{"402", "application/json", failure("BILL_001"), 402, Released, ReasonPaymentRequired, "BILL_001"},
		{"429", "application/json", failure("RATE_001"), 429, Released, ReasonRateLimited, "RATE_001"},
		{"AUTH_004", "application/json", failure("AUTH_004"), 500, Released, ReasonAuthService, "AUTH_004"},
		{"GW_001", "application/json", failure("GW_001"), 502, Rejected, ReasonUpstream, "GW_001"},
		{"GW_001 with odd params", "application/json", `{"errors":{"code":"GW_001","params":[1]}}`, 502, Rejected, ReasonUpstream, "GW_001"},
		{"502 of a proxy", "text/html", `<html>`, 502, Unknown, ReasonServerError, ""},
		{"503", "application/json", failure("SVC_1"), 503, Unknown, ReasonServerError, "SVC_1"},
	} {
		c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", a.contentType)
			w.WriteHeader(a.status)
			_, _ = io.WriteString(w, a.body)
		})
		r := send(t, c)
		code := ""
		if r.Response.Errors != nil {
			code = r.Response.Errors.Code
		}
		if r.State != a.state || r.Reason != a.reason || code != a.code || r.Status != a.status || string(r.Body) != a.body || (r.Wamid != "") != (r.State == Accepted) {
			t.Errorf("%s: %+v", a.name, r)
		}
		if a.code == "RATE_001" && r.RetryAfter != time.Second {
			t.Errorf("%s: retry after %s", a.name, r.RetryAfter)
		}
	}
}

func TestAReceiptSucceedsWithAny2xx(t *testing.T) {
	c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, `{"success":true}`) })
	if r := c.SendReceipt(t.Context(), apiKey, []byte(`{"status":"read","message_id":"m"}`), false, false); r.State != Accepted || r.Wamid != "" {
		t.Errorf("%+v", r)
	}
}

func TestNothingIsPostedTwiceAndNoRedirectFollowed(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		var posts atomic.Int32
		c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
			posts.Add(1)
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(status)
		})
		if r := send(t, c); r.State != Unknown || r.Reason != ReasonRedirect || posts.Load() != 1 {
			t.Errorf("%d: %+v after %d posts", status, r, posts.Load())
		}
	}
}

func TestWithoutAConnectionNothingHasLeft(t *testing.T) {
	refused, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := refused.Addr().String()
	refused.Close()
	_, plain := serve(t, func(w http.ResponseWriter, r *http.Request) {})
	for _, base := range []string{"http://" + address, strings.Replace(plain.URL, "http:", "https:", 1)} {
		r := send(t, client(t, base))
		if r.State != Released || r.Reason != ReasonNotConnected || !r.NotConnected || r.Err == nil {
			t.Errorf("%s: %+v", base, r)
		}
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if r := client(t, plain.URL).Send(gone, apiKey, []byte(message), false, false); r.State != Released || !r.NotConnected {
		t.Errorf("cancelled before: %+v", r)
	}
}

func TestAKeyThatNoHeaderHoldsIsNotSentAndNotTold(t *testing.T) {
	var posts atomic.Int32
	c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) { posts.Add(1) })
	for _, key := range []string{"", "sk_secret\n", "sk secret", "sk_sécret"} {
		r := c.Send(t.Context(), key, []byte(message), false, false)
		if r.State != Released || r.Reason != ReasonBadKey || posts.Load() != 0 || strings.Contains(r.Err.Error(), "sk") {
			t.Errorf("%q: %+v", key, r)
		}
	}
}

// broken serves raw connections, so that they can end at any point.
func broken(t *testing.T, h func(conn *net.TCPConn)) (*Client, *atomic.Int32) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	var connections atomic.Int32
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			go func() {
				defer conn.Close()
				h(conn.(*net.TCPConn))
			}()
		}
	}()
	return client(t, "http://"+l.Addr().String()), &connections
}

func readRequest(conn net.Conn) {
	buffer, got := make([]byte, 4096), ""
	for !strings.HasSuffix(got, message) {
		n, err := conn.Read(buffer)
		if err != nil {
			return
		}
		got += string(buffer[:n])
	}
}

func TestAConnectionThatBreaksLeavesTheOutcomeUnknownAndIsNotTriedAgain(t *testing.T) {
	response := func(length int, body string) string {
		return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", length, body)
	}
	for _, b := range []struct {
		name   string
		h      func(conn *net.TCPConn)
		state  State
		reason Reason
	}{
		{"reset at the first byte", func(c *net.TCPConn) { _, _ = c.Read(make([]byte, 1)); _ = c.SetLinger(0) }, Unknown, ReasonBroken},
		{"reset while it came", func(c *net.TCPConn) { _, _ = c.Read(make([]byte, 10)); _ = c.SetLinger(0) }, Unknown, ReasonBroken},
		{"reset after it came", func(c *net.TCPConn) { readRequest(c); _ = c.SetLinger(0) }, Unknown, ReasonBroken},
		{"closed after it came", func(c *net.TCPConn) { readRequest(c) }, Unknown, ReasonBroken},
		{"no HTTP", func(c *net.TCPConn) { readRequest(c); _, _ = io.WriteString(c, "220 mail ready\r\n\r\n") }, Unknown, ReasonBroken},
		{"headers cut off", func(c *net.TCPConn) { readRequest(c); _, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-") }, Unknown, ReasonBroken},
		{"body cut off", func(c *net.TCPConn) { readRequest(c); _, _ = io.WriteString(c, response(len(success), success[:50])) }, Unknown, ReasonBroken},
		{"body cut off after its JSON", func(c *net.TCPConn) { readRequest(c); _, _ = io.WriteString(c, response(len(success)+5, success)) }, Accepted, ReasonAccepted},
		{"early hints first", func(c *net.TCPConn) {
			readRequest(c)
			_, _ = io.WriteString(c, "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"+response(len(success), success))
		}, Accepted, ReasonAccepted},
		{"other protocol", func(c *net.TCPConn) {
			readRequest(c)
			_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")
		}, Unknown, ReasonUnexpected},
		{"a 429 cut off", func(c *net.TCPConn) {
			readRequest(c)
			_, _ = io.WriteString(c, "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 99\r\nRetry-After: 3\r\n\r\n{")
		}, Released, ReasonRateLimited},
		{"endless headers", func(c *net.TCPConn) {
			readRequest(c)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n"+strings.Repeat("X-A: "+strings.Repeat("b", 1000)+"\r\n", 100))
		}, Unknown, ReasonBroken},
	} {
		t.Run(b.name, func(t *testing.T) {
			c, connections := broken(t, b.h)
			r := send(t, c)
			if r.State != b.state || r.Reason != b.reason || r.NotConnected || r.Err != nil || connections.Load() != 1 {
				t.Errorf("%+v after %d connections", r, connections.Load())
			}
		})
	}
}

func TestADeadKeptConnectionIsNoReasonToPostAgain(t *testing.T) {
	var requests atomic.Int32
	c, _ := broken(t, func(conn *net.TCPConn) {
		readRequest(conn)
		requests.Add(1)
		_, _ = io.WriteString(conn, fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(success), success))
		readRequest(conn)
		requests.Add(1)
		_ = conn.SetLinger(0)
	})
	if r := send(t, c); r.State != Accepted {
		t.Fatalf("%+v", r)
	}
	if r := send(t, c); r.State != Unknown || requests.Load() != 2 {
		t.Errorf("%+v after %d requests", r, requests.Load())
	}
}

func TestTheContextEndsASlowAnswer(t *testing.T) {
	for name, h := range map[string]func(conn *net.TCPConn){
		"no response": func(c *net.TCPConn) { readRequest(c) },
		"slow body": func(c *net.TCPConn) {
			readRequest(c)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{")
		},
	} {
		c, _ := broken(t, func(conn *net.TCPConn) {
			h(conn)
			_, _ = io.Copy(io.Discard, conn) // until the client hangs up
		})
		short, cancel := context.WithTimeout(t.Context(), time.Second) // enough to connect on a busy machine
		if r := c.Send(short, apiKey, []byte(message), false, false); r.State != Unknown || r.Reason != ReasonTimeout {
			t.Errorf("%s, deadline: %+v", name, r)
		}
		cancel()
		withdrawn, cancel := context.WithCancel(t.Context())
		traced := httptrace.WithClientTrace(withdrawn, &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { cancel() }})
		if r := c.Send(traced, apiKey, []byte(message), false, false); r.State != Unknown || r.Reason != ReasonCanceled {
			t.Errorf("%s, cancelled: %+v", name, r)
		}
		cancel()
	}
}

func TestAHugeAnswerIsBoundedAndUnreadable(t *testing.T) {
	c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, strings.TrimSuffix(success, "}")+`,"x":"`)
		for range 40 {
			_, _ = io.WriteString(w, strings.Repeat("x", 64<<10))
		}
		_, _ = io.WriteString(w, `"}`)
	})
	if r := send(t, c); r.State != Unknown || r.Reason != ReasonUnreadable || len(r.Body) != maxResponse {
		t.Errorf("%s %s, %d bytes", r.State, r.Reason, len(r.Body))
	}
}

func TestABaseURLIsTakenOrRefusedWhole(t *testing.T) {
	for _, base := range []string{"", "gateway", "ftp://a", "https://", "https://user:pass@a", "https://a?b=c", "https://a#b", "https://a b", ":",
		"https://a?", "https://a#", "https://a/b?", "https://a/\u00a0", "https://a/ ", " https://a", "https://:443",
		"https://a/v1/wa/message", "https://a/v1/wa/message/", "https://a/v1/wa/message//", "https://a/base/v1/wa/message", "https://a/v1/wa/messag%65"} {
		if _, err := New(base); err == nil || strings.Contains(err.Error(), "pass") {
			t.Errorf("%q: %v", base, err)
		}
	}
	c, err := New("https://proxy.gateway.connexease.com/")
	if err != nil || c.endpoint != "https://proxy.gateway.connexease.com/v1/wa/message" {
		t.Errorf("%v %v", c, err)
	}
}

func TestIdleConnectionsAreDroppedBeforeAFreezeCanKillThem(t *testing.T) {
	transport := newTransport()
	if transport.IdleConnTimeout > 4*time.Second || transport.IdleConnTimeout == 0 || transport.TLSClientConfig.ClientSessionCache == nil {
		t.Errorf("idle %s, sessions %v", transport.IdleConnTimeout, transport.TLSClientConfig.ClientSessionCache)
	}
}
