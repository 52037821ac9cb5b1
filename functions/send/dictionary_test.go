package main

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"connexease-functions/pkg/local/sim/connexease"
	"connexease-functions/pkg/proof/harness"
)

// What a repeat of the same request meets.
const (
	replay = "replay" // the stored response
	retry  = "retry"  // a new attempt under the same id
	hold   = "hold"   // 504, unless asked to resend
)

func refusedAs(code string) string {
	return `{"isSuccess":false,"errors":{"code":"` + code + `","group":"G","description":"D","params":{"p":1}}}`
}

func TestEveryAnswerOfTheGatewayMeansWhatTheDictionarySays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	answer := func(status int, body string) connexease.Fault {
		return connexease.Fault{Kind: connexease.Answer, Status: status, Body: body}
	}
	page := connexease.Fault{Kind: connexease.Answer, Status: 502, Body: "<html>Bad Gateway</html>", ContentType: "text/html"}
	limit := func(retryAfter string) connexease.Fault {
		return connexease.Fault{Kind: connexease.RateLimit, RetryAfter: retryAfter}
	}
	const id = `{"isSuccess":true,"data":{"messages":[{"id":"wamid.X"}]}}`
	for i, c := range []struct {
		fault  connexease.Fault
		status int
		code   string
		state  string
		reason string
		next   string
		left   int    // messages that the Gateway accepted although it said otherwise
		after  string // Retry-After
	}{
		{connexease.Fault{Kind: connexease.ContentType}, 200, "", "accepted", "", replay, 1, ""},
		{answer(200, id), 200, "", "accepted", "", replay, 0, ""},
		{answer(201, id), 201, "", "accepted", "", replay, 0, ""},

		{answer(400, refusedAs("BAD_REQUEST")), 400, "BAD_REQUEST", "rejected", "invalid", replay, 0, ""},
		{answer(404, refusedAs("NOT_FOUND")), 404, "NOT_FOUND", "rejected", "invalid", replay, 0, ""},
		{answer(413, refusedAs("TOO_LARGE")), 413, "TOO_LARGE", "rejected", "invalid", replay, 0, ""},
		{answer(422, refusedAs("X_001")), 422, "X_001", "rejected", "invalid", replay, 0, ""},
		{answer(400, "<html>"), 400, "SEND_003", "rejected", "invalid", replay, 0, ""},
		{answer(422, ""), 422, "SEND_003", "rejected", "invalid", replay, 0, ""},
		{answer(404, "{}"), 503, "SEND_002", "not_sent", "no_gateway", retry, 0, "5"},
		{answer(404, `{"message":"Not Found"}`), 503, "SEND_002", "not_sent", "no_gateway", retry, 0, "5"},
		{answer(405, `{"errors":{"code":"X_001"}}`), 503, "SEND_002", "not_sent", "no_gateway", retry, 0, "5"},
		{answer(410, `{"isSuccess":false}`), 503, "SEND_002", "not_sent", "no_gateway", retry, 0, "5"},
		{answer(421, refusedAs("X_001")), 421, "X_001", "rejected", "invalid", replay, 0, ""},
		{connexease.Fault{Kind: connexease.MetaLimit}, 502, "GW_001", "not_sent", "meta_limited", retry, 0, "1"},
		{connexease.Fault{Kind: connexease.MetaLimit, MetaCode: 4, InParams: true}, 502, "GW_001", "not_sent", "meta_limited", retry, 0, "1"},
		{connexease.Fault{Kind: connexease.MetaLimit, MetaCode: 80007}, 502, "GW_001", "not_sent", "meta_limited", retry, 0, "1"},
		{connexease.Fault{Kind: connexease.MetaLimit, MetaCode: 133016}, 502, "GW_001", "not_sent", "meta_limited", retry, 0, "1"},
		{connexease.Fault{Kind: connexease.MetaLimit, MetaCode: 131056}, 502, "GW_001", "not_sent", "pair_limited", retry, 0, "6"},
		{connexease.Fault{Kind: connexease.MetaLimit, MetaCode: 131048}, 502, "GW_001", "rejected", "refused_upstream", replay, 0, ""},
		{connexease.Fault{Kind: connexease.MetaLimit, MetaCode: 131049, InParams: true}, 502, "GW_001", "rejected", "refused_upstream", replay, 0, ""},
		{answer(404, "<html>"), 503, "SEND_002", "not_sent", "no_gateway", retry, 0, "5"},
		{answer(405, ""), 503, "SEND_002", "not_sent", "no_gateway", retry, 0, "5"},
		{answer(502, refusedAs("GW_001")), 502, "GW_001", "rejected", "refused_upstream", replay, 0, ""},

		{answer(401, refusedAs("AUTH_001")), 503, "SVC_003", "not_sent", "unauthorized", retry, 0, "5"},
		{answer(401, refusedAs("AUTH_002")), 503, "SVC_003", "not_sent", "unauthorized", retry, 0, "5"},
		{answer(401, refusedAs("AUTH_003")), 503, "SVC_003", "not_sent", "unauthorized", retry, 0, "5"},
		{answer(401, ""), 503, "SVC_003", "not_sent", "unauthorized", retry, 0, "5"},
		{answer(401, refusedAs("WABA_001")), 401, "WABA_001", "not_sent", "unauthorized", retry, 0, ""},
		{answer(402, refusedAs("BILL_001")), 402, "BILL_001", "not_sent", "payment_required", retry, 0, ""},
		{answer(403, refusedAs("PERM_001")), 403, "PERM_001", "not_sent", "forbidden", retry, 0, ""},
		{answer(403, "<html>"), 403, "SEND_003", "not_sent", "forbidden", retry, 0, ""},
		{limit("1s"), 429, "RATE_001", "not_sent", "rate_limited", retry, 0, "1"},
		{limit("60s"), 429, "RATE_001", "not_sent", "rate_limited", retry, 0, "60"},
		{limit("1 seconds"), 429, "RATE_001", "not_sent", "rate_limited", retry, 0, "1"},
		{limit("200ms"), 429, "RATE_001", "not_sent", "rate_limited", retry, 0, "1"},
		{answer(429, ""), 429, "SEND_003", "not_sent", "rate_limited", retry, 0, ""},
		{answer(500, refusedAs("AUTH_004")), 500, "AUTH_004", "not_sent", "auth_service", retry, 0, ""},
		{answer(500, refusedAs("AUTH_005")), 500, "AUTH_005", "not_sent", "auth_service", retry, 0, ""},
		{connexease.Fault{Kind: connexease.Refuse}, 503, "SEND_002", "not_sent", "not_connected", retry, 0, "5"},

		{answer(408, refusedAs("X_001")), 504, "SEND_001", "unknown", "request_timeout", hold, 0, ""},
		{answer(301, ""), 504, "SEND_001", "unknown", "redirect", hold, 0, ""},
		{answer(302, id), 504, "SEND_001", "unknown", "redirect", hold, 0, ""},
		{answer(200, `{"isSuccess":true,"data":{}}`), 504, "SEND_001", "unknown", "unreadable", hold, 0, ""},
		{answer(200, `{"isSuccess":true,"data":{"messages":[{"id":""}]}}`), 504, "SEND_001", "unknown", "unreadable", hold, 0, ""},
		{answer(200, refusedAs("BILL_001")), 504, "SEND_001", "unknown", "unreadable", hold, 0, ""},
		{answer(200, `{"isSuccess":tr`), 504, "SEND_001", "unknown", "unreadable", hold, 0, ""},
		{answer(200, "<html>Please log in</html>"), 504, "SEND_001", "unknown", "unreadable", hold, 0, ""},
		{answer(204, ""), 504, "SEND_001", "unknown", "unreadable", hold, 0, ""},
		{answer(500, ""), 504, "SEND_001", "unknown", "server_error", hold, 0, ""},
		{answer(500, refusedAs("X_001")), 504, "SEND_001", "unknown", "server_error", hold, 0, ""},
		{answer(502, ""), 504, "SEND_001", "unknown", "server_error", hold, 0, ""},
		{page, 504, "SEND_001", "unknown", "server_error", hold, 0, ""},
		{answer(503, `{"message":"Service Unavailable"}`), 504, "SEND_001", "unknown", "server_error", hold, 0, ""},
		{answer(504, ""), 504, "SEND_001", "unknown", "server_error", hold, 0, ""},
		{connexease.Fault{Kind: connexease.Answer, Status: 500, Taken: true}, 504, "SEND_001", "unknown", "server_error", hold, 1, ""},
		{connexease.Fault{Kind: connexease.ResetBefore}, 504, "SEND_001", "unknown", "connection_lost", hold, 0, ""},
		{connexease.Fault{Kind: connexease.ResetDuring}, 504, "SEND_001", "unknown", "connection_lost", hold, 0, ""},
		{connexease.Fault{Kind: connexease.ResetAfter}, 504, "SEND_001", "unknown", "connection_lost", hold, 1, ""},
		{connexease.Fault{Kind: connexease.Cut}, 504, "SEND_001", "unknown", "connection_lost", hold, 1, ""},
		{connexease.Fault{Kind: connexease.InvalidJSON}, 504, "SEND_001", "unknown", "unreadable", hold, 1, ""},
	} {
		what := fmt.Sprintf("%s %d %s%s", c.fault.Kind, c.fault.Status, c.fault.Body, c.fault.RetryAfter)
		key := fmt.Sprintf("idem-dictionary-%d", i)
		w.spoil(c.fault)
		before := w.posted()
		first := w.post(hello, "idempotency-key", key)
		responds(t, what, first, c.status, c.code)
		id := first.Headers["message-id"]
		if first.Headers["retry-after"] != c.after || first.Headers["idempotent-replayed"] != "" || w.posted() != before+c.left {
			t.Errorf("%s: returned %+v, posted %d", what, first, w.posted()-before)
		}
		if s := w.lookUp(id); s.State != c.state || s.Reason != c.reason || s.Attempts != 1 {
			t.Errorf("%s: look-up shows %+v, want %s %s", what, s, c.state, c.reason)
		}

		w.spoil()
		again := w.post(hello, "idempotency-key", key)
		if again.Headers["message-id"] != id {
			t.Errorf("%s: the repeat is another message: %+v", what, again)
		}
		switch c.next {
		case replay:
			if again.Status != first.Status || again.Body != first.Body || again.Headers["idempotent-replayed"] != "true" || w.posted() != before+c.left {
				t.Errorf("%s: repeat returned %+v, posted %d", what, again, w.posted()-before)
			}
		case retry:
			responds(t, what+", repeated", again, 200, "")
			if s := w.lookUp(id); s.State != "accepted" || s.Reason != "" || s.Attempts != 2 || again.Headers["idempotent-replayed"] != "" || w.posted() != before+1 {
				t.Errorf("%s: look-up shows %+v after %+v, posted %d", what, s, again, w.posted()-before)
			}
		case hold:
			responds(t, what+", repeated", again, 504, "SEND_001")
			if params(t, again)["id"] != id || w.posted() != before+c.left {
				t.Errorf("%s: repeat returned %+v, posted %d", what, again, w.posted()-before)
			}
			resent := w.post(hello, "idempotency-key", key, "on-unknown", "resend")
			responds(t, what+", resent", resent, 200, "")
			if s := w.lookUp(id); s.State != "accepted" || s.Attempts != 2 || resent.Headers["message-id"] != id || w.posted() != before+c.left+1 {
				t.Errorf("%s: look-up shows %+v after %+v, posted %d", what, s, resent, w.posted()-before)
			}
		}
	}
}

