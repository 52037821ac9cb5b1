//go:build oracles

package oracles

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	eventtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// askSQS makes the calls that the functions, the tools and README make.
func askSQS(ctx context.Context, s *side) {
	found, err := s.sqs.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: aws.String("out")})
	if err != nil {
		s.t.Fatal(err)
	}
	s.saw("url", nil, nameOf(found.QueueUrl))
	out := found.QueueUrl
	dead := aws.String(strings.TrimSuffix(*out, "out") + "dead")
	none := aws.String(strings.TrimSuffix(*out, "out") + "none")
	_, err = s.sqs.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: aws.String("none")})
	s.saw("url of no queue", err)

	send := func(step string, in *sqs.SendMessageInput) {
		if in.QueueUrl == nil {
			in.QueueUrl = out
		}
		sent, err := s.sqs.SendMessage(ctx, in)
		if err != nil {
			s.saw(step, err)
			return
		}
		s.saw(step, nil, len(aws.ToString(sent.MessageId)), aws.ToString(sent.MD5OfMessageBody))
	}
	receive := func(step string, in *sqs.ReceiveMessageInput) []types.Message {
		if in.QueueUrl == nil {
			in.QueueUrl = out
		}
		got, err := s.sqs.ReceiveMessage(ctx, in)
		if err != nil {
			s.saw(step, err)
			return nil
		}
		text := fmt.Sprint(len(got.Messages), " messages")
		for _, m := range got.Messages {
			text += fmt.Sprintf("; %s %s %s count %s", *m.Body, *m.MD5OfBody, keys(m.Attributes), m.Attributes["ApproximateReceiveCount"])
		}
		s.saw(step, nil, text)
		return got.Messages
	}
	all := []types.MessageSystemAttributeName{"All"}

	send("send to no queue", &sqs.SendMessageInput{QueueUrl: none, MessageBody: aws.String("x")})
	send("send nothing", &sqs.SendMessageInput{MessageBody: aws.String("")})
	send("send too much", &sqs.SendMessageInput{MessageBody: aws.String(strings.Repeat("x", 1<<20+1))})
	send("send a control character", &sqs.SendMessageInput{MessageBody: aws.String("a\x01b")})
	send("send with too long a delay", &sqs.SendMessageInput{MessageBody: aws.String("x"), DelaySeconds: 901})
	send("send with a deduplication id", &sqs.SendMessageInput{MessageBody: aws.String("x"), MessageDeduplicationId: aws.String("once")})
	for { // messages that only one of them received
		got, err := s.sqs.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: out})
		if err != nil || len(got.Messages) == 0 {
			break
		}
		_, _ = s.sqs.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: out, ReceiptHandle: got.Messages[0].ReceiptHandle})
	}
	receive("receive from no queue", &sqs.ReceiveMessageInput{QueueUrl: none})
	receive("receive too many", &sqs.ReceiveMessageInput{MaxNumberOfMessages: 11})
	receive("receive for too long", &sqs.ReceiveMessageInput{WaitTimeSeconds: 21})
	receive("receive an unknown attribute", &sqs.ReceiveMessageInput{MessageSystemAttributeNames: []types.MessageSystemAttributeName{"Nothing"}})
	receive("receive from an empty queue", &sqs.ReceiveMessageInput{})

	send("send", &sqs.SendMessageInput{MessageBody: aws.String(`{"hé":1}`)})
	got := receive("receive", &sqs.ReceiveMessageInput{MaxNumberOfMessages: 10, MessageSystemAttributeNames: all})
	receive("receive while in flight", &sqs.ReceiveMessageInput{})
	if len(got) != 1 {
		s.t.Fatalf("received %v", got)
	}
	first := got[0].ReceiptHandle
	change := func(step string, handle *string, seconds int32) {
		_, err := s.sqs.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{QueueUrl: out, ReceiptHandle: handle, VisibilityTimeout: seconds})
		s.saw(step, err, "changed")
	}
	change("hide for over twelve hours", first, 43201)
	change("hide by nonsense", aws.String("nonsense"), 1)
	several := func(step string, handles ...*string) {
		in := &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: out}
		for n, handle := range handles {
			in.Entries = append(in.Entries, types.ChangeMessageVisibilityBatchRequestEntry{Id: aws.String(strconv.Itoa(n)), ReceiptHandle: handle, VisibilityTimeout: 60})
		}
		got, err := s.sqs.ChangeMessageVisibilityBatch(ctx, in)
		if err != nil {
			s.saw(step, err)
			return
		}
		var seen []any
		for _, one := range got.Successful {
			seen = append(seen, *one.Id)
		}
		for _, one := range got.Failed {
			seen = append(seen, *one.Id, *one.Code, one.SenderFault)
		}
		s.saw(step, nil, seen...)
	}
	several("hide several", first, aws.String("nonsense"))
	change("give back", first, 0)
	change("give back again", first, 0)
	got = receive("receive again", &sqs.ReceiveMessageInput{MessageSystemAttributeNames: []types.MessageSystemAttributeName{"ApproximateReceiveCount"}})
	remove := func(step string, handle *string) {
		_, err := s.sqs.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: out, ReceiptHandle: handle})
		s.saw(step, err, "deleted")
	}
	remove("delete by nonsense", aws.String("nonsense"))
	if len(got) == 1 {
		remove("delete", got[0].ReceiptHandle)
		remove("delete again", got[0].ReceiptHandle)
	}
	receive("receive after deletion", &sqs.ReceiveMessageInput{})

	attributes := func(step string, names ...types.QueueAttributeName) {
		got, err := s.sqs.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: out, AttributeNames: names})
		if err != nil {
			s.saw(step, err)
			return
		}
		s.saw(step, nil, keys(got.Attributes), got.Attributes["VisibilityTimeout"], got.Attributes["ApproximateNumberOfMessages"], got.Attributes["SqsManagedSseEnabled"])
	}
	attributes("attributes: all", "All")
	attributes("attributes: none")
	attributes("attributes: counts", "ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed")
	attributes("attributes: encryption", "SqsManagedSseEnabled")
	attributes("attributes: policies that are not set", "Policy", "RedriveAllowPolicy")
	attributes("attributes: unknown", "Nothing")

	send("send what will be dead-lettered", &sqs.SendMessageInput{MessageBody: aws.String("poison")})
	for i := range 3 {
		for _, m := range receive(fmt.Sprintf("receive poison, time %d", i+1), &sqs.ReceiveMessageInput{MessageSystemAttributeNames: all}) {
			change(fmt.Sprintf("give poison back, time %d", i+1), m.ReceiptHandle, 0)
		}
	}
	receive("receive from the dead-letter queue", &sqs.ReceiveMessageInput{QueueUrl: dead, MessageSystemAttributeNames: all, VisibilityTimeout: 1})
	_, err = s.sqs.StartMessageMoveTask(ctx, &sqs.StartMessageMoveTaskInput{SourceArn: aws.String("arn:aws:sqs:us-east-1:123456789012:none")})
	s.saw("move from no queue", err)
	_, err = s.sqs.PurgeQueue(ctx, &sqs.PurgeQueueInput{QueueUrl: dead})
	s.saw("purge", err, "purged")
	receive("receive after the purge", &sqs.ReceiveMessageInput{QueueUrl: dead})
}

