package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/local/sim/connexease"
	"connexease-functions/pkg/proof/harness"
)

// either is an envelope whose message may be replaced; more are further members of it.
func either(more string) string {
	return `{"onClosedWindow":"fallback","onUnknownWindow":"closed","message":` + hello + `,"fallback":` + fallback24 + more + `}`
}

// ofMessage returns the types of what left under each message's id.
func (w *world) ofMessage() map[string][]string {
	w.t.Helper()
	left := map[string][]string{}
	for _, m := range w.gateway.Messages() {
		var body struct {
			Type   string
			Opaque string `json:"biz_opaque_callback_data"`
		}
		if err := json.Unmarshal(m.Body, &body); err != nil {
			w.t.Fatal(err)
		}
		id, _, _ := ledger.ParseOpaque(body.Opaque)
		left[id] = append(left[id], body.Type)
	}
	return left
}

func TestTheRowKeepsBothBodiesAndEachAttemptNamesTheOneThatItPosts(t *testing.T) {
	w := newWorld(t)
	key := []string{"idempotency-key", "idem-both"}
	attempts := func(want ...string) {
		t.Helper()
		row, about, _, err := w.handler.table.LookUp(t.Context(), ledger.ID("http/crm", "idem-both"))
		if err != nil || row == nil {
			t.Fatal(row, err)
		}
		var all []string
		for _, a := range row.Attempts {
			all = append(all, string(a.Instead)+" "+a.Seen["window"]+" "+string(a.Outcome.State))
		}
		slices.Sort(all)
		if slices.Sort(want); !slices.Equal(all, want) {
			t.Errorf("the attempts are %q, want %q", all, want)
		}
		if string(row.Payload) != hello || !strings.Contains(string(row.Fallback), `"to":"+15550100001"`) || !strings.Contains(string(row.Fallback), "order_shipped") {
			t.Errorf("the row has %s and %s", row.Payload, row.Fallback)
		}
		if last := string(row.Posts(row.Last())); about.Type == "template" != strings.Contains(last, "order_shipped") {
			t.Errorf("the timeline shows a %s %q over %s", about.Type, about.Text, last)
		}
	}
	w.spoil(refused)
	responds(t, "the template is refused for now", w.post(either(""), key...), 402, "PAYMENT_001")
	attempts("WINDOW_001 unknown released")
	w.inbound(fromNumber, time.Hour, "")
	responds(t, "so is the text", w.post(either(""), key...), 402, "PAYMENT_001")
	attempts("WINDOW_001 unknown released", " open released")
	w.pass(24 * time.Hour)
	w.spoil()
	a := w.post(either(""), key...)
	if responds(t, "the template leaves", a, 200, ""); a.Headers["sent-instead"] != "fallback" {
		t.Errorf("returned %+v", a)
	}
	attempts("WINDOW_001 unknown released", " open released", "WINDOW_001 closed accepted")
	if left := w.ofMessage(); fmt.Sprint(left) != fmt.Sprint(map[string][]string{a.Headers["message-id"]: {"template"}}) {
		t.Errorf("left %v", left)
	}
	s := w.lookUp(a.Headers["message-id"])
	if s.SentInstead != "fallback" || s.Window != "closed" || s.LastInbound == "" || s.Type != "template" || !strings.Contains(s.Explanation, "fallback") {
		t.Errorf("look-up shows %+v", s)
	}
	w.inbound(fromNumber, 0, "")
	again := w.post(either(""), key...)
	if responds(t, "stored", again, 200, ""); again.Headers["sent-instead"] != "fallback" || again.Headers["idempotent-replayed"] != "true" || again.Body != a.Body {
		t.Errorf("returned %+v", again)
	}
	other := strings.Replace(either(""), "order_shipped", "order_lost", 1)
	responds(t, "another fallback", w.post(other, key...), 422, "IDEM_002")
	responds(t, "no fallback", w.post(hello, key...), 422, "IDEM_002")
	w.sent(1)
}