func TestARateLimitIsToldAtOnceWithItsHeaders(t *testing.T) {
	w := newWorld(t)
	w.spoil(connexease.Fault{Kind: connexease.RateLimit, RetryAfter: "1s", LimitType: "min"})
	calls := w.countCalls()
	a := w.post(hello)
	responds(t, "limited", a, 429, "RATE_001")
	if params(t, a)["limit_type"] != "min" || params(t, a)["retry_after"] != "1s" {
		t.Errorf("returned %s", a.Body)
	}
	if n := calls.Load(); n != 1 {
		t.Errorf("it waited and called again: %d calls", n)
	}
}

func TestACallThatTakesTooLongIsHeld(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	// Set back while the claim is written, the clock leaves the call two seconds.
	var back atomic.Int64
	w.handler.now = func() time.Time { return time.Now().Add(-time.Duration(back.Load())) }
	w.database.Set(func(_ http.ResponseWriter, action string, _ []byte) bool {
		if action == "PutItem" {
			back.Store(int64(18 * time.Second))
		}
		return false
	})
	w.spoil(connexease.Fault{Kind: connexease.Slow, DelayMS: 60_000})
	a := w.post(hello, "idempotency-key", "idem-slow")
	responds(t, "slow", a, 504, "SEND_001")
	back.Store(0)
	w.spoil()
	if s := w.lookUp(a.Headers["message-id"]); s.State != "unknown" || s.Reason != "timeout" {
		t.Errorf("look-up shows %+v", s)
	}
	if responds(t, "repeat", w.post(hello, "idempotency-key", "idem-slow"), 504, "SEND_001"); w.posted() != 1 {
		t.Errorf("posted %d", w.posted())
	}
}

