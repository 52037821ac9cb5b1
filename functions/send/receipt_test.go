package main

import (
	"encoding/json"
	"testing"
	"time"

	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/local/sim/connexease"
	"connexease-functions/pkg/proof/harness"
)

const (
	readReceipt = `{"messaging_product":"whatsapp","status":"read","message_id":"wamid.A"}`
	typing      = `{"messaging_product":"whatsapp","status":"read","message_id":"wamid.A","typing_indicator":{"type":"text"}}`
)

// receiptBy sends a receipt by a source, and reports whether that source was returned a success.
var receiptBy = map[string]func(w *world, body string) (posted bool, answer string){
	"HTTP": func(w *world, body string) (bool, string) {
		a := w.post(body, "idempotency-key", "idem-1", "prefer", "respond-async")
		return a.Status/100 == 2 && a.Headers["message-id"] == "" && a.Headers["preference-applied"] == "", a.Body
	},
	"a record": func(w *world, body string) (bool, string) {
		again := w.sqs(body)
		return again == nil, ""
	},
	"an envelope": func(w *world, body string) (bool, string) {
		again := w.sqs(`{"idempotencyKey":"idem-1","reader":"crm","message":` + body + `}`)
		return again == nil, ""
	},
	"an event": func(w *world, body string) (bool, string) {
		again := w.sqs(eventOf("event-1", "shop.orders", body))
		return again == nil, ""
	},
	"direct": func(w *world, body string) (bool, string) {
		out, err := w.direct(`{"message":` + body + `}`)
		return err == nil, string(out)
	},
	"direct with a key": func(w *world, body string) (bool, string) {
		out, err := w.direct(`{"idempotencyKey":"idem-1","message":` + body + `}`)
		return err == nil, string(out)
	},
}

func TestAReceiptIsSentEachTimeByEverySourceAndClaimsNothing(t *testing.T) {
	for source, send := range receiptBy {
		t.Run(source, func(t *testing.T) {
			w := newWorld(t)
			for i, body := range []string{readReceipt, readReceipt, typing, typing} {
				posted, answer := send(w, body)
				var r struct {
					IsSuccess bool
					Data      map[string]any
					MessageID *string
				}
				if !posted || answer != "" && (json.Unmarshal([]byte(answer), &r) != nil || !r.IsSuccess || r.Data["success"] != true || r.MessageID != nil) {
					t.Errorf("returned %s", answer)
				}
				if all := w.sent(i + 1); !all[i].Receipt || string(all[i].Body) != body {
					t.Errorf("sent %+v", all[i])
				}
			}
			if rows := harness.Items(t, w.table); len(rows) != 0 || !w.queues.Idle("outbound") || !w.counted("Receipts", 0) {
				t.Errorf("the table has %v, the queue %+v", rows, w.queues.Depth("outbound"))
			}
		})
	}
}

func TestAnySuccessOfTheGatewayIsOneOfAReceipt(t *testing.T) {
	w := newWorld(t)
	for _, f := range []connexease.Fault{
		{Kind: connexease.Answer, Status: 200, Body: `{"isSuccess":true,"data":{"success":true}}`},
		{Kind: connexease.Answer, Status: 200, Body: `OK`, ContentType: "text/plain"},
		{Kind: connexease.Answer, Status: 201, Body: `{"isSuccess":true,"data":{}}`},
		{Kind: connexease.Answer, Status: 204},
		{Kind: connexease.InvalidJSON},
	} {
		w.spoil(f)
		for source, send := range receiptBy {
			if posted, answer := send(w, readReceipt); !posted {
				t.Errorf("%+v by %s: %s", f, source, answer)
			}
		}
	}
	if rows := harness.Items(t, w.table); len(rows) != 0 {
		t.Errorf("the table has %v", rows)
	}
}

func TestAReceiptThatIsAMessageTooIsRefused(t *testing.T) {
	w := newWorld(t)
	for _, body := range []string{
		`{"messaging_product":"whatsapp","status":"read","message_id":"wamid.A","to":"+15550100001"}`,
		`{"messaging_product":"whatsapp","status":"read","message_id":"wamid.A","type":"text"}`,
		`{"messaging_product":"whatsapp","status":"read"}`,
	} {
		responds(t, body, w.post(body), 400, "MSG_001")
		out, err := w.direct(`{"message":` + body + `}`)
		if name, code := failed(t, out, err); name != "InvalidMessage" || code != "MSG_001" {
			t.Errorf("%s: direct: %s %s", body, name, code)
		}
		record := harness.Name("record")
		if again := w.batch([]any{w.record(record, `{"reader":"crm","message":`+body+`}`, w.now())}); again != nil {
			t.Errorf("%v retried", again)
		}
		if s := w.lookUp(ledger.ID("sqs", record)); s.State != "rejected" || s.Reason != "MSG_001" {
			t.Errorf("look-up shows %+v", s)
		}
	}
	w.sent(0)
}

