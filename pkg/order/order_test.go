package order_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"connexease-functions/pkg/api"
	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/order"
	"connexease-functions/pkg/queue"
)

const hello = `{"messaging_product":"whatsapp","to":"15550100001","type":"text","text":{"body":"Hello"}}`

// request is an HTTP API event of a message.
func request(t testing.TB, body string, query, headers map[string]string) api.Request {
	t.Helper()
	event, err := json.Marshal(map[string]any{
		"version": "2.0", "routeKey": "POST /v1/wa/message", "body": body, "queryStringParameters": query, "headers": headers,
		"requestContext": map[string]any{"http": map[string]string{"method": "POST"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	r, err := api.ReadRequest(event)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// choices are what a caller asked for, apart from the message.
func choices(o order.Order) map[string]any {
	return map[string]any{
		"scope": o.Scope, "key": o.Key, "client": o.Client, "fake": o.IsFake, "mmlite": o.MMLite,
		"async": o.Async, "unknown": string(o.OnUnknown), "valid": o.ValidFor, "at": o.SendAt, "after": o.After,
	}
}

// The same wishes are the same order, by whichever way they arrive.
func TestEachSourceReadsTheSameWishes(t *testing.T) {
	http, refused := order.FromHTTP(request(t, hello, map[string]string{"is_fake": "true", "mmlite": "TRUE"}, map[string]string{
		"idempotency-key": "k", "on-unknown": "Resend", "valid-for": "120", "send-at": "2026-12-24T09:00:00.001+01:00", "prefer": "wait=5, respond-async; x=1",
	}), "crm")
	if refused != nil {
		t.Fatal(refused.Body)
	}
	const envelope = `{"message":` + hello + `,"idempotencyKey":"k","onUnknown":"resend","validFor":120,"sendAt":"2026-12-24T08:00:01Z","reader":"crm","isFake":true,"mmlite":true}`
	direct, refused := order.FromEnvelope([]byte(envelope))
	if refused != nil {
		t.Fatal(refused.Body)
	}
	record, id, refused := order.FromRecord(&queue.Record{ID: "r", Body: envelope})
	if refused != nil || id != "" {
		t.Fatal(refused, id)
	}
	event, _, refused := order.FromRecord(&queue.Record{ID: "r", Body: `{"detail-type":"x","source":"shop","id":"e","detail":` + envelope + `}`})
	if refused != nil {
		t.Fatal(refused.Body)
	}
	for scope, o := range map[string]order.Order{"http/crm": http, order.ScopeDirect: direct, order.ScopeSQS: record, "event/shop": event} {
		want := map[string]any{
			"scope": scope, "key": "k", "client": "crm", "fake": true, "mmlite": true,
			"async": scope == "http/crm", "unknown": string(ledger.Resend), "valid": 2 * time.Minute,
			"at": time.Date(2026, 12, 24, 8, 0, 1, 0, time.UTC), "after": "",
		}
		if got := choices(o); !reflect.DeepEqual(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
		if string(o.Body) != hello || o.About().Contact != "15550100001" || o.About().Type != "text" {
			t.Errorf("%s: %s, %+v", scope, o.Body, o.About())
		}
	}
}

func TestARecordsKeyIsItsOwnThenItsEventsThenItsSQSMessagesID(t *testing.T) {
	const id = "msg_aaaaaaaaaaaaaaaaaaaaaaaaaa"
	for body, want := range map[string][3]string{
		hello:                       {"sqs", "r", ""},
		`{"message":` + hello + `}`: {"sqs", "r", ""},
		`{"message":` + hello + `,"idempotencyKey":"k"}`:                           {"sqs", "k", ""},
		`{"detail-type":"x","source":"shop","id":"e","detail":` + hello + `}`:      {"event/shop", "e", ""},
		`{"detail-type":"x","source":"shop","id":"no key","detail":` + hello + `}`: {"sqs", "r", ""},
		`{"id":"` + id + `"}`: {"sqs", "r", id},
	} {
		o, named, refused := order.FromRecord(&queue.Record{ID: "r", Body: body})
		if got := [3]string{o.Scope, o.Key, named}; refused != nil || got != want {
			t.Errorf("%s: %v %v, want %v", body, got, refused, want)
		}
	}
}

// What is refused says where, and what would be right.
func TestEveryFaultIsInOneResponse(t *testing.T) {
	_, refused := order.FromHTTP(request(t, `{"messaging_product":"whatsapp","to":"1","type":"text","text":{"body":"a"},"idempotency_key":"k"}`,
		map[string]string{"isFake": "true"}, map[string]string{"valid-for": "0", "on-unknown": "drop", "IdempotencyKey": "k"}), "crm")
	if refused == nil || refused.Status != 400 || refused.Code != string(api.BrokenLimits) {
		t.Fatalf("%+v", refused)
	}
	for _, where := range []string{`"to":`, `"idempotency_key":`, `"isFake":`, `"Valid-For":`, `"On-Unknown":`, `"IdempotencyKey":`} {
		if !strings.Contains(refused.Body, where) {
			t.Errorf("%s does not say %s", refused.Body, where)
		}
	}
}

func TestADirectInvocationNeedsAKeyUnlessItIsAReceipt(t *testing.T) {
	if _, refused := order.FromEnvelope([]byte(`{"message":` + hello + `}`)); refused == nil || refused.Code != string(api.MalformedKey) {
		t.Errorf("%+v", refused)
	}
	o, refused := order.FromEnvelope([]byte(`{"message":{"messaging_product":"whatsapp","status":"read","message_id":"wamid.1"}}`))
	if refused != nil || !o.Summary.Receipt {
		t.Errorf("%+v", refused)
	}
}

func TestARefusedRecordStandsUnderItsOwnID(t *testing.T) {
	for _, body := range []string{`{"message":{},"idempotencyKey":"k"}`, "not JSON", ""} {
		r := &queue.Record{ID: "r", Body: body}
		o, _, refused := order.FromRecord(r)
		stands := o.Refused(r)
		if refused == nil || stands.Scope != order.ScopeSQS || stands.Key != "r" || body != "" && len(stands.Body) == 0 {
			t.Errorf("%q: %+v, %v", body, stands, refused)
		}
	}
}

func FuzzFromRecord(f *testing.F) {
	for _, seed := range []string{hello, `{"message":` + hello + `,"contact":"+1 555 010-0001"}`, `{"id":"msg_"}`, `{"detail-type":1,"source":2,"detail":{}}`, `{"message":null,"group":"G","message":{}}`, "\xff", `{"message":{ }, "contact":"US.1"}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		r := &queue.Record{ID: "r", Body: body}
		o, id, refused := order.FromRecord(r)
		switch {
		case id != "" && (refused != nil || !ledger.ValidID(id)):
			t.Errorf("id %q, refused %v", id, refused)
		case id == "" && refused == nil && (!json.Valid(o.Body) || o.Key == "" || o.Scope == ""):
			t.Errorf("order %+v", o)
		case refused != nil && (refused.Failure != api.InvalidMessage || refused.Status < 400):
			t.Errorf("refused as %+v", refused)
		}
	})
}
