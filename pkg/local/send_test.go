package main

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"connexease-functions/pkg/proof/laptop"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

const hello = `{"messaging_product":"whatsapp","to":"15550100001","type":"text","text":{"body":"Hello"}}`

// call sends a request as a client of the send endpoint.
func (r *running) call(method, url, key, body string, headers ...string) (*http.Response, string) {
	r.t.Helper()
	request, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+key)
	request.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return response, string(text)
}

func (r *running) send(body string, headers ...string) (*http.Response, string) {
	r.t.Helper()
	return r.call(http.MethodPost, r.Env["API_URL"]+"/v1/wa/message", r.Env["CLIENT_KEY"], body, headers...)
}

type taken struct {
	Count    int
	Messages []struct {
		Wamid     string
		Times     int
		Callbacks []struct {
			Status string
			Answer int
		}
	}
}

// calledBack waits until the Gateway has accepted n messages and delivered all their callbacks.
func (r *running) calledBack(n int) (all taken) {
	r.t.Helper()
	r.Until("the Gateway has called back", func() bool {
		all = taken{}
		r.JSON(http.MethodGet, "/gateway/messages", "", &all)
		for _, m := range all.Messages {
			if len(m.Callbacks) != 3 {
				return false
			}
		}
		return all.Count == n
	})
	return all
}