func TestAReceiptOfTheFallbackSaysThatItLeft(t *testing.T) {
	w := newWorld(t)
	w.spoil(connexease.Fault{Kind: connexease.ResetAfter})
	responds(t, "lost", w.post(either(""), "idempotency-key", "idem-lost"), 504, "SEND_001")
	w.spoil()
	w.callback(status{status: "delivered", wamid: "wamid.A", opaque: w.opaque(), at: time.Now().Unix()})
	a := w.post(either(""), "idempotency-key", "idem-lost")
	if responds(t, "settled", a, 200, ""); a.Headers["sent-instead"] != "fallback" {
		t.Errorf("returned %+v", a)
	}
	if s := w.lookUp(a.Headers["message-id"]); s.State != "accepted" || s.SentInstead != "fallback" {
		t.Errorf("look-up shows %+v", s)
	}
	w.sent(1)
}

func TestTheEventOfAFallbackSaysWhatLeftAndWhy(t *testing.T) {
	w := newWorld(t)
	out := harness.NewOut(t, w.table)
	responds(t, "replaced", w.post(either("")), 200, "")
	w.spoil(connexease.Fault{Kind: connexease.Answer, Status: 400, Body: `{"isSuccess":false,"errors":{"code":"GW_001"}}`})
	refused := w.post(either(""))
	if responds(t, "refused", refused, 400, "GW_001"); refused.Headers["sent-instead"] != "fallback" {
		t.Errorf("returned %+v", refused)
	}
	w.spoil()
	w.inbound(fromNumber, time.Minute, "")
	all, came := []string{}, out.Events(t)
	for _, e := range came {
		var d map[string]string
		if err := json.Unmarshal(e.Detail, &d); err != nil {
			t.Fatal(err)
		}
		if d["kind"] == "send" {
			all = append(all, strings.Join([]string{d["outcome"], d["type"], d["reason"], d["error_code"]}, " "))
		}
	}
	slices.Sort(all)
	if want := []string{"accepted template WINDOW_001 ", "rejected template WINDOW_001 GW_001"}; !slices.Equal(all, want) {
		t.Errorf("the events are %q, want %q", all, want)
	}
}

func TestAFallbackGoesToTheMessagesRecipient(t *testing.T) {
	w := newWorld(t)
	const text = `"message":{"messaging_product":"whatsapp","type":"text","text":{"body":"Hello"}},"onClosedWindow":"fallback","onUnknownWindow":"closed"`
	for contact, want := range map[string]string{`"contact":"+1 555 010-0001"`: `"to":"15550100001"`, `"contact":"US.1349"`: `"recipient":"US.1349"`} {
		responds(t, contact, w.post(`{`+contact+`,`+text+`,"fallback":`+fallback24+`}`), 200, "")
		all := w.gateway.Messages()
		if last := string(all[len(all)-1].Body); !strings.Contains(last, want) || !strings.Contains(last, "order_shipped") {
			t.Errorf("%s: posted %s", contact, last)
		}
	}
	same := strings.Replace(fallback24, "{", `{"to":"15550100001",`, 1)
	responds(t, "repeated", w.post(`{"onClosedWindow":"fallback","message":`+hello+`,"fallback":`+same+`}`), 200, "")
	// The caller's own opaque data is the caller's, in either of the two.
	own := strings.Replace(fallback24, "{", `{"biz_opaque_callback_data":"mine",`, 1)
	responds(t, "own opaque data", w.post(strings.Replace(either(""), fallback24, own, 1)), 200, "")
	if got := w.opaque(); got != "mine" {
		t.Errorf("posted the opaque data %q", got)
	}
}

