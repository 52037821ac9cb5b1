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
	"connexease-functions/pkg/local/pause"
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
func (l *local) prove(ctx context.Context, done *steps) error {
	started := time.Now()
	for _, proof := range []struct {
		what string
		run  func(context.Context) error
	}{
		{"a webhook's body gets 200, and its row is in DynamoDB", l.webhook},
		{"a wrong token gets 401 AUTH_001 from both functions, and nothing is stored or sent", l.wrongToken},
		{"a send gets 200, its callbacks arrive through the webhook, its look-up says read; a replay returns the same response and sends nothing", l.send},
		{"sam local invoke with an SQS event, twice: its message is sent once, its look-up by the record's id says read", l.sqsEvent},
		{"sam local invoke with an EventBridge event: the event is in the outbound queue, unchanged", l.eventBridgeEvent},
		{"Send-At gets 202, and its schedule stands", l.schedule},
		{"sam local invoke with a template that declares no endpoints: the function refuses to run", l.withoutEndpoints},
		{"a schedule's record is returned to the queue before its time; after it, its message is sent once", l.scheduled},
		{"a body is stored even if SAM's timestamp is older than the Gateway's limit", func(ctx context.Context) error { return l.frozenClock(ctx, started) }},
	} {
		if err := proof.run(ctx); err != nil {
			return fmt.Errorf("%s: %w", proof.what, err)
		}
		done.done("%s", proof.what)
	}
	return nil
}

// stored counts the table's items of a kind.
func (l *local) stored(ctx context.Context, kind string) (int, error) {
	var items struct{ Count int }
	err := l.request(ctx, http.MethodGet, l.env["CONTROL_URL"]+"/items?limit=0&kind="+kind, "", nil).read(&items)
	return items.Count, err
}

// deliver posts a fixture to the webhook, and checks the response and how many messages it stored.
func (l *local) deliver(ctx context.Context, fixture, token string, status int, text string, rows int) error {
	before, err := l.stored(ctx, "message")
	if err != nil {
		return err
	}
	body, err := fixtures.Body(fixture)
	if err != nil {
		return err
	}
	a := l.request(ctx, http.MethodPost, l.env["API_URL"]+"/webhook", string(body), bearer(token))
	after, err := l.stored(ctx, "message")
	if err == nil && after-before != rows {
		err = fmt.Errorf("stored %d rows, want %d", after-before, rows)
	}
	return errors.Join(a.want(status, text), err)
}

func (l *local) webhook(ctx context.Context) error {
	return l.deliver(ctx, "text", l.env["WEBHOOK_SECRET"], http.StatusOK, `{"isSuccess":true,"data":{"events":1}}`, 1)
}

func (l *local) wrongToken(ctx context.Context) error {
	if err := l.deliver(ctx, "image", "wrong", http.StatusUnauthorized, "AUTH_001", 0); err != nil {
		return err
	}
	const to = "15550100010"
	a := l.request(ctx, http.MethodPost, l.env["API_URL"]+"/v1/wa/message", message(to), bearer("wrong"))
	return errors.Join(a.want(http.StatusUnauthorized, "AUTH_001"), l.left(ctx, to, 0))
}

func message(to string) string {
	return fmt.Sprintf(`{"messaging_product":"whatsapp","to":%q,"type":"text","text":{"body":"Hello"}}`, to)
}

// left checks how often a message to a number was sent through the simulated Gateway.
func (l *local) left(ctx context.Context, to string, times int) error {
	var all struct {
		Messages []struct{ Body struct{ To string } }
	}
	if err := l.request(ctx, http.MethodGet, l.env["CONTROL_URL"]+"/gateway/messages", "", nil).read(&all); err != nil {
		return err
	}
	n := 0
	for _, m := range all.Messages {
		if m.Body.To == to {
			n++
		}
	}
	if n != times {
		return fmt.Errorf("the simulated Gateway accepted the message to %s %d times, want %d", to, n, times)
	}
	return nil
}

// read waits until a message's callbacks have arrived through the webhook.
func (l *local) read(ctx context.Context, query string) error {
	return until(ctx, 30*time.Second, func(ctx context.Context) error {
		a := l.request(ctx, http.MethodGet, l.env["API_URL"]+"/v1/wa/message"+query, "", bearer(l.env["CLIENT_KEY"]))
		return errors.Join(a.want(http.StatusOK, `"state":"accepted"`), a.want(http.StatusOK, `"status":"read"`))
	})
}

