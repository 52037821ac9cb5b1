package command

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/proof/docs"
)

func (r *running) target() *target {
	r.t.Helper()
	p := &program{stack: local, state: r.State, template: filepath.Join(root, "template.yaml")}
	found, err := p.find(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	return found
}

// enqueue puts a message on a queue and returns its id.
func (r *running) enqueue(queue, body string) string {
	r.t.Helper()
	at := r.target()
	url, err := at.queue(r.t.Context(), queue)
	if err != nil {
		r.t.Fatal(err)
	}
	out, err := at.sqs().SendMessage(r.t.Context(), &sqs.SendMessageInput{QueueUrl: &url, MessageBody: &body})
	if err != nil {
		r.t.Fatal(err)
	}
	return *out.MessageId
}

// depth returns how many messages a queue has.
func (r *running) depth(queue string) (n int) {
	r.t.Helper()
	var all struct{ Queues map[string]map[string]any }
	r.JSON("GET", "/queues", "", &all)
	if all.Queues[queue] == nil {
		r.t.Fatalf("there is no queue %s in %v", queue, all)
	}
	for _, v := range all.Queues[queue] {
		if one, is := v.(float64); is {
			n += int(one)
		}
	}
	return n
}

// sent counts the Gateway's messages by text.
func (r *running) sent() map[string]int {
	r.t.Helper()
	var all struct {
		Messages []struct {
			Body struct{ Text struct{ Body string } }
		}
	}
	r.JSON("GET", "/gateway/messages", "", &all)
	n := map[string]int{}
	for _, m := range all.Messages {
		n[m.Body.Text.Body]++
	}
	return n
}

func (r *running) faults(text string) {
	r.t.Helper()
	if answer := r.Try("PUT", r.Env["CONTROL_URL"]+"/gateway/faults", text); strings.Contains(answer, "error") {
		r.t.Fatal(answer)
	}
}

func envelope(text string) string {
	return fmt.Sprintf(`{"idempotencyKey":"order-%[1]s","message":{"messaging_product":"whatsapp","to":"15550100001","type":"text","text":{"body":"%[1]s"}}}`, text)
}

// TestTheAlarmsCommandsSendNothingTwice follows InvocationsFailed and README with failed direct
// invocations, one of which was sent, an event, and records that are neither.
func TestTheAlarmsCommandsSendNothingTwice(t *testing.T) {
	template, err := os.ReadFile(filepath.Join(root, "template.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	words := regexp.MustCompile(`(?s)\n  InvocationsFailed:.*?\n\n`).FindString(string(template))
	command := regexp.MustCompile(`make redrive STACK=\$\{AWS::StackName\} [A-Z]+=\w+`).FindString(words)
	if command == "" || !strings.Contains(words, "APPLY=1 does it") {
		t.Fatalf("the alarm names no command: %s", words)
	}
	prose := strings.Join(strings.Fields(docs.Text(t)), " ")
	if in := strings.ReplaceAll(command, "${AWS::StackName}", "…"); !strings.Contains(prose, in) {
		t.Errorf("no README has the alarm's %s", in)
	}
	r := start(t)
	folder := project(t)
	follow := func(more string) string {
		t.Helper()
		shell := exec.Command("sh", "-c", strings.ReplaceAll(command, "${AWS::StackName}", local)+" STATE="+r.State+more)
		shell.Dir = folder
		out, err := shell.CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v %s", shell, err, out)
		}
		return string(out)
	}

	r.Try("PUT", r.Env["CONTROL_URL"]+"/gateway/callbacks", `{"off":true}`) // nothing shows that it was sent
	invoke := func(payload string) {
		t.Helper()
		out, err := r.target().lambda().Invoke(t.Context(), &awslambda.InvokeInput{
			FunctionName: aws.String(sendID), InvocationType: lambdatypes.InvocationTypeEvent, Payload: []byte(payload),
		})
		if err != nil || out.StatusCode != 202 {
			t.Fatal(err)
		}
	}
	r.faults(`[{"kind":"reset_after"}]`)
	invoke(envelope("left"))
	r.Until("it has failed", func() bool { return r.depth("FailedInvocations") == 1 })
	r.faults(`[{"kind":"refuse"}]`)
	invoke(envelope("kept"))
	r.Until("that has failed too", func() bool { return r.depth("FailedInvocations") == 2 })
	r.faults(`[]`)
	record := func(function, payload string) string {
		return fmt.Sprintf(`{"version":"1.0","requestContext":{"functionArn":"arn:aws:lambda:us-east-1:000000000000:function:%s:$LATEST"},"requestPayload":%s}`, function, payload)
	}
	r.enqueue("FailedInvocations", record(sendID, `{"version":"0","id":"event-1","source":"shop","detail-type":"Order","detail":`+envelope("event")+`}`))
	r.enqueue("FailedInvocations", record(sendID, `{"answer":42}`))
	r.enqueue("FailedInvocations", record("Another", envelope("another")))
	if got := r.sent(); got["left"] != 1 || len(got) != 1 {
		t.Fatalf("before, the Gateway has %v", got)
	}

	out := follow("")
	if strings.Count(out, "would be invoked again") != 2 || strings.Count(out, "would be put on OutboundQueue") != 1 || strings.Count(out, "stays") != 2 || !strings.Contains(out, "APPLY=1") {
		t.Errorf("the dry run says\n%s", out)
	}
	if got := r.sent(); len(got) != 1 || r.depth("FailedInvocations") != 5 {
		t.Errorf("the dry run changed something: %v, %d are left", got, r.depth("FailedInvocations"))
	}
	for range 2 { // the alarm says to run it once; twice must do no harm
		out = follow(" APPLY=1")
		r.Until("the queue is empty", func() bool { return r.depth(outboundQueue) == 0 })
		if got := r.sent(); got["left"] != 1 || got["kept"] != 1 || got["event"] != 1 || len(got) != 3 {
			t.Errorf("the Gateway has %v; it says\n%s", got, out)
		}
		if r.depth("FailedInvocations") != 3 || !strings.Contains(out, "OutcomeUnknown") {
			t.Errorf("%d are left; it says\n%s", r.depth("FailedInvocations"), out)
		}
	}
	if strings.Contains(out, "15550100001") {
		t.Errorf("a number is printed: %s", out)
	}

	// A status shows that it was sent: the record has served its purpose.
	var all struct {
		Messages []struct {
			Wamid string
			Body  map[string]any
		}
	}
	r.JSON("GET", "/gateway/messages", "", &all)
	opaque := all.Messages[0].Body["biz_opaque_callback_data"]
	r.Try("POST", r.Env["API_URL"]+"/webhook", fmt.Sprintf(`{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages","value":{"metadata":{"phone_number_id":"2"},`+
		`"statuses":[{"id":%q,"status":"sent","timestamp":"1764000000","biz_opaque_callback_data":%q}]}}]}]}`, all.Messages[0].Wamid, opaque))
	follow(" APPLY=1")
	if got := r.sent(); got["left"] != 1 || r.depth("FailedInvocations") != 2 {
		t.Errorf("the Gateway has %v, %d are left", got, r.depth("FailedInvocations"))
	}
}

func TestDeadLetteredRecordsReturnUnderTheirOriginalKeys(t *testing.T) {
	r := start(t)
	bare := `{"messaging_product":"whatsapp","to":"15550100001","type":"text","text":{"body":"<bare> & so"}}`
	id := r.enqueue("OutboundDeadLetters", bare)
	keyless := r.enqueue("OutboundDeadLetters", `{"reader":"default","message":`+strings.Replace(bare, "<bare> & so", "keyless", 1)+`}`)
	r.enqueue("OutboundDeadLetters", envelope("keyed"))
	r.enqueue("OutboundDeadLetters", `{"version":"0","id":"event-2","source":"shop","detail-type":"Order","detail":`+strings.Replace(bare, "<bare> & so", "event", 1)+`}`)
	out, err := r.ops("", "redrive", "-pick", "OutboundDeadLetters")
	if err != nil || strings.Count(out, "would be put on OutboundQueue") != 4 || r.depth("OutboundDeadLetters") != 4 {
		t.Errorf("%v %s", err, out)
	}
	if out, err = r.ops("", "redrive", "-pick", "OutboundDeadLetters", "-apply"); err != nil || r.depth("OutboundDeadLetters") != 0 {
		t.Errorf("%v %s", err, out)
	}
	r.Until("all are sent", func() bool { return len(r.sent()) == 4 })
	keys := map[string]bool{}
	for _, it := range r.Items("?kind=send").Items {
		keys[it["pk"].(string)] = true
	}
	for name, want := range map[string]string{
		"a bare message": ledger.ID("sqs", id), "an envelope without a key": ledger.ID("sqs", keyless), "one with a key": ledger.ID("sqs", "order-keyed"),
		"an event": ledger.ID("event/shop", "event-2"),
	} {
		if !keys[want] {
			t.Errorf("%s has a different key than before", name)
		}
	}
	if got := r.sent(); got["<bare> & so"] != 1 {
		t.Errorf("a message changed on its way: %v", got)
	}
}

// What Scheduler could not deliver names a row: one that was sent meanwhile is not sent again.
func TestScheduledRecordsGoOnTheOutboundQueue(t *testing.T) {
	r := start(t)
	for _, text := range []string{"first", "second"} {
		r.enqueue(outboundQueue, envelope(text))
	}
	r.Until("both are sent", func() bool { return len(r.sent()) == 2 && r.depth(outboundQueue) == 0 })
	record := func(text string) string { return `{"id":"` + ledger.ID("sqs", "order-"+text) + `"}` }
	r.enqueue(scheduleDead, record("first"))
	r.enqueue(scheduleDead, fmt.Sprintf(`{"MessageBody":%q,"QueueUrl":"https://sqs.eu-west-1.amazonaws.com/1/out"}`, record("second")))
	r.enqueue(scheduleDead, envelope("third"))
	out, err := r.ops("", "redrive", "-pick", scheduleDead)
	if err != nil || strings.Count(out, "record  would be put on OutboundQueue") != 2 || strings.Count(out, "stays") != 1 || r.depth(scheduleDead) != 3 {
		t.Errorf("%v %s", err, out)
	}
	if out, err = r.ops("", "redrive", "-pick", scheduleDead, "-apply"); err != nil || r.depth(scheduleDead) != 1 {
		t.Errorf("%v %s", err, out)
	}
	r.Until("the records are done", func() bool { return r.depth(outboundQueue) == 0 })
	if got := r.sent(); got["first"] != 1 || got["second"] != 1 || len(got) != 2 {
		t.Errorf("the Gateway has %v", got)
	}
}

func TestDeadLetteredOverflowEventsAreWritten(t *testing.T) {
	r := start(t)
	body, err := os.ReadFile(filepath.Join(root, "functions/webhook/testdata/overflow-1.json"))
	if err != nil {
		t.Fatal(err)
	}
	var compact json.RawMessage
	if err := json.Unmarshal(body, &compact); err != nil {
		t.Fatal(err)
	}
	r.enqueue("OverflowDeadLetters", string(compact))
	before := r.Items("").Count
	if out, err := r.ops("", "redrive", "-pick", "OverflowDeadLetters", "-apply"); err != nil || !strings.Contains(out, "1 of 1 messages") {
		t.Errorf("%v %s", err, out)
	}
	r.Until("it is in the table", func() bool { return r.Items("").Count > before })
}