func askSecrets(ctx context.Context, s *side) {
	get := func(step, id string, change func(*secretsmanager.GetSecretValueInput)) *secretsmanager.GetSecretValueOutput {
		in := &secretsmanager.GetSecretValueInput{SecretId: &id}
		if change != nil {
			change(in)
		}
		got, err := s.secrets.GetSecretValue(ctx, in)
		if err != nil {
			s.saw(step, err)
			return nil
		}
		s.saw(step, nil, *got.Name, *got.SecretString, got.VersionStages, got.CreatedDate != nil, len(*got.VersionId))
		return got
	}
	put := func(step, value, token string, stages ...string) {
		in := &secretsmanager.PutSecretValueInput{SecretId: aws.String("key"), SecretString: &value, VersionStages: stages}
		if token != "" {
			in.ClientRequestToken = &token
		}
		got, err := s.secrets.PutSecretValue(ctx, in)
		if err != nil {
			s.saw(step, err)
			return
		}
		s.saw(step, nil, *got.Name, got.VersionStages, len(*got.VersionId))
	}
	stage := func(name string) func(*secretsmanager.GetSecretValueInput) {
		return func(in *secretsmanager.GetSecretValueInput) { in.VersionStage = &name }
	}
	a, b, c := strings.Repeat("a", 32), strings.Repeat("b", 64), strings.Repeat("c", 40)
	get("secret that does not exist", "none", nil)
	get("secret without a value", "key", nil)
	put("put an empty value", "", "")
	put("put with a short token", "one", strings.Repeat("x", 31))
	put("put with a long token", "one", strings.Repeat("x", 65))
	put("put", "one", a)
	put("put the same again", "one", a)
	put("put another value by the same token", "two", a)
	got := get("get", "key", nil)
	if got == nil {
		s.t.Fatal("no secret")
	}
	get("get by ARN", *got.ARN, nil)
	get("get what is not previous yet", "key", stage("AWSPREVIOUS"))
	put("put a second", "two", b)
	get("get the second", "key", stage("AWSCURRENT"))
	get("get the first", "key", stage("AWSPREVIOUS"))
	get("get the first by its id", "key", func(in *secretsmanager.GetSecretValueInput) { in.VersionId = &a })
	get("get by an id that does not exist", "key", func(in *secretsmanager.GetSecretValueInput) { in.VersionId = &c })
	put("put a pending one", "three", c, "AWSPENDING")
	get("get the current one alongside a pending one", "key", nil)
	get("get the pending one", "key", stage("AWSPENDING"))
	get("get by a stage that does not exist", "key", stage("nothing"))
	_, err := s.secrets.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{SecretId: aws.String("none"), SecretString: aws.String("x")})
	s.saw("put where there is no secret", err)
	_, err = s.secrets.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{SecretId: aws.String("key")})
	s.saw("put without a value", err)
}

