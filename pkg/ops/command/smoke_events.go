package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	bus "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
)

// Suffixes of the ids of the events that the rule matches.
const (
	busSuffix  = "-bus"
	pipeSuffix = "-pipe"
)

const targetID = "outbound"

// events tries the bus and the pipe as users' rules do: a temporary rule turns an event into a
// message and puts it on the outbound queue.
func (s *smoke) events(ctx context.Context) {
	remove, err := s.rule(ctx)
	if err != nil {
		s.bad("a rule of the event bus cannot be created: "+why(err).Error(), "your own credentials need events:PutRule and events:PutTargets for this")
		return
	}
	defer func() {
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanLimit)
		defer cancel()
		if err := remove(ending); err != nil {
			s.bad("the rule "+s.ruleName()+" cannot be removed: "+why(err).Error(), "remove it in the EventBridge console; it does no harm")
		}
	}()
	var refused error
	r := s.await(ctx, "Waiting for the rule of the bus", queued(s.mark+busSuffix), ruleLimit, func() { refused = s.emit(ctx) })
	switch {
	case seen(r):
		s.ok("an event on the bus becomes a message, by a rule")
	case refused != nil:
		s.bad("the event bus does not accept an event: "+why(refused).Error(), "your own credentials need events:PutEvents for this")
		return
	default:
		s.bad("an event on the bus: the look-up of the message that a rule makes from it "+r.String(), "look at the rule's metrics in CloudWatch, and at the outbound queue's policy")
		return
	}
	if s.target.parameters["EventsOut"] == "no" {
		s.off("the pipe: the stack has EventsOut=no, so stored items do not become events")
		return
	}
	delivered := reply{}
	r = s.await(ctx, "Waiting for the pipe", queued(s.mark+pipeSuffix), ruleLimit, func() {
		delivered = s.request(ctx, http.MethodPost, s.webhook, s.secret, "", s.status(s.mark+pipeSuffix, time.Now()))
	})
	switch {
	case seen(r):
		s.ok("a stored event is on the bus, through the pipe")
	case delivered.status != http.StatusOK:
		s.bad("an event for the pipe "+delivered.String(), webhookLogs)
	default:
		s.bad("a stored event does not reach the bus", "look at the pipe's state and log group; records that it gave up are in EventDeadLetters")
	}
}

func (s *smoke) ruleName() string { return "connexease-" + s.mark }

// rule creates a rule that puts a message on the outbound queue for each of the two events.
func (s *smoke) rule(ctx context.Context) (remove func(context.Context) error, err error) {
	pattern, err := json.Marshal(map[string]any{"detail": map[string]any{"wamid": []string{s.mark + busSuffix, s.mark + pipeSuffix}}})
	if err != nil {
		return nil, err
	}
	paths, input := map[string]string{"wamid": "$.detail.wamid"}, s.envelope("<wamid>")
	if s.target.local() {
		return s.localRule(ctx, pattern, paths, input)
	}
	client, name, on := s.target.events(), s.ruleName(), s.target.outputs["EventBusName"]
	queue := s.target.outputs["QueueArn"]
	remove = func(ctx context.Context) error {
		_, first := client.RemoveTargets(ctx, &eventbridge.RemoveTargetsInput{Rule: &name, EventBusName: &on, Ids: []string{targetID}})
		_, second := client.DeleteRule(ctx, &eventbridge.DeleteRuleInput{Name: &name, EventBusName: &on})
		return errors.Join(first, second)
	}
	_, err = client.PutRule(ctx, &eventbridge.PutRuleInput{
		Name: &name, EventBusName: &on, EventPattern: aws.String(string(pattern)), Description: aws.String("Temporary rule of a smoke test of the stack."),
	})
	if err != nil {
		return nil, err
	}
	out, err := client.PutTargets(ctx, &eventbridge.PutTargetsInput{Rule: &name, EventBusName: &on, Targets: []bus.Target{{
		Id: aws.String(targetID), Arn: &queue, InputTransformer: &bus.InputTransformer{InputPathsMap: paths, InputTemplate: &input},
	}}})
	if err == nil && out.FailedEntryCount > 0 {
		err = errors.New(aws.ToString(out.FailedEntries[0].ErrorMessage))
	}
	if err != nil {
		return nil, errors.Join(err, remove(ctx))
	}
	return remove, nil
}

// localRule creates the rule through the laptop's control address.
func (s *smoke) localRule(ctx context.Context, pattern []byte, paths map[string]string, input string) (remove func(context.Context) error, err error) {
	address := s.target.env["CONTROL_URL"] + "/rules/" + s.ruleName()
	body, err := json.Marshal(map[string]any{
		"pattern": json.RawMessage(pattern), "transformer": map[string]any{"InputPathsMap": paths, "InputTemplate": input},
	})
	if err != nil {
		return nil, err
	}
	ask := func(ctx context.Context, method, body string) error {
		if r := s.request(ctx, method, address, "none", "", body); r.status != http.StatusOK {
			return errors.New("it " + r.String())
		}
		return nil
	}
	return func(ctx context.Context) error { return ask(ctx, http.MethodDelete, "") }, ask(ctx, http.MethodPut, string(body))
}

// emit puts an event on the bus.
func (s *smoke) emit(ctx context.Context) error {
	on := s.target.named("EVENT_BUS_NAME", "EventBusName")
	out, err := s.target.events().PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []bus.PutEventsRequestEntry{{
		EventBusName: &on, Source: aws.String("smoke"), DetailType: aws.String("Smoke"), Detail: aws.String(fmt.Sprintf(`{"wamid":%q}`, s.mark+busSuffix)),
	}}})
	if err == nil && out.FailedEntryCount > 0 {
		err = errors.New(aws.ToString(out.Entries[0].ErrorCode))
	}
	return err
}
