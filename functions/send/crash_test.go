package main

import (
	"bytes"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/local/sim/connexease"
	"connexease-functions/pkg/proof/await"
	"connexease-functions/pkg/proof/harness"
)

// death is a moment at which the function's process is killed.
type death struct {
	name string
	// arm makes it happen once; it returns when it has.
	arm func(p *processes) (happened func() bool)
	// posted is how many messages have left by then; state is what a look-up says in
	// the end.
	posted int
	state  string
}

// onCall kills at a call of DynamoDB, after it has landed or before it could.
func onCall(is func(action string, body []byte) bool, landed bool) func(p *processes) func() bool {
	return func(p *processes) func() bool {
		var once sync.Once
		dead := make(chan struct{})
		p.database.Set(func(_ http.ResponseWriter, action string, body []byte) bool {
			if !is(action, body) {
				return false
			}
			once.Do(func() {
				if landed {
					harness.Forward(harness.Backends.DynamoDBURL, action, body)
				}
				p.database.Set(nil)
				p.kill()
				close(dead)
			})
			panic(http.ErrAbortHandler)
		})
		return func() bool {
			select {
			case <-dead:
				return true
			default:
				return false
			}
		}
	}
}

func isClaim(action string, body []byte) bool {
	return action == "PutItem" && bytes.Contains(body, []byte(`"attempts"`))
}

func isOutcome(action string, body []byte) bool {
	return action == "UpdateItem" && bytes.Contains(body, []byte(`"outcome"`))
}

var deaths = []death{
	{"before the claim", onCall(isClaim, false), 0, ""},
	{"after the claim", onCall(isClaim, true), 0, "unknown"},
	{"while the Gateway holds the response", func(p *processes) func() bool {
		before := len(p.stack.Gateway.Messages())
		if err := p.stack.Gateway.SetFaults(connexease.Faults{{Kind: connexease.Slow, Times: 1, DelayMS: 60_000}}); err != nil {
			p.t.Fatal(err)
		}
		var once sync.Once
		return func() bool {
			if len(p.stack.Gateway.Messages()) == before {
				return false
			}
			once.Do(p.kill)
			return true
		}
	}, 1, "accepted"},
	{"before the outcome is written", onCall(isOutcome, false), 1, "accepted"},
	{"after the outcome was written", onCall(isOutcome, true), 1, "accepted"},
}

func TestAProcessThatIsKilledWhileItServesACallerSendsNothingTwice(t *testing.T) {
	p := startProcesses(t)
	for i, d := range deaths {
		t.Run(d.name, func(t *testing.T) {
			key := "idem-crash-" + strings.ReplaceAll(d.name, " ", "-")
			id := ledger.ID("http/default", key)
			happened := d.arm(p)
			answered := make(chan httpAnswer, 1)
			go func() { answered <- p.call(http.MethodPost, "/v1/wa/message", numbered(i), "Idempotency-Key", key) }()
			await.Until(p.t, "it was killed", happened)
			if a := <-answered; a.status != 500 || a.body != `{"message":"Internal Server Error"}` {
				t.Errorf("the caller returned %d %s", a.status, a.body)
			}
			if d.state == "accepted" {
				// Its callbacks say what the process could not.
				await.Until(p.t, "its receipts are there", func() bool { state, status := p.state(id); return state == "accepted" && status == "read" })
			}
			repeat := func() httpAnswer {
				return p.call(http.MethodPost, "/v1/wa/message", numbered(i), "Idempotency-Key", key)
			}
			a := repeat()
			times, wamid := p.posted(id)
			switch d.state {
			case "": // nothing was there: the repeat is the first
				if a.status != 200 || times != 1 {
					t.Errorf("the repeat returned %d %s, %d posted", a.status, a.body, times)
				}
			case "accepted":
				if a.status != 200 || a.header.Get("Idempotent-Replayed") != "true" || !strings.Contains(a.body, wamid) || times != 1 {
					t.Errorf("the repeat returned %d %s, %d posted", a.status, a.body, times)
				}
			default:
				if a.status != 409 || a.header.Get("Retry-After") == "" || times != 0 {
					t.Errorf("the repeat returned %d %s, %d posted", a.status, a.body, times)
				}
				p.held(id, key, i)
			}
		})
	}
}

