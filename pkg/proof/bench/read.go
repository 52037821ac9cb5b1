package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"connexease-functions/pkg/conversation"
	"connexease-functions/pkg/local/sim/connexease"
	simlambda "connexease-functions/pkg/local/sim/lambda"
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
	query := func(db *dynamodb.Client) func(int) {
		return func(int) {
			out := must.Get(db.Query(b.ctx, &dynamodb.QueryInput{
				TableName: &b.stack.TableName, IndexName: aws.String("timeline"), KeyConditionExpression: aws.String("timeline_pk = :pk"),
				ExpressionAttributeValues: map[string]types.AttributeValue{":pk": &types.AttributeValueMemberS{Value: "contact#15550100001"}},
				Limit:                     aws.Int32(conversation.Usual), ScanIndexForward: aws.Bool(false),
			}))
			if len(out.Items) != conversation.Usual {
				must.OK(fmt.Errorf("the page has %d items", len(out.Items)))
			}
		}
	}
	const bar = "3 x (one Query of its items + empty round trip)"
	ask := func(int) []byte { return payload }
	near := b.warm("a page of 25, half of it sent, p50", b.send(), ask, query(b.stack.DB), bar)
	url, stop := away(b.stack.DynamoDBURL)
	defer stop()
	env := b.stack.Environment()
	maps.Copy(env, b.sendVariables())
	env["AWS_ENDPOINT_URL_DYNAMODB"] = url
	f := simlambda.New(simlambda.Config{Name: "away", Command: []string{filepath.Join(b.state, "bin", "send")}, Env: env, Timeout: 28 * time.Second, MemoryMB: 512, Logs: io.Discard})
	defer func() { _ = f.Close() }()
	db := dynamodb.New(b.stack.DB.Options(), func(o *dynamodb.Options) { o.BaseEndpoint = &url })
	return near + "\n" + b.warm(fmt.Sprintf("the same, each call to DynamoDB %v longer", delay), f, ask, query(db), bar)
}

// delay is about what a call to DynamoDB takes from Lambda, where many at once take no longer. DynamoDB
// Local has them wait for two processors.
const delay = 4 * time.Millisecond

// away serves an endpoint whose calls take longer.
func away(endpoint string) (at string, stop func()) {
	proxy := httputil.NewSingleHostReverseProxy(must.Get(url.Parse(endpoint)))
	proxy.Transport = &http.Transport{MaxIdleConnsPerHost: 100}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(delay)
		proxy.ServeHTTP(w, r)
	}))
	return server.URL, server.Close
}