func TestResendEndsAfterThreeAttempts(t *testing.T) {
	w := newWorld(t)
	w.spoil(connexease.Fault{Kind: connexease.ResetAfter})
	var a harness.Answer
	for i, posted := range []int{1, 2, 3, 3, 3} {
		if i == 4 {
			w.spoil()
		}
		a = w.post(hello, "idempotency-key", "idem-resend", "on-unknown", "resend")
		responds(t, fmt.Sprintf("attempt %d", i+1), a, 504, "SEND_001")
		if w.posted() != posted {
			t.Errorf("after attempt %d: posted %d, want %d", i+1, w.posted(), posted)
		}
	}
	if s := w.lookUp(a.Headers["message-id"]); s.State != "unknown" || s.Attempts != 3 {
		t.Errorf("look-up shows %+v", s)
	}
}

func TestARefusedResendLeavesTheFirstAttemptUnknown(t *testing.T) {
	for name, c := range map[string]struct {
		fault  connexease.Fault
		posted int // after a further resend
	}{
		"rejected": {connexease.Fault{Kind: connexease.Answer, Status: 400, Body: refusedAs("BAD_REQUEST")}, 1},
		"released": {connexease.Fault{Kind: connexease.RateLimit}, 2},
	} {
		w := newWorld(t)
		send := func() harness.Answer {
			return w.post(hello, "idempotency-key", "idem-resend", "on-unknown", "resend")
		}
		w.spoil(connexease.Fault{Kind: connexease.ResetAfter, Times: 1}, c.fault)
		responds(t, name+": first", send(), 504, "SEND_001")
		second := send()
		responds(t, name+": second", second, 504, "SEND_001")
		if s := w.lookUp(second.Headers["message-id"]); s.State != "unknown" || s.Reason != "connection_lost" || s.Attempts != 2 {
			t.Errorf("%s: look-up shows %+v", name, s)
		}
		w.spoil()
		if a := send(); w.posted() != c.posted || (a.Status == 200) != (c.posted == 2) {
			t.Errorf("%s: third returned %+v, posted %d", name, a, w.posted())
		}
	}
}

