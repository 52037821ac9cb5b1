package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/local/sim/connexease"
	simsqs "connexease-functions/pkg/local/sim/sqs"
	"connexease-functions/pkg/proof/harness"
)

// record is an SQS record as Lambda hands it over.
func (w *world) record(id, body string, sent time.Time) map[string]any {
	return map[string]any{
		"messageId": id, "receiptHandle": id, "body": body, "eventSource": "aws:sqs",
		"attributes": map[string]string{"SentTimestamp": strconv.FormatInt(sent.UnixMilli(), 10)},
	}
}

// enqueue puts a body on the outbound queue and returns its SQS message id.
func (w *world) enqueue(body string) (id string) {
	w.t.Helper()
	out, err := w.client.SendMessage(w.t.Context(), &sqs.SendMessageInput{QueueUrl: w.queueURL(), MessageBody: &body})
	if err != nil {
		w.t.Fatal(err)
	}
	return *out.MessageId
}

// poll passes one batch of the outbound queue to the function, as the mapping does:
// what is not reported is deleted. It returns what was received, and what is retried.
func (w *world) poll() (came []types.Message, again []string) {
	w.t.Helper()
	return w.pollOf("outbound")
}

func (w *world) pollOf(queue string) (came []types.Message, again []string) {
	w.t.Helper()
	messages := harness.Receive(w.t, w.queues, w.client, queue)
	if len(messages) == 0 {
		return nil, nil
	}
	var records []any
	for _, m := range messages {
		records = append(records, map[string]any{
			"messageId": m.MessageId, "receiptHandle": m.ReceiptHandle, "body": m.Body, "attributes": m.Attributes, "eventSource": "aws:sqs",
			"eventSourceARN": simsqs.ARN(queue),
		})
	}
	again = w.batch(records)
	for _, m := range messages {
		if slices.Contains(again, *m.MessageId) {
			continue
		}
		if _, err := w.client.DeleteMessage(w.t.Context(), &sqs.DeleteMessageInput{QueueUrl: aws.String(w.queues.URL(queue)), ReceiptHandle: m.ReceiptHandle}); err != nil {
			w.t.Fatal(err)
		}
	}
	return messages, again
}

// delays are the visibilities that the function asked for, by SQS message id.
type delays struct {
	mu sync.Mutex
	by map[string]time.Duration
}

func (w *world) watchDelays() *delays {
	d := &delays{by: map[string]time.Duration{}}
	w.sqsCalls.Set(func(_ http.ResponseWriter, action string, body []byte) bool {
		var in struct {
			ReceiptHandle     string
			VisibilityTimeout int
		}
		if action == "ChangeMessageVisibility" && json.Unmarshal(body, &in) == nil {
			id, _, _ := strings.Cut(in.ReceiptHandle, "#")
			d.mu.Lock()
			d.by[id] = time.Duration(in.VisibilityTimeout) * time.Second
			d.mu.Unlock()
		}
		return false
	})
	return d
}

func (d *delays) of(id string) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.by[id]
}

// front puts a handler before the simulated Gateway.
func (w *world) front(h http.HandlerFunc) {
	w.t.Helper()
	server := httptest.NewServer(h)
	w.t.Cleanup(server.Close)
	w.env["GATEWAY_URL"] = server.URL
	w.start()
}

// counted reports whether a metric has come in the log since an earlier length of it.
func (w *world) counted(metric string, since int) bool {
	return strings.Contains(w.logs.String()[since:], `"`+metric+`":1`)
}

func (w *world) row(id string) harness.Item {
	w.t.Helper()
	return harness.Items(w.t, w.table)[id+" send"]
}

func (w *world) sent(want int) []connexease.Message {
	w.t.Helper()
	posted := w.gateway.Messages()
	if len(posted) != want {
		w.t.Errorf("the Gateway accepted %d messages, want %d", len(posted), want)
	}
	return posted
}

func eventOf(id, source, detail string) string {
	return fmt.Sprintf(`{"version":"0","id":%q,"detail-type":"OrderShipped","source":%q,"account":"123456789012","resources":[],"detail":%s}`, id, source, detail)
}

