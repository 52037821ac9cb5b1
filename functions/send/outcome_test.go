package main

import (
	"cmp"
	"net/http"
	"strings"
	"testing"
	"time"

	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/local/sim/connexease"
	"connexease-functions/pkg/proof/harness"
)

const keyed = `{"idempotencyKey":"idem-1","reader":"crm","message":` + hello + `}`

func responding(status int, code string) connexease.Fault {
	f := connexease.Fault{Kind: connexease.Answer, Status: status}
	if code != "" {
		f.Body = refusedAs(code)
	}
	return f
}

func TestWhatTheGatewaySaysDecidesWhetherARecordComesAgain(t *testing.T) {
	t.Parallel()
	// What becomes of the record, what a look-up says, and what a later record of the
	// same key does.
	type end struct {
		again bool
		state string
		sends bool
	}
	accepted, rejected, released, unknown := end{false, "accepted", false}, end{false, "rejected", false}, end{true, "queued", true}, end{false, "unknown", false}
	fault := func(kind string) connexease.Fault { return connexease.Fault{Kind: kind} }
	for name, c := range map[string]struct {
		fault connexease.Fault
		want  end
		delay time.Duration // the least, without jitter; 0: a second
		left  int           // messages that left in spite of the response
	}{
		"an id":                       {connexease.Fault{Kind: connexease.ContentType}, accepted, 0, 1},
		"400":                         {responding(400, "BAD_REQUEST"), rejected, 0, 0},
		"422 without a body":          {responding(422, ""), rejected, 0, 0},
		"404 of another server":       {responding(404, ""), released, 0, 0},
		"422":                         {responding(422, "X_001"), rejected, 0, 0},
		"GW_001":                      {responding(502, "GW_001"), rejected, 0, 0},
		"401 AUTH_001":                {responding(401, "AUTH_001"), released, 0, 0},
		"401 WABA_001":                {responding(401, "WABA_001"), released, 0, 0},
		"402":                         {responding(402, "BILL_001"), released, 0, 0},
		"403":                         {responding(403, "FORBIDDEN"), released, 0, 0},
		"429":                         {connexease.Fault{Kind: connexease.RateLimit, RetryAfter: "60s"}, released, time.Minute, 0},
		"429 of an hour":              {connexease.Fault{Kind: connexease.RateLimit, RetryAfter: "3600s"}, released, time.Hour, 0},
		"429 of a week":               {connexease.Fault{Kind: connexease.RateLimit, RetryAfter: "604800"}, released, time.Hour, 0},
		"AUTH_004":                    {responding(500, "AUTH_004"), released, 0, 0},
		"AUTH_005":                    {responding(500, "AUTH_005"), released, 0, 0},
		"a refused connection":        {fault(connexease.Refuse), released, 0, 0},
		"500":                         {responding(500, ""), unknown, 0, 0},
		"503 of something before it":  {connexease.Fault{Kind: connexease.Answer, Status: 503, Body: "<html>", ContentType: "text/html"}, unknown, 0, 0},
		"302":                         {responding(302, ""), unknown, 0, 0},
		"408":                         {responding(408, ""), unknown, 0, 0},
		"200 without an id":           {connexease.Fault{Kind: connexease.Answer, Status: 200, Body: `{"isSuccess":true}`}, unknown, 0, 0},
		"reset before it was read":    {fault(connexease.ResetBefore), unknown, 0, 0},
		"reset while it was read":     {fault(connexease.ResetDuring), unknown, 0, 0},
		"reset after it was accepted": {fault(connexease.ResetAfter), unknown, 0, 1},
		"a response that breaks off":  {fault(connexease.Cut), unknown, 0, 1},
		"half a response":             {fault(connexease.InvalidJSON), unknown, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			delays := w.watchDelays()
			record := w.enqueue(keyed)
			w.spoil(c.fault)
			_, again := w.poll()
			w.spoil()
			if c.want.again != (len(again) == 1) {
				t.Errorf("%v retried", again)
			}
			least, delay := cmp.Or(c.delay, time.Second), delays.of(record)
			if c.want.again && (delay < least || delay > least+least/5+time.Second) {
				t.Errorf("it retried after %v, want %v or a fifth more", delay, least)
			}
			if !c.want.again && (delay != 0 || !w.queues.Idle("outbound")) {
				t.Errorf("it stays on the queue for %v", delay)
			}
			id := ledger.ID("sqs", "idem-1")
			if s := w.lookUp(id); s.State != c.want.state || s.Attempts != 1 {
				t.Errorf("look-up shows %+v", s)
			}
			w.sent(c.left)
			if c.want.again {
				if came, _ := w.poll(); came != nil {
					t.Error("it is visible before its time")
				}
				w.pass(delay)
				if came, again := w.poll(); len(came) != 1 || again != nil {
					t.Errorf("afterwards %d came, %v retried", len(came), again)
				}
				w.sent(c.left + 1)
			}
			if again := w.sqs(keyed); again != nil {
				t.Errorf("%v retried", again)
			}
			n := c.left
			if c.want.sends {
				n++
			}
			w.sent(n)
		})
	}
}

