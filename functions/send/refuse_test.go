package main

import (
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/proof/harness"
	"connexease-functions/pkg/table"
)

func TestARecordThatCanNeverBeSentIsAcknowledgedAndRecorded(t *testing.T) {
	t.Parallel()
	message := func(change ...string) string { return strings.NewReplacer(change...).Replace(hello) }
	envelope := func(members string) string { return `{"reader":"crm","message":` + hello + `,` + members + `}` }
	large := message("Hello", strings.Repeat("é", table.MaxSend/2+1))
	for name, c := range map[string]struct {
		body   string
		code   string
		params []string
		unread bool // nobody is named who may look it up
	}{
		"not JSON":                   {`{"message"`, "REQ_001", nil, true},
		"no object":                  {`["Hello"]`, "REQ_001", nil, true},
		"no object in it":            {`{"reader":"crm","message":"Hello"}`, "REQ_001", nil, false},
		"no message in it":           {`{"reader":"crm","message":null}`, "REQ_001", nil, false},
		"two objects":                {hello + hello, "REQ_001", nil, true},
		"a broken limit":             {`{"reader":"crm","message":` + message("+15550100001", "1") + `}`, "MSG_001", []string{"to"}, false},
		"several broken limits":      {`{"reader":"crm","validFor":0,"message":` + message("+15550100001", "", "Hello", "") + `}`, "MSG_001", []string{"to", "text.body", "validFor"}, false},
		"a bare broken limit":        {message("+15550100001", "1"), "MSG_001", nil, true},
		"too large":                  {`{"reader":"crm","message":` + large + `}`, "REQ_002", nil, false},
		"too large and bare":         {large, "REQ_002", nil, true},
		"a misspelt member":          {envelope(`"idempotencykey":"idem-1"`), "MSG_001", []string{"idempotencykey"}, false},
		"a key with a space":         {envelope(`"idempotencyKey":"idem 1"`), "IDEM_003", []string{"idempotencyKey"}, false},
		"an empty key":               {envelope(`"idempotencyKey":""`), "IDEM_003", []string{"idempotencyKey"}, false},
		"a key that is not a string": {envelope(`"idempotencyKey":1`), "IDEM_003", []string{"idempotencyKey"}, false},
		"a bad key and more":         {envelope(`"idempotencyKey":"","validFor":0`), "MSG_001", []string{"idempotencyKey", "validFor"}, false},
		"no validity":                {envelope(`"validFor":0`), "MSG_001", []string{"validFor"}, false},
		"too long a validity":        {envelope(`"validFor":1036801`), "MSG_001", []string{"validFor"}, false},
		"a validity in words":        {envelope(`"validFor":"60"`), "MSG_001", []string{"validFor"}, false},
		"a choice that is none":      {envelope(`"onUnknown":"drop"`), "MSG_001", []string{"onUnknown"}, false},
		"a choice of no type":        {envelope(`"onUnknown":true`), "MSG_001", []string{"onUnknown"}, false},
		"a reader that is none":      {`{"reader":"a client","message":` + hello + `}`, "MSG_001", nil, true},
		"a switch in words":          {envelope(`"isFake":"true"`), "MSG_001", []string{"isFake"}, false},
		"an id that is none":         {`{"id":"msg_1"}`, "MSG_001", nil, true},
		"an id and more":             {`{"id":"msg_aaaaaaaaaaaaaaaaaaaaaaaaaa","reader":"crm"}`, "MSG_001", nil, true},
		"our own opaque data":        {`{"reader":"crm","message":` + message(`"to"`, `"biz_opaque_callback_data":"msg_aaaaaaaaaaaaaaaaaaaaaaaaaa.aaaaaaaaaaaaaaaa","to"`) + `}`, "MSG_001", []string{"biz_opaque_callback_data"}, false},
		"an event of a text":         {eventOf("e-1", "shop.orders", `"Hello"`), "REQ_001", nil, true},
		"a scheduled event":          {eventOf("e-1", "aws.events", `{}`), "MSG_001", nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			record := harness.Name("record")
			deliver := func() {
				t.Helper()
				if again := w.batch([]any{w.record(record, c.body, w.now())}); again != nil {
					t.Errorf("%v retried", again)
				}
			}
			deliver()
			if !w.counted("RecordsRefused", 0) || !strings.Contains(w.logs.String(), `"code":"`+c.code+`"`) {
				t.Error("the log does not count it")
			}
			rows := harness.Items(t, w.table)
			row := rows[ledger.ID("sqs", record)+" send"]
			if len(rows) != 1 || row == nil || row.Text("payload") == "" || row["timeline_sk"] != nil {
				t.Errorf("recorded as %v", rows)
			}
			a := w.lookUpRecord(record, clientKey)
			if c.unread {
				responds(t, "look-up", a, 404, "REQ_003")
			} else {
				var r struct{ Data seen }
				if err := json.Unmarshal([]byte(a.Body), &r); err != nil || a.Status != 200 || r.Data.State != "rejected" || r.Data.Reason != c.code || r.Data.Answer == nil {
					t.Fatalf("look-up shows %d %s", a.Status, a.Body)
				}
				refused := harness.Answer{Status: r.Data.Answer.HTTP, Body: string(r.Data.Answer.Body)}
				responds(t, "answer", refused, map[string]int{"REQ_001": 400, "REQ_002": 413, "MSG_001": 400, "IDEM_003": 400}[c.code], c.code)
				if c.params != nil {
					of := params(t, refused)
					if len(of) != len(c.params) {
						t.Errorf("faults are %v, want %v", of, c.params)
					}
					for _, path := range c.params {
						if of[path] == nil {
							t.Errorf("faults are %v, want %s", of, path)
						}
					}
				}
			}
			w.pass(time.Hour)
			deliver()
			if after := harness.Items(t, w.table); !reflect.DeepEqual(after, rows) {
				t.Errorf("after a redelivery the table has %v, before %v", after, rows)
			}
			w.sent(0)
		})
	}
}

