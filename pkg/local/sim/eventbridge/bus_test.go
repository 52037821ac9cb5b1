package eventbridge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"connexease-functions/pkg/local/sim/pipes"
)

func entry(n int) pipes.Entry {
	return pipes.Entry{Source: "shop", DetailType: "Order", Detail: fmt.Sprintf(`{"n":%d,"kind":"k"}`, n)}
}

func put(t *testing.T, s *Server, entries ...pipes.Entry) {
	t.Helper()
	for _, err := range s.Put(t.Context(), entries) {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func call(t *testing.T, s *Server, action, body string) (int, string) {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	r.Header.Set("X-Amz-Target", "AWSEvents."+action)
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func TestPutEventsReportsEachEntryOnItsOwn(t *testing.T) {
	s := New("EventBus", time.Now)
	defer s.Close()
	_, body := call(t, s, "PutEvents", `{"Entries":[
		{"Source":"shop","DetailType":"Order","Detail":"{\"a\":1}","EventBusName":"EventBus","Time":1764000000,"Resources":["arn:x"]},
		{"Source":"shop","DetailType":"Order","Detail":"no JSON","EventBusName":"EventBus"},
		{"Source":"shop","Detail":"{}","EventBusName":"EventBus"},
		{"Source":"shop","DetailType":"Order","Detail":"[]","EventBusName":"`+ARN("EventBus")+`"},
		{"Source":"shop","DetailType":"Order","Detail":"{}"},
		{"Source":"shop","DetailType":"`+strings.Repeat("x", 129)+`","Detail":"{}","EventBusName":"EventBus"}]}`)
	var r struct {
		FailedEntryCount int
		Entries          []struct{ EventID, ErrorCode string }
	}
	if err := json.Unmarshal([]byte(body), &r); err != nil {
		t.Fatal(err)
	}
	codes := ""
	for _, e := range r.Entries {
		codes += e.ErrorCode + ","
	}
	if r.FailedEntryCount != 5 || codes != ",MalformedDetail,InvalidArgument,MalformedDetail,ResourceNotFoundException,InvalidArgument," {
		t.Errorf("returned %s", body)
	}
	all := s.Events()
	if len(all) != 1 || all[0].ID != r.Entries[0].EventID {
		t.Fatalf("it has %v", all)
	}
	want := `{"version":"0","id":"` + all[0].ID + `","detail-type":"Order","source":"shop","account":"000000000000","time":"2025-11-24T16:00:00Z","region":"us-east-1","resources":["arn:x"],"detail":{"a":1}}`
	if got := string(all[0].JSON()); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	for action, want := range map[string]int{"DescribeEventBus": 400, "PutRule": 400, "": 400} {
		if code, body := call(t, s, action, `{}`); code != want {
			t.Errorf("%s: %d %s", action, code, body)
		}
	}
	for _, bad := range []string{`{"Entries":[]}`, `{`} {
		if code, _ := call(t, s, "PutEvents", bad); code != 400 {
			t.Errorf("%s: %d", bad, code)
		}
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", nil)) // as a web page can
	if w.Code != 400 {
		t.Errorf("without an action: %d", w.Code)
	}
}

func TestSourcesOfAWSAndRequestsOverAMegabyteAreRefused(t *testing.T) {
	s := New("EventBus", time.Now)
	defer s.Close()
	entry := func(source string, detail int) string {
		return fmt.Sprintf(`{"Source":%q,"DetailType":"T","Detail":"{\"a\":\"%s\"}","EventBusName":"EventBus"}`, source, strings.Repeat("x", detail-len(`{"a":""}`)))
	}
	_, body := call(t, s, "PutEvents", `{"Entries":[`+entry("aws.ec2", 100)+`,`+entry("aws", 100)+`,`+entry("awsome.shop", 100)+`]}`)
	if !strings.Contains(body, `"FailedEntryCount":1`) || !strings.Contains(body, `"ErrorCode":"NotAuthorizedForSourceException","ErrorMessage":"Not authorized for the source."`) || s.Seen() != 2 {
		t.Errorf("%d events, %s", s.Seen(), body)
	}
	half := 1<<19 - len("shopT")
	if code, body := call(t, s, "PutEvents", `{"Entries":[`+entry("shop", half)+`,`+entry("shop", half)+`]}`); code != 200 || !strings.Contains(body, `"FailedEntryCount":0`) {
		t.Errorf("1 MB: %d %.200s", code, body)
	}
	if code, body := call(t, s, "PutEvents", `{"Entries":[`+entry("shop", half)+`,`+entry("shop", half+1)+`]}`); code != 400 || !strings.Contains(body, "over the limit") || s.Seen() != 4 {
		t.Errorf("over 1 MB: %d %.200s", code, body)
	}
}

func TestAFollowerSeesEachEventOnceAndGetsAnErrorForMissedOnes(t *testing.T) {
	s := New("EventBus", time.Now)
	defer s.Close()
	put(t, s, entry(1), entry(2))
	events, seen, err := s.Next(t.Context(), 0)
	if len(events) != 2 || seen != 2 || err != nil {
		t.Fatalf("%d %d %v", len(events), seen, err)
	}
	done := make(chan string)
	go func() {
		events, _, _ := s.Next(t.Context(), seen)
		done <- string(events[0].Detail)
	}()
	put(t, s, entry(3))
	if got := <-done; !strings.Contains(got, `"n":3`) {
		t.Errorf("followed by %s", got)
	}
	for n := range kept {
		put(t, s, entry(n))
	}
	if events, total, err := s.Next(t.Context(), 1); len(events) != kept || total != kept+3 || !errors.Is(err, ErrMissed) {
		t.Errorf("%d of %d, %v", len(events), total, err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := s.Next(ended, s.Seen()); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestARuleTransformsMatchingEventsAndRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New("EventBus", time.Now)
		var got, troubles []string
		tries := 0
		deliver := func(_ context.Context, body []byte) error {
			if tries++; tries == 1 {
				return errors.New("away")
			}
			got = append(got, string(body))
			return nil
		}
		put(t, s, entry(0)) // before the rule existed
		err := s.PutRule("r", Rule{
			Pattern:     json.RawMessage(`{"detail":{"n":[{"numeric":["<",3]}]}}`),
			Transformer: &Transformer{Paths: map[string]string{"n": "$.detail.n", "kind": "$.detail.kind"}, Template: `{"key":"<kind>-<n>"}`},
		}, deliver, func(err error) { troubles = append(troubles, err.Error()) })
		if err != nil {
			t.Fatal(err)
		}
		put(t, s, entry(1), entry(9), entry(2))
		<-time.After(time.Second) // of the bubble
		synctest.Wait()
		if strings.Join(got, " ") != `{"key":"k-1"} {"key":"k-2"}` || len(troubles) != 1 {
			t.Errorf("its target got %v after %v", got, troubles)
		}
		if len(s.Rules()) != 1 || !s.RemoveRule("r") || s.RemoveRule("r") || len(s.Rules()) != 0 {
			t.Error("the rule is not removed once")
		}
		put(t, s, entry(1))
		synctest.Wait()
		if len(got) != 2 {
			t.Errorf("a rule that is gone got %v", got)
		}
		s.Close()
	})
}

func TestARuleWithoutATransformerDeliversTheWholeEvent(t *testing.T) {
	c, err := Compile(Rule{Pattern: json.RawMessage(`{"source":["shop"]}`)})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := c.Target([]byte(`{"a":1}`)); err != nil || string(got) != `{"a":1}` || !c.Matches([]byte(`{"source":"shop"}`)) {
		t.Errorf("%s %v", got, err)
	}
	for _, r := range []Rule{
		{}, {Pattern: json.RawMessage(`{"a":1}`)},
		{Pattern: json.RawMessage(`{"a":[1]}`), Transformer: &Transformer{Template: `"<x>"`}},
		{Pattern: json.RawMessage(`{"a":[1]}`), Transformer: &Transformer{Paths: map[string]string{"x": "$.a[?(@.b)]"}, Template: `"<x>"`}},
		{Pattern: json.RawMessage(`{"a":[1]}`), Transformer: &Transformer{Paths: map[string]string{"aws.events.rule-name": "$.a"}, Template: `"x"`}},
		{Pattern: json.RawMessage(`{"a":[1]}`), Transformer: &Transformer{Paths: map[string]string{"two words": "$.a"}, Template: `"x"`}},
		{Pattern: json.RawMessage(`{"a":[1]}`), Transformer: &Transformer{Template: `"<aws.events.nothing>"`}},
		{Pattern: json.RawMessage(`{"a":[1]}`), Transformer: &Transformer{Template: `text without quotes`}},
		{Pattern: json.RawMessage(`{"a":[1]}`), Transformer: &Transformer{Template: "\"a line\"\nand one without quotes"}},
		{Pattern: json.RawMessage(`{"a":[1]}`), Transformer: &Transformer{Template: `"` + strings.Repeat("x", 8191) + `"`}},
	} {
		if _, err := Compile(r); err == nil {
			t.Errorf("%+v is accepted", r)
		}
	}
}

func TestATransformerInsertsReservedNamesListsAndNumbersUnchanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New("EventBus", time.Now)
		defer s.Close()
		got := map[string]string{}
		for name, template := range map[string]string{
			"names":   `{"arn":<aws.events.rule-arn>,"rule":"by <aws.events.rule-name>","at":<aws.events.event.ingestion-time>}`,
			"event":   `{"event":<aws.events.event>}`,
			"json":    `{"event":<aws.events.event.json>}`,
			"numbers": `{"big":<big>,"text":"<big>"}`,
			"lists":   `{"skus":<skus>,"none":<none>}`,
			"lines":   "\"order <big>\"\n\"of <aws.events.rule-name>\"",
		} {
			err := s.PutRule(name, Rule{
				Pattern:     json.RawMessage(`{"source":["shop"]}`),
				Transformer: &Transformer{Paths: map[string]string{"big": "$.detail.big", "skus": "$.detail.items[*].sku", "none": "$.detail.items[*].gone"}, Template: template},
			}, func(_ context.Context, body []byte) error {
				s.mu.Lock()
				defer s.mu.Unlock()
				got[name] = string(body)
				return nil
			}, func(err error) { t.Error(name, err) })
			if err != nil {
				t.Fatal(name, err)
			}
		}
		put(t, s, pipes.Entry{
			Source: "shop", DetailType: "Order", Time: time.Unix(1_764_000_000, 0),
			Detail: `{"big":90071992547409931,"items":[{"sku":"a"},{"sku":"b"},{}]}`,
		})
		<-time.After(time.Second) // of the bubble
		synctest.Wait()
		envelope := `"id":"` + s.Events()[0].ID + `","region":"us-east-1","resources":[],"source":"shop","time":"2025-11-24T16:00:00Z","version":"0"`
		for name, want := range map[string]string{
			"names":   `{"arn":"arn:aws:events:us-east-1:000000000000:rule/EventBus/names","rule":"by names","at":"2000-01-01T00:00:00Z"}`,
			"event":   `{"event":{"account":"000000000000","detail-type":"Order",` + envelope + `}}`,
			"json":    `{"event":{"account":"000000000000","detail":{"big":90071992547409931,"items":[{"sku":"a"},{"sku":"b"},{}]},"detail-type":"Order",` + envelope + `}}`,
			"numbers": `{"big":90071992547409931,"text":"90071992547409931"}`,
			"lists":   `{"skus":["a","b"],"none":[]}`,
			"lines":   "\"order 90071992547409931\"\n\"of lines\"",
		} {
			if got[name] != want {
				t.Errorf("%s: %s\nwant %s", name, got[name], want)
			}
		}
	})
}
