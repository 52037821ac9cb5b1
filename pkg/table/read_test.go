package table_test

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"connexease-functions/pkg/local/fixtures"
	"connexease-functions/pkg/proof/harness"
	"connexease-functions/pkg/table"
	"connexease-functions/pkg/whatsapp"
)

const days = 365

func TestMain(m *testing.M) { os.Exit(harness.Run(m, nil)) }

func newTable(t *testing.T) *table.Table {
	t.Helper()
	return table.New(harness.Backends.DB, harness.NewTable(t), days)
}

func put(t *testing.T, to *table.Table, at time.Time, bodies ...[]byte) {
	t.Helper()
	for _, body := range bodies {
		if r := to.Put(t.Context(), whatsapp.Split(body), at); r.Err != nil || len(r.Unsaved) > 0 || r.Quarantined > 0 {
			t.Fatalf("%+v", r)
		}
	}
}

func all(t *testing.T, from *table.Table, s table.Selection) (found []table.Item) {
	t.Helper()
	if err := from.Scan(t.Context(), s, func(it table.Item) { found = append(found, it) }); err != nil {
		t.Fatal(err)
	}
	return found
}

// message returns a notification with one text of n bytes.
func message(wamid string, bytes int, filler string) []byte {
	return fmt.Appendf(nil, `{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages","value":{"metadata":{"phone_number_id":"2"},`+
		`"messages":[{"id":%q,"from":"15550100001","timestamp":"1764000000","type":"text","text":{"body":"%s"}}]}}]}]}`, wamid, strings.Repeat(filler, bytes/len(filler)))
}

func TestALargePayloadIsReadUnchanged(t *testing.T) {
	for name, body := range map[string][]byte{
		"in one item": message("wamid.a", 1000, "é"), "in parts": message("wamid.a", 2_000_000, "é"), "not text": append([]byte("\xff\xfe"), make([]byte, 1_000_000)...),
	} {
		t.Run(name, func(t *testing.T) {
			db := newTable(t)
			event := whatsapp.Split(body)[0]
			put(t, db, time.Now(), body)
			stored := all(t, db, table.Selection{})
			joined := table.Join(stored)
			if len(joined) != 1 || joined[0].Text("payload") != string(event.Payload) || joined[0]["payload_fault"] != nil {
				t.Fatalf("%d items are joined to %d", len(stored), len(joined))
			}
			pk, sk := joined[0].Key()
			head, err := db.Get(t.Context(), pk, sk)
			if err != nil {
				t.Fatal(err)
			}
			payload, err := db.Payload(t.Context(), head)
			if err != nil || string(payload) != string(event.Payload) || len(head.PartKeys()) != len(stored)-1 {
				t.Errorf("%d bytes, want %d: %v", len(payload), len(event.Payload), err)
			}
			if err := db.Remove(t.Context(), head); err != nil || len(all(t, db, table.Selection{})) != 0 {
				t.Errorf("something is left: %v", err)
			}
			if _, err := db.Get(t.Context(), pk, sk); !errors.Is(err, table.ErrNotThere) {
				t.Error(err)
			}
		})
	}
}

func TestAPayloadWithChangedPartsIsAnError(t *testing.T) {
	db := newTable(t)
	put(t, db, time.Now(), message("wamid.a", 900_000, "a"))
	stored := all(t, db, table.Selection{})
	at := slices.IndexFunc(stored, table.Item.IsPart)
	part := stored[at]
	for name, change := range map[string]func(){
		"missing": func() {
			pk, sk := part.Key()
			if err := db.Delete(t.Context(), pk, sk); err != nil {
				t.Fatal(err)
			}
		},
		"changed": func() {
			part["payload"] = &types.AttributeValueMemberS{Value: "other"}
			if _, err := harness.Backends.DB.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: new(db.Name()), Item: part}); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			change()
			now := all(t, db, table.Selection{})
			joined := table.Join(now)
			if len(joined) != len(now) {
				t.Errorf("%d of %d items are left", len(joined), len(now))
			}
			for _, it := range joined {
				if it.IsPart() {
					continue
				}
				if it["payload"] != nil || it.Text("payload_fault") == "" {
					t.Errorf("the head says %q", it.Text("payload_fault"))
				}
				if _, err := db.Payload(t.Context(), it); err == nil {
					t.Error("its payload is read all the same")
				}
			}
		})
	}
}