func TestARefusedRecordDoesNotSpendItsKey(t *testing.T) {
	for name, bad := range map[string]string{
		"a broken limit":  `{"idempotencyKey":"idem-1","message":{"messaging_product":"whatsapp","to":"1","type":"text","text":{"body":"Hello"}}}`,
		"a bad member":    `{"idempotencyKey":"idem-1","validFor":0,"message":` + hello + `}`,
		"a broken detail": eventOf("idem-1", "shop.orders", `{"validFor":0,"message":`+hello+`}`),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			right, scope := `{"idempotencyKey":"idem-1","reader":"crm","message":`+hello+`}`, "sqs"
			if strings.Contains(bad, "detail") {
				right, scope = eventOf("idem-1", "shop.orders", `{"reader":"crm","message":`+hello+`}`), "event/shop.orders"
			}
			if again := w.sqs(bad, right); again != nil {
				t.Errorf("%v retried", again)
			}
			w.sent(1)
			if s := w.lookUp(ledger.ID(scope, "idem-1")); s.State != "accepted" {
				t.Errorf("look-up shows %+v", s)
			}
		})
	}
}

func TestARecordWhoseKeyBelongsToAnotherBodyIsRecordedUnderItsOwnID(t *testing.T) {
	w := newWorld(t)
	envelope := func(text string) string {
		return `{"idempotencyKey":"idem-1","reader":"crm","message":` + strings.Replace(hello, "Hello", text, 1) + `}`
	}
	w.sqs(envelope("Hello"))
	before := w.row(ledger.ID("sqs", "idem-1"))
	record := harness.Name("record")
	for range 2 {
		since := len(w.logs.String())
		if again := w.batch([]any{w.record(record, envelope("Hello again"), w.now())}); again != nil {
			t.Errorf("%v retried", again)
		}
		if !w.counted("RecordsRefused", since) {
			t.Error("the log does not count it")
		}
	}
	w.sent(1)
	if after := w.row(ledger.ID("sqs", "idem-1")); !reflect.DeepEqual(before, after) {
		t.Errorf("the key's row has changed to %v", after)
	}
	if s := w.lookUp(ledger.ID("sqs", record)); s.State != "rejected" || s.Reason != "IDEM_002" || s.Answer.HTTP != 422 {
		t.Errorf("look-up shows %+v", s)
	}
}

func TestABadRecordComesAgainUntilItIsRecorded(t *testing.T) {
	for name, bad := range map[string]string{
		"a broken limit": `{"reader":"crm","message":{"messaging_product":"whatsapp","to":"1"}}`,
		"a reused key":   `{"reader":"crm","idempotencyKey":"idem-1","message":` + hello + `}`,
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.sqs(`{"idempotencyKey":"idem-1","message":` + strings.Replace(hello, "Hello", "Hello again", 1) + `}`)
			delays := w.watchDelays()
			record := harness.Name("record")
			own := ledger.ID("sqs", record)
			w.database.Set(func(rw http.ResponseWriter, action string, body []byte) bool {
				if action == "PutItem" && strings.Contains(string(body), own) {
					harness.Refuse(rw, 400, "AccessDeniedException")
					return true
				}
				return false
			})
			if again := w.batch([]any{w.record(record, bad, w.now())}); len(again) != 1 || again[0] != record {
				t.Errorf("%v retried", again)
			}
			if d := delays.of(record); d < time.Second || d > 5*time.Second {
				t.Errorf("it retried after %v", d)
			}
			w.database.Set(nil)
			if again := w.batch([]any{w.record(record, bad, w.now())}); again != nil {
				t.Errorf("%v retried", again)
			}
			if s := w.lookUp(own); s.State != "rejected" {
				t.Errorf("look-up shows %+v", s)
			}
			w.sent(1)
		})
	}
}
