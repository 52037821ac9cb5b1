package main

import (
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"connexease-functions/pkg/local/sim/connexease"
	"connexease-functions/pkg/proof/harness"
)

// drop ends a connection without a response.
func drop(w http.ResponseWriter) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		_ = conn.Close()
	}
}

// deny refuses an action for good, so that nothing is repeated.
func deny(action string) harness.Fault {
	return func(w http.ResponseWriter, called string, _ []byte) bool {
		if called == action {
			harness.Refuse(w, 400, "AccessDeniedException")
		}
		return called == action
	}
}

// loseResponses lets calls land and loses their responses, the first so many of an action.
func loseResponses(action string, times int64) harness.Fault {
	var left atomic.Int64
	left.Store(times)
	return func(w http.ResponseWriter, called string, body []byte) bool {
		if called != action || left.Add(-1) < 0 {
			return false
		}
		harness.Forward(harness.Backends.DynamoDBURL, action, body)
		drop(w)
		return true
	}
}

// hurry leaves one of the four seconds that a claim may last.
func (w *world) hurry() { w.handler.now = func() time.Time { return time.Now().Add(-3 * time.Second) } }

func TestAMessageThatTheTableCanNeverHoldIsRefusedAndDoesNotLoop(t *testing.T) {
	w := newWorld(t)
	w.database.Set(func(r http.ResponseWriter, action string, body []byte) bool {
		unfit := action == "PutItem" && !strings.Contains(string(body), "MSG_001")
		if unfit {
			harness.Refuse(r, 400, "ValidationException")
		}
		return unfit
	})
	responds(t, "HTTP", w.post(hello, "idempotency-key", "idem-unfit"), 400, "MSG_001")
	responds(t, "queued", w.post(hello, "idempotency-key", "idem-unfit", "prefer", "respond-async"), 400, "MSG_001")
	if again := w.sqs(hello); again != nil || w.posted() != 0 {
		t.Errorf("%v retried, posted %d", again, w.posted())
	}
	if rows := harness.Items(t, w.table); len(rows) != 1 {
		t.Errorf("the table has %v", rows)
	}
}

func TestWithoutTheTableNothingIsSent(t *testing.T) {
	t.Parallel()
	for name, refuse := range map[string]func(http.ResponseWriter){
		"throttled": func(w http.ResponseWriter) { harness.Refuse(w, 400, "ProvisionedThroughputExceededException") },
		"broken":    func(w http.ResponseWriter) { harness.Refuse(w, 500, "InternalServerError") },
		"reset":     drop,
		"forbidden": func(w http.ResponseWriter) { harness.Refuse(w, 400, "AccessDeniedException") },
		"no table":  func(w http.ResponseWriter) { harness.Refuse(w, 400, "ResourceNotFoundException") },
	} {
		w := newWorld(t)
		w.hurry()
		w.database.Set(func(r http.ResponseWriter, action string, _ []byte) bool {
			if action == "PutItem" {
				refuse(r)
			}
			return action == "PutItem"
		})
		a := w.post(hello, "idempotency-key", "idem-away")
		responds(t, name, a, 503, "SVC_002")
		if a.Headers["retry-after"] == "" || !strings.Contains(a.Body, "Nothing was sent") || !strings.Contains(w.logs.String(), `"TableUnavailable":1`) {
			t.Errorf("%s: returned %+v", name, a)
		}
		responds(t, name+", queued", w.post(hello, "idempotency-key", "idem-away", "prefer", "respond-async"), 503, "SVC_002")
		if w.posted() != 0 || !w.queues.Idle("outbound") {
			t.Errorf("%s: posted %d, queue %+v", name, w.posted(), w.queues.Depth("outbound"))
		}
		w.database.Set(nil)
		w.handler.now = w.now
		responds(t, name+", over", w.post(hello, "idempotency-key", "idem-away"), 200, "")
		if w.posted() != 1 {
			t.Errorf("%s: posted %d", name, w.posted())
		}
	}
}

func TestAShortOutageOfTheTableIsNotNoticed(t *testing.T) {
	w := newWorld(t)
	calls := map[string]int{}
	w.database.Set(func(r http.ResponseWriter, action string, _ []byte) bool {
		if calls[action]++; calls[action] > 2 {
			return false
		}
		harness.Refuse(r, 400, "ThrottlingException")
		return true
	})
	a := w.post(hello)
	responds(t, "throttled twice", a, 200, "")
	if w.posted() != 1 || calls["PutItem"] != 3 || calls["UpdateItem"] != 3 {
		t.Errorf("posted %d, calls %v", w.posted(), calls)
	}
}