func TestFaultsOfAFallbackAreInOneResponse(t *testing.T) {
	w := newWorld(t)
	with := func(fallback string) string { return strings.Replace(either(""), fallback24, fallback, 1) }
	for what, c := range map[string]struct {
		body    string
		headers []string
		want    []string
	}{
		"all at once": {
			strings.Replace(with(`{"messaging_product":"w","type":"template","template":{},"to":"+1","keyword":1,"is_fake":true}`), "Hello", "", 1), nil,
			[]string{`"text.body":`, `"fallback.messaging_product":"whatsapp"`, `"fallback.template.name":`, `"fallback.to":"7 to 15`, `"fallback.is_fake":"absent`},
		},
		"no template":                  {with(hello), nil, []string{`"fallback.type":"template`}},
		"another recipient":            {with(strings.Replace(fallback24, "{", `{"to":"15550100002",`, 1)), nil, []string{`"fallback.to":"the message's recipient, or absent"`}},
		"no object":                    {with(`"order_shipped"`), nil, []string{`"fallback":"a template's message object`}},
		"none":                         {`{"onClosedWindow":"fallback","message":` + hello + `}`, nil, []string{`"fallback":"a template's message object`}},
		"none, by the header":          {hello, []string{"on-closed-window", "fallback"}, []string{`"fallback":"a template's message object`}},
		"not asked for":                {strings.Replace(either(""), `"onClosedWindow":"fallback",`, "", 1), nil, []string{`"fallback":"a template's message object`}},
		"a receipt":                    {strings.Replace(either(""), hello, readReceipt, 1), nil, []string{`"fallback":"absent: a receipt`}},
		"opaque data like our own":     {with(strings.Replace(fallback24, "{", `{"biz_opaque_callback_data":"msg_aaaaaaaaaaaaaaaaaaaaaaaaaa.bbbbbbbbbbbbbbbb",`, 1)), nil, []string{`"fallback.biz_opaque_callback_data":"not of the form`}},
		"a header that says otherwise": {either(""), []string{"on-closed-window", "refuse"}, []string{`"On-Closed-Window":"the same as`}},
		"a member twice":               {with(strings.Replace(fallback24, "{", `{"type":"template",`, 1)), nil, []string{`"fallback.type":"once in its object`}},
	} {
		a := w.post(c.body, c.headers...)
		responds(t, what, a, 400, "MSG_001")
		for _, want := range c.want {
			if !strings.Contains(a.Body, want) {
				t.Errorf("%s: %s does not say %s", what, a.Body, want)
			}
		}
	}
	w.untouched()
	responds(t, "by the header", w.post(strings.Replace(either(""), `"onClosedWindow":"fallback",`, "", 1), "on-closed-window", "fallback"), 200, "")
}

func TestBothBodiesTogetherFitTheItemOrAreRefused(t *testing.T) {
	w := newWorld(t)
	padded := func(n int) string {
		pad := `{"pad":"` + strings.Repeat("x", n<<10) + `",`
		return strings.Replace(strings.Replace(either(`,"reader":"crm"`), `"message":{`, `"message":`+pad, 1), `"fallback":{`, `"fallback":`+pad, 1)
	}
	a := w.post(padded(127))
	if responds(t, "254 KiB", a, 200, ""); a.Headers["sent-instead"] != "fallback" {
		t.Errorf("returned %+v", a.Headers)
	}
	responds(t, "260 KiB", w.post(padded(130)), 413, "REQ_002")
	record := w.record(harness.Name("record"), padded(130), w.now())
	if again := w.batch([]any{record}); len(again) > 0 {
		t.Errorf("records %v are retried", again)
	}
	if found := w.lookUpRecord(record["messageId"].(string), clientKey); !strings.Contains(found.Body, `"REQ_002"`) {
		t.Errorf("look-up shows %s", found.Body)
	}
	w.sent(1)
}

func TestWhatIsScheduledLooksAtTheWindowWhenItLeaves(t *testing.T) {
	w := newWorld(t)
	w.inbound(fromNumber, 23*time.Hour, "")
	a := w.post(strings.Replace(either(""), `"onUnknownWindow":"closed",`, "", 1), "send-at", w.in(2*time.Hour))
	responds(t, "scheduled", a, 202, "")
	w.fires(2 * time.Hour)
	w.poll()
	if s := w.lookUp(a.Headers["message-id"]); s.State != "accepted" || s.SentInstead != "fallback" || s.Window != "closed" {
		t.Errorf("look-up shows %+v", s)
	}
	w.sent(1)
}

func TestAt24HoursSharpTheWindowIsClosed(t *testing.T) {
	w := newWorld(t)
	at := w.inbound(fromNumber, 24*time.Hour, "")
	for age, want := range map[time.Duration]int{24*time.Hour - time.Millisecond: 200, 24 * time.Hour: 409} {
		w.handler.now = func() time.Time { return at.Add(age) }
		if a := w.post(hello, "on-closed-window", "refuse"); a.Status != want {
			t.Errorf("after %v: returned %d %s", age, a.Status, a.Body)
		}
	}
	w.sent(1)
}

