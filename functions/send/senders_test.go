package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"connexease-functions/pkg/auth"
	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/local/sim/connexease"
	"connexease-functions/pkg/proof/harness"
	"connexease-functions/pkg/secret"
)

const (
	twoSenders   = `{"default":{"key":"gateway-key-1","phone_number_id":"106"},"shop":{"key":"gateway-key-shop","phone_number_id":"207"}}`
	boundClients = `{"crm":"` + clientKey + `","shop":{"keys":["` + otherKey + `"],"sender":"shop"}}`
	fromShopsApp = "207"
	fromDefaults = "106"
)

// newSendersWorld is a world with two numbers, one of which is all that the client shop sends from.
func newSendersWorld(t testing.TB) *world {
	t.Helper()
	w := newWorld(t)
	w.numbers(twoSenders)
	harness.Backends.Secrets.Put(w.env["CLIENT_KEYS_SECRET_ID"], boundClients)
	w.start()
	return w
}

// numbers gives the secret with the Gateway's keys a new value, which running processes have not
// read yet.
func (w *world) numbers(value string) {
	harness.Backends.Secrets.Put(w.env["GATEWAY_KEY_SECRET_ID"], value)
}

// shiftSenders gives the handler's cache of API keys the clock of the world.
func (w *world) shiftSenders() {
	source := secret.Manager{ID: w.env["GATEWAY_KEY_SECRET_ID"], Client: secretsmanager.New(secretsmanager.Options{
		Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""),
		BaseEndpoint: aws.String(harness.Backends.Environment()["AWS_ENDPOINT_URL_SECRETS_MANAGER"]),
	})}
	w.handler.senders = newSenders(auth.SendersOf(source))
	w.handler.senders.now = w.now
	w.handler.senders.cache = secret.NewCache(auth.SendersOf(source), secret.DefaultLimits, w.now)
}

// shops sends over HTTP as the client that is bound to the sender shop.
func (w *world) shops(body string, headers ...string) harness.Answer {
	w.t.Helper()
	e := w.event(body, headers...)
	e["headers"].(map[string]string)["authorization"] = "Bearer " + otherKey
	return w.request(e)
}

// leaves fails the test unless the Gateway's last message left from a number.
func (w *world) leaves(what, number string, want int) {
	w.t.Helper()
	if all := w.sent(want); len(all) == want && all[want-1].PhoneNumberID != number {
		w.t.Errorf("%s: sent from %s, want %s", what, all[want-1].PhoneNumberID, number)
	}
}

func TestTheSenderIsTheClientsThenTheRequestsThenTheDefault(t *testing.T) {
	w := newSendersWorld(t)
	out := harness.NewOut(t, w.table)
	envelope := func(more string) string { return `{` + more + `"message":` + hello + `}` }
	n := 0
	for _, c := range []struct {
		what   string
		send   func()
		number string
	}{
		{"none", func() { responds(t, "none", w.post(hello), 200, "") }, fromDefaults},
		{"header", func() { responds(t, "header", w.post(hello, "sender", "shop"), 200, "") }, fromShopsApp},
		{"default", func() { responds(t, "default", w.post(hello, "sender", "default"), 200, "") }, fromDefaults},
		{"member", func() { responds(t, "member", w.post(envelope(`"sender":"shop",`)), 200, "") }, fromShopsApp},
		{"bound", func() { responds(t, "bound", w.shops(hello), 200, "") }, fromShopsApp},
		{"bound, and says so", func() { responds(t, "own", w.shops(hello, "sender", "shop"), 200, "") }, fromShopsApp},
		{"receipt", func() {
			responds(t, "receipt", w.shops(`{"messaging_product":"whatsapp","status":"read","message_id":"wamid.A"}`), 200, "")
		}, fromShopsApp},
		{"record", func() { w.sqs(envelope(`"sender":"shop",`)) }, fromShopsApp},
		{"record of none", func() { w.sqs(envelope(``)) }, fromDefaults},
		{"event", func() { w.sqs(eventOf("idem-e", "shop.orders", envelope(`"sender":"shop",`))) }, fromShopsApp},
		{"direct", func() {
			if out, err := w.direct(envelope(`"idempotencyKey":"idem-d","sender":"shop",`)); err != nil {
				t.Errorf("direct: %s %v", out, err)
			}
		}, fromShopsApp},
		{"async", func() {
			responds(t, "async", w.shops(hello, "prefer", "respond-async"), 202, "")
			w.drain()
		}, fromShopsApp},
	} {
		c.send()
		n++
		w.leaves(c.what, c.number, n)
	}
	a := w.post(hello, "sender", "shop", "idempotency-key", "idem-seen")
	if s := w.lookUp(a.Headers["message-id"]); s.Sender != "shop" {
		t.Errorf("look-up shows %+v", s)
	}
	_, came := outcomes(t, out)
	named := map[string]int{}
	for _, e := range came {
		for _, name := range []string{"shop", "default"} {
			if strings.Contains(string(e.Detail), `"sender":"`+name+`"`) {
				named[name]++
			}
		}
	}
	if named["shop"] != 9 || named["default"] != 3 || len(came) != 12 {
		t.Errorf("%d events, which name %v", len(came), named)
	}
	if logs := w.logs.String(); !strings.Contains(logs, `"sender":"shop"`) || strings.Contains(logs, "gateway-key") {
		t.Errorf("logged %s", logs)
	}
}

