package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"connexease-functions/pkg/local/sim/connexease"
	"connexease-functions/pkg/proof/harness"
	"connexease-functions/pkg/table"
	"connexease-functions/pkg/whatsapp"
)

// says stores what a person says about marketing messages as the webhook does, n seconds from now.
func (w *world) says(person, value string, n int) {
	w.t.Helper()
	body := fmt.Appendf(nil, `{"object":"whatsapp_business_account","entry":[{"id":"102","changes":[{"field":"user_preferences","value":{"messaging_product":"whatsapp",`+
		`"metadata":{"display_phone_number":"15550100009","phone_number_id":"106"},"user_preferences":[{%s,"category":"marketing_messages","value":%q,"timestamp":%d}]}}]}]}`,
		person, value, w.now().Add(time.Duration(n)*time.Second).Unix())
	if r := w.handler.table.Put(w.t.Context(), whatsapp.Split(body), w.now()); len(r.Unsaved) != 0 {
		w.t.Fatal(r.Err)
	}
}

const thisPerson = `"wa_id":"15550100001"`

// sources send a message with the members of an envelope from each source, and return its answer;
// of a queue record what became of it.
var sources = map[string]func(w *world, more string) string{
	"http": func(w *world, more string) string { return code(w.post(`{` + more + `"message":` + order24 + `}`)) },
	"async": func(w *world, more string) string {
		a := w.post(`{`+more+`"message":`+order24+`}`, "prefer", "respond-async")
		if a.Status != 202 {
			return code(a)
		}
		w.drain()
		return outcomeFound(w.lookUp(a.Headers["message-id"]))
	},
	"sqs": func(w *world, more string) string {
		key := harness.Name("idem-sqs")
		if again := w.sqs(`{"idempotencyKey":"` + key + `","reader":"crm",` + more + `"message":` + order24 + `}`); len(again) != 0 {
			w.t.Errorf("%v are retried", again)
		}
		return w.outcomeOf(map[string]string{"idempotency_key": key, "scope": "sqs"})
	},
	"eventbridge": func(w *world, more string) string {
		key := harness.Name("idem-event")
		event := `{"detail-type":"x","source":"shop","id":"` + key + `","detail":{"reader":"crm",` + more + `"message":` + order24 + `}}`
		if out, err := w.invoke([]byte(event)); err != nil {
			w.t.Errorf("%s %v", out, err)
		}
		w.drain()
		return w.outcomeOf(map[string]string{"idempotency_key": key, "scope": "event/shop"})
	},
	"direct": func(w *world, more string) string {
		out, err := w.direct(`{"idempotencyKey":"` + harness.Name("idem-direct") + `",` + more + `"message":` + order24 + `}`)
		if err == nil {
			return "sent"
		}
		name, code := failed(w.t, out, err)
		if name != "OptedOut" {
			w.t.Errorf("it is named %s", name)
		}
		return code
	},
}

func code(a harness.Answer) string {
	if a.Status == 200 {
		return "sent"
	}
	return a.Code()
}

func outcomeFound(s seen) string {
	if s.State == "accepted" {
		return "sent"
	}
	return s.Reason
}

func (w *world) outcomeOf(query map[string]string) string {
	w.t.Helper()
	a := w.find(clientKey, "", query)
	var r struct{ Data seen }
	if err := json.Unmarshal([]byte(a.Body), &r); err != nil || a.Status != 200 {
		w.t.Fatalf("%v: %s", query, a.Body)
	}
	return outcomeFound(r.Data)
}

func TestStopEndsMarketingFromEverySourceAndNothingElse(t *testing.T) {
	t.Parallel()
	for source, send := range sources {
		t.Run(source, func(t *testing.T) {
			w := newWorld(t)
			n := 0
			for _, says := range []string{"", "stop", "resume", "stop"} {
				if says != "" {
					n++
					w.says(thisPerson, says, n)
				}
				for more, marketing := range map[string]bool{
					`"purpose":"marketing",`: true, `"mmlite":true,`: true, `"purpose":"marketing","mmlite":true,`: true, `"purpose":"marketing","onClosedWindow":"refuse",`: true,
					`"purpose":"utility",`: false, `"purpose":"authentication",`: false, `"purpose":"service",`: false, ``: false, `"purpose":null,`: false,
				} {
					want := "sent"
					if marketing && says == "stop" {
						want = "OPTOUT_001"
					}
					before := w.posted()
					if got := send(w, more); got != want || (w.posted() > before) != (want == "sent") {
						t.Errorf("said %q, %s: %s, want %s", says, more, got, want)
					}
				}
			}
		})
	}
}

