package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"connexease-functions/pkg/conversation"
	"connexease-functions/pkg/local/sim/connexease"
	"connexease-functions/pkg/local/stack"
	"connexease-functions/pkg/proof/must"
)

// page compares a page of a conversation, half of it messages that were sent and read, with one Query
// of the same items in the index.
func page(b *bench) string {
	b.stack.Gateway.SetLimits(connexease.Limits{PerSecond: 1e6, PerMinute: 1e9})
	const reader, sent, each = "reader-key", conversation.Usual / 2, 3 // sent, delivered, read
	b.stack.Secrets.Put(stack.ClientKeysSecret, fmt.Sprintf(`{"default":%q,"reader":{"keys":%q,"read":"all"}}`, b.stack.ClientKey(), reader))
	for n := range conversation.Usual - sent {
		b.invoke(b.webhook(), b.event(b.secret, message(n)))
	}
	for n := range sent {
		b.invoke(b.send(), b.sendEvent(hello(n), ""))
	}
	for began := time.Now(); len(b.stored()) < conversation.Usual+sent*each; time.Sleep(100 * time.Millisecond) {
		if time.Since(began) > time.Minute {
			must.OK(errors.New("the statuses did not come"))
		}
	}
	var event map[string]any
	must.OK(json.Unmarshal(request("GET /v1/wa/conversation/{contact}", reader, "", nil), &event))
	event["pathParameters"] = map[string]string{"contact": "15550100001"}
	payload := must.Get(json.Marshal(event))
	return b.warm("a page of 25, half of it sent, p50", b.send(), func(int) []byte { return payload }, func(int) {
		out := must.Get(b.stack.DB.Query(b.ctx, &dynamodb.QueryInput{
			TableName: &b.stack.TableName, IndexName: aws.String("timeline"), KeyConditionExpression: aws.String("timeline_pk = :pk"),
			ExpressionAttributeValues: map[string]types.AttributeValue{":pk": &types.AttributeValueMemberS{Value: "contact#15550100001"}},
			Limit:                     aws.Int32(conversation.Usual), ScanIndexForward: aws.Bool(false),
		}))
		if len(out.Items) != conversation.Usual {
			must.OK(fmt.Errorf("the page has %d items", len(out.Items)))
		}
	}, "3 x (one Query of its items + empty round trip)")
}
