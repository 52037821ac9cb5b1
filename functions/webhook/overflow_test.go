package main

import (
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"connexease-functions/pkg/local/fixtures"
	"connexease-functions/pkg/proof/harness"
	"connexease-functions/pkg/table"
)

// overflowed receives and deletes all messages of the queue.
func (w *world) overflowed() (bodies []string) {
	w.t.Helper()
	client, url := harness.SQS(w.sqs.URL), w.queues.URL("overflow")
	for {
		messages := harness.Receive(w.t, w.queues, client, "overflow")
		if len(messages) == 0 {
			return bodies
		}
		for _, m := range messages {
			bodies = append(bodies, *m.Body)
			if _, err := client.DeleteMessage(w.t.Context(), &sqs.DeleteMessageInput{QueueUrl: &url, ReceiptHandle: m.ReceiptHandle}); err != nil {
				w.t.Fatal(err)
			}
		}
	}
}

// drain invokes the function with messages of the queue, and returns the indexes of those to be
// returned to the queue.
func (w *world) drain(bodies ...string) (again []string) {
	w.t.Helper()
	return w.again(time.Minute, bodies...)
}

func TestEventsThatCannotBeWrittenWaitInTheQueueAndAreStoredUnchanged(t *testing.T) {
	t.Parallel()
	harness.AtOnce(t, away, func(t *testing.T, f harness.Fault) {
		for _, body := range []string{fixture(t, "text"), fixture(t, "batch"), "no JSON at all", statuses(60)} {
			w, direct := newWorld(t), unhurried(t)
			w.database.Set(f)
			answer, want := w.distrusting(body), direct.deliver(body)
			if answer.Status != 200 || answer.Body != want.Body {
				t.Fatalf("%d %s, want %s", answer.Status, answer.Body, want.Body)
			}
			w.database.Set(nil)
			if n := len(w.items()); n != 0 {
				t.Errorf("the table has %d items already", n)
			}
			messages := w.overflowed()
			if again := w.drain(messages...); len(messages) == 0 || again != nil {
				t.Errorf("%d messages, %v are returned", len(messages), again)
			}
			if got, want := w.items(), direct.items(); !reflect.DeepEqual(got, want) {
				t.Errorf("the table has %v, want %v", got, want)
			}
			if w.drain(messages...); !reflect.DeepEqual(w.items(), direct.items()) {
				t.Error("a repeat changed the table")
			}
			if !strings.Contains(w.logs.String(), `"Overflowed":`) || !strings.Contains(w.logs.String(), `"Drained":`) {
				t.Error("no metric counts it")
			}
		}
	})
}

func TestEveryFixtureGoesThroughTheQueueUnchanged(t *testing.T) {
	t.Parallel()
	w, direct := unhurried(t), unhurried(t)
	w.database.Set(away["no access"])
	for _, name := range fixtures.Names() {
		direct.deliver(fixture(t, name))
		if a := w.deliver(fixture(t, name)); a.Status != 200 {
			t.Errorf("%s: %d", name, a.Status)
		}
	}
	for _, body := range []string{
		"\xff\xfe no UTF-8", `{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages","value":{"messages":[{"id":"wamid.\uFFFF\u2028","from":"15550100001","type":"text","text":{"body":"` + "\uFFFE\U0001F600" + `\ud800"}}]}}]}]}`,
	} {
		direct.deliver(body)
		if a := w.deliver(body); a.Status != 200 {
			t.Errorf("%q: %d %s", body, a.Status, a.Body)
		}
	}
	w.database.Set(nil)
	messages := w.overflowed()
	rand.Shuffle(len(messages), func(i, j int) { messages[i], messages[j] = messages[j], messages[i] })
	if again := w.drain(messages...); again != nil {
		t.Errorf("%v are returned", again)
	}
	// The attributes alongside a payload are those of the last delivery, and the order differs
	// here.
	bare := func(items map[string]harness.Item) map[string]string {
		all := map[string]string{}
		for key, it := range items {
			all[key] = it.Text("payload")
		}
		return all
	}
	if got, want := bare(w.items()), bare(direct.items()); !maps.Equal(got, want) || len(got) < 60 {
		t.Errorf("the table has %d items, want %d", len(got), len(want))
	}
}

// large returns a message whose payload has about this many bytes, in two-byte characters.
func large(id string, bytes int) string {
	return `{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages","value":{"metadata":{"phone_number_id":"2"},"messages":[{"id":"` +
		id + `","from":"15550100001","timestamp":"1764000000","type":"text","text":{"body":"` + strings.Repeat("é", bytes/2) + `"}}]}}]}]}`
}

