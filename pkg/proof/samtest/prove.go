package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/go-resty/resty/v2"

	"connexease-functions/pkg/local/fixtures"
	"connexease-functions/pkg/local/output"
	"connexease-functions/pkg/local/pause"
	"connexease-functions/pkg/proof/must"
)

// answer is an HTTP response, or why there is none.
type answer struct {
	*resty.Response
	err error
}

// want returns an error if the response has a different status, or lacks a text.
func (a answer) want(status int, text string) error {
	if a.err == nil && (a.StatusCode() != status || !strings.Contains(a.String(), text)) {
		return fmt.Errorf("returned %d %s, want %d with %s", a.StatusCode(), a, status, text)
	}
	return a.err
}

// read decodes the body into a struct.
func (a answer) read(into any) error {
	if err := a.want(http.StatusOK, ""); err != nil {
		return err
	}
	return json.Unmarshal(a.Body(), into)
}

// A request whose function is cut off takes its timeout of 28 s in SAM.
var client = resty.New().SetTimeout(40 * time.Second)

func (l *local) request(ctx context.Context, method, url, body string, headers map[string]string) answer {
	response, err := client.R().SetContext(ctx).SetHeader("Content-Type", "application/json").SetHeaders(headers).SetBody(body).Execute(method, url)
	return answer{response, err}
}

func bearer(token string) map[string]string {
	return map[string]string{"Authorization": "Bearer " + token}
}

// prove checks that the functions in SAM's containers behave as in AWS.
func (l *local) prove(ctx context.Context, done *steps) {
	started := time.Now()
	for _, proof := range []struct {
		what string
		run  func(context.Context)
	}{
		{"a webhook's body gets 200, and its row is in DynamoDB", l.webhook},
		{"a wrong token gets 401 AUTH_001 from both functions, and nothing is stored or sent", l.wrongToken},
		{"a send gets 200, its callbacks arrive through the webhook, its look-up says read; a replay returns the same response and sends nothing", l.send},
		{"sam local invoke with an SQS event, twice: its message is sent once, its look-up by the record's id says read", l.sqsEvent},
		{"sam local invoke with an EventBridge event: the event is in the outbound queue, unchanged", l.eventBridgeEvent},
		{"Send-At gets 202, and its schedule stands", l.schedule},
		{"sam local invoke with a template that declares no endpoints: the function refuses to run", l.withoutEndpoints},
		{"a schedule's record is returned to the queue before its time; after it, its message is sent once", l.scheduled},
		{"a body is stored even if SAM's timestamp is older than the Gateway's limit", func(ctx context.Context) { l.frozenClock(ctx, started) }},
	} {
		if err := must.Try(func() { proof.run(ctx) }); err != nil {
			must.OK(fmt.Errorf("%s: %w", proof.what, err))
		}
		done.done("%s", proof.what)
	}
}

// stored counts the table's items of a kind.
func (l *local) stored(ctx context.Context, kind string) int {
	var items struct{ Count int }
	must.OK(l.request(ctx, http.MethodGet, l.env["CONTROL_URL"]+"/items?limit=0&kind="+kind, "", nil).read(&items))
	return items.Count
}

// deliver posts a fixture to the webhook, and checks the response and how many messages it stored.
func (l *local) deliver(ctx context.Context, fixture, token string, status int, text string, rows int) {
	before := l.stored(ctx, "message")
	must.OK(l.request(ctx, http.MethodPost, l.env["API_URL"]+"/webhook", string(must.Get(fixtures.Body(fixture))), bearer(token)).want(status, text))
	stored := l.stored(ctx, "message") - before
	must.Hold(stored == rows, "stored %d rows, want %d", stored, rows)
}

func (l *local) webhook(ctx context.Context) {
	l.deliver(ctx, "text", l.env["WEBHOOK_SECRET"], http.StatusOK, `{"isSuccess":true,"data":{"events":1}}`, 1)
}

func (l *local) wrongToken(ctx context.Context) {
	l.deliver(ctx, "image", "wrong", http.StatusUnauthorized, "AUTH_001", 0)
	const to = "15550100010"
	must.OK(l.post(ctx, to, bearer("wrong")).want(http.StatusUnauthorized, "AUTH_001"))
	l.left(ctx, to, 0)
}

// post sends a message to a number.
func (l *local) post(ctx context.Context, to string, headers map[string]string) answer {
	return l.request(ctx, http.MethodPost, l.env["API_URL"]+"/v1/wa/message", message(to), headers)
}

func message(to string) string {
	return fmt.Sprintf(`{"messaging_product":"whatsapp","to":%q,"type":"text","text":{"body":"Hello"}}`, to)
}

// left checks how often a message to a number was sent through the simulated Gateway.
func (l *local) left(ctx context.Context, to string, times int) {
	var all struct {
		Messages []struct{ Body struct{ To string } }
	}
	must.OK(l.request(ctx, http.MethodGet, l.env["CONTROL_URL"]+"/gateway/messages", "", nil).read(&all))
	n := 0
	for _, m := range all.Messages {
		if m.Body.To == to {
			n++
		}
	}
	must.Hold(n == times, "the simulated Gateway accepted the message to %s %d times, want %d", to, n, times)
}

