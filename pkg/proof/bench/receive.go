package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"golang.org/x/sync/errgroup"

	"connexease-functions/pkg/local/fixtures"
	simlambda "connexease-functions/pkg/local/sim/lambda"
	"connexease-functions/pkg/local/stack"
	"connexease-functions/pkg/proof/memory"
	"connexease-functions/pkg/proof/must"
)

func (b *bench) webhook() *simlambda.Function { return b.stack.Functions["WebhookFunction"] }

func (b *bench) event(token, body string) []byte { return request("POST /webhook", token, body, nil) }

// message returns a text message with an id of its own.
func message(n int) string {
	return strings.Replace(string(must.Get(fixtures.Body("text"))), `"id": "wamid.`, fmt.Sprintf(`"id": "wamid.N%07d`, n), 1)
}

func oneEvent(b *bench) string {
	b.invoke(b.webhook(), b.event(b.secret, message(0)))
	items := b.stored()
	return b.warm("one event, warm, p50", b.webhook(), func(n int) []byte { return b.event(b.secret, message(n)) }, func(n int) {
		must.Get(b.stack.DB.PutItem(b.ctx, &dynamodb.PutItemInput{TableName: &b.stack.TableName, Item: renamed(items[0], fmt.Sprintf("B%07d", n))}))
	}, "1.15 x (PutItem + empty round trip)")
}

// statuses returns a delivery of n statuses of about 860 bytes each.
func statuses(n, offset int) string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf(`{"id":"wamid.HBgLMTU1NTAxMDAwMDEVAgARGBI%010d","status":"delivered","timestamp":"1764000000","recipient_id":"15550100001","biz_opaque_callback_data":"%s","pricing":{"billable":true,"pricing_model":"PMP","type":"regular","category":"utility"},"conversation":{"id":"c0ffee00c0ffee00c0ffee00c0ffee00","origin":{"type":"utility"}}}`, offset+i, strings.Repeat("o", 512)))
	}
	return `{"object":"whatsapp_business_account","entry":[{"id":"400000000000001","changes":[{"field":"messages","value":{"messaging_product":"whatsapp","metadata":{"display_phone_number":"15550100099","phone_number_id":"300000000000001"},"statuses":[` + strings.Join(list, ",") + `]}}]}]}`
}

// bareBatches writes items like a program that does nothing else.
func (b *bench) bareBatches(items []map[string]types.AttributeValue) time.Duration {
	start := time.Now()
	var all errgroup.Group
	all.SetLimit(8)
	for chunk := range slices.Chunk(items, 25) {
		all.Go(func() error {
			var requests []types.WriteRequest
			for _, it := range chunk {
				requests = append(requests, types.WriteRequest{PutRequest: &types.PutRequest{Item: it}})
			}
			_, err := b.stack.DB.BatchWriteItem(b.ctx, &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{b.stack.TableName: requests}})
			return err
		})
	}
	must.OK(all.Wait())
	return time.Since(start)
}

func thousand(b *bench) string {
	b.invoke(b.webhook(), b.event(b.secret, statuses(1000, 0)))
	items := b.stored()
	var ours, bare []time.Duration
	for n := range 12 {
		o := b.invoke(b.webhook(), b.event(b.secret, statuses(1000, (n+1)*1000)))
		var copies []map[string]types.AttributeValue
		for _, it := range items {
			copies = append(copies, renamed(it, fmt.Sprintf("B%03d", n)))
		}
		p := b.bareBatches(copies)
		if n >= 3 {
			ours, bare = append(ours, o), append(bare, p)
		}
	}
	return row("1,000 statuses in one delivery, p50", median(ours), median(bare), "1.25 x parallel BatchWriteItem")
}

func perUpdate(b *bench) string {
	var large, small []time.Duration
	for n := range 12 {
		l := b.invoke(b.webhook(), b.event(b.secret, statuses(1000, n*2000)))
		s := b.invoke(b.webhook(), b.event(b.secret, statuses(25, n*2000+1000)))
		if n >= 3 {
			large, small = append(large, l/1000), append(small, s/25)
		}
	}
	return row("an update of 1,000 against one of 25, p50", median(large), median(small), "1.2 x")
}

func coldStart(b *bench) string {
	b.invoke(b.webhook(), b.event(b.secret, message(0)))
	items := b.stored()
	env := map[string]string{"TABLE_NAME": b.stack.TableName, "WEBHOOK_SECRET_ID": stack.WebhookSecret, "OVERFLOW_QUEUE_URL": b.stack.Queues.URL("OverflowQueue")}
	return b.cold("process start to first response, p50", "webhook", env, items[0], func(n int) []byte { return b.event(b.secret, message(n)) })
}

func peaks(b *bench) string {
	for n := range 300 {
		b.invoke(b.webhook(), b.event(b.secret, message(n)))
	}
	single := must.Get(memory.Peak(b.webhook().Status().PIDs[0]))
	body := statuses(3480, 0) // 3 MB
	for range 5 {
		b.invoke(b.webhook(), b.event(b.secret, body))
	}
	large := must.Get(memory.Peak(b.webhook().Status().PIDs[0]))
	return fmt.Sprintf("%-42s %.1f MB / %.1f MB %20s", "peak RSS, "+fmt.Sprintf("%.1f", float64(len(body))/1e6)+" MB delivery / single", large, single, "64 MB / 25 MB")
}

func refusal(b *bench) string {
	b.expect(b.webhook(), b.event("wrong", message(0)), 401)
	calls := len(b.stack.Secrets.Calls())
	for range 3000 {
		b.expect(b.webhook(), b.event("wrong", message(0)), 401)
	}
	after := len(b.stack.Secrets.Calls())
	must.OK(b.webhook().Close()) // every log line is written by then
	var all []time.Duration
	for line := range bytes.Lines(b.logs.Bytes()) {
		var summary struct{ Duration float64 }
		if json.Unmarshal(line, &summary) == nil && summary.Duration > 0 {
			all = append(all, time.Duration(summary.Duration*float64(time.Millisecond)))
		}
	}
	must.Hold(len(all) >= 3000, "the log has %d summaries", len(all))
	return fmt.Sprintf("%-42s %s, %d AWS calls %18s", "401 in process, p99", short(percentile(all, 99)), after-calls, "1 ms, none")
}