func (l *local) send(ctx context.Context) error {
	const to = "15550100011"
	headers := bearer(l.env["CLIENT_KEY"])
	headers["Idempotency-Key"] = "sam-test"
	post := func() (answer, error) {
		a := l.request(ctx, http.MethodPost, l.env["API_URL"]+"/v1/wa/message", message(to), headers)
		return a, a.want(http.StatusOK, `"messages":[{"id":"wamid.`)
	}
	first, err := post()
	if err != nil {
		return err
	}
	id := first.Header().Get("Message-Id")
	if !strings.HasPrefix(id, "msg_") {
		return fmt.Errorf("the response's Message-Id is %q", id)
	}
	if err := l.read(ctx, "/"+id); err != nil {
		return err
	}
	second, err := post()
	if err != nil {
		return err
	}
	switch {
	case first.Header().Get("Idempotent-Replayed") != "":
		err = errors.New("the first response claims to be a replay")
	case second.Header().Get("Idempotent-Replayed") != "true":
		err = errors.New("the second response does not say Idempotent-Replayed: true")
	case second.String() != first.String():
		err = fmt.Errorf("the replay is %s, the first response %s", second, first)
	}
	return errors.Join(err, l.left(ctx, to, 1))
}

// documented is the template that go run ./pkg/local -backends writes for sam local.
func (l *local) documented() string { return filepath.Join(l.project.state, "sam-template.yaml") }

// invoke runs the send function once with an event, in a container of its own, and returns its
// response.
func (l *local) invoke(ctx context.Context, name string, event any) (string, error) {
	return l.invokeWith(ctx, l.documented(), name, event)
}

func (l *local) invokeWith(ctx context.Context, template, name string, event any, more ...string) (string, error) {
	text, err := json.Marshal(event)
	if err != nil {
		return "", err
	}
	path := filepath.Join(l.project.state, name+".json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return "", err
	}
	out, err := l.sam.run(ctx, l.project.root, l.samEnvironment(), append([]string{"local", "invoke", "SendFunction", "--event", path, "--template-file", template}, append(more, l.args...)...)...)
	return lastLines(out, 1), err
}

