package main

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/local/sim/connexease"
	"connexease-functions/pkg/proof/harness"
)

func TestEqualKeysAtTheSameTimeSendOneMessage(t *testing.T) {
	const callers = 20
	w := newWorld(t)
	w.spoil(connexease.Fault{Kind: connexease.Slow, DelayMS: 300})
	var processes []*handler // one request at a time each, as in Lambda
	for range callers {
		w.start()
		processes = append(processes, w.handler)
	}
	answers := make([]harness.Answer, callers)
	var all sync.WaitGroup
	for i := range callers {
		all.Go(func() {
			var err error
			if answers[i], err = harness.Request(t, processes[i], w.lambda, w.event(hello, "idempotency-key", "idem-race")); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	var own, body string
	for _, a := range answers {
		if a.Status == 200 && a.Headers["idempotent-replayed"] == "" {
			own += "x"
			body = a.Body
		}
	}
	if own != "x" || w.posted() != 1 {
		t.Fatalf("%d callers were returned that they sent it, posted %d", len(own), w.posted())
	}
	for _, a := range answers {
		wait, _ := strconv.Atoi(a.Headers["retry-after"])
		busy := a.Status == 409 && a.Code() == "IDEM_001" && wait >= 1 && wait <= 43
		if !busy && (a.Status != 200 || a.Body != body) {
			t.Errorf("returned %+v", a)
		}
	}
	w.spoil()
	if a := w.post(hello, "idempotency-key", "idem-race"); a.Body != body || a.Headers["idempotent-replayed"] != "true" || w.posted() != 1 {
		t.Errorf("a late repeat was returned %+v, posted %d", a, w.posted())
	}
}

func TestAKeyBelongsToOneRequest(t *testing.T) {
	w := newWorld(t)
	key := func(name string) []string { return []string{"idempotency-key", "idem-" + name} }
	first := w.post(hello, key("one")...)
	query := func(name string) map[string]any {
		e := w.event(hello, key("one")...)
		e["queryStringParameters"] = map[string]string{name: "true"}
		return e
	}
	for what, e := range map[string]map[string]any{
		"another body":              w.event(strings.Replace(hello, "Hello", "hello", 1), key("one")...),
		"spaces that count":         w.event(strings.Replace(hello, "Hello", "Hello ", 1), key("one")...),
		"opaque data of its own":    w.event(hello[:len(hello)-1]+`,"biz_opaque_callback_data":"x"}`, key("one")...),
		"the sandbox":               query("is_fake"),
		"the lite route":            query("mmlite"),
		"another body, queued":      w.event(strings.Replace(hello, "Hello", "hello", 1), append(key("one"), "prefer", "respond-async")...),
		"another body, with resend": w.event(strings.Replace(hello, "Hello", "hello", 1), append(key("one"), "on-unknown", "resend")...),
	} {
		a := w.request(e)
		responds(t, what, a, 422, "IDEM_002")
		if strings.Contains(a.Body, "Hello") {
			t.Errorf("%s: said of the other request: %s", what, a.Body)
		}
	}
	for what, e := range map[string]map[string]any{
		"the same":        w.event(hello, key("one")...),
		"resend":          w.event(hello, append(key("one"), "on-unknown", "resend")...),
		"validity":        w.event(hello, append(key("one"), "valid-for", "60")...),
		"queued":          w.event(hello, append(key("one"), "prefer", "respond-async")...),
		"white space":     w.event(" "+strings.ReplaceAll(hello, `,"`, ",\r\n\t\"")+"\n", key("one")...),
		"reordered":       w.event(`{"text":{"body":"Hello"},"to":"+15550100001","type":"text","messaging_product":"whatsapp"}`, key("one")...),
		"re-escaped":      w.event(`{"messaging_product":"whatsapp","to":"\u002b15550100001","typ\u0065":"text","text":{"body":"\u0048ello"}}`, key("one")...),
		"another process": nil,
	} {
		if e == nil {
			w.start()
			e = w.event(hello, key("one")...)
		}
		if a := w.request(e); a.Status != 200 || a.Body != first.Body || a.Headers["idempotent-replayed"] != "true" {
			t.Errorf("%s: returned %+v", what, a)
		}
	}
	if w.posted() != 1 || !w.queues.Idle("outbound") {
		t.Errorf("posted %d, queue %+v", w.posted(), w.queues.Depth("outbound"))
	}
	e := w.event(strings.Replace(hello, "Hello", "hello", 1), key("one")...)
	e["headers"].(map[string]string)["authorization"] = "Bearer " + otherKey
	other := w.request(e)
	responds(t, "the same key of another client", other, 200, "")
	e["headers"].(map[string]string)["authorization"] = "Bearer client-key-old"
	responds(t, "the same client by its old key", w.request(e), 422, "IDEM_002")
	if w.posted() != 2 || other.Headers["message-id"] == first.Headers["message-id"] {
		t.Errorf("posted %d, ids %s and %s", w.posted(), first.Headers["message-id"], other.Headers["message-id"])
	}
}

// Rows that were written before fingerprints had a version, and before there were senders.
func TestARowOfTheVersionBeforeIsStillTheSameRequest(t *testing.T) {
	for _, fingerprint := range []string{
		"6993fdab1698fb60e0a3899872bbed1e5542ccbc26240d086a54621a645ed5f2",
		"2:f24823e76a983408a610f8989b2319e52b66868885071464b5e8bf95f214613d",
	} {
		t.Run("bare key", func(t *testing.T) { rowOfTheVersionBefore(t, newWorld(t), fingerprint) })
		t.Run("senders", func(t *testing.T) { rowOfTheVersionBefore(t, newSendersWorld(t), fingerprint) })
	}
}

func rowOfTheVersionBefore(t *testing.T, w *world, fingerprint string) {
	const wamid = "wamid.of-the-version-before"
	id := ledger.ID("http/crm", "idem-before")
	text := func(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }
	number := func(n string) types.AttributeValue { return &types.AttributeValueMemberN{Value: n} }
	document := func(m map[string]types.AttributeValue) types.AttributeValue {
		return &types.AttributeValueMemberM{Value: m}
	}
	stored := `{"isSuccess":true,"data":{"messaging_product":"whatsapp","messages":[{"id":"` + wamid + `"}]}}`
	_, err := harness.Backends.DB.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &w.table, Item: map[string]types.AttributeValue{
		"pk": text(id), "sk": text("send"), "kind": text("send"), "direction": text("out"), "message_id": text(id), "v": number("2"),
		"payload": text(hello), "fingerprint": text(fingerprint), "type": text("text"),
		"text": text("Hello"), "client": text("crm"), "contact": text("15550100001"), "timeline_pk": text("contact#15550100001"),
		"timeline_sk": text("2026-01-01T00:00:00.000Z#" + id), "timestamp": number("1767225600"), "sent_wamid": text(wamid),
		"attempts": document(map[string]types.AttributeValue{"aaaaaaaaaaaaaaaa": document(map[string]types.AttributeValue{
			"lease":   number("1767225643000"),
			"outcome": document(map[string]types.AttributeValue{"state": text("accepted"), "at": number("1767225600500"), "http": number("200"), "body": text(stored)}),
		})}),
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, body := range []string{hello, " " + strings.ReplaceAll(hello, ",", " ,\n")} {
		if a := w.post(body, "idempotency-key", "idem-before"); a.Status != 200 || a.Body != stored || a.Headers["idempotent-replayed"] != "true" {
			t.Errorf("a repeat was returned %+v", a)
		}
	}
	responds(t, "another body", w.post(strings.Replace(hello, "Hello", "hello", 1), "idempotency-key", "idem-before"), 422, "IDEM_002")
	e := w.event(hello, "idempotency-key", "idem-before")
	e["queryStringParameters"] = map[string]string{"is_fake": "true"}
	responds(t, "the sandbox", w.request(e), 422, "IDEM_002")
	responds(t, "the default sender", w.post(hello, "idempotency-key", "idem-before", "sender", "default"), 200, "")
	other := w.post(hello, "idempotency-key", "idem-before", "sender", "shop")
	if other.Code() != "IDEM_002" && other.Code() != "SENDER_001" {
		t.Errorf("another sender was returned %+v", other)
	}
	w.sent(0)
}

func TestWithoutAKeyEachRequestIsAMessage(t *testing.T) {
	w := newWorld(t)
	first, second := w.post(hello), w.post(hello)
	if first.Status != 200 || second.Status != 200 || w.posted() != 2 || first.Headers["message-id"] == second.Headers["message-id"] {
		t.Errorf("%+v %+v, posted %d", first, second, w.posted())
	}
}

func TestKeysOfVisibleASCIIAreTaken(t *testing.T) {
	w := newWorld(t)
	ids := map[string]bool{}
	for _, key := range []string{"k", "K", strings.Repeat("k", 255), `"quoted"`, "a.b;c=d", "~!#"} {
		a := w.post(hello, "idempotency-key", key)
		responds(t, key, a, 200, "")
		ids[a.Headers["message-id"]] = true
	}
	if len(ids) != 6 {
		t.Errorf("%d messages for 6 keys", len(ids))
	}
}

// received receives everything in the queue, as records of an event.
func (w *world) received() (records []map[string]any, bodies []string) {
	w.t.Helper()
	for {
		messages := harness.Receive(w.t, w.queues, w.client, "outbound")
		if len(messages) == 0 {
			return records, bodies
		}
		for _, m := range messages {
			bodies = append(bodies, *m.Body)
			records = append(records, w.record(*m.MessageId, *m.Body, w.now()))
		}
	}
}

func TestAnAsynchronousRequestIsQueuedByItsIDAlone(t *testing.T) {
	w := newWorld(t)
	queue := []string{"idempotency-key", "idem-async", "prefer", "respond-async", "valid-for", "600"}
	a := w.post(hello, queue...)
	id := a.Headers["message-id"]
	responds(t, "queued", a, 202, "")
	if want := `{"isSuccess":true,"data":{"id":"` + id + `","status":"queued"}}`; a.Body != want || a.Headers["preference-applied"] != "respond-async" {
		t.Errorf("returned %+v, want %s", a, want)
	}
	if s := w.lookUp(id); s.State != "queued" || s.Attempts != 0 || w.posted() != 0 {
		t.Errorf("look-up shows %+v, posted %d", s, w.posted())
	}
	records, bodies := w.received()
	if !slices.Equal(bodies, []string{`{"id":"` + id + `"}`}) {
		t.Fatalf("queued %q", bodies)
	}
	again := w.post(hello, queue...)
	if again.Status != 202 || again.Body != a.Body || again.Headers["message-id"] != id {
		t.Errorf("repeat returned %+v", again)
	}
	more, bodies := w.received()
	if !slices.Equal(bodies, []string{`{"id":"` + id + `"}`}) {
		t.Errorf("the repeat queued %q", bodies)
	}

	sync := w.post(hello, "idempotency-key", "idem-async")
	responds(t, "a repeat that waits", sync, 200, "")
	if failed := w.batch(append(records, more...)); len(failed) != 0 || w.posted() != 1 {
		t.Errorf("records %v retried, posted %d", failed, w.posted())
	}
	for what, a := range map[string]harness.Answer{"queued": w.post(hello, queue...), "waiting": w.post(hello, queue[:2]...)} {
		if a.Status != 200 || a.Body != sync.Body || a.Headers["idempotent-replayed"] != "true" {
			t.Errorf("a late repeat, %s, was returned %+v", what, a)
		}
	}
	if !w.queues.Idle("outbound") && w.queues.Depth("outbound").Visible > 0 {
		t.Errorf("queue %+v", w.queues.Depth("outbound"))
	}
}

func TestAQueuedMessageIsSentOnceByItsRecords(t *testing.T) {
	w := newWorld(t)
	a := w.post(hello, "prefer", "respond-async")
	records, _ := w.received()
	for range 2 {
		if failed := w.batch(records); len(failed) != 0 {
			t.Errorf("records %v retried", failed)
		}
	}
	if s := w.lookUp(a.Headers["message-id"]); s.State != "accepted" || s.Attempts != 1 || w.posted() != 1 {
		t.Errorf("look-up shows %+v, posted %d", s, w.posted())
	}
}

func TestANotSentMessageCanBeQueuedByARepeat(t *testing.T) {
	w := newWorld(t)
	w.spoil(connexease.Fault{Kind: connexease.RateLimit, Times: 1})
	first := w.post(hello, "idempotency-key", "idem-later")
	responds(t, "limited", first, 429, "RATE_001")
	responds(t, "queued", w.post(hello, "idempotency-key", "idem-later", "prefer", "respond-async"), 202, "")
	if s := w.lookUp(first.Headers["message-id"]); s.State != "queued" {
		t.Errorf("look-up shows %+v", s)
	}
	records, _ := w.received()
	if failed := w.batch(records); len(records) != 1 || len(failed) != 0 || w.posted() != 1 {
		t.Errorf("%d records, %v retried, posted %d", len(records), failed, w.posted())
	}
}

func TestAnAsynchronousRepeatIsToldWhatIsKnown(t *testing.T) {
	w := newWorld(t)
	queue := func(key string, more ...string) harness.Answer {
		return w.post(hello, append([]string{"idempotency-key", key, "prefer", "respond-async"}, more...)...)
	}
	w.database.Set(deny("UpdateItem"))
	w.post(hello, "idempotency-key", "idem-in-flight")
	w.database.Set(nil)
	responds(t, "in flight", queue("idem-in-flight", "on-unknown", "resend"), 409, "IDEM_001")

	w.spoil(connexease.Fault{Kind: connexease.Answer, Status: 400, Body: refusedAs("BAD_REQUEST")})
	rejected := w.post(hello, "idempotency-key", "idem-rejected")
	if a := queue("idem-rejected", "on-unknown", "resend"); a.Status != 400 || a.Body != rejected.Body || a.Headers["idempotent-replayed"] != "true" {
		t.Errorf("rejected: returned %+v", a)
	}

	id, _ := w.lost("idem-unknown")
	responds(t, "unknown", queue("idem-unknown"), 504, "SEND_001")
	if !w.queues.Idle("outbound") {
		t.Errorf("queue %+v", w.queues.Depth("outbound"))
	}
	posted := w.posted()
	responds(t, "unknown, with resend", queue("idem-unknown", "on-unknown", "resend"), 202, "")
	records, _ := w.received()
	for range 2 { // SQS may deliver a record twice
		if again := w.batch(records); len(records) != 1 || len(again) != 0 {
			t.Errorf("%d records, %v retried", len(records), again)
		}
	}
	if s := w.lookUp(id); s.State != "accepted" || s.Attempts != 2 || w.posted() != posted+1 {
		t.Errorf("look-up shows %+v, posted %d more", s, w.posted()-posted)
	}
}

func TestARowHasRoomForTheLargestMessageAndAllItsAnswers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	body := bodyOf(256 << 10)
	send := func() harness.Answer { return w.post(body, "idempotency-key", "idem-room") }
	notice4KiB := refusedAs(strings.Repeat("x", 4096-len(refusedAs(""))))
	w.spoil(connexease.Fault{Kind: connexease.Answer, Status: 402, Body: notice4KiB})
	for range 12 {
		if a := send(); a.Status != 402 || a.Body != notice4KiB {
			t.Fatalf("returned %d", a.Status)
		}
	}
	answer := `{"isSuccess":true,"data":{"messages":[{"id":"wamid.X"}]},"x":"`
	answer += strings.Repeat("x", 64<<10-len(answer)-2) + `"}`
	w.spoil(connexease.Fault{Kind: connexease.Answer, Status: 200, Body: answer})
	first := send()
	if again := send(); first.Status != 200 || first.Body != answer || again.Body != answer || strings.Contains(w.logs.String(), `"OutcomeLost"`) {
		t.Errorf("returned %d and %d", first.Status, again.Status)
	}
}

func TestAnAnswerTooLargeToKeepIsToldInShortByTheRepeat(t *testing.T) {
	w := newWorld(t)
	filler := `"x":"` + strings.Repeat("x", 70<<10) + `"}`
	for _, c := range []struct {
		status int
		large  string
		again  string
		code   string
	}{
		{200, `{"isSuccess":true,"data":{"messages":[{"id":"wamid.X"}]},` + filler, `{"isSuccess":true,"data":{"messages":[{"id":"wamid.X"}],"messaging_product":"whatsapp"}}`, ""},
		{400, `{"isSuccess":false,"errors":{"code":"X_001"},` + filler, "", "SEND_003"},
	} {
		key := "idem-large-" + strconv.Itoa(c.status)
		w.spoil(connexease.Fault{Kind: connexease.Answer, Status: c.status, Body: c.large})
		if a := w.post(hello, "idempotency-key", key); a.Status != c.status || a.Body != c.large {
			t.Errorf("returned %d, %d bytes", a.Status, len(a.Body))
		}
		again := w.post(hello, "idempotency-key", key)
		responds(t, "repeat", again, c.status, c.code)
		if c.again != "" && again.Body != c.again {
			t.Errorf("repeat returned %s", again.Body)
		}
	}
}

func TestAQueueThatDoesNotConfirmIsTold(t *testing.T) {
	w := newWorld(t)
	there := w.env["QUEUE_URL"]
	w.env["QUEUE_URL"] += "-gone"
	w.start()
	keyed := w.post(hello, "idempotency-key", "idem-queue", "prefer", "respond-async")
	responds(t, "with a key", keyed, 503, "SVC_004")
	if keyed.Headers["retry-after"] == "" {
		t.Errorf("returned %+v", keyed)
	}
	keyless := w.post(hello, "prefer", "respond-async")
	responds(t, "without a key", keyless, 504, "SEND_001")
	if params(t, keyless)["id"] != keyless.Headers["message-id"] {
		t.Errorf("returned %+v", keyless)
	}
	w.env["QUEUE_URL"] = there
	w.start()
	responds(t, "with a key, again", w.post(hello, "idempotency-key", "idem-queue", "prefer", "respond-async"), 202, "")
	if records, _ := w.received(); len(records) != 1 || len(w.batch(records)) != 0 || w.posted() != 1 {
		t.Errorf("%d records, posted %d", len(records), w.posted())
	}
}

// calls returns the actions of DynamoDB that run makes.
func (w *world) calls(run func()) (actions []string) {
	var mu sync.Mutex
	w.database.Set(func(_ http.ResponseWriter, action string, _ []byte) bool {
		mu.Lock()
		defer mu.Unlock()
		if action != "" { // the connection that is opened at start
			actions = append(actions, action)
		}
		return false
	})
	run()
	w.database.Set(nil)
	return actions
}

func TestASendIsTwoWritesAndAReplayIsOne(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		what    string
		headers []string
		want    []string
	}{
		{"first", []string{"idempotency-key", "idem-calls"}, []string{"PutItem", "UpdateItem"}},
		{"repeat", []string{"idempotency-key", "idem-calls"}, []string{"PutItem"}},
		{"without a key", nil, []string{"PutItem", "UpdateItem"}},
		{"queued", []string{"prefer", "respond-async"}, []string{"PutItem"}},
	} {
		if got := w.calls(func() { w.post(hello, c.headers...) }); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.what, got, c.want)
		}
	}
	records, _ := w.received()
	if got := w.calls(func() { w.batch(records) }); !slices.Equal(got, []string{"UpdateItem", "UpdateItem"}) {
		t.Errorf("the record: %v", got)
	}
}

func TestARowHoldsTheRequestAndNothingOfItsKey(t *testing.T) {
	w := newWorld(t)
	id := w.post(hello, "idempotency-key", "idem-secret-text").Headers["message-id"]
	row, err := json.Marshal(harness.Items(t, w.table)[id+" send"])
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"idem-secret-text", clientKey, gatewayKey} {
		if strings.Contains(string(row), word) {
			t.Errorf("the row holds %s: %s", word, row)
		}
	}
}
