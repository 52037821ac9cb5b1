package gateway

import (
	"context"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// answering returns a client whose server responds with this status and body.
func answering(t *testing.T, status int, body string) *Client {
	t.Helper()
	c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
	return c
}

func TestOnlyTheUnifiedShapeIsTheGatewaysRefusal(t *testing.T) {
	for _, body := range []string{
		``, `<html>`, `{}`, `[]`, `null`, `"no"`, `{"message":"Not Found"}`, `{"message":"Missing Authentication Token"}`,
		`{"error":{"code":"NOT_FOUND"}}`, `{"errors":{"code":"X_001"}}`, `{"isSuccess":null,"errors":{"code":"X_001"}}`,
		`{"isSuccess":true,"errors":{"code":"X_001"}}`, `{"isSuccess":"false","errors":{"code":"X_001"}}`,
		`{"isSuccess":false}`, `{"isSuccess":false,"errors":{}}`, `{"isSuccess":false,"errors":{"code":""}}`, `{"isSuccess":false,"errors":{"code":404}}`,
		`{"isSuccess":false,"errors":["X_001"]}`, `{"isSuccess":false,"errors":[{"code":"X_001"}]}`,
		`{"IsSuccess":false,"Errors":{"Code":"X_001"}}`, `{"isSuccess":false,"errors":{"code":"X_001"}`, `{"isSuccess":false,"errors":{"code":"X_001"}} x`,
	} {
		for _, status := range []int{404, 405, 410, 421} {
			if r := send(t, answering(t, status, body)); r.State != Released || r.Reason != ReasonNoGateway {
				t.Errorf("%d %s: %s %s", status, body, r.State, r.Reason)
			}
		}
	}
	for _, body := range []string{
		failure("X_001"), `{"isSuccess":false,"errors":{"code":"X_001"}}`, ` { "errors" : {"description":7,"code":"NOT_FOUND"}, "isSuccess" : false } `,
	} {
		for _, status := range []int{404, 405, 410, 421} {
			if r := send(t, answering(t, status, body)); r.State != Rejected || r.Reason != ReasonInvalid {
				t.Errorf("%d %s: %s %s", status, body, r.State, r.Reason)
			}
		}
	}
}

// upstreamSays is a GW_001 with a description and params.
func upstreamSays(description, params string) string {
	return `{"isSuccess":false,"errors":{"code":"GW_001","group":"BAD_GATEWAY","description":` + strconv.Quote(description) + `,"params":` + params + `}}`
}

func TestMetasNotNowInsideGW001IsReleasedAndNothingElseIs(t *testing.T) {
	for _, code := range []string{"4", "80007", "130429", "131056", "133016"} {
		want, pause := ReasonMetaLimited, NumberPause
		if code == "131056" {
			want, pause = ReasonPairLimited, PairPause
		}
		for _, body := range []string{
			upstreamSays("(#"+code+") limit hit", `{}`),
			upstreamSays("Meta: OAuthException (#"+code+").", `null`),
			upstreamSays("refused", `{"code":`+code+`}`),
			upstreamSays("refused", `{"code":"`+code+`"}`),
			upstreamSays("refused", `{"error.code":`+code+`}`),
			upstreamSays("refused", `{"status":502,"error":{"message":"x","code":`+code+`,"fbtrace_id":"A"}}`),
			upstreamSays("refused", `{"upstream":[{"code":502},{"response":{"error":{"code":`+code+`}}}]}`),
			upstreamSays("refused", `{"error":{"message":"(#`+code+`) limit hit"}}`),
			upstreamSays("(#"+code+") limit hit", `{"error":{"code":`+code+`}}`),
		} {
			for _, status := range []int{502, 500, 503, 400} {
				if r := send(t, answering(t, status, body)); r.State != Released || r.Reason != want || r.RetryAfter != pause || string(r.Body) != body {
					t.Errorf("%d %s: %s %s after %v", status, body, r.State, r.Reason, r.RetryAfter)
				}
			}
		}
	}
	for _, body := range []string{
		failure("GW_001"),
		upstreamSays("(#131048) spam rate limit", `{}`), upstreamSays("(#131049) healthy ecosystem", `{"code":131049}`),
		upstreamSays("(#131026) undeliverable", `{}`), upstreamSays("(#100) invalid", `{"error":{"code":100,"error_subcode":4}}`),
		upstreamSays("130429", `{}`), upstreamSays("#130429", `{}`), upstreamSays("(130429)", `{}`), upstreamSays("(#1304290)", `{}`), upstreamSays("(#999999999999130429)", `{}`),
		upstreamSays("refused", `{"status":130429}`), upstreamSays("refused", `[130429]`), upstreamSays("refused", `{"code":130429.5}`), upstreamSays("refused", `{"code":[130429]}`),
		upstreamSays("refused", `{"error_code":130429}`), upstreamSays("refused", `{"code":true}`),
		// Two codes, one of which refuses: what is refused is not sent again.
		upstreamSays("(#131048) spam rate limit", `{"error":{"code":130429}}`),
	} {
		if r := send(t, answering(t, 502, body)); r.State != Rejected || r.Reason != ReasonUpstream {
			t.Errorf("%s: %s %s", body, r.State, r.Reason)
		}
	}
	for what, c := range map[string]struct {
		status int
		body   string
		state  State
	}{
		"a foreign shape":       {502, `{"errors":{"code":"GW_001","description":"(#130429)"}}`, Rejected},
		"under another code":    {502, strings.Replace(upstreamSays("(#130429)", `{}`), "GW_001", "X_001", 1), Unknown},
		"after 408":             {408, upstreamSays("(#130429)", `{}`), Unknown},
		"in a success":          {200, upstreamSays("(#130429)", `{}`), Unknown},
		"outside params":        {502, `{"isSuccess":false,"code":130429,"errors":{"code":"GW_001"}}`, Rejected},
		"in a member of errors": {502, `{"isSuccess":false,"errors":{"code":"GW_001","meta":{"code":130429}}}`, Rejected},
	} {
		if r := send(t, answering(t, c.status, c.body)); r.State != c.state {
			t.Errorf("%s: %s %s", what, r.State, r.Reason)
		}
	}
}

func TestNoInformationalAnswerOutlivesTheDeadline(t *testing.T) {
	const (
		deadline = time.Second // enough to connect on a busy machine
		patience = time.Minute // a call that outlives its deadline never ends
	)
	for name, c := range map[string]struct {
		h      func(conn *net.TCPConn)
		reason Reason
	}{
		"101 and silence": {func(c *net.TCPConn) {
			_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")
		}, ReasonUnexpected},
		"101 and an endless stream": {func(c *net.TCPConn) {
			_, err := io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")
			for err == nil {
				_, err = io.WriteString(c, success)
			}
		}, ReasonUnexpected},
		"100 and silence": {func(c *net.TCPConn) { _, _ = io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\n") }, ReasonTimeout},
		"100 without end": {func(c *net.TCPConn) { repeated(c, "HTTP/1.1 100 Continue\r\n\r\n") }, ""},
		"103 without end": {func(c *net.TCPConn) { repeated(c, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n") }, ""},
		"103 of a byte now and then": {func(c *net.TCPConn) {
			for _, b := range []byte(strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 1000)) {
				<-time.After(10 * time.Millisecond)
				if _, err := c.Write([]byte{b}); err != nil {
					return
				}
			}
		}, ReasonTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ended := make(chan struct{})
			client, _ := broken(t, func(conn *net.TCPConn) {
				defer close(ended)
				readRequest(conn)
				c.h(conn)
				_, _ = io.Copy(io.Discard, conn) // until the client hangs up
			})
			ctx, cancel := context.WithTimeout(t.Context(), deadline)
			defer cancel()
			done := make(chan Result, 1)
			go func() { done <- client.Send(ctx, apiKey, []byte(message), false, false) }()
			select {
			case r := <-done:
				if r.State != Unknown || c.reason != "" && r.Reason != c.reason || len(r.Body) != 0 {
					t.Errorf("%s %s with %d bytes", r.State, r.Reason, len(r.Body))
				}
			case <-time.After(patience):
				t.Fatal("the call outlives its deadline")
			}
			select {
			case <-ended:
			case <-time.After(patience):
				t.Error("the connection outlives the call")
			}
		})
	}
}

func repeated(c *net.TCPConn, text string) {
	var err error
	for err == nil {
		_, err = io.WriteString(c, text)
	}
}