func TestAnotherKeyIsTriedInTheSameAttempt(t *testing.T) {
	w := newWorld(t)
	w.sqs(hello)
	harness.Backends.Secrets.Put(w.env["GATEWAY_KEY_SECRET_ID"], "gateway-key-2")
	if again := w.sqs(keyed); again != nil {
		t.Errorf("%v retried", again)
	}
	w.sent(2)
	if s := w.lookUp(ledger.ID("sqs", "idem-1")); s.State != "accepted" || s.Attempts != 1 {
		t.Errorf("look-up shows %+v", s)
	}
}

func TestResendTriesAnUnknownOutcomeThreeTimes(t *testing.T) {
	const resend = `{"idempotencyKey":"idem-1","reader":"crm","onUnknown":"resend","message":` + hello + `}`
	for name, c := range map[string]struct {
		faults   []connexease.Fault
		state    string
		attempts int
		left     int
	}{
		"always unknown": {[]connexease.Fault{{Kind: connexease.ResetAfter}}, "unknown", 3, 3},
		"then accepted":  {[]connexease.Fault{{Kind: connexease.Answer, Status: 500, Times: 2}}, "accepted", 3, 1},
		"then rejected":  {[]connexease.Fault{{Kind: connexease.ResetAfter, Times: 1}, responding(400, "X_001")}, "unknown", 2, 1},
		"then not sent":  {[]connexease.Fault{{Kind: connexease.Answer, Status: 500, Times: 1}, {Kind: connexease.Answer, Status: 402, Times: 5}}, "accepted", 7, 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			delays := w.watchDelays()
			record := w.enqueue(resend)
			w.spoil(c.faults...)
			for visits := 0; !w.queues.Idle("outbound"); visits++ {
				if visits > 10 {
					t.Fatal("it comes for ever")
				}
				if came, again := w.poll(); len(came) != 1 || len(again) == 1 && delays.of(record) < time.Second {
					t.Fatalf("%d came, %v retried after %v", len(came), again, delays.of(record))
				}
				w.pass(delays.of(record))
			}
			w.sent(c.left)
			if s := w.lookUp(ledger.ID("sqs", "idem-1")); s.State != c.state || s.Attempts != c.attempts {
				t.Errorf("look-up shows %+v", s)
			}
			if c.state == "unknown" && !w.counted("RecordsHeld", 0) && c.attempts == 3 {
				t.Error("the log does not count that it is held")
			}
		})
	}
}

func TestAResendEndsWithItsValidity(t *testing.T) {
	w := newWorld(t)
	w.enqueue(`{"reader":"crm","onUnknown":"resend","validFor":10,"message":` + hello + `}`)
	w.spoil(connexease.Fault{Kind: connexease.ResetAfter})
	if _, again := w.poll(); len(again) != 1 {
		t.Fatalf("%v retried", again)
	}
	w.spoil()
	w.pass(time.Minute)
	if came, again := w.poll(); len(came) != 1 || again != nil {
		t.Errorf("%d came, %v retried", len(came), again)
	}
	w.sent(1)
}