func TestWritesWhoseAnswersAreLostCountOnce(t *testing.T) {
	for _, action := range []string{"PutItem", "UpdateItem"} {
		w := newWorld(t)
		w.database.Set(loseResponses(action, 1))
		a := w.post(hello, "idempotency-key", "idem-lost-answer")
		responds(t, action, a, 200, "")
		w.database.Set(nil)
		again := w.post(hello, "idempotency-key", "idem-lost-answer")
		if again.Body != a.Body || again.Headers["idempotent-replayed"] != "true" || w.posted() != 1 {
			t.Errorf("%s: repeat returned %+v, posted %d", action, again, w.posted())
		}
		if s := w.lookUp(a.Headers["message-id"]); s.State != "accepted" || s.Attempts != 1 {
			t.Errorf("%s: look-up shows %+v", action, s)
		}
		if strings.Contains(w.logs.String(), `"OutcomeLost"`) || strings.Contains(w.logs.String(), `"RowGone"`) {
			t.Errorf("%s: logged %s", action, w.logs.String())
		}
	}
}

func TestAClaimThatLandedUnseenIsTakenBack(t *testing.T) {
	w := newWorld(t)
	w.hurry()
	w.database.Set(loseResponses("PutItem", 1000))
	a := w.post(hello, "idempotency-key", "idem-void")
	responds(t, "unseen", a, 503, "SVC_002")
	w.database.Set(nil)
	w.handler.now = w.now
	if s := w.lookUp(a.Headers["message-id"]); s.State != "not_sent" || s.Attempts != 1 || w.posted() != 0 {
		t.Errorf("look-up shows %+v, posted %d", s, w.posted())
	}
	responds(t, "repeat", w.post(hello, "idempotency-key", "idem-void"), 200, "")
	if w.posted() != 1 {
		t.Errorf("posted %d", w.posted())
	}
}

func TestALostRefusalIsToldAsItWasWrittenByTheRepeat(t *testing.T) {
	w := newWorld(t)
	w.spoil(connexease.Fault{Kind: connexease.Answer, Status: 400, Body: refusedAs("BAD_REQUEST")})
	w.database.Set(loseResponses("UpdateItem", 2))
	a := w.post(hello, "idempotency-key", "idem-refusal")
	responds(t, "first", a, 400, "BAD_REQUEST")
	w.database.Set(nil)
	w.spoil()
	if again := w.post(hello, "idempotency-key", "idem-refusal"); again.Body != a.Body || w.posted() != 0 {
		t.Errorf("repeat returned %+v, posted %d", again, w.posted())
	}
}

func TestAnOutcomeThatCannotBeWrittenIsToldAndThenHeld(t *testing.T) {
	w := newWorld(t)
	w.database.Set(deny("UpdateItem"))
	a := w.post(hello, "idempotency-key", "idem-outcome")
	responds(t, "the caller", a, 200, "")
	if !strings.Contains(a.Body, w.gateway.Messages()[0].Wamid) || !strings.Contains(w.logs.String(), `"OutcomeLost":1`) || !strings.Contains(w.logs.String(), `"level":"ERROR"`) {
		t.Errorf("returned %+v, logged %s", a, w.logs.String())
	}
	w.database.Set(nil)
	id := a.Headers["message-id"]
	for _, choice := range []string{"hold", "resend"} {
		busy := w.post(hello, "idempotency-key", "idem-outcome", "on-unknown", choice)
		responds(t, "within the lease, "+choice, busy, 409, "IDEM_001")
		// The function has 28 s, the lease 15 s more.
		if wait, _ := strconv.Atoi(busy.Headers["retry-after"]); wait < 35 || wait > 43 {
			t.Errorf("Retry-After is %q", busy.Headers["retry-after"])
		}
	}
	w.pass(44 * time.Second)
	responds(t, "after the lease", w.post(hello, "idempotency-key", "idem-outcome"), 504, "SEND_001")
	if s := w.lookUp(id); s.State != "unknown" || s.Reason != "process_ended" {
		t.Errorf("look-up shows %+v", s)
	}
	wamid := w.gateway.Messages()[0].Wamid
	w.callback(status{status: "sent", wamid: wamid, opaque: w.opaque(), at: 1767225600})
	if s := w.lookUp(id); s.State != "accepted" || s.Wamid != wamid {
		t.Errorf("look-up shows %+v", s)
	}
	if again := w.post(hello, "idempotency-key", "idem-outcome", "on-unknown", "resend"); again.Status != 200 || !strings.Contains(again.Body, wamid) || w.posted() != 1 {
		t.Errorf("repeat returned %+v, posted %d", again, w.posted())
	}
}

func TestAProcessThatEndedIsResentOnlyWhereThatIsWanted(t *testing.T) {
	w := newWorld(t)
	w.database.Set(deny("UpdateItem"))
	w.post(hello, "idempotency-key", "idem-ended")
	w.database.Set(nil)
	w.pass(44 * time.Second)
	responds(t, "hold", w.post(hello, "idempotency-key", "idem-ended"), 504, "SEND_001")
	responds(t, "resend", w.post(hello, "idempotency-key", "idem-ended", "on-unknown", "resend"), 200, "")
	if w.posted() != 2 {
		t.Errorf("posted %d", w.posted())
	}
}

