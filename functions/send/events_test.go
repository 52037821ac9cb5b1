package main

import (
	"encoding/json"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"connexease-functions/pkg/events"
	"connexease-functions/pkg/events/schema"
	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/local/fixtures"
	"connexease-functions/pkg/local/sim/connexease"
	simeventbridge "connexease-functions/pkg/local/sim/eventbridge"
	"connexease-functions/pkg/proof/docs"
	"connexease-functions/pkg/proof/harness"
	"connexease-functions/pkg/table"
	"connexease-functions/pkg/whatsapp"
)

// outcomes returns what came out on the bus, as outcome and error code, and holds every event
// to its schema.
func outcomes(t *testing.T, out *harness.Out) (all []string, came []simeventbridge.Event) {
	t.Helper()
	came = out.Events(t)
	for _, e := range came {
		if e.DetailType != events.Outcome {
			t.Errorf("a send makes a %s", e.DetailType)
		}
		for _, fault := range schema.Validate(e.DetailType, e.Detail) {
			t.Error(fault)
		}
		var d map[string]string
		if err := json.Unmarshal(e.Detail, &d); err != nil {
			t.Fatal(err)
		}
		all = append(all, strings.TrimSpace(d["outcome"]+" "+d["error_code"]+" "+d["reason"]))
	}
	return all, came
}

func TestEachSettledAttemptIsOneEventAndNothingElseIs(t *testing.T) {
	answer := func(status int, body string) connexease.Fault {
		return connexease.Fault{Kind: connexease.Answer, Status: status, Body: body}
	}
	for name, c := range map[string]struct {
		run  func(w *world)
		want string
	}{
		"accepted, and repeated": {func(w *world) {
			for range 3 {
				w.post(hello, "idempotency-key", "idem-1")
			}
		}, "accepted"},
		"queued, then sent": {func(w *world) {
			w.post(hello, "idempotency-key", "idem-1", "prefer", "respond-async")
			w.drain()
			w.post(hello, "idempotency-key", "idem-1")
		}, "accepted"},
		"queued and not sent": {func(w *world) {
			w.post(hello, "idempotency-key", "idem-1", "prefer", "respond-async")
		}, ""},
		"rejected, and repeated": {func(w *world) {
			w.spoil(answer(400, refusedAs("X_001")))
			for range 2 {
				w.post(hello, "idempotency-key", "idem-1")
			}
		}, "rejected X_001"},
		"rejected for no reason that can be read": {func(w *world) {
			w.spoil(answer(400, "no JSON"))
			w.post(hello, "idempotency-key", "idem-1")
		}, "rejected"},
		"definitely not sent, then sent": {func(w *world) {
			w.spoil(answer(402, refusedAs("X_001")))
			w.post(hello, "idempotency-key", "idem-1")
			w.spoil()
			w.post(hello, "idempotency-key", "idem-1")
		}, "accepted"},
		"unknown, and held": {func(w *world) {
			w.spoil(connexease.Fault{Kind: connexease.ResetAfter})
			for range 3 {
				w.post(hello, "idempotency-key", "idem-1")
			}
		}, "unknown  connection_lost"},
		"unknown, then sent again because the caller wants it": {func(w *world) {
			w.spoil(connexease.Fault{Kind: connexease.ResetAfter, Times: 1})
			for range 2 {
				w.post(hello, "idempotency-key", "idem-1", "on-unknown", "resend")
			}
		}, "unknown  connection_lost, accepted"},
		"unknown, then definitely not sent": {func(w *world) {
			w.spoil(connexease.Fault{Kind: connexease.ResetAfter, Times: 1}, answer(402, refusedAs("X_001")))
			for range 2 {
				w.post(hello, "idempotency-key", "idem-1", "on-unknown", "resend")
			}
		}, "unknown  connection_lost"},
		"a record that can never be sent": {func(w *world) {
			w.sqs(`{"idempotencyKey":"idem-1","message":{"to":"1"}}`)
		}, "rejected MSG_001"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			out := harness.NewOut(t, w.table)
			c.run(w)
			all, came := outcomes(t, out)
			got := strings.Join(all, ", ")
			if got != c.want {
				t.Errorf("events are %q, want %q: %s", got, c.want, came)
			}
		})
	}
}

