package command

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	streams "github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"

	"connexease-functions/pkg/conversation"
	"connexease-functions/pkg/local/fixtures"
	"connexease-functions/pkg/local/sim/pipes"
	"connexease-functions/pkg/local/template"
	"connexease-functions/pkg/proof/harness"
	"connexease-functions/pkg/table"
	"connexease-functions/pkg/whatsapp"
)

// oldItems are what the version before people had one name each wrote: of every fixture, of
// bodies of the kinds that it misread, and three sends.
func oldItems(t *testing.T) (all []item) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "old-items.json"))
	var read []map[string]any
	if err == nil {
		err = json.Unmarshal(text, &read)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range read {
		all = append(all, item(attributes(one)))
	}
	return all
}

// attributes reads DynamoDB's own JSON.
func attributes(one map[string]any) map[string]types.AttributeValue {
	all := map[string]types.AttributeValue{}
	for name, v := range one {
		for kind, v := range v.(map[string]any) {
			switch kind {
			case "S":
				all[name] = &types.AttributeValueMemberS{Value: v.(string)}
			case "N":
				all[name] = &types.AttributeValueMemberN{Value: v.(string)}
			case "BOOL":
				all[name] = &types.AttributeValueMemberBOOL{Value: v.(bool)}
			case "M":
				all[name] = &types.AttributeValueMemberM{Value: attributes(v.(map[string]any))}
			default:
				panic(kind)
			}
		}
	}
	return all
}