func TestAnUncertainReceiptMayBeRepeated(t *testing.T) {
	w := newWorld(t)
	receipt := `{"messaging_product":"whatsapp","status":"read","message_id":"wamid.A"}`
	for _, c := range []struct {
		fault  connexease.Fault
		status int
		code   string
	}{
		{connexease.Fault{Kind: connexease.ResetAfter}, 503, "SEND_002"},
		{connexease.Fault{Kind: connexease.Refuse}, 503, "SEND_002"},
		{connexease.Fault{Kind: connexease.Answer, Status: 500}, 503, "SEND_002"},
		{connexease.Fault{Kind: connexease.Answer, Status: 200, Body: "OK"}, 200, ""},
		{connexease.Fault{Kind: connexease.Answer, Status: 204}, 200, ""},
		{connexease.Fault{Kind: connexease.Answer, Status: 400, Body: refusedAs("BAD_REQUEST")}, 400, "BAD_REQUEST"},
		{connexease.Fault{Kind: connexease.Answer, Status: 502, Body: refusedAs("GW_001")}, 502, "GW_001"},
		{connexease.Fault{Kind: connexease.RateLimit}, 429, "RATE_001"},
	} {
		w.spoil(c.fault)
		a := w.post(receipt)
		responds(t, fmt.Sprintf("%+v", c.fault), a, c.status, c.code)
		if c.status == 200 && !strings.Contains(a.Body, `"isSuccess":true`) {
			t.Errorf("%+v: returned %s", c.fault, a.Body)
		}
	}
	if n := w.database.Calls.Load(); n != 0 {
		t.Errorf("%d calls of DynamoDB", n)
	}
}