func TestAMessageFromEverySourceIsSentOnceAndCalledBackAsRead(t *testing.T) {
	r := share(t)
	first, answer := r.send(hello, "Idempotency-Key", "first")
	again, same := r.send(hello, "Idempotency-Key", "first")
	if first.StatusCode != 200 || again.StatusCode != 200 || answer != same || again.Header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("%d %s, again %d %s", first.StatusCode, answer, again.StatusCode, same)
	}
	queued, _ := r.send(hello, "Idempotency-Key", "second", "Prefer", "respond-async")
	client := sqs.New(sqs.Options{
		Region: r.Env["AWS_REGION"], BaseEndpoint: aws.String(r.Env["AWS_ENDPOINT_URL_SQS"]),
		Credentials: credentials.NewStaticCredentialsProvider(r.Env["AWS_ACCESS_KEY_ID"], r.Env["AWS_SECRET_ACCESS_KEY"], ""),
	})
	_, err := client.SendMessage(context.Background(), &sqs.SendMessageInput{QueueUrl: aws.String(r.Env["QUEUE_URL"]), MessageBody: aws.String(hello)})
	if err != nil || queued.StatusCode != http.StatusAccepted {
		t.Fatalf("queued %d, %v", queued.StatusCode, err)
	}
	invoked, direct := r.call(http.MethodPost, r.Env["AWS_ENDPOINT_URL_LAMBDA"]+"/2015-03-31/functions/SendFunction/invocations", "",
		`{"idempotencyKey":"third","message":`+hello+`}`)
	if invoked.StatusCode != 200 || invoked.Header.Get("X-Amz-Function-Error") != "" {
		t.Errorf("direct: %d %s", invoked.StatusCode, direct)
	}

	all := r.calledBack(4)
	for _, m := range all.Messages {
		if m.Times != 1 || m.Callbacks[0].Status != "sent" || m.Callbacks[2].Status != "read" || m.Callbacks[2].Answer != 200 {
			t.Errorf("the Gateway accepted %+v", m)
		}
	}
	if !strings.Contains(answer, all.Messages[0].Wamid) {
		t.Errorf("response %s differs from that of %s", answer, all.Messages[0].Wamid)
	}
	var queues struct {
		Queues map[string]struct{ Visible, Delayed int }
	}
	r.JSON(http.MethodGet, "/queues", "", &queues)
	if q, there := queues.Queues["OutboundQueue"]; !there || q.Visible+q.Delayed != 0 || len(queues.Queues) != 9 {
		t.Errorf("queues are %+v", queues)
	}

	// The Gateway calls back before a function has written what became of the message.
	var mine laptop.Listing
	r.Until("each outcome is written", func() bool {
		mine = r.Items("?client=default&kind=send")
		return !slices.ContainsFunc(mine.Items, func(item map[string]any) bool {
			attempts, _ := item["attempts"].(map[string]any)
			return slices.ContainsFunc(slices.Collect(maps.Values(attempts)), func(a any) bool { return a.(map[string]any)["outcome"] == nil })
		})
	})
	if mine.Count != 2 || r.Items("?kind=send").Count != 4 || r.Items("?client=nobody").Count != 0 {
		t.Fatalf("%d sends of the client, %d in total", mine.Count, r.Items("?kind=send").Count)
	}
	for _, item := range mine.Items {
		attempts, _ := item["attempts"].(map[string]any)
		for _, attempt := range attempts {
			if outcome, _ := attempt.(map[string]any)["outcome"].(map[string]any); outcome["state"] != "accepted" {
				t.Errorf("attempt %v", attempt)
			}
		}
		if len(attempts) != 1 {
			t.Errorf("attempts are %v", item["attempts"])
		}
	}
	var said laptop.Listing
	r.JSON(http.MethodGet, "/conversations/15550100001", "", &said)
	if len(said.Items) != 4 {
		t.Errorf("the conversation has %d items", len(said.Items))
	}
	for _, item := range said.Items {
		if item["kind"] != "send" || item["direction"] != "out" || item["state"] != "read" {
			t.Errorf("the conversation has %v", item)
		}
	}
	found, view := r.call(http.MethodGet, r.Env["API_URL"]+"/v1/wa/message/"+queued.Header.Get("Message-Id"), r.Env["CLIENT_KEY"], "")
	if found.StatusCode != 200 || !strings.Contains(view, `"status":"read"`) {
		t.Errorf("look-up: %d %s", found.StatusCode, view)
	}
	refused, _ := r.call(http.MethodPost, r.Env["API_URL"]+"/v1/wa/message", "wrong", hello)
	if refused.StatusCode != http.StatusUnauthorized {
		t.Errorf("a wrong key: %d", refused.StatusCode)
	}
	if _, text := r.send(strings.Replace(hello, `"Hello"`, `""`, 1)); !strings.Contains(text, "MSG_001") {
		t.Errorf("no text: %s", text)
	}

	r.Stop()
	_, lines, _ := strings.Cut(r.Output.String(), "Ctrl-C ends everything.")
	for _, want := range []string{
		`POST /v1/wa/message  200  \d+ ms  accepted msg_\w+`,
		`POST /v1/wa/message  200  \d+ ms  stored msg_\w+`,
		`POST /v1/wa/message  202  \d+ ms  queued msg_\w+`,
		`OutboundQueue  records 1  \d+ ms  accepted msg_\w+`,
		`invoke SendFunction  \d+ ms  accepted msg_\w+`,
		`POST /webhook  200  \d+ ms  statuses 1`,
		`GET /v1/wa/message/\{id\}  200  \d+ ms  looked_up msg_\w+`,
		`POST /v1/wa/message  401  \d+ ms  AUTH_001: .* -> use the client key of this run, \$CLIENT_KEY: . .local/env`,
		`POST /v1/wa/message  400  \d+ ms  MSG_001: .* text.body: .* -> `,
	} {
		if !regexp.MustCompile(`(?m)^\d\d:\d\d:\d\d  ` + want + `.*$`).MatchString(lines) {
			t.Errorf("no line like %s in\n%s", want, lines)
		}
	}
	for _, secret := range []string{r.Env["CLIENT_KEY"], r.Env["WEBHOOK_SECRET"], "15550100001", "wamid."} {
		if strings.Contains(lines, secret) {
			t.Errorf("%s is on the lines:\n%s", secret, lines)
		}
	}
}

