package main

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	streamtypes "github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"

	"connexease-functions/pkg/local/fixtures"
	"connexease-functions/pkg/proof/cost"
	"connexease-functions/pkg/proof/harness"
	"connexease-functions/pkg/proof/whole"
)

// storedWhole fails the test if any part of the body is missing from the table.
func storedWhole(t *testing.T, w *world, body []byte) {
	t.Helper()
	for _, line := range whole.Missing(body, slices.Collect(maps.Values(w.items()))) {
		t.Error(line)
	}
}

func deliveredWhole(t *testing.T, body []byte) {
	t.Helper()
	w := newWorld(t)
	if a := w.deliver(string(body)); a.Status != 200 {
		t.Fatalf("returned %d %s", a.Status, a.Body)
	}
	storedWhole(t, w, body)
}

func TestEveryFixtureIsStoredWhole(t *testing.T) {
	t.Parallel()
	for _, name := range fixtures.Names() {
		t.Run(name, func(t *testing.T) {
			body, err := fixtures.Body(name)
			if err != nil {
				t.Fatal(err)
			}
			deliveredWhole(t, body)
		})
	}
}

func fixture(t testing.TB, name string) string {
	t.Helper()
	body, err := fixtures.Body(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestAMessageHasItsDocumentedAttributes(t *testing.T) {
	w := newWorld(t)
	w.stored(fixture(t, "image"), 1)
	it := w.one()
	for name, want := range map[string]string{
		"kind": "message", "direction": "in", "type": "image", "field": "messages", "contact": "15550100001",
		"phone_number_id": "300000000000001", "display_phone_number": "15550100099", "waba_id": "400000000000001",
		"text": "The broken part", "timestamp": "1764000000",
		"pk": "wa#" + it.Text("wamid"), "timeline_pk": "contact#15550100001",
		"timeline_sk": "2025-11-24T16:00:00.000Z#" + it.Text("wamid"),
	} {
		if it.Text(name) != want {
			t.Errorf("%s is %q, want %q", name, it.Text(name), want)
		}
	}
	if !strings.HasPrefix(it.Text("sk"), "message#300000000000001#") {
		t.Errorf("sk is %q", it.Text("sk"))
	}
}

func TestAStatusOfOurOwnSendIsStoredUnderItsMessageID(t *testing.T) {
	id := "msg_abcdefghijklmnopqrstuvwxyz"
	body := func(opaque string) string {
		return strings.Replace(fixture(t, "status-read"), `"status": "read"`, `"status": "read", "biz_opaque_callback_data": "`+opaque+`"`, 1)
	}
	w := newWorld(t)
	w.stored(body(id+".abcdefghijklmnop"), 1)
	it := w.one()
	if it.Text("pk") != id || it.Text("message_id") != id || !strings.HasPrefix(it.Text("sk"), "status#read#1764000000#") {
		t.Errorf("pk %q, sk %q, message_id %q", it.Text("pk"), it.Text("sk"), it.Text("message_id"))
	}
	for _, foreign := range []string{"order-7", id, id + ".", id + ".short", "msg_1.abcdefghijklmnop", strings.ToUpper(id) + ".abcdefghijklmnop"} {
		w := newWorld(t)
		w.stored(body(foreign), 1)
		if it := w.one(); it.Text("pk") != "wa#"+it.Text("wamid") || it.Text("message_id") != "" {
			t.Errorf("%q: pk %q", foreign, it.Text("pk"))
		}
	}
}

func TestTwoAccountEventsWithEqualBytesAreTwoRows(t *testing.T) {
	w := newWorld(t)
	body := fixture(t, "account-review")
	w.stored(body, 1)
	w.stored(strings.Replace(body, "400000000000001", "400000000000002", 1), 1)
	w.stored(strings.Replace(body, "1764000000", "1764000001", 1), 1)
	w.stored(body, 1)
	if n := len(w.items()); n != 3 {
		t.Errorf("the table has %d items, want 3", n)
	}
}

func TestAnyOrderAndAnyNumberOfRepeatsLeaveTheSameTable(t *testing.T) {
	t.Parallel()
	names := []string{"text", "image", "status-sent", "status-delivered", "status-read", "status-failed", "template-status", "batch", "history", "errors", "unexpected-extras", "dashboard-test"}
	once, often := newWorld(t), newWorld(t)
	for _, name := range names {
		if a := once.deliver(fixture(t, name)); a.Status != 200 {
			t.Fatal(a.Body)
		}
	}
	shuffled := slices.Concat(names, names, names)
	rand.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	var all sync.WaitGroup
	for part := range slices.Chunk(shuffled, 9) {
		all.Go(func() {
			for _, name := range part {
				if a := often.deliver(fixture(t, name)); a.Status != 200 {
					t.Error(a.Body)
				}
			}
		})
	}
	all.Wait()
	if !reflect.DeepEqual(once.items(), often.items()) {
		t.Errorf("the tables differ: %v and %v", slices.Sorted(maps.Keys(once.items())), slices.Sorted(maps.Keys(often.items())))
	}
	inserts, others := records(t, often)
	if inserts != len(often.items()) || others != 0 {
		t.Errorf("the stream has %d inserts and %d other records for %d items", inserts, others, len(often.items()))
	}
}

// records counts the records of the table's stream.
func records(t *testing.T, w *world) (inserts, others int) {
	t.Helper()
	client := harness.Backends.Streams()
	about, err := harness.Backends.DB.DescribeTable(t.Context(), &dynamodb.DescribeTableInput{TableName: &w.table})
	if err != nil {
		t.Fatal(err)
	}
	stream := about.Table.LatestStreamArn
	described, err := client.DescribeStream(t.Context(), &dynamodbstreams.DescribeStreamInput{StreamArn: stream})
	if err != nil {
		t.Fatal(err)
	}
	for _, shard := range described.StreamDescription.Shards {
		start, err := client.GetShardIterator(t.Context(), &dynamodbstreams.GetShardIteratorInput{
			StreamArn: stream, ShardId: shard.ShardId, ShardIteratorType: streamtypes.ShardIteratorTypeTrimHorizon,
		})
		if err != nil {
			t.Fatal(err)
		}
		for at := start.ShardIterator; at != nil; {
			got, err := client.GetRecords(t.Context(), &dynamodbstreams.GetRecordsInput{ShardIterator: at})
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range got.Records {
				if r.EventName == streamtypes.OperationTypeInsert {
					inserts++
				} else {
					others++
				}
			}
			if at = got.NextShardIterator; len(got.Records) == 0 {
				break
			}
		}
	}
	return inserts, others
}

// statuses returns a body with n statuses.
func statuses(n int) string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf(`{"id":"wamid.BATCH%d","status":"delivered","timestamp":"1764000000","recipient_id":"15550100001"}`, i))
	}
	return `{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages","value":{"messaging_product":"whatsapp","metadata":{"display_phone_number":"15550100099","phone_number_id":"3"},"statuses":[` + strings.Join(list, ",") + `]}}]}]}`
}

