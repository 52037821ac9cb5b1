package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"connexease-functions/pkg/local/sim/connexease"
	simlambda "connexease-functions/pkg/local/sim/lambda"
	simsqs "connexease-functions/pkg/local/sim/sqs"
	"connexease-functions/pkg/local/stack"
	"connexease-functions/pkg/proof/cost"
	"connexease-functions/pkg/proof/memory"
	"connexease-functions/pkg/proof/must"
	"connexease-functions/pkg/whatsapp"
)

func (b *bench) send() *simlambda.Function { return b.stack.Functions["SendFunction"] }

const routeSend = "POST /v1/wa/message"

func hello(n int) string {
	return fmt.Sprintf(`{"messaging_product":"whatsapp","to":"15550100001","type":"text","text":{"body":"Hello number %07d"}}`, n)
}

// sendEvent returns a send over HTTP; an empty key means none.
func (b *bench) sendEvent(body, key string) []byte {
	headers := map[string]string{}
	if key != "" {
		headers["idempotency-key"] = key
	}
	return request(routeSend, b.stack.ClientKey(), body, headers)
}

// unlimited disables the simulated Gateway's rate limits and callbacks.
func (b *bench) unlimited() {
	b.stack.Gateway.SetLimits(connexease.Limits{PerSecond: 1e6, PerMinute: 1e9})
	must.OK(b.stack.Gateway.SetCallbacks(connexease.Callbacks{Off: true}))
}

// firstSend sends once, without limits.
func (b *bench) firstSend(key string) {
	b.unlimited()
	b.invoke(b.send(), b.sendEvent(hello(0), key))
}

// bareSend is the minimum of a send: claim, post, outcome.
type bareSend struct {
	row     map[string]types.AttributeValue
	outcome types.AttributeValue
	token   string
}

// bare splits a row that the function wrote into its writes.
func (b *bench) bare() *bareSend {
	for _, it := range b.stored() {
		attempts, ok := it["attempts"].(*types.AttributeValueMemberM)
		if !ok {
			continue
		}
		for token, a := range attempts.Value {
			m := a.(*types.AttributeValueMemberM).Value
			s := &bareSend{row: it, outcome: m["outcome"], token: token}
			delete(m, "outcome")
			delete(it, "sent_wamid")
			return s
		}
	}
	must.OK(errors.New("the table has no send"))
	return nil
}

func (b *bench) do(s *bareSend, n int, key, url string) {
	row := renamed(s.row, fmt.Sprintf("B%07d", n))
	must.Get(b.stack.DB.PutItem(b.ctx, &dynamodb.PutItemInput{
		TableName: &b.stack.TableName, Item: row, ConditionExpression: aws.String("attribute_not_exists(pk)"),
	}))
	request := must.Get(http.NewRequestWithContext(b.ctx, http.MethodPost, url+"/v1/wa/message", strings.NewReader(hello(n))))
	request.Header.Set("Authorization", "Bearer "+key)
	request.Header.Set("Content-Type", "application/json")
	response := must.Get(http.DefaultClient.Do(request))
	must.Get(io.Copy(io.Discard, response.Body))
	must.OK(response.Body.Close())
	must.Hold(response.StatusCode == http.StatusOK, "the Gateway returned %d", response.StatusCode)
	must.Get(b.stack.DB.UpdateItem(b.ctx, &dynamodb.UpdateItemInput{
		TableName: &b.stack.TableName, Key: map[string]types.AttributeValue{"pk": row["pk"], "sk": row["sk"]},
		ConditionExpression:      aws.String("attribute_exists(attempts.#t) AND attribute_not_exists(attempts.#t.outcome)"),
		UpdateExpression:         aws.String("SET attempts.#t.outcome = :o, v = v + :one, sent_wamid = if_not_exists(sent_wamid, :w)"),
		ExpressionAttributeNames: map[string]string{"#t": s.token},
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":o": s.outcome, ":one": &types.AttributeValueMemberN{Value: "1"}, ":w": &types.AttributeValueMemberS{Value: fmt.Sprintf("wamid.B%07d", n)},
		},
	}))
}

func warmSend(b *bench) string {
	b.firstSend("")
	s := b.bare()
	key, _ := b.stack.Secrets.Current(stack.GatewayKeySecret)
	return b.warm("a send, warm, p50", b.send(), func(n int) []byte { return b.sendEvent(hello(n), "") }, func(n int) {
		b.do(s, n, key, b.stack.GatewayURL)
	}, "1.25 x (POST + two writes + empty round trip)")
}

