//go:build oracles

package oracles

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	eventtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"go.yaml.in/yaml/v3"

	"connexease-functions/pkg/local/stack"
	"connexease-functions/pkg/proof/await"
	"connexease-functions/pkg/proof/docs"
)

// usersStack returns the READMEs' parts of a user's template, word for word, as one template, and
// the logical ids of a type's resources.
func usersStack(t *testing.T) (template string, of map[string][]string) {
	t.Helper()
	template = "Resources:\n"
	for _, block := range docs.Blocks(t, "yaml") {
		if strings.Contains(block, "\n  Type: AWS::") {
			template += "  " + strings.ReplaceAll(block, "\n", "\n  ") + "\n"
		}
	}
	var read struct {
		Resources map[string]struct {
			Type string `yaml:"Type"`
		} `yaml:"Resources"`
	}
	if err := yaml.Unmarshal([]byte(template), &read); err != nil {
		t.Fatal(err)
	}
	of = map[string][]string{}
	for _, id := range slices.Sorted(maps.Keys(read.Resources)) {
		of[read.Resources[id].Type] = append(of[read.Resources[id].Type], id)
	}
	return template, of
}

// anEvent is one of the documents, or of a user's shop.
type anEvent struct {
	Source     string            `json:"source"`
	DetailType string            `json:"detail-type"`
	Detail     map[string]string `json:"detail"`
}

// The rules of the READMEs stand in a stack of a user's, which imports what the first one exports.
// The documents' events go to moto's buses, and what moto's rules put into the first stack's queue
// goes into the product's.
func TestTheReadmesRulesSendTheRightMessages(t *testing.T) {
	// With a mapping of the queue, moto would run the functions in containers.
	s := create(t, slices.Concat(lacks, []string{"AWS::Lambda::EventSourceMapping"}), "EventsOut=yes")
	ctx := t.Context()
	template, of := usersStack(t)
	ids := s.makeStack(ctx, "shop", template)
	if rules := of["AWS::Events::Rule"]; !slices.Equal(rules, []string{"AnswerEveryText", "OrderShipped"}) {
		t.Errorf("the READMEs have the rules %v, of which some have no message here", rules)
	}

	bus := s.resolved(s.outputs["EventBusName"].(map[string]any)["Value"]).(string)
	want := map[string]bool{}
	publish := func(bus string, e anEvent) {
		t.Helper()
		detail, err := json.Marshal(e.Detail)
		if err != nil {
			t.Fatal(err)
		}
		entry := eventtypes.PutEventsRequestEntry{EventBusName: &bus, Source: &e.Source, DetailType: &e.DetailType, Detail: aws.String(string(detail))}
		if out, err := s.events.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []eventtypes.PutEventsRequestEntry{entry}}); err != nil || out.FailedEntryCount > 0 {
			t.Fatal(out, err)
		}
	}
	for _, text := range docs.Examples(t) {
		var e anEvent
		if err := json.Unmarshal([]byte(text), &e); err != nil {
			t.Fatal(err)
		}
		for range 2 { // EventBridge delivers at least once
			publish(bus, e)
		}
		publish("default", e) // where no rule of the bus may see it
		if e.DetailType == "WhatsApp Message Received" && e.Detail["type"] == "text" && e.Detail["group_id"] == "" {
			want[`{"messaging_product":"whatsapp","to":"`+e.Detail["contact"]+`","type":"text","text":{"body":"Thank you, we will be back within the hour."}}`] = true
			for name, value := range map[string]string{"group_id": "G1", "type": "image"} { // what no rule may see
				e.Detail = maps.Clone(e.Detail)
				e.Detail[name], e.Detail["pk"] = value, "wa#"+name
				publish(bus, e)
			}
		}
	}
	if len(want) == 0 {
		t.Error("no event of the documents is a customer's text")
	}
	shipped := anEvent{Source: "shop", DetailType: "Order Shipped", Detail: map[string]string{"phone": "15550100002", "order": "4711"}}
	publish("default", shipped)
	publish(bus, shipped) // OrderShipped names no bus, so it is a rule of the account's default one
	publish("default", anEvent{Source: "shop", DetailType: "Order Packed", Detail: shipped.Detail})
	want[`{"messaging_product":"whatsapp","to":"15550100002","type":"template","template":{"name":"order_shipped","language":{"code":"en"},"components":[{"type":"body","parameters":[{"type":"text","text":"4711"}]}]}}`] = true

	product, err := stack.Start(ctx, stack.Options{Root: root})
	if err != nil {
		t.Fatal(err)
	}
	defer product.Close()
	records, queue := 0, sqs.New(sqs.Options{Region: "us-east-1", BaseEndpoint: &product.SQSURL, Credentials: credentials.NewStaticCredentialsProvider("local", "local", "")})
	for {
		got, err := s.sqs.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: aws.String(s.ids["OutboundQueue"]), MaxNumberOfMessages: 10})
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Messages) == 0 {
			break
		}
		for _, m := range got.Messages {
			records++
			if _, err := queue.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: &product.QueueURL, MessageBody: m.Body}); err != nil {
				t.Fatal(err)
			}
		}
	}
	await.Until(t, "the records are handled", func() bool {
		left, err := queue.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &product.QueueURL, AttributeNames: []types.QueueAttributeName{"All"}})
		return err == nil && left.Attributes["ApproximateNumberOfMessages"] == "0" && left.Attributes["ApproximateNumberOfMessagesNotVisible"] == "0"
	})
	sent := product.Gateway.Messages()
	for _, m := range sent {
		i := slices.IndexFunc(slices.Collect(maps.Keys(want)), func(text string) bool { return isAs(string(m.Body), decoded(t, text)) })
		if i < 0 || m.Times != 1 {
			t.Errorf("the Gateway accepted %s, %d times", m.Body, m.Times)
		}
	}
	if len(sent) != len(want) || records <= len(want) {
		t.Errorf("the Gateway accepted %d messages of %d records, not %d", len(sent), records, len(want))
	}

	for id, output := range map[string]string{"SendByQueue": "QueueArn", "SendByFunction": "SendFunctionArn"} {
		policy, err := s.roles.GetPolicyVersion(ctx, &iam.GetPolicyVersionInput{PolicyArn: aws.String(ids[id]), VersionId: aws.String("v1")})
		if err != nil {
			t.Fatal(err)
		}
		text, err := url.PathUnescape(*policy.PolicyVersion.Document)
		if want := fmt.Sprint(s.resolved(s.outputs[output].(map[string]any)["Value"])); err != nil || !strings.Contains(text, `"`+want+`"`) {
			t.Errorf("%s allows %s, not %s", id, text, want)
		}
	}
	if got := of["AWS::IAM::ManagedPolicy"]; !slices.Equal(got, []string{"SendByFunction", "SendByQueue"}) {
		t.Errorf("the READMEs have the policies %v", got)
	}
}