func TestASenderThatIsNotThereOrAnothersIsRefusedBeforeAnythingIsClaimed(t *testing.T) {
	w := newSendersWorld(t)
	for what, a := range map[string]harness.Answer{
		"unknown":         w.post(hello, "sender", "sales"),
		"unknown, queued": w.post(hello, "sender", "sales", "prefer", "respond-async"),
		"member":          w.post(`{"sender":"sales","message":` + hello + `}`),
		"not its own":     w.shops(hello, "sender", "default"),
		"not its own, q":  w.shops(hello, "sender", "default", "prefer", "respond-async"),
		"receipt":         w.shops(`{"messaging_product":"whatsapp","status":"read","message_id":"wamid.A"}`, "sender", "default"),
	} {
		responds(t, what, a, 403, "SENDER_001")
	}
	if _, err := w.direct(`{"idempotencyKey":"idem-d","sender":"sales","message":` + hello + `}`); err == nil || !strings.Contains(err.Error(), "SENDER_001") {
		t.Errorf("returned %v", err)
	}
	for want, a := range map[string]harness.Answer{
		`"Sender":"the name of a sender: 1 to 64`: w.post(hello, "sender", "a b"),
		`"Sender":"the name of a sender:`:         w.post(hello, "sender", ""),
		`"sender":"the name of a sender:`:         w.post(`{"sender":"a b","message":` + hello + `}`),
		`"sender":"a string`:                      w.post(`{"sender":7,"message":` + hello + `}`),
		`"Sender":"the same as the envelope's`:    w.post(`{"sender":"shop","message":`+hello+`}`, "sender", "default"),
		`"sender":"absent: it is not part of a`:   w.post(strings.Replace(hello, "{", `{"sender":"shop",`, 1)),
	} {
		if a.Status != 400 || a.Code() != "MSG_001" || !strings.Contains(a.Body, want) {
			t.Errorf("%s: returned %+v", want, a)
		}
	}
	// A record waits for its sender, as for a missing key.
	if again := w.sqs(`{"sender":"sales","message":` + hello + `}`); len(again) != 1 || !w.counted("SecretUnavailable", 0) {
		t.Errorf("retried %v", again)
	}
	w.untouched()

	w.numbers(`{"sales":{"key":"gateway-key-sales"},"shop":{"key":"gateway-key-shop"}}`)
	w.start()
	responds(t, "none, and none is the default", w.post(hello), 403, "SENDER_001")
	if again := w.sqs(hello); len(again) != 1 {
		t.Errorf("retried %v", again)
	}
	w.numbers(`{"sales":{"key":"gateway-key-sales"}}`)
	w.start()
	responds(t, "the only one", w.post(hello), 200, "")
	responds(t, "bound to none that is there", w.shops(hello), 503, "SVC_001")
	w.numbers(gatewayKey)
	w.start()
	responds(t, "bound, and a bare key", w.shops(hello), 503, "SVC_001")
	responds(t, "a bare key is the default", w.post(hello, "sender", "default"), 200, "")
	w.sent(2)
}

