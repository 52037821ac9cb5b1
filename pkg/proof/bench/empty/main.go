// Command empty is the baseline for the functions: a handler that does nothing or, on demand, the
// same AWS calls as a first request.
package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	functions "connexease-functions/pkg/config"
	"connexease-functions/pkg/conversation"
	"connexease-functions/pkg/proof/must"
)

type handler struct{ calls func(context.Context) }

func (h handler) Invoke(ctx context.Context, _ []byte) ([]byte, error) {
	err := must.Try(func() { h.calls(ctx) })
	return []byte(`{"statusCode":200,"body":"{}"}`), err
}

func main() {
	h := handler{func(context.Context) {}}
	switch os.Getenv("CALLS") {
	case "webhook":
		h.calls = newCaller().webhook
	case "send":
		h.calls = newCaller().send
	case "page":
		c := newCaller()
		c.db = dynamodb.New(c.db.Options(), func(o *dynamodb.Options) { o.Retryer = functions.Rereading() })
		lambda.Start(c.page)
	}
	lambda.Start(h)
}

// caller makes the calls to AWS and the Gateway that a first request makes.
type caller struct {
	db      *dynamodb.Client
	secrets *secretsmanager.Client
	item    map[string]types.AttributeValue
}

func newCaller() *caller {
	env := must.Get(config.NewEnvConfig())
	cfg := aws.Config{Region: env.Region, Credentials: credentials.StaticCredentialsProvider{Value: env.Credentials}, ConfigSources: []any{env}}
	c := &caller{dynamodb.NewFromConfig(cfg), secretsmanager.NewFromConfig(cfg), map[string]types.AttributeValue{}}
	var fields map[string]string
	must.OK(json.Unmarshal([]byte(os.Getenv("ITEM")), &fields))
	for k, v := range fields {
		c.item[k] = &types.AttributeValueMemberS{Value: v}
	}
	return c
}

func (c *caller) secret(ctx context.Context, variable, stage string) string {
	out, err := c.secrets.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: aws.String(os.Getenv(variable)), VersionStage: &stage})
	if err != nil {
		return "" // there is no previous version
	}
	return aws.ToString(out.SecretString)
}

// webhook reads both versions of the secret and puts one item.
func (c *caller) webhook(ctx context.Context) {
	for _, stage := range []string{"AWSCURRENT", "AWSPREVIOUS"} {
		c.secret(ctx, "WEBHOOK_SECRET_ID", stage)
	}
	must.Get(c.db.PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String(os.Getenv("TABLE_NAME")), Item: c.item}))
}

// send reads two secrets at once, claims, posts and settles.
func (c *caller) send(ctx context.Context) {
	var both sync.WaitGroup
	both.Go(func() { c.secret(ctx, "CLIENT_KEYS_SECRET_ID", "AWSCURRENT") })
	key := ""
	both.Go(func() { key = c.secret(ctx, "GATEWAY_KEY_SECRET_ID", "AWSCURRENT") })
	both.Wait()
	pk := c.item["pk"].(*types.AttributeValueMemberS)
	pk.Value += "C" + os.Getenv("SUFFIX")
	name := aws.String(os.Getenv("TABLE_NAME"))
	must.Get(c.db.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: name, Item: c.item, ConditionExpression: aws.String("attribute_not_exists(pk)"),
	}))
	body := strings.NewReader(`{"messaging_product":"whatsapp","to":"15550100001","type":"text","text":{"body":"Hello"}}`)
	request := must.Get(http.NewRequestWithContext(ctx, http.MethodPost, os.Getenv("GATEWAY_URL")+"/v1/wa/message", body))
	request.Header.Set("Authorization", "Bearer "+key)
	response := must.Get(http.DefaultClient.Do(request))
	answer := must.Get(io.ReadAll(response.Body))
	must.OK(response.Body.Close())
	must.Hold(response.StatusCode == http.StatusOK, "the Gateway returned %d", response.StatusCode)
	must.Get(c.db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: name, Key: map[string]types.AttributeValue{"pk": c.item["pk"], "sk": c.item["sk"]},
		ConditionExpression: aws.String("attribute_exists(pk)"), UpdateExpression: aws.String("SET answer = :a"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":a": &types.AttributeValueMemberS{Value: string(answer)}},
	}))
}

// request is what a page is asked for with.
type request struct {
	PathParameters struct {
		Contact string `json:"contact"`
	} `json:"pathParameters"`
}

// page returns the newest items of a person's timeline, as one Query has them.
func (c *caller) page(ctx context.Context, r request) (response map[string]any, err error) {
	err = must.Try(func() {
		out := must.Get(c.db.Query(ctx, &dynamodb.QueryInput{
			TableName: aws.String(os.Getenv("TABLE_NAME")), IndexName: aws.String("timeline"), KeyConditionExpression: aws.String("timeline_pk = :pk"),
			ExpressionAttributeValues: map[string]types.AttributeValue{":pk": &types.AttributeValueMemberS{Value: "contact#" + r.PathParameters.Contact}},
			Limit:                     aws.Int32(conversation.Usual), ScanIndexForward: aws.Bool(false),
		}))
		must.Hold(len(out.Items) == conversation.Usual, "the page has %d items", len(out.Items))
		var items []map[string]any
		must.OK(attributevalue.UnmarshalListOfMaps(out.Items, &items))
		response = map[string]any{"statusCode": 200, "body": string(must.Get(json.Marshal(items)))}
	})
	return response, err
}