func TestEveryFormOfARecordIsSent(t *testing.T) {
	t.Parallel()
	const anHour = 3600
	for name, c := range map[string]struct {
		body, scope, key string // key empty: the SQS message id
		client, choice   string
		validFor         int
		isFake, mmlite   bool
	}{
		"a bare message":               {body: hello, scope: "sqs"},
		"an envelope":                  {body: `{"message":` + hello + `}`, scope: "sqs"},
		"an envelope of nulls":         {body: `{"message":` + hello + `,"idempotencyKey":null,"validFor":null,"onUnknown":null,"reader":null,"isFake":null,"mmlite":null}`, scope: "sqs"},
		"idempotencyKey":               {body: `{"idempotencyKey":"idem-1","message":` + hello + `}`, scope: "sqs", key: "idem-1"},
		"validFor":                     {body: `{"message":` + hello + `,"validFor":3600}`, scope: "sqs", validFor: anHour},
		"onUnknown":                    {body: `{"message":` + hello + `,"onUnknown":"resend"}`, scope: "sqs", choice: "resend"},
		"reader":                       {body: `{"message":` + hello + `,"reader":"crm"}`, scope: "sqs", client: "crm"},
		"isFake":                       {body: `{"message":` + hello + `,"isFake":true}`, scope: "sqs", isFake: true},
		"mmlite":                       {body: `{"message":` + hello + `,"mmlite":true}`, scope: "sqs", mmlite: true},
		"an event with a message":      {body: eventOf("event-1", "shop.orders", hello), scope: "event/shop.orders", key: "event-1"},
		"an event with an envelope":    {body: eventOf("event-1", "shop.orders", `{"message":`+hello+`,"reader":"shop"}`), scope: "event/shop.orders", key: "event-1", client: "shop"},
		"an event with a key":          {body: eventOf("event-1", "shop.orders", `{"message":`+hello+`,"idempotencyKey":"idem-1"}`), scope: "event/shop.orders", key: "idem-1"},
		"an event without an id":       {body: `{"detail-type":"a","source":"b","detail":` + hello + `}`, scope: "sqs"},
		"an envelope among whitespace": {body: "\n {\"message\" : " + hello + " }\n", scope: "sqs"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			record := harness.Name("record")
			sent := w.now().Add(-time.Minute).Truncate(time.Millisecond)
			if again := w.batch([]any{w.record(record, c.body, sent)}); again != nil {
				t.Errorf("%v retried", again)
			}
			posted := w.sent(1)
			if posted[0].IsFake != c.isFake || posted[0].MMLite != c.mmlite || !strings.HasPrefix(string(posted[0].Body), hello[:len(hello)-1]) {
				t.Errorf("sent %+v", posted[0])
			}
			if c.key == "" {
				c.key = record
			}
			if c.choice == "" {
				c.choice = "hold"
			}
			valid := 24 * time.Hour
			if c.validFor > 0 {
				valid = time.Duration(c.validFor) * time.Second
			}
			row := w.row(ledger.ID(c.scope, c.key))
			for name, want := range map[string]string{
				"client": c.client, "on_unknown": c.choice, "valid_until": strconv.FormatInt(sent.Add(valid).UnixMilli(), 10), "payload": hello,
				"sent_wamid": posted[0].Wamid, "type": "text", "contact": "15550100001",
			} {
				if got := row.Text(name); got != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
		})
	}
}

func TestABatchWithoutFaultIsAnsweredWithAnEmptyList(t *testing.T) {
	w := newWorld(t)
	event, _ := json.Marshal(map[string]any{"Records": []any{w.record("r-1", hello, w.now()), w.record("r-2", hello, w.now())}})
	if out, err := w.invoke(event); err != nil || string(out) != `{"batchItemFailures":[]}` {
		t.Errorf("returned %s %v", out, err)
	}
	w.sent(2)
}

func TestARecordIsSentOncePerKey(t *testing.T) {
	keyed := func(text string) string {
		return `{"idempotencyKey":"idem-1","reader":"crm","message":` + strings.Replace(hello, "Hello", text, 1) + `}`
	}
	for name, c := range map[string]struct {
		ids, bodies []string
		want        int
	}{
		"one record twice":            {[]string{"r-1", "r-1"}, []string{hello, hello}, 1},
		"one body in two records":     {[]string{"r-1", "r-2"}, []string{hello, hello}, 2},
		"one key in two records":      {[]string{"r-1", "r-2"}, []string{keyed("Hello"), keyed("Hello")}, 1},
		"one event id in two records": {[]string{"r-1", "r-2"}, []string{eventOf("e", "s", hello), eventOf("e", "s", hello)}, 1},
		"one key, written in two ways": {[]string{"r-1", "r-2"},
			[]string{keyed("Hello"), `{"message": ` + strings.ReplaceAll(hello, ",", ", ") + `, "onUnknown": "resend", "validFor": 60, "idempotencyKey": "idem-1"}`}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			for i, id := range c.ids {
				if again := w.batch([]any{w.record(id, c.bodies[i], w.now())}); again != nil {
					t.Errorf("%v retried", again)
				}
			}
			w.sent(c.want)
		})
	}
}