func TestAReceiptThatTheGatewayRefusesIsToldAndOnTheQueueRecorded(t *testing.T) {
	for name, c := range map[string]struct {
		fault connexease.Fault
		http  int
		code  string
	}{
		"400":    {responding(400, "X_001"), 400, "X_001"},
		"GW_001": {responding(502, "GW_001"), 502, "GW_001"},
		"422":    {responding(422, ""), 422, "SEND_003"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.spoil(c.fault)
			responds(t, "HTTP", w.post(readReceipt), c.http, c.code)
			out, err := w.direct(`{"message":` + readReceipt + `}`)
			if name, code := failed(t, out, err); name != "Rejected" || code != c.code {
				t.Errorf("direct: %s %s", name, code)
			}
			record := harness.Name("record")
			for range 2 {
				if again := w.batch([]any{w.record(record, `{"reader":"crm","message":`+readReceipt+`}`, w.now())}); again != nil {
					t.Errorf("%v retried", again)
				}
			}
			if s := w.lookUp(ledger.ID("sqs", record)); s.State != "rejected" || s.Answer.HTTP != c.http {
				t.Errorf("look-up shows %+v", s)
			}
			if rows := harness.Items(t, w.table); len(rows) != 1 {
				t.Errorf("the table has %v", rows)
			}
		})
	}
}

func TestADirectReceiptThatMayHaveArrivedMayBeRepeated(t *testing.T) {
	for name, c := range map[string]struct {
		fault      connexease.Fault
		want, code string
	}{
		"a lost response":      {connexease.Fault{Kind: connexease.ResetAfter}, "GatewayUnavailable", "SEND_002"},
		"500":                  {responding(500, ""), "GatewayUnavailable", "SEND_002"},
		"a refused connection": {connexease.Fault{Kind: connexease.Refuse}, "GatewayUnavailable", "SEND_002"},
		"429":                  {connexease.Fault{Kind: connexease.RateLimit}, "RateLimited", "RATE_001"},
		"402":                  {responding(402, "BILL_001"), "PaymentRequired", "BILL_001"},
		"a refused API key":    {responding(401, "AUTH_001"), "ServiceUnavailable", "SVC_003"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.spoil(c.fault)
			out, err := w.direct(`{"message":` + readReceipt + `}`)
			if name, code := failed(t, out, err); name != c.want || code != c.code {
				t.Errorf("failed as %s %s, want %s %s", name, code, c.want, c.code)
			}
			w.spoil()
			if out, err := w.direct(`{"message":` + readReceipt + `}`); err != nil {
				t.Errorf("the repeat: %s %v", out, err)
			}
		})
	}
}

func TestAReceiptOnTheQueueComesAgainUntilItArrivesOrItsValidityEnds(t *testing.T) {
	for name, c := range map[string]struct {
		fault connexease.Fault
		delay time.Duration
		left  int
	}{
		"429":                  {connexease.Fault{Kind: connexease.RateLimit, RetryAfter: "60s"}, time.Minute, 0},
		"402":                  {responding(402, ""), time.Second, 0},
		"401":                  {responding(401, "AUTH_001"), time.Second, 0},
		"a refused connection": {connexease.Fault{Kind: connexease.Refuse}, time.Second, 0},
		"500":                  {responding(500, ""), time.Second, 0},
		"a lost response":      {connexease.Fault{Kind: connexease.ResetAfter}, time.Second, 1},
	} {
		t.Run(name, func(t *testing.T) {
			for _, arrives := range []bool{true, false} {
				w := newWorld(t)
				delays := w.watchDelays()
				record := w.enqueue(`{"validFor":600,"message":` + readReceipt + `}`)
				w.spoil(c.fault)
				if came, again := w.poll(); len(came) != 1 || len(again) != 1 {
					t.Fatalf("%d came, %v retried", len(came), again)
				}
				if d := delays.of(record); d < c.delay || d > c.delay+c.delay/5+time.Second {
					t.Errorf("it retried after %v", d)
				}
				w.spoil()
				want := c.left
				if arrives {
					want++
					w.pass(delays.of(record))
				} else {
					w.pass(10 * time.Minute)
				}
				since := len(w.logs.String())
				if came, again := w.poll(); len(came) != 1 || again != nil {
					t.Errorf("afterwards %d came, %v retried", len(came), again)
				}
				w.sent(want)
				if !arrives && !w.counted("RecordsExpired", since) {
					t.Error("the log does not count it")
				}
				if rows := harness.Items(t, w.table); len(rows) != 0 {
					t.Errorf("the table has %v", rows)
				}
			}
		})
	}
}

func TestAReceiptWithoutAnAPIKeyWaits(t *testing.T) {
	w := newWorld(t)
	w.start()
	harness.Backends.Secrets.Delete(w.env["GATEWAY_KEY_SECRET_ID"])
	w.enqueue(readReceipt)
	if _, again := w.poll(); len(again) != 1 {
		t.Errorf("%v retried", again)
	}
	responds(t, "HTTP", w.post(readReceipt), 503, "SVC_001")
	w.sent(0)
}

func TestAReceiptIsAnsweredBeforeTheFunctionEnds(t *testing.T) {
	w := newWorld(t)
	w.lambda = answerMargin + 500*time.Millisecond
	w.spoil(connexease.Fault{Kind: connexease.Slow, DelayMS: 10_000})
	started := time.Now()
	responds(t, "a slow Gateway", w.post(readReceipt), 503, "SEND_002")
	if d := time.Since(started); d >= w.lambda {
		t.Errorf("returned after %v of %v", d, w.lambda)
	}
}
