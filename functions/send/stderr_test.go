package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"connexease-functions/pkg/local/stack"
	"connexease-functions/pkg/proof/await"
	"connexease-functions/pkg/proof/harness"
	"connexease-functions/pkg/proof/laptop"
)

// TestNothingThatTheGatewaySaysReachesAProcessesStandardError: net/http logs what a peer says
// unasked, and quotes it.
func TestNothingThatTheGatewaySaysReachesAProcessesStandardError(t *testing.T) {
	laptop.NeedsJava(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	const answer = `{"isSuccess":true,"data":{"messages":[{"id":"wamid.UNASKED"}]}}`
	unasked := make(chan struct{}, 8)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				in := bufio.NewReader(conn)
				r, err := http.ReadRequest(in)
				if err != nil {
					return
				}
				_, _ = io.Copy(io.Discard, r.Body)
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "+strconv.Itoa(len(answer))+"\r\n\r\n"+answer)
				<-time.After(50 * time.Millisecond) // the connection is idle by then
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nX: wamid.UNASKED\r\n\r\nwamid.UNASKED")
				_, _ = in.ReadByte() // the client has read it, and hangs up
				unasked <- struct{}{}
			}()
		}
	}()
	var logs harness.Buffer
	s := harness.StartStack(t, stack.Options{
		DynamoDB: harness.Backends.DynamoDBURL, Logs: io.MultiWriter(&logs, &harness.Logs),
		Overrides: map[string]string{"GatewayUrl": "http://" + l.Addr().String()},
	})
	p := &processes{t: t, stack: s, sqs: harness.SQS(s.SQSURL)}
	for n := range 2 {
		if a := p.call(http.MethodPost, "/v1/wa/message", numbered(n), "Idempotency-Key", fmt.Sprint("idem-stderr-", n)); a.status != http.StatusOK {
			t.Fatalf("%d %s", a.status, a.body)
		}
		<-unasked
	}
	// A failed invocation is still logged by the runtime, without the Gateway's words.
	if _, err := s.Functions["SendFunction"].Invoke(t.Context(), []byte(`{}`)); err != nil {
		t.Fatal(err)
	}
	await.Until(p.t, "the failure is logged", func() bool { return strings.Contains(logs.String(), `"errorMessage"`) })
	s.Close()
	if strings.Contains(logs.String(), "UNASKED") || strings.Contains(logs.String(), "idle HTTP channel") {
		t.Errorf("logged %s", logs.String())
	}
}
