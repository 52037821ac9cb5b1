package main

import (
	"reflect"
	"strconv"
	"testing"
	"time"

	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/local/sim/connexease"
	"connexease-functions/pkg/proof/harness"
)

func TestARecordAfterItsValidityIsRecordedAsExpiredAndNotSent(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		members string
		age     time.Duration
		expired bool
	}{
		"within an hour":    {`"validFor":3600,`, time.Hour - time.Minute, false},
		"after an hour":     {`"validFor":3600,`, time.Hour + 2*time.Minute, true},
		"within a day":      {``, 24*time.Hour - time.Minute, false},
		"after a day":       {``, 24*time.Hour + 2*time.Minute, true},
		"within 12 days":    {`"validFor":1036800,`, 12*24*time.Hour - time.Minute, false},
		"after 12 days":     {`"validFor":1036800,`, 12*24*time.Hour + 2*time.Minute, true},
		"at the very end":   {`"validFor":60,`, time.Minute, true}, // readers call it so a minute later
		"with resend":       {`"onUnknown":"resend","validFor":60,`, 3 * time.Minute, true},
		"without a time":    {`"validFor":1,`, 0, false},
		"of a clock ahead":  {`"validFor":60,`, -time.Minute, false},
		"of years ago":      {``, 3 * 365 * 24 * time.Hour, true},
		"of a key, expired": {`"idempotencyKey":"idem-1","validFor":60,`, time.Hour, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			r := w.record(harness.Name("record"), `{`+c.members+`"reader":"crm","message":`+hello+`}`, w.now().Add(-c.age))
			if c.age == 0 {
				delete(r, "attributes")
			}
			for range 2 {
				since := len(w.logs.String())
				if again := w.batch([]any{r}); again != nil {
					t.Errorf("%v retried", again)
				}
				if c.expired && !w.counted("RecordsExpired", since) {
					t.Error("the log does not count it")
				}
			}
			if !c.expired {
				w.sent(1)
				return
			}
			w.sent(0)
			rows := harness.Items(t, w.table)
			if len(rows) != 1 {
				t.Fatalf("the table has %v", rows)
			}
			for _, row := range rows {
				w.pass(2 * time.Minute)
				if s := w.lookUp(row.Text("message_id")); s.State != "expired" || s.Attempts != 0 {
					t.Errorf("look-up shows %+v", s)
				}
			}
		})
	}
}

func TestAnExpiredRecordNeedsNoAPIKey(t *testing.T) {
	w := newWorld(t)
	harness.Backends.Secrets.Delete(w.env["GATEWAY_KEY_SECRET_ID"])
	record := harness.Name("record")
	if again := w.batch([]any{w.record(record, `{"reader":"crm","validFor":60,"message":`+hello+`}`, w.now().Add(-time.Hour))}); again != nil {
		t.Errorf("%v retried", again)
	}
	if s := w.lookUp(ledger.ID("sqs", record)); s.State != "expired" {
		t.Errorf("look-up shows %+v", s)
	}
}

func TestAnIDAfterItsValidityIsAcknowledged(t *testing.T) {
	for _, late := range []time.Duration{time.Second, time.Hour} {
		t.Run(late.String(), func(t *testing.T) {
			w := newWorld(t)
			a := w.post(hello, "prefer", "respond-async", "valid-for", "60")
			responds(t, "queueing", a, 202, "")
			w.pass(time.Minute + late)
			rows := harness.Items(t, w.table)
			if came, again := w.poll(); len(came) != 1 || again != nil {
				t.Errorf("%d came, %v retried", len(came), again)
			}
			if !w.counted("RecordsExpired", 0) || !reflect.DeepEqual(rows, harness.Items(t, w.table)) {
				t.Error("it was not counted, or its row has changed")
			}
			w.sent(0)
			w.pass(time.Minute)
			if s := w.lookUp(a.Headers["message-id"]); s.State != "expired" {
				t.Errorf("look-up shows %+v", s)
			}
		})
	}
}

func TestAnIDThatWasNeverQueuedIsAcknowledgedAndCounted(t *testing.T) {
	for name, c := range map[string]struct {
		faults  connexease.Faults
		state   string
		counted bool
	}{
		"no row":      {nil, "", true},
		"not sent":    {connexease.Faults{{Kind: connexease.Answer, Status: 402}}, "not_sent", true},
		"an accepted": {connexease.Faults{}, "accepted", false},
		"a rejected":  {connexease.Faults{{Kind: connexease.Answer, Status: 400}}, "rejected", true},
		"an unknown":  {connexease.Faults{{Kind: connexease.Answer, Status: 500}}, "unknown", true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			id := "msg_aaaaaaaaaaaaaaaaaaaaaaaaaa"
			if c.faults != nil {
				w.spoil(c.faults...)
				id = w.post(hello, "idempotency-key", "idem-1").Headers["message-id"]
				w.spoil()
			}
			sent, rows, since := w.posted(), harness.Items(t, w.table), len(w.logs.String())
			w.enqueue(`{"id":` + strconv.Quote(id) + `}`)
			if came, again := w.poll(); len(came) != 1 || again != nil {
				t.Errorf("%d came, %v retried", len(came), again)
			}
			if w.counted("RecordsWithoutRow", since) != c.counted {
				t.Errorf("the log says %s", w.logs.String()[since:])
			}
			if w.posted() != sent || !reflect.DeepEqual(rows, harness.Items(t, w.table)) || !w.queues.Idle("outbound") {
				t.Error("it was sent, its row has changed, or it is on the queue still")
			}
			if c.state != "" {
				if s := w.lookUp(id); s.State != c.state {
					t.Errorf("look-up shows %+v", s)
				}
			}
		})
	}
}