func TestABareKeyLeavesRowsAsTheyWere(t *testing.T) {
	w := newWorld(t)
	responds(t, "sent", w.post(hello, "idempotency-key", "idem-bare"), 200, "")
	row := w.row(ledger.ID("http/crm", "idem-bare"))
	if _, there := row["sender"]; there || row.Text("fingerprint") != "2:f24823e76a983408a610f8989b2319e52b66868885071464b5e8bf95f214613d" {
		t.Errorf("the row has the fingerprint %s and the sender %q", row.Text("fingerprint"), row.Text("sender"))
	}
	if strings.Contains(w.logs.String(), `"sender"`) {
		t.Errorf("logged %s", w.logs.String())
	}
	// The same request once the number has a name, and the other way round.
	w.numbers(twoSenders)
	w.start()
	responds(t, "named", w.post(hello, "idempotency-key", "idem-bare"), 200, "")
	responds(t, "new", w.post(hello, "idempotency-key", "idem-named"), 200, "")
	w.numbers(gatewayKey)
	w.start()
	responds(t, "bare again", w.post(hello, "idempotency-key", "idem-named"), 200, "")
	responds(t, "another sender", w.post(hello, "idempotency-key", "idem-named", "sender", "shop"), 403, "SENDER_001")
	w.sent(2)
}

func TestTheSenderIsPartOfTheRequest(t *testing.T) {
	w := newSendersWorld(t)
	responds(t, "shop", w.post(hello, "idempotency-key", "idem-1", "sender", "shop"), 200, "")
	responds(t, "none", w.post(hello, "idempotency-key", "idem-1"), 422, "IDEM_002")
	responds(t, "default", w.post(hello, "idempotency-key", "idem-1", "sender", "default"), 422, "IDEM_002")
	responds(t, "again", w.post(hello, "idempotency-key", "idem-1", "sender", "shop"), 200, "")
	responds(t, "none", w.post(hello, "idempotency-key", "idem-2"), 200, "")
	responds(t, "the default", w.post(hello, "idempotency-key", "idem-2", "sender", "default"), 200, "")
	responds(t, "another", w.post(hello, "idempotency-key", "idem-2", "sender", "shop"), 422, "IDEM_002")
	w.sent(2)
}

func TestANewSenderWorksAtOnce(t *testing.T) {
	w := newWorld(t)
	w.shiftSenders()
	responds(t, "before", w.post(hello), 200, "")
	w.numbers(twoSenders)
	responds(t, "new", w.post(hello, "sender", "shop"), 200, "")
	w.leaves("new", fromShopsApp, 2)
	before := fetched(w.env["GATEWAY_KEY_SECRET_ID"])
	for range 5 {
		responds(t, "unknown", w.post(hello, "sender", "sales"), 403, "SENDER_001")
	}
	if n := fetched(w.env["GATEWAY_KEY_SECRET_ID"]) - before; n != 0 { // the minute is not over
		t.Errorf("read %d times", n)
	}
	w.pass(time.Minute)
	w.numbers(strings.Replace(twoSenders, "{", `{"sales":{"key":"gateway-key-sales","phone_number_id":"308"},`, 1))
	responds(t, "added", w.post(hello, "sender", "sales"), 200, "")
	w.leaves("added", "308", 3)
}