func oldTable(t *testing.T, w *world) {
	t.Helper()
	for _, it := range oldItems(t) {
		if _, err := harness.Backends.DB.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &w.table, Item: it}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestATableOfTheVersionBeforeIsUpgradedInPlace(t *testing.T) {
	w := newWorld(t)
	oldTable(t, w)
	before := harness.Items(t, w.table)
	out, err := w.ops("upgrade")
	if err != nil || !strings.Contains(out, "are of an earlier version") || strings.Contains(out, "\n0 of") || !strings.Contains(out, "Nothing was changed") {
		t.Fatal(err, out)
	}
	if !reflect.DeepEqual(harness.Items(t, w.table), before) {
		t.Error("a dry run changed the table")
	}
	// The first run fails half way, the second goes on.
	var writes atomic.Int64
	w.database.Set(func(rw http.ResponseWriter, action string, _ []byte) bool {
		if action != "UpdateItem" || writes.Add(1) <= 5 {
			return false
		}
		rw.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(rw, `{"__type":"com.amazonaws.dynamodb.v20120810#AccessDeniedException"}`)
		return true
	})
	if out, err = w.ops("upgrade", "-apply"); err == nil || !strings.Contains(out, "Run it again") {
		t.Errorf("%v %s", err, out)
	}
	w.database.Set(nil)
	if out, err = w.ops("upgrade", "-apply"); err != nil || !strings.Contains(out, "All of that is rewritten") {
		t.Fatal(err, out)
	}
	after := harness.Items(t, w.table)
	if out, err = w.ops("upgrade", "-apply"); err != nil || !strings.HasPrefix(out, "0 of ") || !strings.Contains(out, "nothing to do") {
		t.Errorf("the second time: %v %s", err, out)
	}
	if !reflect.DeepEqual(harness.Items(t, w.table), after) {
		t.Error("the second time changed the table")
	}
	upgradedKeepsRows(t, before, after)
	upgradedFacts(t, w, after)
	upgradedIsTodays(t, after)
	if c := after["contact#15550100001 consent"].Consent(); c == nil || c.Says != whatsapp.Stop {
		t.Errorf("the stored preference is %+v", c)
	}
	if taken := eventsAfter(t, w.table, len(before)); len(taken) > 0 {
		t.Errorf("the pipe would make events of %v", taken)
	}
	t.Setenv("YES", "1")
	if out, err = w.ops("erase", "-contact", "+1 555 010 3002", "-others"); err != nil {
		t.Fatal(err, out)
	}
	left := fmt.Sprint(plainItems(harness.Items(t, w.table)))
	for _, form := range []string{"15550103002", "010-3002", "010 3002", "US.3002", "15550103003"} {
		if strings.Contains(left, form) {
			t.Errorf("%s is left", form)
		}
	}
}

func plainItems(all map[string]item) (plain []any) {
	for _, it := range all {
		plain = append(plain, it.Plain(func(b []byte) string { return string(b) }))
	}
	return plain
}

// upgradedKeepsRows looks for rows that came or went, and for what must not change of them.
func upgradedKeepsRows(t *testing.T, before, after map[string]item) {
	t.Helper()
	var gone, came []string
	for key, it := range before {
		now, there := after[key]
		if !there {
			gone = append(gone, key+" "+it.Text("field"))
			continue
		}
		for _, name := range []string{"payload", "parts", "payload_sha256", "contact_payload", "expires_at", "entry_time", "kind", "message_id", "waba_id",
			"attempts", "sent_wamid", "fingerprint", "v", "client", "outcome", "reason"} {
			if !reflect.DeepEqual(it[name], now[name]) {
				t.Errorf("%s: %s was %v and is %v", key, name, it.Text(name), now.Text(name))
			}
		}
	}
	for key, it := range after {
		if _, there := before[key]; !there && it.Text("kind") != "alias" && it.Consent() == nil {
			came = append(came, key)
		}
	}
	// What another app answers is in items of its own today, and what only its neighbour names
	// has the name in its key.
	if len(gone) != 3 || len(came) != 4 || slices.ContainsFunc(gone, func(key string) bool {
		return !strings.HasSuffix(key, " standby") && !strings.HasPrefix(key, "wa#wamid.old10 ")
	}) {
		t.Errorf("gone are %q, new are %q", gone, came)
	}
}

// upgradedIsTodays compares items of fixtures with those that today's code writes.
func upgradedIsTodays(t *testing.T, after map[string]item) {
	t.Helper()
	db, compared := harness.NewTable(t), 0
	for _, name := range fixtures.Names() {
		put(t, db, whatsapp.Split(compact(t, name))...)
	}
	for key, today := range harness.Items(t, db) {
		it, there := after[key]
		if !there || it.Consent() != nil { // of which no event may come
			continue
		}
		compared++
		for _, name := range []string{"kind", "direction", "type", "contact", "user_id", "group_id", "text", "line", "reply_to", "media_id", "referral", "pricing_category", "pricing_type", "billable", "detail_type", "timeline_pk"} {
			if it.Text(name) != today.Text(name) && (today["entry_time"] != nil || name != "timeline_pk") {
				t.Errorf("%s: %s is %q, today's is %q", key, name, it.Text(name), today.Text(name))
			}
		}
	}
	if compared < 80 {
		t.Errorf("only %d items were compared", compared)
	}
}

func upgradedFacts(t *testing.T, w *world, after map[string]item) {
	t.Helper()
	byID := map[string]item{}
	for _, it := range after {
		switch {
		case it.Text("contact") != whatsapp.Canonical(it.Text("contact")):
			t.Errorf("%s has the contact %q", it.Text("wamid"), it.Text("contact"))
		case it.IsPart():
		case it.Text("wamid") != "":
			byID[it.Text("wamid")] = it
		}
	}
	for id, want := range map[string]map[string]string{
		"wamid.old1":  {"contact": "15550103002", "timeline_pk": "contact#15550103002"},
		"wamid.old2":  {"user_id": "US.3002", "media_id": "99", "reply_to": "wamid.old1"},
		"wamid.old3":  {"contact": "US.3002", "text": "👍", "reply_to": "wamid.old1"},
		"wamid.old4":  {"contact": "15550103002", "group_id": "Y2FwaV9ncm91cDox", "timeline_pk": "group#Y2FwaV9ncm91cDox"},
		"wamid.old5":  {"contact": "15550103002", "group_id": "Y2FwaV9ncm91cDox"},
		"wamid.old6":  {"direction": "out", "contact": "5215587654321"},
		"wamid.old7":  {"direction": "in"},
		"wamid.old8":  {"kind": "message", "detail_type": "WhatsApp Standby", "contact": "15550103002"},
		"wamid.old9":  {"kind": "status", "detail_type": "WhatsApp Standby", "contact": "15550103002"},
		"wamid.old10": {"contact": "15550103002", "text": "Unsupported message type"},
		"wamid.old12": {"direction": "out", "contact": "15550103002"},
	} {
		for name, value := range want {
			if got := byID[id].Text(name); got != value {
				t.Errorf("%s: %s is %q, want %q", id, name, got, value)
			}
		}
	}
	db := table.New(harness.Backends.DB, w.table, days)
	for name, want := range map[string][]string{
		"US.3002":          {"wamid.old1", "wamid.old2", "wamid.old3", "wamid.old8", "wamid.old10", "wamid.old11", "wamid.old12", "msg_0000000000000000000000000000000a"},
		"Y2FwaV9ncm91cDox": {"wamid.old4", "msg_0000000000000000000000000000000b"},
	} {
		ask := conversation.Ask{Contact: name, Limit: conversation.Most}
		if !whatsapp.IsUserID(name) {
			ask.Contact, ask.GroupID = "", name
		}
		page, err := conversation.Read(t.Context(), db, time.Now(), ask)
		if err != nil {
			t.Fatal(err)
		}
		ids := map[string]bool{}
		for _, m := range page.Messages {
			ids[m.Wamid], ids[m.ID] = true, true
		}
		for _, id := range want {
			if !ids[id] {
				t.Errorf("the conversation of %s has %v, not %s", name, ids, id)
			}
		}
	}
}

// eventsAfter returns what the pipe would make events of, of the records of a table's stream after
// the first ones.
func eventsAfter(t *testing.T, name string, skip int) (taken []string) {
	t.Helper()
	tpl, err := template.Load(filepath.Join(root, "template.yaml"), nil)
	if err != nil {
		t.Fatal(err)
	}
	found, err := tpl.Pipes()
	if err != nil {
		t.Fatal(err)
	}
	pipe, err := pipes.New(found[0].Config)
	if err != nil {
		t.Fatal(err)
	}
	client := harness.Backends.Streams()
	listed, err := client.ListStreams(t.Context(), &dynamodbstreams.ListStreamsInput{TableName: &name})
	if err != nil || len(listed.Streams) != 1 {
		t.Fatal(err, listed)
	}
	described, err := client.DescribeStream(t.Context(), &dynamodbstreams.DescribeStreamInput{StreamArn: listed.Streams[0].StreamArn})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, shard := range described.StreamDescription.Shards {
		first, err := client.GetShardIterator(t.Context(), &dynamodbstreams.GetShardIteratorInput{
			StreamArn: listed.Streams[0].StreamArn, ShardId: shard.ShardId, ShardIteratorType: streams.ShardIteratorTypeTrimHorizon,
		})
		if err != nil {
			t.Fatal(err)
		}
		for at, none := first.ShardIterator, 0; at != nil && none < 3; {
			out, err := client.GetRecords(t.Context(), &dynamodbstreams.GetRecordsInput{ShardIterator: at})
			if err != nil {
				t.Fatal(err)
			}
			none++
			for _, r := range out.Records {
				none = 0
				if n++; n > skip && pipe.Matches(record(t, r)) {
					taken = append(taken, fmt.Sprint(r.EventName, r.Dynamodb.Keys))
				}
			}
			at = out.NextShardIterator
		}
	}
	if n <= skip {
		t.Errorf("the stream has %d records only", n)
	}
	return taken
}

func record(t *testing.T, r streams.Record) []byte {
	t.Helper()
	image := map[string]any{}
	for name, v := range r.Dynamodb.NewImage {
		if v, is := v.(*streams.AttributeValueMemberS); is {
			image[name] = map[string]string{"S": v.Value}
		}
	}
	text, err := json.Marshal(map[string]any{"eventName": r.EventName, "dynamodb": map[string]any{"NewImage": image}})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestTodaysTableHasNothingToUpgrade(t *testing.T) {
	w := newWorld(t)
	for _, name := range fixtures.Names() {
		put(t, w.table, whatsapp.Split(compact(t, name))...)
	}
	out, err := w.ops("upgrade")
	if err != nil || !strings.HasPrefix(out, "0 of ") || strings.Contains(out, "pairs") {
		t.Errorf("%v %s", err, out)
	}
}

// TestAReplayKnowsUpgradedItems has items that arrived ten days ago and were upgraded just now,
// and a send whose outcome would be told again by its detail_type.
func TestAReplayKnowsUpgradedItems(t *testing.T) {
	w, other := newWorld(t), harness.NewTable(t)
	put(t, other, whatsapp.Split(compact(t, "text"))...)
	all := slices.Collect(maps.Values(harness.Items(t, other)))
	for _, it := range oldItems(t) {
		if it.Text("outcome") != "" {
			delete(it, "detail_type")
			all = append(all, it)
		}
	}
	for _, it := range all {
		it[table.Upgraded] = &types.AttributeValueMemberN{Value: "1764000000"}
		if _, err := harness.Backends.DB.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &w.table, Item: it}); err != nil {
			t.Fatal(err)
		}
	}
	for want, arguments := range map[string][]string{"0 events": {"-kind", "message", "-since", "1h"}, "1 events": {"-kind", "message"}, "2 events": {"-kind", "send"}} {
		if out, err := w.ops(append([]string{"replay"}, arguments...)...); err != nil || !strings.HasPrefix(out, want) {
			t.Errorf("%v: %v %s, want %s", arguments, err, out, want)
		}
	}
}