func TestAnOutcomeTellsWhatItsRowTells(t *testing.T) {
	w := newWorld(t)
	out := harness.NewOut(t, w.table)
	a := w.post(`{"messaging_product":"whatsapp","to":"15550100001","type":"text","text":{"body":"a \"b\" \\ c\nd"}}`, "idempotency-key", "idem-1")
	_, came := outcomes(t, out)
	if len(came) != 1 {
		t.Fatalf("%d events", len(came))
	}
	var d map[string]string
	if err := json.Unmarshal(came[0].Detail, &d); err != nil {
		t.Fatal(err)
	}
	id := ledger.ID("http/crm", "idem-1")
	posted := w.gateway.Messages()
	for name, want := range map[string]string{
		"pk": id, "sk": "send", "kind": "send", "direction": "out", "type": "text", "contact": "15550100001", "message_id": id, "outcome": "accepted",
		"client": "crm", "text": "", "wamid": posted[0].Wamid, "status": "", "error_code": "", "is_fake": "",
	} {
		if d[name] != want {
			t.Errorf("%s is %q, want %q", name, d[name], want)
		}
	}
	if a.Status != 200 || !strings.Contains(string(posted[0].Body), `"a \"b\" \\ c\nd"`) {
		t.Errorf("the Gateway got %s", posted[0].Body)
	}
}

// An attempt whose owner returns late, and TTL, which removes rows, are not outcomes.
func TestARemovedRowMakesNoEvent(t *testing.T) {
	w := newWorld(t)
	out := harness.NewOut(t, w.table)
	w.post(hello, "idempotency-key", "idem-1")
	if all, _ := outcomes(t, out); len(all) != 1 {
		t.Fatalf("events are %q", all)
	}
	key := map[string]types.AttributeValue{
		"pk": &types.AttributeValueMemberS{Value: ledger.ID("http/crm", "idem-1")}, "sk": &types.AttributeValueMemberS{Value: "send"},
	}
	if _, err := harness.Backends.DB.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: &w.table, Key: key}); err != nil {
		t.Fatal(err)
	}
	w.pass(time.Hour)
	if all, _ := outcomes(t, out); len(all) != 1 {
		t.Errorf("a removal made one of %q", all)
	}
}

func TestReadmesOutcomeIsWhatASendMakes(t *testing.T) {
	var example simeventbridge.Event
	for _, text := range docs.Examples(t) {
		if strings.Contains(text, events.Outcome) {
			if err := json.Unmarshal([]byte(text), &example); err != nil {
				t.Fatal(err)
			}
		}
	}
	if example.DetailType != events.Outcome {
		t.Fatal("no example is of an outcome")
	}
	w := newWorld(t)
	out := harness.NewOut(t, w.table)
	w.post(`{"messaging_product":"whatsapp","to":"15550100001","type":"text","text":{"body":"Your order has shipped."}}`, "idempotency-key", "order-4711")
	_, came := outcomes(t, out)
	var got, want map[string]string
	for text, into := range map[string]*map[string]string{string(came[0].Detail): &got, string(example.Detail): &want} {
		if err := json.Unmarshal([]byte(text), into); err != nil {
			t.Fatal(err)
		}
		for _, own := range []string{"pk", "message_id", "client", "wamid", "timestamp", "request_id"} {
			if (*into)[own] == "" {
				t.Errorf("there is no %s", own)
			}
			delete(*into, own)
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("%v, README has %v", got, want)
	}
}

// readmesRule compiles README's rule, whose imports template.yaml exports.
func readmesRule(t *testing.T) *simeventbridge.Compiled {
	t.Helper()
	rule, imports := harness.Rule(t, "AnswerEveryText")
	exported, err := os.ReadFile("../../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, imported := range imports {
		if name := strings.TrimPrefix(imported, "connexease-prod-"); !strings.Contains(string(exported), "Export: { Name: !Sub \"${AWS::StackName}-"+name+"\" }") {
			t.Errorf("template.yaml does not export %s", imported)
		}
	}
	compiled, err := simeventbridge.Compile(rule)
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

// A text that is stored ten times, whose event goes ten times through README's rule to the
// queue, gets one reply.
func TestReadmesRuleAnswersAStoredTextOnce(t *testing.T) {
	compiled := readmesRule(t)
	w := newWorld(t)
	out := harness.NewOut(t, w.table)
	stored := table.New(harness.Backends.DB, w.table, 30)
	for _, name := range []string{"text", "echo", "history", "image", "status-read", "dashboard-test"} {
		body, err := fixtures.Body(name)
		if err != nil {
			t.Fatal(err)
		}
		for range 10 {
			if r := stored.Put(t.Context(), whatsapp.Split(body), time.Now()); len(r.Unsaved) > 0 {
				t.Fatal(r)
			}
		}
	}
	replies := 0
	for _, e := range out.Events(t) {
		if !compiled.Matches(e.JSON()) {
			continue
		}
		body, err := compiled.Target(e.JSON())
		if err != nil {
			t.Fatal(err)
		}
		replies++
		for range 10 { // EventBridge delivers at least once
			w.enqueue(string(body))
		}
	}
	w.drain()
	posted := w.gateway.Messages()
	if replies != 1 || len(posted) != 1 || posted[0].Times != 1 || !strings.Contains(string(posted[0].Body), `"to":"15550100001"`) || !strings.Contains(string(posted[0].Body), "within the hour") {
		t.Errorf("%d events match, the Gateway accepted %+v", replies, posted)
	}
}
