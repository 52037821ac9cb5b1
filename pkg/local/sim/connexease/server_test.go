package connexease

import (
	"context"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"connexease-functions/pkg/gateway"
	"connexease-functions/pkg/proof/await"
)

const (
	key   = "sk_local"
	text1 = `{"messaging_product":"whatsapp","to":"+905551234567","type":"text","text":{"body":"hi"},"biz_opaque_callback_data":"msg_a.t1"}`
)

// webhook records the bodies that it receives.
type webhook struct {
	mu     sync.Mutex
	auth   []string
	bodies []string
	status int
}

func (h *webhook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.auth = append(h.auth, r.Header.Get("Authorization"))
	h.bodies = append(h.bodies, string(body))
	if h.status != 0 {
		w.WriteHeader(h.status)
	}
}

type rig struct {
	*Server
	hook   *webhook
	client *gateway.Client
	url    string
}

func start(t *testing.T, change func(*Config)) *rig {
	t.Helper()
	hook := &webhook{}
	receiver := httptest.NewServer(hook)
	t.Cleanup(receiver.Close)
	c := Config{
		Numbers:       func() []Number { return []Number{{Key: key}} },
		WebhookURL:    receiver.URL + "/webhook",
		WebhookSecret: func() string { return "hook-secret" },
		Rand:          rand.New(rand.NewPCG(1, 2)),
	}
	if change != nil {
		change(&c)
	}
	s := New(c)
	t.Cleanup(s.Close)
	url, err := s.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	client, err := gateway.New(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return &rig{s, hook, client, url}
}

func (r *rig) send(body string) gateway.Result {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return r.client.Send(ctx, key, []byte(body), false, false)
}

// until polls, because callbacks come from another goroutine.
func (r *rig) called(n int) func() bool {
	return func() bool {
		got := 0
		for _, m := range r.Messages() {
			got += len(m.Callbacks)
		}
		return got >= n
	}
}

func statuses(m Message) string {
	var all []string
	for _, c := range m.Callbacks {
		all = append(all, c.Status)
	}
	return strings.Join(all, " ")
}

func TestAnAcceptedMessageIsCalledBackAsSentDeliveredAndRead(t *testing.T) {
	r := start(t, nil)
	result := r.send(text1)
	if result.State != gateway.Accepted || !regexp.MustCompile(`^wamid\.HBgM[A-Za-z0-9+/=]{40,}$`).MatchString(result.Wamid) {
		t.Fatalf("%+v", result)
	}
	if !strings.Contains(string(result.Body), `"contacts":[{"input":"+905551234567","wa_id":"905551234567"}]`) || result.Header.Get("X-RateLimit-sec-Remaining") != "79" || result.Header.Get("X-RateLimit-min-Limit") != "4800" {
		t.Errorf("%s %v", result.Body, result.Header)
	}
	await.Until(t, "three callbacks", r.called(3))
	m := r.Messages()[0]
	if statuses(m) != "sent delivered read" || m.Wamid != result.Wamid || m.Times != 1 || string(m.Body) != text1 || m.Callbacks[0].Answer != 200 {
		t.Errorf("%+v", m)
	}
	var got struct {
		Object string
		Entry  []struct {
			ID      string
			Changes []struct {
				Field string
				Value struct {
					Metadata map[string]string
					Statuses []map[string]any
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(r.hook.bodies[0]), &got); err != nil {
		t.Fatal(err)
	}
	change := got.Entry[0].Changes[0]
	status := change.Value.Statuses[0]
	if got.Object != "whatsapp_business_account" || change.Field != "messages" || change.Value.Metadata["phone_number_id"] == "" || r.hook.auth[0] != "Bearer hook-secret" {
		t.Errorf("%+v %v", got, r.hook.auth)
	}
	if status["id"] != result.Wamid || status["status"] != "sent" || status["recipient_id"] != "905551234567" || status["biz_opaque_callback_data"] != "msg_a.t1" ||
		status["pricing"].(map[string]any)["category"] != "service" || len(status["conversation"].(map[string]any)["id"].(string)) != 32 {
		t.Errorf("%v", status)
	}
	if _, isString := status["timestamp"].(string); !isString {
		t.Errorf("timestamp %v", status["timestamp"])
	}
}

func TestTheSandboxAppliesEverythingButMetasChecks(t *testing.T) {
	r := start(t, nil)
	result := r.client.Send(t.Context(), key, []byte(`{"messaging_product":"whatsapp","to":"1"}`), true, false)
	if result.State != gateway.Accepted || !regexp.MustCompile(`^wamid\.FAKE_\d+$`).MatchString(result.Wamid) || strings.Contains(string(result.Body), "contacts") {
		t.Errorf("%+v %s", result, result.Body)
	}
	if result := r.client.Send(t.Context(), "sk_other", []byte(text1), true, false); result.Status != 401 {
		t.Errorf("%+v", result)
	}
	r.Close()
	if m := r.Messages(); len(m) != 1 || !m[0].IsFake || len(r.hook.bodies) != 0 {
		t.Errorf("%+v, %d callbacks", m, len(r.hook.bodies))
	}
}

func TestAuthenticationDistinguishesThreeFailures(t *testing.T) {
	r := start(t, nil)
	for header, want := range map[string]string{"": "AUTH_002", "Basic x": "AUTH_003", "Bearer ": "AUTH_003", "Bearer sk_other": "AUTH_001", "bearer " + key: ""} {
		request, _ := http.NewRequestWithContext(t.Context(), "POST", r.url+path, strings.NewReader(text1))
		if header != "" {
			request.Header.Set("Authorization", header)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		var got gateway.Response
		_ = json.NewDecoder(response.Body).Decode(&got)
		response.Body.Close()
		code := ""
		if got.Errors != nil {
			code = got.Errors.Code
		}
		if code != want || (want != "") != (response.StatusCode == 401) {
			t.Errorf("%q: %d %q, want %q", header, response.StatusCode, code, want)
		}
	}
}

func TestMetaRefusesInvalidMessages(t *testing.T) {
	r := start(t, nil)
	for body, want := range map[string]string{
		`{`:   "BAD_REQUEST",
		`[1]`: "BAD_REQUEST",
		`{"to":"905551234567","type":"text","text":{}}`:                                     "GW_001",
		`{"messaging_product":"whatsapp","type":"text","text":{}}`:                          "GW_001",
		`{"messaging_product":"whatsapp","to":"123","type":"text","text":{}}`:               "GW_001",
		`{"messaging_product":"whatsapp","to":"905551234567","type":"image","text":{}}`:     "GW_001",
		`{"messaging_product":"whatsapp","status":"read"}`:                                  "GW_001",
		`{"messaging_product":"whatsapp","to":"12345","text":{"body":"x"}}`:                 "GW_001",
		`{"messaging_product":"whatsapp","to":"+12 34-56","text":{"body":"x"}}`:             "GW_001",
		`{"messaging_product":"whatsapp","to":"123456","text":{"body":"x"}}`:                "",
		`{"messaging_product":"whatsapp","to":"+1 (555) 012-3456","text":{"body":"x"}}`:     "",
		`{"messaging_product":"whatsapp","to":905551234567,"text":{"body":"x"}}`:            "",
		`{"messaging_product":"whatsapp","recipient":"US.1","text":{"body":"x"}}`:           "",
		`{"messaging_product":"whatsapp","to":"g","recipient_type":"group","text":{"b":1}}`: "",
	} {
		result := r.send(body)
		code := ""
		if result.Response.Errors != nil {
			code = result.Response.Errors.Code
		}
		if code != want || (result.State == gateway.Accepted) != (want == "") {
			t.Errorf("%s: %s %s", body, result.State, code)
		}
	}
	if result := r.client.SendReceipt(t.Context(), key, []byte(`{"messaging_product":"whatsapp","status":"read","message_id":"m"}`), false, false); result.State != gateway.Accepted || result.Wamid != "" {
		t.Errorf("receipt: %+v", result)
	}
	if m := r.Messages(); len(m) != 6 || !m[5].Receipt {
		t.Errorf("%+v", m)
	}
}

func TestAMessageThatMetaAcceptsButNeverDeliversSaysWhy(t *testing.T) {
	r := start(t, nil)
	const group = "Y2FwaV9ncm91cDoxNzA1NTU1MDEzOToxMjAzNjM0MDQ2OTQyMzM4MjAZD"
	for i, c := range []struct{ members, why, contact string }{
		{`"to":"US.13491208655302741918"`, "business-scoped user id, which belongs in recipient", `"input":"US.13491208655302741918"`},
		{`"to":"US.1","recipient":"US.1"`, "business-scoped user id, which belongs in recipient", `"input":"US.1"`},
		{`"to":"` + group + `"`, "recipient_type group", `"input":"` + group + `"`},
		{`"to":"` + group + `","recipient_type":"group"`, "", `"input":"` + group + `"`},
		{`"recipient":"US.13491208655302741918"`, "", `"user_id":"US.13491208655302741918"`},
		{`"to":"+1 (555) 012-3456"`, "", `"input":"+1 (555) 012-3456","wa_id":"15550123456"`},
	} {
		result := r.send(`{"messaging_product":"whatsapp","type":"text","text":{"body":"hi"},` + c.members + `}`)
		if result.State != gateway.Accepted || !strings.Contains(string(result.Body), c.contact) {
			t.Errorf("%s: returned %s", c.members, result.Body)
		}
		m := r.Messages()[i]
		if !strings.Contains(m.Undelivered, c.why) || (c.why == "") != (m.Undelivered == "") {
			t.Errorf("%s: undelivered because %q", c.members, m.Undelivered)
		}
	}
	await.Until(t, "the callbacks of three", func() bool {
		all := r.Messages()
		return len(all[3].Callbacks) == 3 && len(all[4].Callbacks) == 3 && len(all[5].Callbacks) == 3
	})
	r.Close() // waits for callbacks
	for _, m := range r.Messages()[:3] {
		if len(m.Callbacks) != 0 {
			t.Errorf("%s was called back as %+v", m.Body, m.Callbacks)
		}
	}
	r.hook.mu.Lock()
	defer r.hook.mu.Unlock()
	if all := strings.Join(r.hook.bodies, "\n"); strings.Count(all, `"recipient_id":"15550123456"`) != 3 {
		t.Errorf("called back with %s", all)
	}
}

func TestRateLimitsAreSlidingWindowsPerKey(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	s := New(Config{Numbers: func() []Number { return nil }, Now: func() time.Time { return now }, Limits: Limits{PerSecond: 2, PerMinute: 3}})
	defer s.Close()
	for _, step := range []struct {
		after         time.Duration
		key           string
		refused       bool
		limitType     string
		secLeft, mins string
	}{
		{0, "a", false, "", "1", "2"},
		{0, "a", false, "", "0", "1"},
		{0, "a", true, "sec", "0", "1"},
		{0, "b", false, "", "1", "2"},
		{999 * time.Millisecond, "a", true, "sec", "0", "1"},
		{time.Millisecond, "a", false, "", "1", "0"},
		{time.Second, "a", true, "min", "2", "0"},
		{58 * time.Second, "a", false, "", "1", "1"},
	} {
		now = now.Add(step.after)
		header, bad := s.limit(Number{Key: step.key})
		if (bad != nil) != step.refused || header.Get("X-RateLimit-sec-Remaining") != step.secLeft || header.Get("X-RateLimit-min-Remaining") != step.mins {
			t.Errorf("%+v: %v %v", step, bad, header)
		}
		if bad != nil && !strings.Contains(string(bad.body), `"limit_type":"`+step.limitType+`"`) {
			t.Errorf("%+v: %s", step, bad.body)
		}
	}
}

func TestAMessageIsCountedAcrossItsAttempts(t *testing.T) {
	r := start(t, nil)
	r.send(text1)
	r.send(strings.Replace(text1, "msg_a.t1", "msg_a.t2", 1))
	r.send(strings.Replace(text1, "msg_a.t1", "msg_b.t1", 1))
	var times []int
	for _, m := range r.Messages() {
		times = append(times, m.Times)
	}
	if !reflect.DeepEqual(times, []int{2, 2, 1}) {
		t.Errorf("%v", times)
	}
}

func TestCallbacksCanFailRepeatGetLostAndBeLate(t *testing.T) {
	r := start(t, nil)
	set := func(c Callbacks) {
		t.Helper()
		if err := r.SetCallbacks(c); err != nil {
			t.Fatal(err)
		}
	}
	set(Callbacks{FailTimes: 1, FailCode: 131047})
	r.send(text1)
	await.Until(t, "the failure", r.called(1))
	if body := r.hook.bodies[0]; !strings.Contains(body, `"status":"failed"`) || !strings.Contains(body, `"code":131047`) || strings.Contains(body, "pricing") || r.Callbacks().FailTimes != 0 {
		t.Errorf("%s %+v", body, r.Callbacks())
	}
	set(Callbacks{Statuses: []string{"read", "sent"}, Repeat: 1, DelayMS: 1})
	r.send(text1)
	await.Until(t, "repeats", r.called(5))
	if m := r.Messages()[1]; statuses(m) != "read read sent sent" || r.hook.bodies[1] != r.hook.bodies[2] {
		t.Errorf("%s", statuses(m))
	}
	set(Callbacks{Loss: 1})
	r.send(text1)
	set(Callbacks{DelayMS: 600_000})
	r.send(text1)
	set(Callbacks{Off: true})
	r.send(text1)
	r.Close() // waits for every callback, and ends the late ones
	if n := len(r.hook.bodies); n != 5 {
		t.Errorf("%d callbacks", n)
	}
	if r.SetCallbacks(Callbacks{Loss: 2, Repeat: -1, DelayMS: -1}) == nil {
		t.Error("taken")
	}
}

func TestEachNumberHasItsKeyItsLimitsItsFaultsAndItsCallbacks(t *testing.T) {
	r := start(t, func(c *Config) {
		c.Numbers = func() []Number { return []Number{{Key: key}, {Key: "other", PhoneNumberID: "207"}} }
	})
	other := func() gateway.Result { return r.client.Send(t.Context(), "other", []byte(text1), false, false) }
	r.SetLimits(Limits{Numbers: map[string]Limits{"207": {PerSecond: 1}}})
	if err := r.SetFaults(Faults{{Kind: Answer, Status: 500, Number: "207", Times: 1}}); err != nil {
		t.Fatal(err)
	}
	for i, c := range []struct {
		send func() gateway.Result
		want int
	}{
		{func() gateway.Result { return r.send(text1) }, 200}, {other, 500}, {other, 200}, {other, 429},
		{func() gateway.Result { return r.send(text1) }, 200},
		{func() gateway.Result { return r.client.Send(t.Context(), "another", []byte(text1), false, false) }, 401},
	} {
		if result := c.send(); result.Status != c.want {
			t.Errorf("request %d: %+v", i, result)
		}
	}
	var from []string
	for _, m := range r.Messages() {
		from = append(from, m.PhoneNumberID)
	}
	if want := []string{"106540352242922", "207", "106540352242922"}; !slices.Equal(from, want) {
		t.Errorf("sent from %v", from)
	}
	await.Until(t, "callbacks", func() bool {
		r.hook.mu.Lock()
		defer r.hook.mu.Unlock()
		return strings.Count(strings.Join(r.hook.bodies, "\n"), `"phone_number_id":"207"`) == 3
	})
}