func TestWithoutAnAPIKeyRecordsWaitUnclaimed(t *testing.T) {
	w := newWorld(t)
	delays := w.watchDelays()
	w.start() // nothing is cached
	harness.Backends.Secrets.Delete(w.env["GATEWAY_KEY_SECRET_ID"])
	record := w.enqueue(keyed)
	a := w.post(hello, "prefer", "respond-async")
	responds(t, "queueing", a, 202, "")
	if came, again := w.poll(); len(came) != 2 || len(again) != 2 {
		t.Errorf("%d came, %v retried", len(came), again)
	}
	if d := delays.of(record); d < time.Second || d > 5*time.Second {
		t.Errorf("it retried after %v", d)
	}
	if !w.counted("SecretUnavailable", 0) {
		t.Error("the log does not count it")
	}
	for id, row := range harness.Items(t, w.table) {
		if row.Text("v") != "0" {
			t.Errorf("%s is claimed: %v", id, row)
		}
	}
	harness.Backends.Secrets.Put(w.env["GATEWAY_KEY_SECRET_ID"], gatewayKey)
	w.start()
	w.pass(6 * time.Second)
	if came, again := w.poll(); len(came) != 2 || again != nil {
		t.Errorf("afterwards %d came, %v retried", len(came), again)
	}
	w.sent(2)
}

func TestWithTooLittleTimeLeftRecordsWaitUnclaimed(t *testing.T) {
	w := newWorld(t)
	delays := w.watchDelays()
	record := w.enqueue(keyed)
	responds(t, "queueing", w.post(hello, "prefer", "respond-async"), 202, "")
	w.lambda = 10 * time.Second
	if came, again := w.poll(); len(came) != 2 || len(again) != 2 {
		t.Errorf("%d came, %v retried", len(came), again)
	}
	if d := delays.of(record); d < time.Second || d > 5*time.Second {
		t.Errorf("it retried after %v", d)
	}
	if !w.counted("TooLate", 0) {
		t.Error("the log does not count it")
	}
	for id, row := range harness.Items(t, w.table) {
		if row.Text("v") != "0" {
			t.Errorf("%s is claimed: %v", id, row)
		}
	}
	w.sent(0)
	w.lambda = 28 * time.Second
	w.pass(6 * time.Second)
	if came, again := w.poll(); len(came) != 2 || again != nil {
		t.Errorf("afterwards %d came, %v retried", len(came), again)
	}
	w.sent(2)
}

func TestARecordThatIsUnderWayElsewhereComesAgainWhenItsLeaseHasEnded(t *testing.T) {
	w := newWorld(t)
	delays := w.watchDelays()
	w.database.Set(loseOutcomes)
	w.spoil(connexease.Fault{Kind: connexease.ResetAfter})
	w.lambda = 25 * time.Second
	w.sqs(keyed) // leaves an attempt that nobody settled
	w.database.Set(nil)
	w.spoil()
	record := w.enqueue(keyed)
	if _, again := w.poll(); len(again) != 1 {
		t.Fatalf("%v retried", again)
	}
	if d := delays.of(record); d < 30*time.Second || d > 45*time.Second {
		t.Errorf("it retried after %v, want what is left of 25 s and 15 s", d)
	}
	w.pass(delays.of(record))
	if came, again := w.poll(); len(came) != 1 || again != nil {
		t.Errorf("afterwards %d came, %v retried", len(came), again)
	}
	w.sent(1)
	if s := w.lookUp(ledger.ID("sqs", "idem-1")); s.State != "unknown" || s.Reason != "process_ended" {
		t.Errorf("look-up shows %+v", s)
	}
}

// loseOutcomes refuses the writes of outcomes, at once and for good.
func loseOutcomes(rw http.ResponseWriter, action string, body []byte) bool {
	if action != "UpdateItem" || !strings.Contains(string(body), ":outcome") {
		return false
	}
	harness.Refuse(rw, 400, "AccessDeniedException")
	return true
}
