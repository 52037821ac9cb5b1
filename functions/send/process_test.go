package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"connexease-functions/pkg/local/sim/connexease"
	simsqs "connexease-functions/pkg/local/sim/sqs"
	"connexease-functions/pkg/local/stack"
	"connexease-functions/pkg/proof/harness"
	"connexease-functions/pkg/telemetry"
)

// processes are the real binaries of both functions, with a proxy before their DynamoDB.
type processes struct {
	t        *testing.T
	stack    *stack.Stack
	database *harness.Proxy
	sqs      *sqs.Client
}

// startProcesses starts a stack; logs, where given, have what its processes log as well.
func startProcesses(t *testing.T, logs ...io.Writer) *processes {
	t.Helper()
	p := &processes{t: t, database: harness.NewProxy(t, harness.Backends.DynamoDBURL)}
	p.stack = harness.StartStack(t, stack.Options{DynamoDB: p.database.URL, Logs: io.MultiWriter(append(logs, &harness.Logs)...)})
	p.stack.Gateway.SetLimits(connexease.Limits{PerSecond: 1e6, PerMinute: 1e6})
	p.sqs = harness.SQS(p.stack.SQSURL)
	return p
}

func (p *processes) kill() {
	for _, pid := range p.stack.Functions["SendFunction"].Status().PIDs {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

// later is a handler of this process whose clock is a minute ahead: every lease of the
// killed ones is over. Its own calls have their usual time all the same.
func (p *processes) later() (h *handler, timeout time.Duration) {
	p.t.Helper()
	env := map[string]string{
		"TABLE_NAME": p.stack.TableName, "GATEWAY_URL": p.stack.GatewayURL, "GATEWAY_KEY_SECRET_ID": "GatewayKeySecret",
		"CLIENT_KEYS_SECRET_ID": "ClientKeysSecret", "QUEUE_URL": p.stack.QueueURL, "AWS_LAMBDA_FUNCTION_NAME": "send",
		"QUEUE_ARN": simsqs.ARN("OutboundQueue"), "SCHEDULE_GROUP": "ScheduleGroup",
		"SCHEDULE_ROLE_ARN": "arn:aws:iam::000000000000:role/ScheduleRole", "SCHEDULE_DLQ_ARN": simsqs.ARN("ScheduleDeadLetters"),
	}
	var err error
	harness.WithEnvironment(p.stack.Environment(), func() { h, err = build(func(name string) string { return env[name] }) })
	if err != nil {
		p.t.Fatal(err)
	}
	h.now = func() time.Time { return time.Now().Add(time.Minute) }
	h.log = telemetry.New(&harness.Logs, "send", time.Now)
	return h, 28*time.Second + time.Minute
}

type httpAnswer struct {
	status int
	header http.Header
	body   string
}

func (p *processes) call(method, path, body string, headers ...string) httpAnswer {
	r, err := http.NewRequest(method, p.stack.APIURL+path, strings.NewReader(body))
	if err != nil {
		p.t.Error(err)
		return httpAnswer{}
	}
	r.Header.Set("Authorization", "Bearer "+p.stack.ClientKey())
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		p.t.Error(err)
		return httpAnswer{}
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		p.t.Error(err)
	}
	return httpAnswer{response.StatusCode, response.Header, string(text)}
}

// state is a look-up's; empty for a message that is not there.
func (p *processes) state(id string) (state, status string) {
	_, state, status = p.lookUp(id)
	return state, status
}

func (p *processes) lookUp(id string) (a httpAnswer, state, status string) {
	a = p.call(http.MethodGet, "/v1/wa/message/"+id, "")
	var r struct {
		Data struct{ State, Status string }
	}
	if a.status == 200 && json.Unmarshal([]byte(a.body), &r) != nil {
		p.t.Errorf("look-up: %s", a.body)
	}
	return a, r.Data.State, r.Data.Status
}

func (p *processes) enqueue(body string) {
	p.t.Helper()
	if _, err := p.sqs.SendMessage(p.t.Context(), &sqs.SendMessageInput{QueueUrl: &p.stack.QueueURL, MessageBody: &body}); err != nil {
		p.t.Fatal(err)
	}
}

// posted is how many messages of an id the Gateway accepted, and the last one's wamid.
func (p *processes) posted(id string) (times int, wamid string) {
	for _, m := range p.stack.Gateway.Messages() {
		if strings.Contains(string(m.Body), id+".") {
			times, wamid = times+1, m.Wamid
		}
	}
	return times, wamid
}

// left is the type of what left under an id.
func (p *processes) left(id string) string {
	for _, m := range p.stack.Gateway.Messages() {
		var body struct{ Type string }
		if strings.Contains(string(m.Body), id+".") && json.Unmarshal(m.Body, &body) == nil {
			return body.Type
		}
	}
	return ""
}

func numbered(n int) string {
	return fmt.Sprintf(`{"messaging_product":"whatsapp","to":"1555010%04d","type":"text","text":{"body":"Hello %d"}}`, n%10000, n)
}

func purge(url string) *sqs.PurgeQueueInput { return &sqs.PurgeQueueInput{QueueUrl: &url} }