// read waits until a message's callbacks have arrived through the webhook.
func (l *local) read(ctx context.Context, query string) {
	must.OK(until(ctx, 30*time.Second, func(ctx context.Context) error {
		a := l.request(ctx, http.MethodGet, l.env["API_URL"]+"/v1/wa/message"+query, "", bearer(l.env["CLIENT_KEY"]))
		return errors.Join(a.want(http.StatusOK, `"state":"accepted"`), a.want(http.StatusOK, `"status":"read"`))
	}))
}

func (l *local) send(ctx context.Context) {
	const to = "15550100011"
	headers := bearer(l.env["CLIENT_KEY"])
	headers["Idempotency-Key"] = "sam-test"
	post := func() answer {
		a := l.post(ctx, to, headers)
		must.OK(a.want(http.StatusOK, `"messages":[{"id":"wamid.`))
		return a
	}
	first := post()
	id := first.Header().Get("Message-Id")
	must.Hold(strings.HasPrefix(id, "msg_"), "the response's Message-Id is %q", id)
	l.read(ctx, "/"+id)
	second := post()
	must.Hold(first.Header().Get("Idempotent-Replayed") == "", "the first response claims to be a replay")
	must.Hold(second.Header().Get("Idempotent-Replayed") == "true", "the second response does not say Idempotent-Replayed: true")
	must.Hold(second.String() == first.String(), "the replay is %s, the first response %s", second, first)
	l.left(ctx, to, 1)
}

// documented is the template that go run ./pkg/local -backends writes for sam local.
func (l *local) documented() string { return filepath.Join(l.project.state, "sam-template.yaml") }

// file writes a file of this run, and returns its path.
func (l *local) file(name string, content any) string {
	path := filepath.Join(l.project.state, name)
	must.OK(os.WriteFile(path, must.Get(json.Marshal(content)), 0o600))
	return path
}

// invoke runs the send function once with an event, in a container of its own, and returns its
// response.
func (l *local) invoke(ctx context.Context, name string, event any) string {
	return l.invokeWith(ctx, l.documented(), name, event)
}

func (l *local) invokeWith(ctx context.Context, template, name string, event any, more ...string) string {
	args := []string{"local", "invoke", "SendFunction", "--event", l.file(name+".json", event), "--template-file", template}
	return output.LastLines(must.Get(l.sam.run(ctx, l.project.root, l.samEnvironment(), slices.Concat(args, more, l.args)...)), 1)
}

// record invokes the send function with one SQS record, and checks its response: which records are
// returned to the queue.
func (l *local) record(ctx context.Context, id, body string, returned ...string) {
	now := strconv.FormatInt(time.Now().UnixMilli(), 10)
	// As AWS sends it (Using Lambda with Amazon SQS).
	event := map[string]any{"Records": []any{map[string]any{
		"messageId": id, "receiptHandle": "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a", "body": body,
		"attributes": map[string]string{
			"ApproximateReceiveCount": "1", "SentTimestamp": now, "SenderId": "AIDAIENQZJOLO23YVJ4VO", "ApproximateFirstReceiveTimestamp": now,
		},
		"messageAttributes": map[string]any{}, "md5OfBody": "098f6bcd4621d373cade4e832627b4f6", "eventSource": "aws:sqs",
		"eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:OutboundQueue", "awsRegion": "us-east-1",
	}}}
	a := l.invoke(ctx, "sqs", event)
	var response struct {
		BatchItemFailures []struct{ ItemIdentifier string }
	}
	if err := json.Unmarshal([]byte(a), &response); err != nil {
		must.OK(fmt.Errorf("the function's response is %s: %w", a, err))
	}
	var got []string
	for _, f := range response.BatchItemFailures {
		got = append(got, f.ItemIdentifier)
	}
	must.Hold(response.BatchItemFailures != nil && slices.Equal(got, returned), "the function's response is %s", a)
}

// receive receives up to ten messages of the outbound queue.
func (l *local) receive(ctx context.Context) ([]types.Message, error) {
	queue := sqs.New(sqs.Options{
		Region: l.env["AWS_REGION"], BaseEndpoint: aws.String(l.env["AWS_ENDPOINT_URL_SQS"]),
		Credentials: credentials.NewStaticCredentialsProvider(l.env["AWS_ACCESS_KEY_ID"], l.env["AWS_SECRET_ACCESS_KEY"], ""),
	})
	taken, err := queue.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: aws.String(l.env["QUEUE_URL"]), MaxNumberOfMessages: 10})
	if err != nil {
		return nil, err
	}
	return taken.Messages, nil
}

// scheduledTo is who gets the message of schedule.
const scheduledTo = "15550100014"