func TestOfTenRequestsAtTheMomentOfClosingOneLeaves(t *testing.T) {
	w := newWorld(t)
	var looks atomic.Int64 // each look at the clock falls on the other side
	body := strings.Replace(either(""), `"onUnknownWindow":"closed",`, "", 1)
	for n := range 10 {
		closes := w.inbound(fromNumber, 24*time.Hour, "").Add(24 * time.Hour)
		w.handler.now = func() time.Time { return closes.Add(time.Duration(looks.Add(1)%2*2-1) * time.Second) }
		var all [10]harness.Answer
		var callers sync.WaitGroup
		for i := range all {
			callers.Go(func() { all[i] = w.post(body, "idempotency-key", fmt.Sprintf("idem-%d", n)) })
		}
		callers.Wait()
		left := w.ofMessage()[ledger.ID("http/crm", fmt.Sprintf("idem-%d", n))]
		if len(left) != 1 {
			t.Fatalf("%q left", left)
		}
		told := 0
		for _, a := range all {
			switch {
			case a.Status == 200 && (a.Headers["sent-instead"] == "fallback") == (left[0] == "template"):
				told++
			case a.Status != 409 || a.Code() != "IDEM_001":
				t.Errorf("a %s left, and one is returned %d %v %s", left[0], a.Status, a.Headers, a.Body)
			}
		}
		if told == 0 {
			t.Errorf("nobody knows that a %s left", left[0])
		}
	}
}

// The index shows the person's message at one moment and not at the next, the Gateway misbehaves,
// callers repeat: under each key one of the two bodies leaves, once.
func TestAStormWithAFallbackSendsOneBodyPerKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.inbound(fromNumber, time.Hour, "")
	w.database.Set(func(r http.ResponseWriter, action string, body []byte) bool {
		blind := action == "Query" && strings.Contains(string(body), `"IndexName":"timeline"`) && rand.N(2) == 0
		if blind {
			r.Header().Set("Content-Type", "application/x-amz-json-1.0")
			_, _ = r.Write([]byte(`{"Items":[],"Count":0,"ScannedCount":0}`))
		}
		return blind
	})
	w.spoil(stormFaults...)
	const sends = 150
	var callers sync.WaitGroup
	keys := make(chan string)
	var final [sends]harness.Answer
	for range 8 {
		callers.Go(func() {
			for key := range keys {
				var n int
				_, _ = fmt.Sscanf(key, "idem-storm-%d", &n)
				var twins sync.WaitGroup
				twins.Go(func() { w.post(either(""), "idempotency-key", key) })
				for range 20 {
					if final[n] = w.post(either(""), "idempotency-key", key); final[n].Status == 200 || final[n].Status == 504 {
						break
					}
				}
				twins.Wait()
			}
		})
	}
	for n := range sends {
		keys <- fmt.Sprintf("idem-storm-%d", n)
	}
	close(keys)
	callers.Wait()
	w.spoil()
	w.database.Set(nil)
	texts, templates, late := 0, 0, 0
	left := w.ofMessage()
	for _, m := range w.gateway.Messages() { // the receipts of all that left
		var body struct {
			Opaque string `json:"biz_opaque_callback_data"`
		}
		if err := json.Unmarshal(m.Body, &body); err != nil {
			t.Fatal(err)
		}
		w.callback(status{status: "sent", wamid: m.Wamid, opaque: body.Opaque, at: time.Now().Unix()})
	}
	for n := range sends {
		id := ledger.ID("http/crm", fmt.Sprintf("idem-storm-%d", n))
		s := w.lookUp(id)
		switch bodies := left[id]; {
		case len(bodies) > 1:
			t.Errorf("%s: %q left", id, bodies)
		case len(bodies) == 1:
			if final[n].Status == 504 {
				late++
			}
			if bodies[0] == "template" {
				templates++
			} else {
				texts++
			}
			if s.State != "accepted" || (s.SentInstead == "fallback") != (bodies[0] == "template") {
				t.Errorf("a %s left, and look-up shows %+v", bodies[0], s)
			}
			if a := final[n]; a.Status == 200 && (a.Headers["sent-instead"] == "fallback") != (bodies[0] == "template") {
				t.Errorf("a %s left, and its caller is returned %+v", bodies[0], a)
			}
		case s.State == "accepted":
			t.Errorf("nothing left, and look-up shows %+v", s)
		}
	}
	t.Logf("%d texts and %d templates left, %d of them known by their receipts", texts, templates, late)
	if texts == 0 || templates == 0 {
		t.Error("the window was always the same")
	}
}