// look measures what a look at the 24-hour window adds to a send: one Query where it is open, two
// where nothing is stored.
func look(b *bench) string {
	b.unlimited()
	recent := regexp.MustCompile(`"timestamp": "\d+"`)
	var without, open, unknown []time.Duration
	for n := range 1000 {
		to := func(number int) string { return strings.Replace(hello(n), "15550100001", strconv.Itoa(number), 1) }
		inbound := strings.ReplaceAll(message(n), "15550100001", strconv.Itoa(15550200000+n))
		inbound = recent.ReplaceAllString(inbound, fmt.Sprintf(`"timestamp": "%d"`, time.Now().Unix()))
		b.invoke(b.webhook(), b.event(b.secret, inbound))
		for _, c := range []struct {
			took   *[]time.Duration
			number int
			window string // how a person without a message counts; empty: no look
		}{{&without, 15550200000 + n, ""}, {&open, 15550200000 + n, "closed"}, {&unknown, 15550300000 + n, "open"}} {
			headers := map[string]string{}
			if c.window != "" {
				headers = map[string]string{"on-closed-window": "refuse", "on-unknown-window": c.window}
			}
			took := b.invoke(b.send(), request(routeSend, b.stack.ClientKey(), to(c.number), headers))
			if n >= 200 { // the virtual machine of DynamoDB Local warms up
				*c.took = append(*c.took, took)
			}
		}
	}
	plain := median(without)
	return row("a send that looks at an open window, p50", median(open), plain, fmt.Sprintf("a send without: the look is one Query, %g read units", cost.OpenReads)) + "\n" +
		row("a send that looks at an unknown one, p50", median(unknown), plain, fmt.Sprintf("a send without: the look is two Queries, %d read unit", cost.ClosedReads))
}

func replay(b *bench) string {
	b.firstSend("again")
	items := b.stored()
	return b.warm("a replay of a stored response, p50", b.send(), func(int) []byte { return b.sendEvent(hello(0), "again") }, func(int) {
		_, err := b.stack.DB.PutItem(b.ctx, &dynamodb.PutItemInput{
			TableName: &b.stack.TableName, Item: items[0], ConditionExpression: aws.String("attribute_not_exists(pk)"),
			ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
		})
		_, refused := errors.AsType[*types.ConditionalCheckFailedException](err)
		must.Hold(refused, "the condition held: %v", err)
	}, "1.15 x (failed condition + empty round trip)")
}

// largest returns a body with more to check than the largest public one: a full list.
func largest() []byte {
	var rows []string
	for i := range 10 {
		rows = append(rows, fmt.Sprintf(`{"id":"row-%d","title":"Choice number %d","description":"What comes with this choice, in words"}`, i, i))
	}
	return []byte(`{"messaging_product":"whatsapp","recipient_type":"individual","to":"+15550100001","type":"interactive","interactive":{"type":"list",` +
		`"header":{"type":"text","text":"Menu"},"body":{"text":"What would you like?"},"footer":{"text":"Prices include tax"},` +
		`"action":{"button":"Choose","sections":[{"title":"All","rows":[` + strings.Join(rows, ",") + `]}]}}}`)
}

func validation(*bench) string {
	body := largest()
	_, faults := whatsapp.Check(body)
	must.Hold(len(faults) == 0, "the body breaks limits: %v", faults)
	result := testing.Benchmark(func(t *testing.B) {
		for t.Loop() {
			whatsapp.Check(body)
		}
	})
	return fmt.Sprintf("%-42s %.1f us %33s", fmt.Sprintf("validation of %d bytes", len(body)), float64(result.NsPerOp())/1000, "100 us")
}

func sendColdStart(b *bench) string {
	b.firstSend("")
	s := b.bare()
	return b.cold("send: process start to first response, p50", "send", b.sendVariables(), s.row, func(n int) []byte { return b.sendEvent(hello(n), "") })
}

// sendVariables returns the send function's own variables.
func (b *bench) sendVariables() map[string]string {
	return map[string]string{
		"TABLE_NAME": b.stack.TableName, "GATEWAY_URL": b.stack.GatewayURL, "QUEUE_URL": b.stack.QueueURL,
		"GATEWAY_KEY_SECRET_ID": stack.GatewayKeySecret, "CLIENT_KEYS_SECRET_ID": stack.ClientKeysSecret,
		"QUEUE_ARN": simsqs.ARN("OutboundQueue"), "SCHEDULE_GROUP": "ScheduleGroup",
		"SCHEDULE_ROLE_ARN": "arn:aws:iam::000000000000:role/ScheduleRole", "SCHEDULE_DLQ_ARN": simsqs.ARN("ScheduleDeadLetters"),
	}
}

// sendMemory measures the peak of a process that has sent single messages.
func sendMemory(b *bench) string {
	b.unlimited()
	for n := range 300 {
		b.invoke(b.send(), b.sendEvent(hello(n), ""))
	}
	single := must.Get(memory.Peak(b.send().Status().PIDs[0]))
	return fmt.Sprintf("%-42s %.1f MB", "send: peak RSS after 300 sends", single)
}