func TestAStopSpendsNoKeyAndASettledOneKeepsItsAnswer(t *testing.T) {
	w := newWorld(t)
	marketing := []string{"idempotency-key", "idem-consent", "purpose", "Marketing"}
	w.says(thisPerson, "stop", 0)
	a := w.post(order24, marketing...)
	responds(t, "said stop", a, 409, "OPTOUT_001")
	if p := params(t, a); p["by"] != "preference" || p["since"] == nil {
		t.Errorf("%v", p)
	}
	responds(t, "said stop, waiting", w.post(order24, append(marketing, "prefer", "respond-async")...), 409, "OPTOUT_001")
	w.sent(0)
	if rows := w.calls(func() {}); len(rows) != 0 || w.queues.Idle("outbound") != true {
		t.Error("something is queued")
	}
	w.says(thisPerson, "resume", 1)
	responds(t, "allowed again", w.post(order24, marketing...), 200, "")
	w.says(thisPerson, "stop", 2)
	for _, headers := range [][]string{marketing, append(marketing, "prefer", "respond-async"), marketing[:2]} {
		if a := w.post(order24, headers...); a.Status != 200 || a.Headers["idempotent-replayed"] != "true" {
			t.Errorf("settled: %+v", a)
		}
	}
	responds(t, "a different message", w.post(hello, marketing...), 422, "IDEM_002")
	w.sent(1)
	// What may have left is never said not to be sent.
	marketing[1] = "idem-lost"
	w.spoil(connexease.Fault{Kind: connexease.ResetAfter})
	responds(t, "lost", w.post(order24, marketing[:2]...), 504, "SEND_001")
	w.spoil()
	responds(t, "lost, then stop", w.post(order24, append(marketing, "on-unknown", "resend")...), 504, "SEND_001")
}

// A stop that comes while the message waits in the queue counts: its row says so.
func TestAStopEndsWhatWaitsInTheQueue(t *testing.T) {
	w := newWorld(t)
	a := w.post(order24, "idempotency-key", "idem-waits", "purpose", "marketing", "prefer", "respond-async")
	responds(t, "queued", a, 202, "")
	lite := w.event(order24, "prefer", "respond-async")
	lite["queryStringParameters"] = map[string]string{"mmlite": "true"}
	b := w.request(lite)
	other := w.post(order24, "purpose", "utility", "prefer", "respond-async")
	w.says(thisPerson, "stop", 0)
	w.drain()
	for _, one := range []harness.Answer{a, b} {
		if s := w.lookUp(one.Headers["message-id"]); s.State != "rejected" || s.Reason != "OPTOUT_001" || s.Answer == nil || s.Answer.HTTP != 409 {
			t.Errorf("%+v", s)
		}
	}
	if s := w.lookUp(other.Headers["message-id"]); s.State != "accepted" {
		t.Errorf("%+v", s)
	}
	w.sent(1)
	if a := w.post(order24, "idempotency-key", "idem-waits", "purpose", "marketing"); a.Code() != "OPTOUT_001" || a.Headers["idempotent-replayed"] != "true" {
		t.Errorf("its key has the answer of its record: %+v", a)
	}
}

func TestAStopIsAPersonsUnderAnyName(t *testing.T) {
	w := newWorld(t)
	w.inbound(fromNumber+`,"from_user_id":"US.1349"`, time.Hour, "")
	w.inbound(`"from":"15550100002","from_user_id":"US.1349"`, time.Hour, "")
	w.says(`"user_id":"US.1349"`, "stop", 0)
	message := `{"purpose":"marketing","contact":%q,"message":{"messaging_product":"whatsapp","type":"template","template":{"name":"sale","language":{"code":"en"}}}}`
	names := []string{"15550100001", "US.1349", "+1 (555) 010-0002"}
	for _, name := range names {
		responds(t, name, w.post(fmt.Sprintf(message, name)), 409, "OPTOUT_001")
	}
	responds(t, "a different person", w.post(fmt.Sprintf(message, "15550100003")), 200, "")
	w.says(`"wa_id":"15550100002"`, "resume", 1)
	for _, name := range names {
		responds(t, name, w.post(fmt.Sprintf(message, name)), 200, "")
	}
	if _, err := w.handler.table.SetConsent(t.Context(), table.Consent{Contact: "15550100001", Says: whatsapp.Stop, At: w.now().Add(time.Minute), Who: "ada", Why: "by phone"}); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		a := w.post(fmt.Sprintf(message, name))
		if responds(t, name, a, 409, "OPTOUT_001"); params(t, a)["by"] != "operator" {
			t.Errorf("%s", a.Body)
		}
	}
	group := `{"purpose":"marketing","group":"G1","message":{"messaging_product":"whatsapp","type":"text","text":{"body":"Hello"}}}`
	responds(t, "a group", w.post(group), 200, "")
}