// record invokes the send function with one SQS record, and checks its response: which records are
// returned to the queue.
func (l *local) record(ctx context.Context, id, body string, returned ...string) error {
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
	a, err := l.invoke(ctx, "sqs", event)
	if err != nil {
		return err
	}
	var response struct {
		BatchItemFailures []struct{ ItemIdentifier string }
	}
	if err := json.Unmarshal([]byte(a), &response); err != nil {
		return fmt.Errorf("the function's response is %s: %w", a, err)
	}
	var got []string
	for _, f := range response.BatchItemFailures {
		got = append(got, f.ItemIdentifier)
	}
	if response.BatchItemFailures == nil || !slices.Equal(got, returned) {
		return fmt.Errorf("the function's response is %s", a)
	}
	return nil
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
func (l *local) schedule(ctx context.Context) error {
	l.due = time.Now().Add(70 * time.Second).Truncate(time.Second)
	headers := bearer(l.env["CLIENT_KEY"])
	headers["Send-At"] = l.due.UTC().Format(time.RFC3339)
	a := l.request(ctx, http.MethodPost, l.env["API_URL"]+"/v1/wa/message", message(scheduledTo), headers)
	if err := a.want(http.StatusAccepted, `"status":"scheduled"`); err != nil {
		return err
	}
	l.later = a.Header().Get("Message-Id")
	schedules := l.request(ctx, http.MethodGet, l.env["CONTROL_URL"]+"/schedules", "", nil)
	return errors.Join(schedules.want(http.StatusOK, l.later), l.left(ctx, scheduledTo, 0))
}

// scheduled invokes the function with the record of schedule's message: before its time, unless the
// proofs before it took so long, and twice after it.
func (l *local) scheduled(ctx context.Context) error {
	const id = "5a3d0c5e-0b5c-4f8e-9f1c-0d2f6f1c7a11"
	body := `{"id":"` + l.later + `"}`
	if time.Until(l.due) > 15*time.Second { // a container's start takes some
		if err := errors.Join(l.record(ctx, id, body, id), l.left(ctx, scheduledTo, 0)); err != nil {
			return err
		}
	}
	if err := until(ctx, time.Until(l.due)+30*time.Second, func(ctx context.Context) error {
		messages, err := l.receive(ctx)
		if err != nil {
			return err
		}
		for _, m := range messages {
			if aws.ToString(m.Body) == body {
				return nil
			}
		}
		return errors.New("the schedule has put nothing on the queue")
	}); err != nil {
		return err
	}
	if err := errors.Join(l.record(ctx, id, body), l.record(ctx, id, body), l.left(ctx, scheduledTo, 1)); err != nil {
		return err
	}
	return l.read(ctx, "/"+l.later)
}

func (l *local) sqsEvent(ctx context.Context) error {
	const to, id = "15550100012", "5a3d0c5e-0b5c-4f8e-9f1c-0d2f6f1c7a10"
	body, err := json.Marshal(map[string]any{"message": json.RawMessage(message(to)), "reader": "default"})
	if err != nil {
		return err
	}
	for range 2 {
		if err := l.record(ctx, id, string(body)); err != nil {
			return err
		}
	}
	if err := l.left(ctx, to, 1); err != nil {
		return err
	}
	return l.read(ctx, "?sqs_message_id="+id)
}

func (l *local) eventBridgeEvent(ctx context.Context) error {
	event := map[string]any{
		"version": "0", "id": "17793124-05d4-b198-2fde-7ededc63b103", "detail-type": "Order Shipped", "source": "shop",
		"account": "123456789012", "time": time.Now().UTC().Format(time.RFC3339), "region": "us-east-1", "resources": []string{},
		"detail": map[string]any{"message": json.RawMessage(message("15550100013"))},
	}
	a, err := l.invoke(ctx, "eventbridge", event)
	if err == nil && !strings.Contains(a, "queued") {
		err = fmt.Errorf("the function's response is %s", a)
	}
	if err != nil {
		return err
	}
	messages, err := l.receive(ctx)
	if err != nil {
		return err
	}
	if len(messages) != 1 {
		return fmt.Errorf("there are %d messages in the queue", len(messages))
	}
	var got, want any
	sent, err := json.Marshal(event)
	if err != nil {
		return err
	}
	queued := aws.ToString(messages[0].Body)
	if err := errors.Join(json.Unmarshal(sent, &want), json.Unmarshal([]byte(queued), &got)); err != nil {
		return err
	}
	if !reflect.DeepEqual(got, want) {
		return fmt.Errorf("the queue has %s, want %s", queued, sent)
	}
	return nil
}

// withoutEndpoints removes the variables that the deployed template does not declare: SAM then
// ignores them in the variables file, and the function would call AWS.
func (l *local) withoutEndpoints(ctx context.Context) error {
	source, err := os.ReadFile(l.documented())
	if err != nil {
		return err
	}
	var doc struct {
		AWSTemplateFormatVersion, Transform string
		Resources                           map[string]struct {
			Type       string
			Properties map[string]any
		}
	}
	if err := json.Unmarshal(source, &doc); err != nil {
		return err
	}
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
	if taken == 0 {
		return errors.New("there was none to remove")
	}
	text, err := json.Marshal(doc)
	if err != nil {
		return err
	}
	path := filepath.Join(l.project.state, "without-endpoints.yaml")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return err
	}
	// SAM succeeds with an empty response where a function does not start.
	log := filepath.Join(l.project.state, "refused.log")
	a, err := l.invokeWith(ctx, path, "refused", map[string]any{}, "--log-file", log)
	if err != nil {
		return err
	}
	said, err := os.ReadFile(log)
	if err == nil && !strings.Contains(string(said), "would call AWS from sam local") {
		err = fmt.Errorf("the answer is %q, the log %s", a, said)
	}
	return err
}

// frozenClock delivers once more: SAM stamps every request with the time and the id of its own
// start, and a budget counted from there would have run out.
func (l *local) frozenClock(ctx context.Context, started time.Time) error {
	age := 6 * time.Second // over the Gateway's own limit of 5 s
	if pause.For(ctx, time.Until(started.Add(age))) != nil {
		return context.Cause(ctx)
	}
	return l.deliver(ctx, "video", l.env["WEBHOOK_SECRET"], http.StatusOK, `"events":1`, 1)
}