// A row keeps its sender, whatever the client's entry and the secret say later.
func TestEachAttemptOfARowUsesItsSender(t *testing.T) {
	w := newSendersWorld(t)
	w.spoil(connexease.Fault{Kind: connexease.RateLimit, RetryAfter: "60s"})
	responds(t, "released", w.shops(hello, "idempotency-key", "idem-kept"), 429, "RATE_001")
	responds(t, "queued", w.shops(hello, "idempotency-key", "idem-queued", "prefer", "respond-async"), 202, "")
	id := ledger.ID("http/shop", "idem-kept")
	w.spoil()

	// The client sends from the default number now, and its sender is gone.
	harness.Backends.Secrets.Put(w.env["CLIENT_KEYS_SECRET_ID"], `{"crm":"`+clientKey+`","shop":"`+otherKey+`"}`)
	w.numbers(`{"default":{"key":"gateway-key-1","phone_number_id":"106"}}`)
	w.start()
	before := w.row(id).Text("v")
	a := w.shops(hello, "idempotency-key", "idem-kept")
	if responds(t, "gone", a, 503, "SVC_001"); !strings.Contains(a.Body, `sender \"shop\"`) || w.row(id).Text("v") != before || !w.counted("SecretUnavailable", 0) {
		t.Errorf("returned %s, row of version %s before and %s now", a.Body, before, w.row(id).Text("v"))
	}
	if came, again := w.poll(); len(came) != 1 || len(again) != 1 {
		t.Errorf("%d records, retried %v", len(came), again)
	}
	if v := w.row(ledger.ID("http/shop", "idem-queued")).Text("v"); v != "0" {
		t.Errorf("it was claimed: version %s", v)
	}
	w.sent(0)

	w.numbers(gatewayKey) // a bare key is not shop's
	w.start()
	responds(t, "a bare key", w.shops(hello, "idempotency-key", "idem-kept"), 503, "SVC_001")
	w.pass(time.Hour)
	if came, again := w.poll(); len(came) != 1 || len(again) != 1 {
		t.Errorf("%d records, retried %v", len(came), again)
	}
	w.sent(0)

	w.numbers(twoSenders)
	w.start()
	responds(t, "back", w.shops(hello, "idempotency-key", "idem-kept"), 200, "")
	w.leaves("back", fromShopsApp, 1)
	w.pass(time.Hour)
	w.drain()
	w.leaves("queued", fromShopsApp, 2)
}

func TestWhatIsQueuedNeedsNoSecretYetAndKeepsItsSender(t *testing.T) {
	w := newSendersWorld(t)
	w.handler.senders = newSenders(func(context.Context) (auth.Senders, error) { return nil, errors.New("away") })
	responds(t, "bound", w.shops(hello, "prefer", "respond-async"), 202, "")
	responds(t, "named", w.post(hello, "prefer", "respond-async", "sender", "shop"), 202, "")
	responds(t, "none", w.post(hello, "prefer", "respond-async"), 202, "")
	responds(t, "not queued", w.post(hello), 503, "SVC_001")
	responds(t, "not its own", w.shops(hello, "prefer", "respond-async", "sender", "default"), 403, "SENDER_001")
	w.start()
	w.drain()
	from := map[string]int{}
	for _, m := range w.sent(3) {
		from[m.PhoneNumberID]++
	}
	if from[fromShopsApp] != 2 || from[fromDefaults] != 1 {
		t.Errorf("sent from %v", from)
	}
}

func TestARecordWhoseRowsSenderIsGoneWaits(t *testing.T) {
	w := newSendersWorld(t)
	record := func(more string) []any {
		return []any{w.record("r-1", `{"idempotencyKey":"idem-record",`+more+`"message":`+hello+`}`, w.now())}
	}
	w.numbers(`{"only":{"key":"gateway-key-only","phone_number_id":"308"}}`)
	w.start()
	w.spoil(connexease.Fault{Kind: connexease.RateLimit, RetryAfter: "60s"})
	if again := w.batch(record("")); len(again) != 1 {
		t.Errorf("retried %v", again)
	}
	w.spoil()
	w.numbers(twoSenders)
	w.start()
	before := w.row(ledger.ID("sqs", "idem-record")).Text("v")
	if again := w.batch(record("")); len(again) != 1 || w.row(ledger.ID("sqs", "idem-record")).Text("v") != before || !w.counted("SecretUnavailable", 0) {
		t.Errorf("retried %v, version %s before and %s now", again, before, w.row(ledger.ID("sqs", "idem-record")).Text("v"))
	}
	w.sent(0)
	w.numbers(`{"only":{"key":"gateway-key-only","phone_number_id":"308"}}`)
	w.start()
	if again := w.batch(record("")); again != nil {
		t.Errorf("retried %v", again)
	}
	w.leaves("back", "308", 1)
}