func askEvents(ctx context.Context, s *side) {
	put := func(step string, entries ...eventtypes.PutEventsRequestEntry) {
		out, err := s.events.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: entries})
		if err != nil {
			s.saw(step, err)
			return
		}
		text := fmt.Sprint(out.FailedEntryCount, " failed")
		for _, e := range out.Entries {
			text += fmt.Sprintf("; id of %d %s %s", len(aws.ToString(e.EventId)), aws.ToString(e.ErrorCode), aws.ToString(e.ErrorMessage))
		}
		s.saw(step, nil, text)
	}
	entry := func(source, detailType, detail string) eventtypes.PutEventsRequestEntry {
		e := eventtypes.PutEventsRequestEntry{EventBusName: aws.String("EventBus")}
		for to, value := range map[**string]string{&e.Source: source, &e.DetailType: detailType, &e.Detail: detail} {
			if value != "" {
				*to = aws.String(value)
			}
		}
		return e
	}
	good := entry("shop", "Order Shipped", `{"order":"4711"}`)
	put("events", good, good)
	put("an event without a source", entry("", "T", "{}"), good)
	put("an event without a detail type", entry("shop", "", "{}"))
	put("an event without a detail", entry("shop", "T", ""))
	put("an event whose detail is not JSON", entry("shop", "T", "{"))
	put("an event whose detail is a list", entry("shop", "T", "[]"))
	put("an event of AWS's", entry("aws.ec2", "T", "{}"))
	put("no events")
	eleven := make([]eventtypes.PutEventsRequestEntry, 11)
	for i := range eleven {
		eleven[i] = good
	}
	put("eleven events", eleven...)
	large := entry("shop", "T", `{"x":"`+strings.Repeat("x", 600_000)+`"}`)
	put("events of over a megabyte", large, large)
}