func TestTheControlAddressChangesTheGateway(t *testing.T) {
	r := share(t)
	control := func(method, path, body string) (int, string) {
		t.Helper()
		response, text := r.call(method, r.Env["CONTROL_URL"]+path, "", body)
		return response.StatusCode, strings.TrimSpace(text)
	}
	for _, c := range []struct {
		path, body, want string
		status           int
	}{
		{"/gateway/faults", `[{"kind":"slow","delay":3}]`, `unknown field \"delay\"; want a JSON array of faults; [] ends them, with the members kind, number, times, share, delay_ms`, 400},
		{"/gateway/faults", `[{"kind":"slow"}]`, "slow needs delay_ms", 400},
		{"/gateway/faults", `{"kind":"refuse"}`, "want a JSON array of faults", 400},
		{"/gateway/faults", `null`, "want a JSON array of faults", 400},
		{"/gateway/faults", ``, "want a JSON array of faults", 400},
		{"/gateway/faults", `[] []`, "want a JSON array of faults", 400},
		{"/gateway/faults", `[{"kind":"rate_limit","times":1}]`, `[{"kind":"rate_limit","times":1}]`, 200},
		{"/gateway/callbacks", `{"of":true}`, `unknown field \"of\"; want a JSON object`, 400},
		{"/gateway/callbacks", `{"loss":2}`, "loss and fail_share must be between 0 and 1", 400},
		{"/gateway/callbacks", `{"off":true}`, `{"off":true}`, 200},
		{"/gateway/limits", `{"per_hour":1}`, `unknown field \"per_hour\"; want a JSON object; members left out stay unchanged, with the members per_second, per_minute, numbers`, 400},
		{"/gateway/limits", `{"per_second":-1}`, "must be at least 1", 400},
		{"/gateway/limits", `{"per_second":40}`, `{"per_second":40,"per_minute":4800}`, 200},
		{"/schedules/faults", `{"gone":true}`, `unknown field \"gone\"; want a JSON object; {} ends them, with the members away, lost, held, twice`, 400},
		{"/schedules/faults", `{"twice":true}`, `{"away":false,"lost":false,"held":false,"twice":true}`, 200},
		{"/gateway/limits", `{"numbers":{"207":{"per_second":-1}}}`, "must be at least 1", 400},
		{"/secrets/gateway?sender=shop", ``, `names no sender \"shop\"`, 400},
		{"/secrets/clients", `{"a":[]}`, `client \"a\" needs a key`, 400},
		{"/secrets/clients", `{}`, "want a JSON object of client name", 400},
		{"/secrets/clients", `["a"]`, "want a JSON object of client name", 400},
		{"/secrets/nobody", ``, "there are: webhook, gateway, clients", 404},
	} {
		if status, text := control(http.MethodPut, c.path, c.body); status != c.status || !strings.Contains(text, c.want) {
			t.Errorf("PUT %s %s: %d %s", c.path, c.body, status, text)
		}
	}
	for path, want := range map[string]string{
		"/gateway/faults": `[{"kind":"rate_limit","times":1}]`, "/gateway/callbacks": `{"off":true}`, "/gateway/limits": `{"per_second":40,"per_minute":4800}`,
	} {
		if _, text := control(http.MethodGet, path, ""); text != want {
			t.Errorf("GET %s: %s", path, text)
		}
	}
	if limited, text := r.send(hello); limited.StatusCode != http.StatusTooManyRequests || !strings.Contains(text, "RATE_001") {
		t.Errorf("the request during the fault returned %d %s", limited.StatusCode, text)
	}
	if _, text := control(http.MethodGet, "/gateway/faults", ""); text != "[]" {
		t.Errorf("a fault of one time is still there: %s", text)
	}

	// The Gateway accepts its new key at once; the function has the old one in its cache.
	if status, text := control(http.MethodPut, "/secrets/gateway", "new-gateway-key"); status != 200 {
		t.Fatalf("%d %s", status, text)
	}
	for key, want := range map[string]int{"new-gateway-key": 200, "old": 401} {
		if answer, text := r.call(http.MethodPost, r.Env["GATEWAY_URL"]+"/v1/wa/message", key, hello); answer.StatusCode != want {
			t.Errorf("with key %s the Gateway returned %d %s", key, answer.StatusCode, text)
		}
	}
	if sent, text := r.send(hello); sent.StatusCode != 200 {
		t.Errorf("after the rotation: %d %s", sent.StatusCode, text)
	}

	// Two numbers, each with a key and limits of its own.
	const numbers = `{"default":{"key":"new-gateway-key","phone_number_id":"106"},"shop":{"key":"shop-key","phone_number_id":"207"}}`
	if status, text := control(http.MethodPut, "/secrets/gateway", numbers); status != 200 {
		t.Fatalf("%d %s", status, text)
	}
	var named struct{ Value string }
	_, text := control(http.MethodPut, "/secrets/gateway?sender=shop", "shop-key-2")
	if want := strings.Replace(numbers, "shop-key", "shop-key-2", 1); json.Unmarshal([]byte(text), &named) != nil || named.Value != want {
		t.Errorf("a new key of one number: %s", text)
	}
	control(http.MethodPut, "/gateway/limits", `{"numbers":{"207":{"per_minute":1}}}`)
	if _, text := control(http.MethodGet, "/gateway/limits", ""); text != `{"per_second":40,"per_minute":4800,"numbers":{"207":{"per_second":0,"per_minute":1}}}` {
		t.Errorf("limits: %s", text)
	}
	for _, want := range []struct {
		key    string
		status int
	}{{"shop-key-2", 200}, {"shop-key-2", 429}, {"shop-key", 401}, {"new-gateway-key", 200}} {
		if answer, text := r.call(http.MethodPost, r.Env["GATEWAY_URL"]+"/v1/wa/message", want.key, hello); answer.StatusCode != want.status {
			t.Errorf("with key %s the Gateway returned %d %s", want.key, answer.StatusCode, text)
		}
	}
	if _, text := control(http.MethodGet, "/gateway/messages", ""); strings.Count(text, `"phone_number_id":"207"`) != 1 {
		t.Errorf("accepted %s", text)
	}
	if sent, text := r.send(hello); sent.StatusCode != 200 {
		t.Errorf("from the default number: %d %s", sent.StatusCode, text)
	}

	before := r.Env["CLIENT_KEY"]
	control(http.MethodPut, "/secrets/clients", `{"crm":["crm-new","crm-old"],"default":"mine"}`)
	r.Reread()
	if r.Env["CLIENT_KEY"] != "mine" {
		t.Errorf("the environment file has the key %s", r.Env["CLIENT_KEY"])
	}
	_, text = control(http.MethodPut, "/secrets/clients", "")
	r.Reread()
	var put struct{ Value string }
	var clients struct {
		CRM     []string
		Default string
	}
	if json.Unmarshal([]byte(text), &put) != nil || json.Unmarshal([]byte(put.Value), &clients) != nil ||
		!slices.Equal(clients.CRM, []string{"crm-new", "crm-old"}) || len(clients.Default) != 48 || clients.Default != r.Env["CLIENT_KEY"] {
		t.Errorf("a new default key: %s", text)
	}
	if sent, text := r.send(hello); sent.StatusCode != 200 {
		t.Errorf("the new client key: %d %s", sent.StatusCode, text)
	}
	if refused, _ := r.call(http.MethodPost, r.Env["API_URL"]+"/v1/wa/message", before, hello); refused.StatusCode != http.StatusUnauthorized {
		t.Errorf("the old client key: %d", refused.StatusCode)
	}

	// A schedule that is due puts its message into the queue: twice, by the fault above.
	due := time.Now().UTC().Add(time.Hour).Format("2006-01-02T15:04:05")
	if made, text := r.call(http.MethodPost, r.Env["AWS_ENDPOINT_URL_SCHEDULER"]+"/schedules/one", "", `{"GroupName":"ScheduleGroup","ScheduleExpression":"at(`+due+`)",
		"FlexibleTimeWindow":{"Mode":"OFF"},"ActionAfterCompletion":"DELETE",
		"Target":{"Arn":"arn:aws:sqs:us-east-1:000000000000:FailedInvocations","RoleArn":"arn:aws:iam::000000000000:role/ScheduleRole","Input":"later"}}`,
		"Content-Type", "application/json"); made.StatusCode != 200 {
		t.Fatalf("%d %s", made.StatusCode, text)
	}
	if _, text := control(http.MethodGet, "/schedules", ""); !strings.Contains(text, `"count":1`) || !strings.Contains(text, `"at":"`+due+`Z"`) {
		t.Errorf("the schedules are %s", text)
	}
	if status, text := control(http.MethodPost, "/schedules/advance?by=soon", ""); status != 400 || !strings.Contains(text, "by must be a time such as 25h or 90m") {
		t.Errorf("%d %s", status, text)
	}
	control(http.MethodPost, "/schedules/advance?by=1h", "")
	r.Until("it has fired twice", func() bool {
		_, text := control(http.MethodGet, "/queues", "")
		return strings.Contains(text, `"FailedInvocations":{"visible":2,`)
	})

	_, index := control(http.MethodGet, "/", "")
	for _, route := range []string{"GET /gateway/messages", "PUT /gateway/faults", "PUT /gateway/callbacks", "GET /queues", "POST /schedules/advance?by=", "PUT /secrets/{name}", "GET /items?kind=&contact=&client="} {
		if !strings.Contains(index, route) {
			t.Errorf("the index has no %s: %s", route, index)
		}
	}
}