func TestARateLimitOfOneSenderSlowsOnlyItsOwn(t *testing.T) {
	w := newSendersWorld(t)
	calls := w.countCalls()
	for _, kind := range []string{connexease.RateLimit, connexease.MetaLimit} {
		w.start()
		before, posted := calls.Load(), w.posted()
		w.spoil(connexease.Fault{Kind: kind, Number: fromShopsApp, RetryAfter: "60s"})
		shops, defaults := `{"sender":"shop","message":`+hello+`}`, hello
		for range 3 {
			if again := w.sqs(shops); len(again) != 1 {
				t.Errorf("%s: retried %v", kind, again)
			}
			if again := w.sqs(defaults); again != nil {
				t.Errorf("%s: the other's %v are retried", kind, again)
			}
		}
		// A call of its own met the limit, and the others waited without one.
		if n := calls.Load() - before; n < 4 || n > 6 || w.posted()-posted != 3 {
			t.Errorf("%s: %d calls, %d accepted", kind, n, w.posted()-posted)
		}
		responds(t, kind, w.post(hello), 200, "")
	}
	for _, m := range w.gateway.Messages() {
		if m.PhoneNumberID != fromDefaults {
			t.Errorf("sent from %s", m.PhoneNumberID)
		}
	}
}

func TestARotatedKeyOfOneSenderIsReadAtOnceWhateverTheOthersMeet(t *testing.T) {
	w := newSendersWorld(t)
	w.shiftSenders()
	name := w.env["GATEWAY_KEY_SECRET_ID"]
	responds(t, "before", w.shops(hello), 200, "")
	rotated := strings.Replace(twoSenders, "gateway-key-shop", "gateway-key-shop-2", 1)
	w.numbers(rotated)
	before := fetched(name)
	responds(t, "the other needs no refresh", w.post(hello), 200, "")
	responds(t, "rotated", w.shops(hello), 200, "")
	w.leaves("rotated", fromShopsApp, 3)
	if n := fetched(name) - before; n != 1 {
		t.Errorf("read %d times", n)
	}
	w.numbers(strings.Replace(rotated, "gateway-key-1", "gateway-key-3", 1))
	responds(t, "the other's own refresh", w.post(hello), 200, "")
	w.leaves("the other", fromDefaults, 4)
	w.spoil(connexease.Fault{Kind: connexease.Answer, Status: 401, Body: refusedAs("AUTH_001"), Number: fromShopsApp})
	a := w.shops(hello)
	if responds(t, "refused", a, 503, "SVC_003"); !strings.Contains(a.Body, `"params":{"sender":"shop"}`) {
		t.Errorf("returned %s", a.Body)
	}
	responds(t, "the other", w.post(hello), 200, "")
	if n := fetched(name) - before; n != 2 { // shop's minute is not over
		t.Errorf("read %d times", n)
	}
}