func TestALargePayloadIsQueuedInPartsAndItsHeadIsStoredLast(t *testing.T) {
	t.Parallel()
	for name, size := range map[string]int{"one item": 300_000, "two parts": 600_000, "nine parts": 3_000_000} {
		t.Run(name, func(t *testing.T) {
			w, direct := unhurried(t), unhurried(t)
			body := large("wamid.large", size)
			direct.stored(body, 1)
			w.database.Set(away["no access"])
			w.stored(body, 1)
			w.database.Set(nil)
			messages := w.overflowed()
			slices.SortFunc(messages, func(a, b string) int { return len(a) - len(b) }) // the head first
			for _, m := range messages {
				if len(m) > table.MaxMessage || strings.ContainsFunc(m, func(r rune) bool { return r > 126 || r < 32 }) {
					t.Errorf("a message has %d bytes, or other than ASCII", len(m))
				}
			}
			if len(messages) > 1 {
				if again := w.drain(messages[0]); !slices.Equal(again, []string{"0"}) || len(w.items()) != 0 {
					t.Errorf("a head without parts: %v, %d items", again, len(w.items()))
				}
				if again := w.drain(messages[1:]...); again != nil {
					t.Errorf("%v are returned", again)
				}
			}
			if again := w.drain(messages[0]); again != nil || !reflect.DeepEqual(w.items(), direct.items()) {
				t.Errorf("%v are returned, the table has %d items, want %d", again, len(w.items()), len(direct.items()))
			}
		})
	}
}

func TestManyEventsArePackedIntoFewMessages(t *testing.T) {
	t.Parallel()
	w := unhurried(t)
	w.database.Set(away["no access"])
	w.stored(statuses(1000), 1000)
	w.database.Set(nil)
	messages := w.overflowed()
	if len(messages) < 1 || len(messages) > 4 {
		t.Errorf("1,000 statuses are %d messages", len(messages))
	}
	if again := w.drain(messages...); again != nil || len(w.items()) != 1000 {
		t.Errorf("%v are returned, %d items", again, len(w.items()))
	}
}

func TestOnlyUnwrittenEventsAreQueued(t *testing.T) {
	t.Parallel()
	for range 5 { // a slow machine may write less than it could within the budget
		w := newWorld(t)
		w.database.Set(func(rw http.ResponseWriter, action string, body []byte) bool {
			if action != "BatchWriteItem" || !strings.Contains(string(body), `wa#wamid.BATCH7"`) {
				return false
			}
			harness.Refuse(rw, 400, "ThrottlingException")
			return true
		})
		if a := w.aged(0, statuses(60)); a.Status != 200 {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		w.database.Set(nil)
		before := len(w.items())
		messages := w.overflowed()
		if again := w.drain(messages...); again != nil || len(w.items()) != 60 {
			t.Errorf("%v are returned, %d items", again, len(w.items()))
		}
		if before == 35 && len(messages) == 1 {
			return
		}
	}
	t.Error("no delivery had all but one batch written, and that one queued")
}

func TestAMessageThatCannotBeDrainedIsReturnedAndDoesNotDelayOthers(t *testing.T) {
	t.Parallel()
	w := unhurried(t)
	w.database.Set(away["no access"])
	w.stored(fixture(t, "text"), 1)
	w.stored(fixture(t, "image"), 1)
	messages := w.overflowed()
	if again := w.drain(messages...); !slices.Equal(again, []string{"0", "1"}) {
		t.Errorf("while the table is away %v are returned", again)
	}
	w.database.Set(nil)
	if again := w.drain(messages[0], "no JSON", messages[1]); !slices.Equal(again, []string{"1"}) || len(w.items()) != 2 {
		t.Errorf("%v are returned, %d items", again, len(w.items()))
	}
}

func TestEventsThatOnlyPartlyReachTheQueueReturnSVC002(t *testing.T) {
	t.Parallel()
	w := unhurried(t)
	w.database.Set(away["no access"])
	calls := 0
	w.sqs.Set(func(rw http.ResponseWriter, _ string, body []byte) bool {
		if !strings.Contains(string(body), "head") {
			return false
		}
		calls++
		harness.Refuse(rw, 400, "AccessDenied")
		return true
	})
	if a := w.aged(0, large("wamid.large", 600_000)); a.Status != 503 || a.Code() != "SVC_002" || calls == 0 {
		t.Errorf("%d %s after %d refusals", a.Status, a.Body, calls)
	}
}

// Messages may wait in the queue while a new version is deployed.
func TestAMessageOfAnEarlierVersionIsRead(t *testing.T) {
	body, err := os.ReadFile("testdata/overflow-1.json")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	if again := w.drain(string(body)); again != nil {
		t.Fatalf("%v are returned", again)
	}
	it := w.one()
	for name, want := range map[string]string{
		"pk": "wa#wamid.TEXT1", "kind": "message", "contact": "15550100001", "text": "Hello", "type": "text", "direction": "in", "field": "messages",
		"expires_at": "1795564800", "sk": "message#300000000000001#0123456789abcdef", "timeline_pk": "contact#15550100001", "timestamp": "1764000000", "waba_id": "400000000000001",
	} {
		if got := it.Text(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}