func TestEveryUpdateOfABatchIsAnItem(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 2, 25, 26, 1000} {
		w := unhurried(t)
		w.stored(statuses(n), n)
		if got := len(w.items()); got != n {
			t.Errorf("%d statuses became %d items", n, got)
		}
	}
}

func TestAnUpdateOverTheItemLimitIsStoredWhole(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{"ASCII": strings.Repeat("a", 900_000), "three bytes a character": strings.Repeat("\u20ac", 300_001)} {
		t.Run(name, func(t *testing.T) {
			w := unhurried(t)
			body := strings.Replace(fixture(t, "text"), "Is the blue one back in stock?", text, 1)
			w.stored(body, 1)
			w.stored(body, 1)
			payload, parts := "", 0
			all := w.items()
			for _, key := range slices.Sorted(maps.Keys(all)) {
				if it := all[key]; it.Text("kind") == "part" {
					parts++
					payload += it.Text("payload")
					if it.Text("timeline_pk") != "" {
						t.Error("a part is in the timeline")
					}
				}
			}
			var head harness.Item
			for _, it := range all {
				if it.Text("kind") == "message" {
					head = it
				}
			}
			if parts != 3 || head.Text("parts") != "3" || len(head.Text("payload_sha256")) != 64 || len(all) != 4 {
				t.Fatalf("%d parts of %d items, head says %q", parts, len(all), head.Text("parts"))
			}
			if u := whole.Updates([]byte(body)); payload != u[0] {
				t.Error("the parts together are not the update")
			}
			if len(head.Text("text")) > 512 {
				t.Error("text is over 512 bytes")
			}
		})
	}
}

func TestBytesThatAreNotUTF8AreKeptAsBinary(t *testing.T) {
	w := newWorld(t)
	body := strings.Replace(fixture(t, "text"), "Is the blue", "Is \xff\xfe blue", 1)
	e := event("Bearer "+w.token, base64.StdEncoding.EncodeToString([]byte(body)))
	e["isBase64Encoded"] = true
	if a, err := w.invoke(e); err != nil || a.Status != 200 {
		t.Fatalf("%v %s", err, a.Body)
	}
	if b, ok := w.one()["payload"].(*types.AttributeValueMemberB); !ok || !bytes.Contains(b.Value, []byte("\xff\xfe")) {
		t.Error("the payload is not the received bytes")
	}
}