func TestSendersThatCannotBeUsedLeaveTheLastOnesInForce(t *testing.T) {
	w := newSendersWorld(t)
	var used []string
	w.front(func(rw http.ResponseWriter, r *http.Request) {
		used = append(used, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
		_, _ = io.WriteString(rw, `{"isSuccess":true,"data":{"messages":[{"id":"wamid.x"}]}}`)
	})
	w.shiftSenders()
	responds(t, "before", w.shops(hello), 200, "")
	w.numbers(twoSenders[:len(twoSenders)-1])
	w.pass(10 * time.Minute)
	from := len(w.logs.String())
	responds(t, "broken", w.shops(hello), 200, "")
	responds(t, "broken", w.post(hello), 200, "")
	if want := []string{"gateway-key-shop", "gateway-key-shop", "gateway-key-1"}; !slices.Equal(used, want) {
		t.Errorf("used %v", used)
	}
	if logs := w.logs.String()[from:]; !strings.Contains(logs, `"SecretStaleness":`) {
		t.Errorf("no metric says so: %s", logs)
	}
	w.start() // a new process has no good one
	a := w.post(hello)
	if responds(t, "broken", a, 503, "SVC_001"); !strings.Contains(a.Body, "is JSON, and not of the form") || strings.Contains(a.Body, "gateway-key") {
		t.Errorf("returned %s", a.Body)
	}
}

func TestTheWindowIsOneOfAPersonAndANumber(t *testing.T) {
	w := newSendersWorld(t)
	refuse := []string{"on-closed-window", "refuse"}
	w.inbound(fromNumber, time.Hour, "") // to the number 106
	responds(t, "the number that it came to", w.post(hello, refuse...), 200, "")
	responds(t, "another, where nothing is known", w.shops(hello, refuse...), 200, "")
	responds(t, "another, and unknown counts", w.shops(hello, append(refuse, "on-unknown-window", "closed")...), 409, "WINDOW_001")
	w.inboundTo(fromShopsApp, fromNumber, 25*time.Hour, "")
	responds(t, "another, closed", w.shops(hello, refuse...), 409, "WINDOW_001")
	responds(t, "the number that it came to", w.post(hello, refuse...), 200, "")
	w.inboundTo(fromShopsApp, fromNumber, time.Minute, "")
	responds(t, "another, open", w.shops(hello, refuse...), 200, "")
	// Where the secret does not say which number it is, every message counts.
	w.numbers(`{"default":{"key":"gateway-key-1"},"shop":{"key":"gateway-key-shop"}}`)
	w.start()
	w.inboundTo("9", `"from":"15550100003"`, time.Hour, "")
	responds(t, "not said", w.post(strings.Replace(hello, "0001", "0003", 1), refuse...), 200, "")
}

// Two senders under load, by every way in, while one's key is rotated and one is slowed down.
func TestNoKeyOfOneSenderIsEverUsedForTheOthersMessages(t *testing.T) {
	const each = 12
	w := newSendersWorld(t)
	w.shiftSenders()
	body := func(sender string, n int) string {
		return strings.Replace(hello, "Hello", fmt.Sprintf("Hello from %s %d", sender, n), 1)
	}
	w.spoil(connexease.Fault{Kind: connexease.RateLimit, Number: fromShopsApp, Times: 5})
	var all sync.WaitGroup
	for n := range each {
		if n == each/2 {
			w.numbers(strings.Replace(twoSenders, "gateway-key-shop", "gateway-key-shop-2", 1))
		}
		for _, sender := range []string{"default", "shop"} {
			key := fmt.Sprintf("idem-%s-%d", sender, n)
			envelope := func(way string) string {
				return fmt.Sprintf(`{"idempotencyKey":"%s-%s","sender":%q,"message":%s}`, key, way, sender, body(sender, n))
			}
			all.Go(func() { w.post(body(sender, n), "sender", sender, "idempotency-key", key) })
			all.Go(func() {
				w.post(body(sender, n), "sender", sender, "idempotency-key", key+"-async", "prefer", "respond-async")
			})
			all.Go(func() { _, _ = w.direct(envelope("direct")) })
			w.enqueue(envelope("sqs"))
			w.enqueue(eventOf(key+"-event", "shop.orders", envelope("event")))
			if sender == "shop" {
				all.Go(func() { w.shops(body(sender, n), "idempotency-key", key) })
			}
		}
		all.Go(func() { w.poll() })
	}
	all.Wait()
	for n := 0; n < 200 && !w.queues.Idle("outbound"); n++ {
		if came, _ := w.poll(); came == nil {
			w.pass(time.Minute)
		}
	}
	if !w.queues.Idle("outbound") {
		t.Errorf("the queue does not empty: %+v", w.queues.Depth("outbound"))
	}
	numbers := map[string]string{"default": fromDefaults, "shop": fromShopsApp}
	sent := map[string]int{}
	for _, m := range w.gateway.Messages() {
		for sender, number := range numbers {
			if strings.Contains(string(m.Body), "from "+sender) {
				sent[sender]++
				if m.PhoneNumberID != number || m.Times != 1 {
					t.Errorf("%s left from %s, %d times", m.Body, m.PhoneNumberID, m.Times)
				}
			}
		}
	}
	// HTTP and direct calls may have met the limit or the rotation; what waited in the queue left.
	if sent["default"] < 3*each || sent["shop"] < 3*each {
		t.Errorf("sent %v", sent)
	}
}