func TestARowThatIsGoneIsCounted(t *testing.T) {
	w := newWorld(t)
	w.database.Set(func(r http.ResponseWriter, action string, _ []byte) bool {
		if action == "UpdateItem" { // as DynamoDB says it of an item that is not there
			harness.Refuse(r, 400, "ConditionalCheckFailedException")
		}
		return action == "UpdateItem"
	})
	responds(t, "the caller", w.post(hello), 200, "")
	if !strings.Contains(w.logs.String(), `"RowGone":1`) {
		t.Errorf("logged %s", w.logs.String())
	}
}

func TestWithTooLittleTimeLeftNothingIsClaimed(t *testing.T) {
	w := newWorld(t)
	w.lambda = 10 * time.Second
	a := w.post(hello, "idempotency-key", "idem-time")
	responds(t, "10 s of Lambda's", a, 503, "SEND_002")
	if !strings.Contains(a.Body, "Nothing was sent") || !strings.Contains(w.logs.String(), `"TooLate":1`) {
		t.Errorf("returned %+v, logged %s", a, w.logs.String())
	}
	w.lambda = 28 * time.Second
	late := func(age time.Duration) map[string]any {
		e := w.event(hello, "idempotency-key", "idem-time")
		e["requestContext"].(map[string]any)["timeEpoch"] = time.Now().Add(-age).UnixMilli()
		return e
	}
	responds(t, "API Gateway gives up in 19 s", w.request(late(10*time.Second)), 503, "SEND_002")
	if n := w.database.Calls.Load(); n != 0 || w.posted() != 0 {
		t.Errorf("%d calls of DynamoDB, posted %d", n, w.posted())
	}
	// sam local gives one id and one time to all requests of a process.
	same := late(10 * time.Second)
	responds(t, "late", w.request(same), 503, "SEND_002")
	responds(t, "frozen", w.request(same), 200, "")
	for what, age := range map[string]time.Duration{"clocks an hour apart": time.Hour, "a clock ahead": -time.Hour} {
		e := late(age)
		delete(e["headers"].(map[string]string), "idempotency-key")
		responds(t, what, w.request(e), 200, "")
	}
	if w.posted() != 3 {
		t.Errorf("posted %d", w.posted())
	}
}

func TestStatusesThatCannotBeReadAreNoGroundsToSend(t *testing.T) {
	w := newWorld(t)
	w.spoil(connexease.Fault{Kind: connexease.RateLimit, Times: 1}, connexease.Fault{Kind: connexease.ResetAfter, Times: 1})
	notSent := w.post(hello, "idempotency-key", "idem-not-sent")
	responds(t, "limited", notSent, 429, "RATE_001")
	responds(t, "lost", w.post(hello, "idempotency-key", "idem-unknown"), 504, "SEND_001")
	responds(t, "accepted", w.post(hello, "idempotency-key", "idem-accepted"), 200, "")
	posted := w.posted()
	w.database.Set(deny("Query"))
	responds(t, "not sent", w.post(hello, "idempotency-key", "idem-not-sent"), 503, "SVC_002")
	responds(t, "unknown", w.post(hello, "idempotency-key", "idem-unknown", "on-unknown", "resend"), 504, "SEND_001")
	responds(t, "accepted", w.post(hello, "idempotency-key", "idem-accepted"), 200, "")
	e := harness.Event(routeByID, "Bearer "+clientKey, "")
	e["pathParameters"] = map[string]string{"id": notSent.Headers["message-id"]}
	responds(t, "look-up", w.request(e), 503, "SVC_002")
	e = harness.Event(routeLookUp, "Bearer "+clientKey, "")
	e["queryStringParameters"] = map[string]string{"wamid": "wamid.A"}
	responds(t, "look-up by WhatsApp's id", w.request(e), 503, "SVC_002")
	if w.posted() != posted {
		t.Errorf("posted %d more", w.posted()-posted)
	}
}

func TestALostRaceOverANotSentMessageIsReadAgain(t *testing.T) {
	w := newWorld(t)
	w.spoil(connexease.Fault{Kind: connexease.RateLimit, Times: 1})
	responds(t, "limited", w.post(hello, "idempotency-key", "idem-raced"), 429, "RATE_001")
	rival := w.handler
	w.start()
	var once atomic.Bool
	var other harness.Answer
	w.database.Set(func(_ http.ResponseWriter, action string, _ []byte) bool {
		if action == "UpdateItem" && once.CompareAndSwap(false, true) { // the rival claims between reading and writing
			other, _ = harness.Request(t, rival, w.lambda, w.event(hello, "idempotency-key", "idem-raced"))
		}
		return false
	})
	a := w.post(hello, "idempotency-key", "idem-raced")
	if other.Status != 200 || a.Body != other.Body || a.Headers["idempotent-replayed"] != "true" || w.posted() != 1 {
		t.Errorf("the rival was returned %+v, the loser %+v, posted %d", other, a, w.posted())
	}
}