func TestABodyThatIsNotANotificationIsQuarantinedWith200(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"no JSON": "hello from nowhere", "empty": "", "array": "[1,2]", "string": `"x"`, "null": "null",
		"other object": `{"event":"test"}`, "no entries": `{"object":"whatsapp_business_account","entry":[]}`,
		"entry is not a list": `{"entry":{"id":"1"}}`, "truncated": `{"entry":[`, "deep": strings.Repeat("[", 20000) + strings.Repeat("]", 20000),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.stored(body, 1)
			w.stored(body, 1)
			it := w.one()
			if it.Text("kind") != "quarantine" || !strings.HasPrefix(it.Text("pk"), "event#quarantine#") || it.Text("sk") != "event" || it.Text("payload") != body || it.Text("reason") == "" {
				t.Errorf("got %v", it)
			}
		})
	}
}

func TestIdentifiersOfAnyShapeAreStored(t *testing.T) {
	t.Parallel()
	for name, id := range map[string]string{
		"empty": `""`, "null": `null`, "number": `12`, "object": `{"a":1}`, "10 kB": `"` + strings.Repeat("x", 10_000) + `"`,
		"513 bytes": `"` + strings.Repeat("x", 513) + `"`, "512 bytes": `"` + strings.Repeat("x", 512) + `"`, "NUL": `"a\u0000b"`, "not ASCII": `"\u20ac"`,
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			body := `{"object":"whatsapp_business_account","entry":[{"id":` + id + `,"changes":[{"field":` + id + `,"value":{"messaging_product":"whatsapp","metadata":{"display_phone_number":` + id + `,"phone_number_id":` + id + `},"contacts":[{"wa_id":` + id + `}],"messages":[{"id":` + id + `,"from":` + id + `,"timestamp":` + id + `,"type":` + id + `},{"id":"wamid.fine","from":"15550100001","timestamp":"1764000000","type":"text","text":{"body":"hello"}}],"statuses":[{"id":` + id + `,"status":` + id + `,"timestamp":` + id + `,"recipient_id":` + id + `}]}}]}]}`
			if a := w.deliver(body); a.Status != 200 {
				t.Fatalf("returned %d %s", a.Status, a.Body)
			}
			storedWhole(t, w, []byte(body))
			for _, it := range w.items() {
				if it.Text("kind") == "quarantine" {
					t.Errorf("quarantined: %s", it.Text("payload"))
				}
			}
		})
	}
}

func TestAMessageCostsTwoWriteUnitsAndAStatusOne(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]float64{
		"text": cost.MessageWrites, "image": cost.MessageWrites, "template-status": cost.MessageWrites,
		"user-preference": cost.MessageWrites + cost.ConsentWrites, "text-stop": cost.MessageWrites + cost.ConsentWrites,
		"status-sent": cost.StatusWrites, "status-read": cost.StatusWrites, "status-contact": cost.StatusWrites,
	} {
		w := newWorld(t)
		w.words[0] = "STOP"
		w.build(w.database.URL)
		got := 0.0
		w.database.Measure(func(_ string, units float64) { got += units })
		w.stored(fixture(t, name), 1)
		if got != want {
			t.Errorf("%s costs %v write units, want %v", name, got, want)
		}
	}
}

func TestItemsExpireByTheDayOfReceiptAndReceiptsOutliveTheirSend(t *testing.T) {
	t.Parallel()
	day := time.Now().UTC().Truncate(24 * time.Hour)
	ours := strings.Replace(fixture(t, "status-read"), `"status": "read"`, `"status": "read", "biz_opaque_callback_data": "msg_abcdefghijklmnopqrstuvwxyz.abcdefghijklmnop"`, 1)
	for _, c := range []struct {
		body, days string
		want       int
	}{
		{fixture(t, "text"), "", 365}, {fixture(t, "text"), "7", 7}, {fixture(t, "text"), "0", 0},
		{ours, "7", 22}, {ours, "30", 37}, {ours, "0", 0}, {fixture(t, "status-read"), "7", 7},
	} {
		w := newWorld(t)
		w.days = c.days
		w.build(harness.Backends.DynamoDBURL)
		w.stored(c.body, 1)
		want := ""
		if c.want > 0 {
			want = strconv.FormatInt(day.AddDate(0, 0, c.want).Unix(), 10)
		}
		if got := w.one().Text("expires_at"); got != want {
			t.Errorf("RETENTION_DAYS %q: expires_at is %q, want %q", c.days, got, want)
		}
	}
}