// held expects a message that is never sent, because nobody can say whether it was.
func (p *processes) held(id, key string, n int) {
	p.t.Helper()
	h, timeout := p.later()
	e := harness.Event(routeSend, "Bearer "+p.stack.ClientKey(), numbered(n))
	e["headers"].(map[string]string)["idempotency-key"] = key
	e["requestContext"].(map[string]any)["timeEpoch"] = time.Now().Add(time.Minute).UnixMilli()
	a, err := harness.Request(p.t, h, timeout, e)
	if err != nil || a.Status != 504 || a.Code() != "SEND_001" || !strings.Contains(a.Body, id) {
		p.t.Errorf("after its lease: %d %s %v", a.Status, a.Body, err)
	}
	look := harness.Event(routeByID, "Bearer "+p.stack.ClientKey(), "")
	look["pathParameters"] = map[string]string{"id": id}
	if a, err = harness.Request(p.t, h, timeout, look); err != nil || !strings.Contains(a.Body, `"state":"unknown"`) || !strings.Contains(a.Body, `"reason":"process_ended"`) {
		p.t.Errorf("look-up: %d %s %v", a.Status, a.Body, err)
	}
	if times, _ := p.posted(id); times != 0 {
		p.t.Errorf("%d messages left", times)
	}
}

func TestAProcessThatIsKilledWhileItServesTheQueueSendsNothingTwice(t *testing.T) {
	p := startProcesses(t)
	for i, d := range deaths {
		t.Run(d.name, func(t *testing.T) {
			key := "idem-crash-queue-" + strings.ReplaceAll(d.name, " ", "-")
			id := ledger.ID("sqs", key)
			body := `{"message":` + numbered(100+i) + `,"idempotencyKey":"` + key + `","reader":"default"}`
			happened := d.arm(p)
			p.enqueue(body)
			await.Until(p.t, "it was killed", happened)
			if d.state == "accepted" {
				await.Until(p.t, "its receipts are there", func() bool { state, status := p.state(id); return state == "accepted" && status == "read" })
			}
			if d.state == "unknown" {
				// In flight as far as anybody knows: the record waits for the lease's end.
				await.Until(p.t, "the record came again and waits", func() bool {
					p.stack.Queues.EndVisibility("OutboundQueue")
					state, _ := p.state(id)
					return state == "in_flight"
				})
				h, timeout := p.later()
				out, err := harness.Invoke(t, h, timeout, map[string]any{"Records": []any{map[string]any{
					"messageId": "again", "receiptHandle": "none", "body": body, "eventSource": "aws:sqs", "attributes": map[string]string{},
				}}})
				if err != nil || string(out) != `{"batchItemFailures":[]}` {
					t.Errorf("after its lease the record is returned %s %v", out, err)
				}
				if times, _ := p.posted(id); times != 0 {
					t.Errorf("%d messages left", times)
				}
				if _, err := p.sqs.PurgeQueue(t.Context(), purge(p.stack.QueueURL)); err != nil {
					t.Fatal(err)
				}
				return
			}
			await.Until(p.t, "the record is done", func() bool {
				p.stack.Queues.EndVisibility("OutboundQueue")
				return p.stack.Queues.Idle("OutboundQueue")
			})
			if state, _ := p.state(id); state != "accepted" {
				t.Errorf("the message is %s", state)
			}
			if times, _ := p.posted(id); times != 1 {
				t.Errorf("%d messages left", times)
			}
		})
	}
}

// The runtime logs a function's error, and hands it to X-Ray.
func TestTheErrorOfADirectCallHasNoneOfTheGatewaysWords(t *testing.T) {
	var logs harness.Buffer
	p := startProcesses(t, &logs)
	words := `{"isSuccess":false,"errors":{"code":"GW_001","group":"BAD_GATEWAY","description":"Recipient 15550100007 is not valid","params":{"to":"15550100007"}}}`
	if err := p.stack.Gateway.SetFaults(connexease.Faults{{Kind: connexease.Answer, Status: 502, Body: words}}); err != nil {
		t.Fatal(err)
	}
	result, err := p.stack.Functions["SendFunction"].Invoke(t.Context(), []byte(`{"idempotencyKey":"idem-words","message":`+numbered(7)+`}`))
	if err != nil || result.FunctionError == "" || !strings.Contains(string(result.Payload), "GW_001") || strings.Contains(string(result.Payload), "15550100007") {
		t.Errorf("%s %v", result.Payload, err)
	}
	// What a process logs comes through a pipe, which Close reads to its end.
	await.Until(t, "the error is logged", func() bool { return strings.Contains(logs.String(), "GW_001") })
	p.stack.Close()
	if strings.Contains(logs.String(), "15550100007") {
		t.Errorf("logged the number: %s", logs.String())
	}
}