func TestAScanReadsEveryPageAndReportsItsProgress(t *testing.T) {
	db := newTable(t)
	for n := range 5 { // a page of a scan has 1 MB
		put(t, db, time.Now(), message(fmt.Sprint("wamid.", n), 300_000, "a"))
	}
	put(t, db, time.Now(), compact(t, "status-read"))
	pages, scanned := 0, 0
	found := all(t, db, table.Selection{
		Where: "kind = :kind", Values: map[string]string{":kind": "message"}, Attributes: "pk, sk",
		Page: func(n int) { pages, scanned = pages+1, scanned+n },
	})
	if len(found) != 5 || pages < 2 || scanned != 6 {
		t.Errorf("%d items on %d pages, %d were read", len(found), pages, scanned)
	}
	for _, it := range found {
		if len(it) != 2 {
			t.Errorf("more than the key is read: %v", it)
		}
	}
	if err := table.New(harness.Backends.DB, "none", 0).Scan(t.Context(), table.Selection{}, func(table.Item) {}); err == nil || !strings.Contains(err.Error(), "none") {
		t.Errorf("a table that is not there: %v", err)
	}
}

func compact(t *testing.T, name string) []byte {
	t.Helper()
	body, err := fixtures.Body(name)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func TestATimelineIsInOrderAndUnderReturnsAnItemsNeighbours(t *testing.T) {
	db := newTable(t)
	for _, name := range []string{"text-reply", "text", "echo", "status-read", "image"} {
		put(t, db, time.Now(), compact(t, name))
	}
	said, err := db.Timeline(t.Context(), table.ContactTimeline("15550100001"), table.Position{}, false, 100)
	if err != nil || len(said) < 3 {
		t.Fatalf("%d items: %v", len(said), err)
	}
	if !slices.IsSortedFunc(said, func(a, b table.Item) int { return strings.Compare(a.Text("timeline_sk"), b.Text("timeline_sk")) }) {
		t.Error("it is not in order")
	}
	if other, err := db.Timeline(t.Context(), table.ContactTimeline("1"), table.Position{}, false, 100); err != nil || len(other) != 0 {
		t.Errorf("a stranger's: %v %v", other, err)
	}
	for _, it := range said {
		pk, _ := it.Key()
		near, err := db.Under(t.Context(), pk)
		if err != nil || len(near) == 0 {
			t.Errorf("%s: %d items, %v", pk, len(near), err)
		}
	}
}

func TestTheDayOfReceiptIsReadFromTheExpiry(t *testing.T) {
	day := time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, -3)
	db := newTable(t)
	for _, name := range []string{"text", "status-read", "account-update", "dashboard-test"} {
		put(t, db, day.Add(7*time.Hour), compact(t, name))
	}
	ours := whatsapp.Split([]byte(strings.Replace(string(compact(t, "status-read")), `"status": "read"`,
		`"status": "read", "biz_opaque_callback_data": "msg_aaaaaaaaaaaaaaaaaaaaaaaaaa.abcdefghijklmnop"`, 1)))
	if r := db.Put(t.Context(), ours, day); r.Err != nil {
		t.Fatal(r.Err)
	}
	found := all(t, db, table.Selection{})
	own := 0
	for _, it := range found {
		if it.Text("message_id") != "" {
			own++
		}
		if got := db.Received(it); !got.Equal(day) {
			t.Errorf("%s %s was received at %v, want %v", it.Text("kind"), it.Text("pk"), got, day)
		}
	}
	if len(found) != 5 || own != 1 {
		t.Errorf("%d items, %d statuses of sends", len(found), own)
	}
	if got := table.New(harness.Backends.DB, db.Name(), 0).Received(found[0]); !got.IsZero() {
		t.Errorf("a table that keeps items forever has %v", got)
	}
}

func TestAnItemIsPlainJSON(t *testing.T) {
	text := func(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }
	it := table.Item{
		"s": text("a"), "n": &types.AttributeValueMemberN{Value: "12345678901234567890"}, "b": &types.AttributeValueMemberB{Value: []byte{1, 2}},
		"t": &types.AttributeValueMemberBOOL{Value: true}, "m": &types.AttributeValueMemberM{Value: map[string]types.AttributeValue{"x": text("y")}},
		"l": &types.AttributeValueMemberL{Value: []types.AttributeValue{text("z")}},
	}
	got := fmt.Sprint(it.Plain(func(b []byte) string { return fmt.Sprint(len(b), " bytes") }))
	if want := fmt.Sprint(map[string]any{"s": "a", "n": "12345678901234567890", "b": "2 bytes", "t": true, "m": map[string]any{"x": "y"}, "l": []any{"z"}}); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if it.Text("n") != "12345678901234567890" || it.Text("b") != "\x01\x02" || it.Text("m") != "" || it.Number("s") != 0 || !reflect.DeepEqual(it.Text("none"), "") {
		t.Error("attributes are read as something else")
	}
}