// Only marketing pays for the look, one strongly consistent Query for each name.
// A message may name a person twice before any item links the two names.
func TestAStopAndAWindowAreOfBothNamesOfAMessage(t *testing.T) {
	w := newWorld(t)
	w.says(`"user_id":"US.77001"`, "stop", -60)
	const both = `"message":{"messaging_product":"whatsapp","to":"15550100001","recipient":"US.77001","type":"text","text":{"body":"Hello"}}}`
	responds(t, "marketing", w.post(`{"purpose":"marketing",`+both), 409, "OPTOUT_001")
	responds(t, "outside of an unknown window", w.post(`{"onClosedWindow":"refuse","onUnknownWindow":"closed",`+both), 409, "WINDOW_001")
	w.inbound(`"from_user_id":"US.77001"`, time.Minute, "")
	responds(t, "in the window", w.post(`{"onClosedWindow":"refuse","onUnknownWindow":"closed",`+both), 200, "")
}

func TestOnlyMarketingReadsTheConsent(t *testing.T) {
	w := newWorld(t)
	w.says(thisPerson, "resume", 0)
	var mu sync.Mutex
	got := map[string]float64{}
	w.database.Measure(func(action string, units float64) {
		mu.Lock()
		defer mu.Unlock()
		got[action] += units
	})
	for purpose, want := range map[string]float64{"utility": 0, "authentication": 0, "service": 0, "marketing": 1} {
		clear(got)
		responds(t, purpose, w.post(order24, "purpose", purpose), 200, "")
		delete(got, "")
		if got["Query"] != want || len(got) != 2+int(want) {
			t.Errorf("%s: %v", purpose, maps.Clone(got))
		}
	}
}

func TestAConsentThatCannotBeReadSendsNothing(t *testing.T) {
	w := newWorld(t)
	w.database.Set(deny("Query"))
	responds(t, "no table", w.post(order24, "purpose", "marketing"), 503, "SVC_002")
	responds(t, "no table, waiting", w.post(order24, "purpose", "marketing", "prefer", "respond-async"), 503, "SVC_002")
	if again := w.sqs(`{"purpose":"marketing","message":` + order24 + `}`); len(again) != 1 {
		t.Errorf("retried %v", again)
	}
	responds(t, "a code", w.post(order24, "purpose", "authentication"), 200, "")
	w.sent(1)
}

func TestPurposesAreChecked(t *testing.T) {
	w := newWorld(t)
	lite := w.event(order24, "purpose", "utility")
	lite["queryStringParameters"] = map[string]string{"mmlite": "true"}
	query := w.event(order24)
	query["queryStringParameters"] = map[string]string{"purpose": "marketing"}
	const rule = "marketing, utility, authentication or service"
	for want, a := range map[string]harness.Answer{
		`"Purpose":"` + rule + `"`:                      w.post(order24, "purpose", "promotion"),
		`"Purpose":"` + rule:                            w.post(order24, "purpose", ""),
		`"purpose":"` + rule + `"`:                      w.post(`{"purpose":"Marketing","message":` + order24 + `}`),
		`"purpose":"a string`:                           w.post(`{"purpose":1,"message":` + order24 + `}`),
		`"Purpose":"the same as`:                        w.post(`{"purpose":"marketing","message":`+order24+`}`, "purpose", "utility"),
		`"purpose":"marketing, or absent, with mmlite"`: w.request(lite),
		`"purpose":"the header Purpose"`:                w.request(query),
		`"purpose":"absent: it is not part of a messag`: w.post(strings.Replace(order24, "{", `{"purpose":"marketing",`, 1)),
	} {
		responds(t, want, a, 400, "MSG_001")
		if !strings.Contains(a.Body, want) {
			t.Errorf("returned %s, want %s", a.Body, want)
		}
	}
	out, err := w.direct(`{"idempotencyKey":"idem-1","mmlite":true,"purpose":"service","message":` + order24 + `}`)
	if _, code := failed(t, out, err); code != "MSG_001" {
		t.Errorf("direct: %v", err)
	}
	w.untouched()
}

// What is to leave later is looked at twice: when it is asked for, and when its time has come.
func TestAStopEndsWhatIsScheduled(t *testing.T) {
	w := newWorld(t)
	a := w.post(order24, "idempotency-key", "idem-later", "purpose", "marketing", "send-at", w.in(2*time.Hour))
	responds(t, "scheduled", a, 202, "")
	key := harness.Name("idem-record")
	if again := w.sqs(`{"idempotencyKey":"` + key + `","reader":"crm","purpose":"marketing","sendAt":"` + w.in(2*time.Hour) + `","message":` + order24 + `}`); len(again) != 0 {
		t.Errorf("retried %v", again)
	}
	w.says(thisPerson, "stop", 0)
	responds(t, "said stop", w.post(order24, "purpose", "marketing", "send-at", w.in(2*time.Hour)), 409, "OPTOUT_001")
	w.fires(2 * time.Hour)
	w.drain()
	if s := w.lookUp(a.Headers["message-id"]); s.State != "rejected" || s.Reason != "OPTOUT_001" {
		t.Errorf("%+v", s)
	}
	if got := w.outcomeOf(map[string]string{"idempotency_key": key, "scope": "sqs"}); got != "OPTOUT_001" {
		t.Errorf("the record's is %s", got)
	}
	w.sent(0)
}