func TestOneKeyIsAMessageOfItsOwnInEachScope(t *testing.T) {
	w := newWorld(t)
	envelope := `{"idempotencyKey":"idem-1","message":` + hello + `}`
	for range 2 {
		if again := w.sqs(envelope, eventOf("e-1", "shop.orders", envelope), eventOf("e-2", "shop.returns", envelope)); again != nil {
			t.Errorf("%v retried", again)
		}
		if out, err := w.direct(envelope); err != nil {
			t.Errorf("direct: %s %v", out, err)
		}
		if a := w.post(hello, "idempotency-key", "idem-1"); a.Status != 200 {
			t.Errorf("HTTP: %+v", a)
		}
	}
	posted, ids := w.sent(5), map[string]bool{}
	for _, m := range posted {
		ids[opaqueID(t, m.Body)] = true
	}
	for _, scope := range []string{"sqs", "event/shop.orders", "event/shop.returns", "direct", "http/crm"} {
		if !ids[ledger.ID(scope, "idem-1")] {
			t.Errorf("none is of the scope %s", scope)
		}
	}
}

func opaqueID(t testing.TB, body []byte) string {
	t.Helper()
	var m struct {
		Opaque string `json:"biz_opaque_callback_data"`
	}
	if err := json.Unmarshal(body, &m); err != nil {
		t.Fatal(err)
	}
	id, _, ok := ledger.ParseOpaque(m.Opaque)
	if !ok {
		t.Fatalf("sent with %q", m.Opaque)
	}
	return id
}

func (w *world) lookUpRecord(record, key string) harness.Answer {
	w.t.Helper()
	e := harness.Event(routeLookUp, "Bearer "+key, "")
	e["queryStringParameters"] = map[string]string{"sqs_message_id": record}
	return w.request(e)
}

func TestTheReaderAndNobodyElseLooksARecordUp(t *testing.T) {
	w := newWorld(t)
	bare, read := harness.Name("record"), harness.Name("record")
	w.batch([]any{w.record(bare, hello, w.now()), w.record(read, `{"message":`+hello+`,"reader":"shop"}`, w.now())})
	for _, c := range []struct {
		record, key string
		want        int
	}{{read, otherKey, 200}, {read, clientKey, 404}, {bare, otherKey, 404}, {bare, clientKey, 404}, {"none", clientKey, 404}} {
		if a := w.lookUpRecord(c.record, c.key); a.Status != c.want || c.want == 404 && a.Code() != "REQ_003" {
			t.Errorf("%s by %s: %d %s", c.record, c.key, a.Status, a.Body)
		}
	}
}

func TestEachRecordOfABatchIsHandledOnItsOwn(t *testing.T) {
	w := newWorld(t)
	w.front(func(rw http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(b))
		body := string(b)
		switch {
		case strings.Contains(body, "15550100402"):
			rw.WriteHeader(402)
		case strings.Contains(body, "15550100500"):
			rw.WriteHeader(500)
		case strings.Contains(body, "15550100400"):
			rw.WriteHeader(400)
		default:
			w.gateway.ServeHTTP(rw, r)
		}
	})
	to := func(number string) string { return strings.Replace(hello, "15550100001", number, 1) }
	var records []any
	var want []string
	for _, c := range []struct {
		body  string
		again bool
	}{
		{hello, false}, {to("15550100402"), true}, {"no JSON", false}, {to("15550100500"), false}, {to("1"), false},
		{`{"message":` + hello + `}`, false}, {`{"id":"msg_aaaaaaaaaaaaaaaaaaaaaaaaaa"}`, false}, {to("15550100402"), true}, {to("15550100400"), false}, {hello, false},
	} {
		id := harness.Name("record")
		records = append(records, w.record(id, c.body, w.now()))
		if c.again {
			want = append(want, id)
		}
	}
	again := w.batch(records)
	slices.Sort(again)
	if slices.Sort(want); !slices.Equal(again, want) {
		t.Errorf("%v retried, want %v", again, want)
	}
	w.sent(3)
}

func TestNoMoreThanTenRecordsAreUnderWay(t *testing.T) {
	w := newWorld(t)
	w.spoil(connexease.Fault{Kind: connexease.Slow, DelayMS: 200})
	var under, most atomic.Int64
	var all sync.Once
	ten := make(chan struct{})
	w.front(func(rw http.ResponseWriter, r *http.Request) {
		n := under.Add(1)
		defer under.Add(-1)
		for seen := most.Load(); n > seen && !most.CompareAndSwap(seen, n); seen = most.Load() {
		}
		if n == 10 {
			all.Do(func() { close(ten) })
		}
		select {
		case <-ten: // however far apart they come
		case <-time.After(10 * time.Second): // fewer are under way
		}
		w.gateway.ServeHTTP(rw, r)
	})
	if again := w.sqs(slices.Repeat([]string{hello}, 25)...); again != nil {
		t.Errorf("%v retried", again)
	}
	w.sent(25)
	if most.Load() != 10 {
		t.Errorf("%d were under way, want 10", most.Load())
	}
}