// schedule sends a message that leaves a little over a minute later, the least that gets a schedule.
func (l *local) schedule(ctx context.Context) {
	l.due = time.Now().Add(70 * time.Second).Truncate(time.Second)
	headers := bearer(l.env["CLIENT_KEY"])
	headers["Send-At"] = l.due.UTC().Format(time.RFC3339)
	a := l.post(ctx, scheduledTo, headers)
	must.OK(a.want(http.StatusAccepted, `"status":"scheduled"`))
	l.later = a.Header().Get("Message-Id")
	must.OK(l.request(ctx, http.MethodGet, l.env["CONTROL_URL"]+"/schedules", "", nil).want(http.StatusOK, l.later))
	l.left(ctx, scheduledTo, 0)
}

// scheduled invokes the function with the record of schedule's message: before its time, unless the
// proofs before it took so long, and twice after it.
func (l *local) scheduled(ctx context.Context) {
	const id = "5a3d0c5e-0b5c-4f8e-9f1c-0d2f6f1c7a11"
	body := `{"id":"` + l.later + `"}`
	if time.Until(l.due) > 15*time.Second { // a container's start takes some
		l.record(ctx, id, body, id)
		l.left(ctx, scheduledTo, 0)
	}
	must.OK(until(ctx, time.Until(l.due)+30*time.Second, func(ctx context.Context) error {
		messages, err := l.receive(ctx)
		if err == nil && !slices.ContainsFunc(messages, func(m types.Message) bool { return aws.ToString(m.Body) == body }) {
			err = errors.New("the schedule has put nothing on the queue")
		}
		return err
	}))
	l.record(ctx, id, body)
	l.record(ctx, id, body)
	l.left(ctx, scheduledTo, 1)
	l.read(ctx, "/"+l.later)
}

func (l *local) sqsEvent(ctx context.Context) {
	const to, id = "15550100012", "5a3d0c5e-0b5c-4f8e-9f1c-0d2f6f1c7a10"
	body := must.Get(json.Marshal(map[string]any{"message": json.RawMessage(message(to)), "reader": "default"}))
	for range 2 {
		l.record(ctx, id, string(body))
	}
	l.left(ctx, to, 1)
	l.read(ctx, "?sqs_message_id="+id)
}

func (l *local) eventBridgeEvent(ctx context.Context) {
	event := map[string]any{
		"version": "0", "id": "17793124-05d4-b198-2fde-7ededc63b103", "detail-type": "Order Shipped", "source": "shop",
		"account": "123456789012", "time": time.Now().UTC().Format(time.RFC3339), "region": "us-east-1", "resources": []string{},
		"detail": map[string]any{"message": json.RawMessage(message("15550100013"))},
	}
	a := l.invoke(ctx, "eventbridge", event)
	must.Hold(strings.Contains(a, "queued"), "the function's response is %s", a)
	messages := must.Get(l.receive(ctx))
	must.Hold(len(messages) == 1, "there are %d messages in the queue", len(messages))
	var got, want any
	sent, queued := must.Get(json.Marshal(event)), aws.ToString(messages[0].Body)
	must.OK(errors.Join(json.Unmarshal(sent, &want), json.Unmarshal([]byte(queued), &got)))
	must.Hold(reflect.DeepEqual(got, want), "the queue has %s, want %s", queued, sent)
}

// withoutEndpoints removes the variables that the deployed template does not declare: SAM then
// ignores them in the variables file, and the function would call AWS.
func (l *local) withoutEndpoints(ctx context.Context) {
	var doc struct {
		AWSTemplateFormatVersion, Transform string
		Resources                           map[string]struct {
			Type       string
			Properties map[string]any
		}
	}
	must.OK(json.Unmarshal(must.Get(os.ReadFile(l.documented())), &doc))
	taken := 0
	for _, f := range doc.Resources {
		variables := f.Properties["Environment"].(map[string]any)["Variables"].(map[string]any)
		for name := range variables {
			if strings.HasPrefix(name, "AWS_") {
				delete(variables, name)
				taken++
			}
		}
	}
	must.Hold(taken > 0, "there was none to remove")
	// SAM succeeds with an empty response where a function does not start.
	log := filepath.Join(l.project.state, "refused.log")
	a := l.invokeWith(ctx, l.file("without-endpoints.yaml", doc), "refused", map[string]any{}, "--log-file", log)
	said := must.Get(os.ReadFile(log))
	must.Hold(strings.Contains(string(said), "would call AWS from sam local"), "the answer is %q, the log %s", a, said)
}

// frozenClock delivers once more: SAM stamps every request with the time and the id of its own
// start, and a budget counted from there would have run out.
func (l *local) frozenClock(ctx context.Context, started time.Time) {
	age := 6 * time.Second // over the Gateway's own limit of 5 s
	must.OK(pause.For(ctx, time.Until(started.Add(age))))
	l.deliver(ctx, "video", l.env["WEBHOOK_SECRET"], http.StatusOK, `"events":1`, 1)
}
