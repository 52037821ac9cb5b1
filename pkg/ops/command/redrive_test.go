package command

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/local/fixtures"
	"connexease-functions/pkg/proof/harness"
	"connexease-functions/pkg/whatsapp"
)

// compact returns a fixture as an older version would have quarantined it: without white space.
func compact(t *testing.T, name string) []byte {
	t.Helper()
	text, err := fixtures.Body(name)
	var b bytes.Buffer
	if err == nil {
		err = json.Compact(&b, text)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// large returns a notification of about n bytes.
func large(bytes int) []byte {
	return []byte(`{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages","value":{"metadata":{"phone_number_id":"2"},"messages":[{"id":"wamid.LARGE","from":"15550100001","timestamp":"1764000000","type":"text","text":{"body":"` +
		strings.Repeat("é", bytes/2) + `"}}]}}]}]}`)
}

func TestABodyThatTodaysCodeUnderstandsIsWrittenLikeADelivery(t *testing.T) {
	bodies := map[string][]byte{"large": large(3_000_000)}
	for _, name := range []string{"batch", "text", "status-read", "account-update", "history", "unexpected-extras"} {
		bodies[name] = compact(t, name)
	}
	for name, text := range bodies {
		t.Run(name, func(t *testing.T) {
			w, direct := newWorld(t), harness.NewTable(t)
			put(t, direct, whatsapp.Split(text)...)
			put(t, w.table, whatsapp.Quarantine(text, whatsapp.ReasonNotNotification))
			before := harness.Items(t, w.table)

			out := w.ok("-pick", "all")
			if got := harness.Items(t, w.table); !reflect.DeepEqual(got, before) || !strings.Contains(out, "would be written") || !strings.Contains(out, "APPLY=1") {
				t.Errorf("the dry run changed the table, or says %s", out)
			}
			key := whatsapp.Quarantine(text, "").Key.Hash
			out = w.ok("-pick", quarantineKey+key, "-apply")
			if got, want := harness.Items(t, w.table), harness.Items(t, direct); !reflect.DeepEqual(got, want) {
				t.Errorf("the table has %d items, want %d; said %s", len(got), len(want), out)
			}
			w.ok("-pick", "all", "-apply")
			if out, err := w.run("-pick", quarantineKey+key, "-apply"); err == nil || !reflect.DeepEqual(harness.Items(t, w.table), harness.Items(t, direct)) {
				t.Errorf("a repeat: %v %s", err, out)
			}
		})
	}
}

func TestABodyThatIsStillNotUnderstoodStaysUnchanged(t *testing.T) {
	w := newWorld(t)
	put(t, w.table, whatsapp.Split([]byte("no JSON of 15550100001\x1b[2J"))...)
	put(t, w.table, whatsapp.Split(compact(t, "dashboard-test"))...)
	before := harness.Items(t, w.table)
	for _, which := range []string{"all", "reason=not_json", "reason=nothing"} {
		out := w.ok("-pick", which, "-apply")
		if !reflect.DeepEqual(harness.Items(t, w.table), before) || which != "reason=nothing" && !strings.Contains(out, "stays: today's code quarantines it as well: not_json") {
			t.Errorf("%s: says %s", which, out)
		}
		if strings.Contains(out, "15550100001") || which == "reason=not_json" && strings.Contains(out, "not_notification") {
			t.Errorf("%s: prints too much: %s", which, out)
		}
	}
	for _, bad := range [][]string{{"-pick", "15550100001"}, {"-apply"}, {"-show", "a", "-pick", "all"}, {"more"}, {"-pick", "OutboundQueue"}, {"-show", "event#quarantine#0"}, {"-pick", "event#quarantine#0"}} {
		if out, err := w.run(bad...); err == nil || !reflect.DeepEqual(harness.Items(t, w.table), before) {
			t.Errorf("%v is not an error: %s", bad, out)
		}
	}
}

func TestARefusedUpdateIsWrittenOnceDynamoDBAcceptsIt(t *testing.T) {
	w, direct := newWorld(t), harness.NewTable(t)
	text := compact(t, "batch")
	put(t, direct, whatsapp.Split(text)...)
	w.database.Set(func(rw http.ResponseWriter, action string, in []byte) bool {
		if action == "BatchWriteItem" || strings.Contains(string(in), `"wa#`) {
			harness.Refuse(rw, 400, "ValidationException")
			return true
		}
		return false
	})
	result := w.proxied().Put(t.Context(), whatsapp.Split(text), time.Now().AddDate(0, 0, -10))
	if result.Quarantined != 5 || result.Err != nil {
		t.Fatalf("%+v", result)
	}
	refused := harness.Items(t, w.table)
	if out := w.ok("-pick", "all", "-apply"); !reflect.DeepEqual(harness.Items(t, w.table), refused) || strings.Count(out, "DynamoDB refuses") != 5 {
		t.Errorf("what is refused again changed the table, or says %s", out)
	}
	w.database.Set(nil)
	if out := w.ok("-pick", "all", "-apply"); !reflect.DeepEqual(harness.Items(t, w.table), harness.Items(t, direct)) {
		t.Errorf("the table has %v, want %v; said %s", harness.Items(t, w.table), harness.Items(t, direct), out)
	}
}

// TestARefusedUpdateIsRebuiltWithItsSurroundings refuses every update of every fixture. Updates
// without their surroundings stay; none is stored differently.
func TestARefusedUpdateIsRebuiltWithItsSurroundings(t *testing.T) {
	w, direct := newWorld(t), harness.NewTable(t)
	written, stay := 0, map[string]int{}
	for n, name := range fixtures.UniqueNames() {
		for _, e := range whatsapp.Split(fixtures.Unique(compact(t, name), n)) {
			refused := e
			bare := whatsapp.Quarantine(e.Payload, whatsapp.ReasonRefused)
			refused.Kind, refused.Reason, refused.Key = bare.Kind, bare.Reason, bare.Key
			put(t, w.table, refused)
			head, payload := harness.Items(t, w.table)[quarantineKey+bare.Key.Hash+" event"], e.Payload
			if made, stays := rewritten(head, payload); stays == "" {
				written++
				put(t, direct, e)
				if made[0].Kind != e.Kind {
					t.Errorf("%s: a %s became a %s", name, e.Kind, made[0].Kind)
				}
			} else {
				stay[string(e.Kind)+" "+e.Type]++
			}
		}
	}
	w.ok("-pick", "all", "-apply")
	left := harness.Items(t, w.table)
	for key, want := range harness.Items(t, direct) {
		if !reflect.DeepEqual(left[key], want) {
			t.Errorf("%s is %v, want %v", key, left[key], want)
		}
		delete(left, key)
	}
	for key, it := range left {
		if it.Text("kind") != "quarantine" {
			t.Errorf("%s was not there before", key)
		}
	}
	t.Logf("%d updates were rebuilt; those that stay: %v", written, stay)
	for what, n := range stay {
		if !strings.HasPrefix(what, "event ") {
			t.Errorf("%d of %s stay", n, what)
		}
	}
}

func TestAnOutageOfTheTableHalfwayLosesNothing(t *testing.T) {
	for name, text := range map[string][]byte{"many updates": compact(t, "batch"), "parts": large(900_000)} {
		direct := harness.NewTable(t)
		put(t, direct, whatsapp.Split(text)...)
		want := harness.Items(t, direct)
		for calls, finished := 0, false; !finished; calls++ {
			t.Run(fmt.Sprintf("%s after %d writes", name, calls), func(t *testing.T) {
				w, n := newWorld(t), 0
				put(t, w.table, whatsapp.Quarantine(text, whatsapp.ReasonNotNotification))
				w.database.Set(func(rw http.ResponseWriter, action string, _ []byte) bool {
					if action == "GetItem" || action == "Scan" || action == "DescribeTable" {
						return false
					}
					if n++; n <= calls {
						return false
					}
					harness.Refuse(rw, 400, "AccessDeniedException")
					return true
				})
				out, err := w.run("-pick", "all", "-apply")
				finished = err == nil
				if err != nil && !strings.Contains(err.Error(), "run this again") {
					t.Errorf("%v %s", err, out)
				}
				w.database.Set(nil)
				w.ok("-pick", "all", "-apply")
				left := harness.Items(t, w.table)
				for key, it := range want {
					if !reflect.DeepEqual(left[key], it) {
						t.Errorf("%s is lost or changed", key)
					}
					delete(left, key)
				}
				for key, it := range left {
					if it.Text("kind") != "part" {
						t.Errorf("%s is left", key)
					}
				}
			})
			if calls > 20 {
				t.Fatal("it never finishes")
			}
		}
	}
}

func TestAPayloadWithChangedPartsIsNotWritten(t *testing.T) {
	w := newWorld(t)
	text := large(900_000)
	put(t, w.table, whatsapp.Quarantine(text, whatsapp.ReasonNotNotification))
	key := item{"pk": str(quarantineKey + whatsapp.Quarantine(text, "").Key.Hash), "sk": str(headKey + "#part2")}
	if _, err := harness.Backends.DB.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &w.table, Item: item{"pk": key["pk"], "sk": key["sk"], "payload": str("other")}}); err != nil {
		t.Fatal(err)
	}
	before := harness.Items(t, w.table)
	if out, err := w.run("-pick", "all", "-apply"); err == nil || !strings.Contains(err.Error(), "SHA-256") || !reflect.DeepEqual(harness.Items(t, w.table), before) {
		t.Errorf("%v %s", err, out)
	}
	if _, err := harness.Backends.DB.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: &w.table, Key: key}); err != nil {
		t.Fatal(err)
	}
	if out, err := w.run("-pick", "all", "-apply"); err == nil || !strings.Contains(err.Error(), "part 2") {
		t.Errorf("%v %s", err, out)
	}
}

func number(n int64) types.AttributeValue { return &types.AttributeValueMemberN{Value: fmt.Sprint(n)} }

// send writes a send's row with one attempt.
func (w *world) send(key string, validUntil time.Time, outcome item) string {
	w.t.Helper()
	id := ledger.ID("test", key)
	attempt := item{"lease": number(time.Now().Add(-time.Hour).UnixMilli())}
	if outcome != nil {
		outcome["at"] = number(time.Now().Add(-2 * time.Hour).UnixMilli())
		attempt["outcome"] = &types.AttributeValueMemberM{Value: outcome}
	}
	row := item{
		"pk": str(id), "sk": str(sendKey), "kind": str("send"), "v": number(1), "type": str("text"), "contact": str("15550100001"), "text": str("Hello Ada"),
		"payload": str(`{"to":"15550100001"}`), "attempts": &types.AttributeValueMemberM{Value: item{"abcdefghijklmnop": &types.AttributeValueMemberM{Value: attempt}}},
	}
	if !validUntil.IsZero() {
		row["valid_until"] = number(validUntil.UnixMilli())
	}
	if _, err := harness.Backends.DB.PutItem(w.t.Context(), &dynamodb.PutItemInput{TableName: &w.table, Item: row}); err != nil {
		w.t.Fatal(err)
	}
	return id
}

func TestTheListShowsFailuresWithReasonsAndWithoutNumbers(t *testing.T) {
	w := newWorld(t)
	put(t, w.table, whatsapp.Split(compact(t, "text"))...)
	put(t, w.table, whatsapp.Quarantine(large(900_000), whatsapp.ReasonTooMany))
	rejected := w.send("a", time.Time{}, item{"state": str("rejected"), "http": number(400), "body": str(`{"isSuccess":false,"errors":{"code":"MSG_009","description":"15550100001 is none"}}`)})
	unknown := w.send("b", time.Time{}, item{"state": str("unknown"), "reason": str("timeout")})
	ended := w.send("c", time.Time{}, nil)
	expired := w.send("d", time.Now().Add(-time.Hour), item{"state": str("released"), "http": number(429), "reason": str("rate_limited")})
	w.send("e", time.Time{}, item{"state": str("accepted"), "http": number(200)})
	w.send("f", time.Now().Add(time.Hour), item{"state": str("released"), "reason": str("not_reached")})
	deadLetter(t, "OutboundDeadLetters", "hello", "hello")
	out := w.ok()
	for _, want := range []string{
		"Quarantined bodies: 1\n", "too_many_updates  received " + time.Now().UTC().AddDate(0, 0, -10).Format(time.DateOnly), fmt.Sprint(len(large(900_000)), " bytes"),
		"an unknown outcome: 4\n", rejected + "  rejected", "HTTP 400 MSG_009", unknown + "  unknown", "timeout", ended + "  unknown", "process_ended", expired + "  expired", "rate_limited",
		"OutboundDeadLetters    2\n", "OverflowDeadLetters    0\n", "FailedInvocations      0\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	for _, no := range []string{"1555", "Ada", "Hello", "wamid"} {
		if strings.Contains(out, no) {
			t.Errorf("%q is in\n%s", no, out)
		}
	}
	if out := w.ok("-show", rejected); !strings.Contains(out, `{"to":"15550100001"}`) || !strings.Contains(out, "MSG_009") {
		t.Errorf("shown is %s", out)
	}
	if out := w.ok("-show", quarantineKey+whatsapp.Quarantine(large(900_000), "").Key.Hash); !strings.Contains(out, string(large(900_000))) {
		t.Error("the body is not shown whole")
	}
}

func TestControlCharactersForATerminalAreQuoted(t *testing.T) {
	for in, want := range map[string]string{"a\nb\tç": "a\nb\tç", "\x1b[2J": `"\x1b[2J"`, "\xff": `"\xff"`} {
		if got := printable([]byte(in)); got != want {
			t.Errorf("%q is printed as %q", in, got)
		}
	}
}

func TestADeployedStackIsFoundByCloudFormation(t *testing.T) {
	w := newWorld(t)
	text := compact(t, "batch")
	put(t, w.table, whatsapp.Quarantine(text, whatsapp.ReasonNotNotification))
	w.stack = "demo"
	for name, value := range w.env { // as . .local/env does
		t.Setenv(name, value)
	}
	if out, err := w.run(); err == nil || !strings.Contains(err.Error(), ".local/env") {
		t.Errorf("in a shell of the laptop's: %v %s", err, out)
	}
	(&cloud{parameters: map[string]string{retentionID: "365"}, resources: map[string][2]string{
		tableID: {w.table, "AWS::DynamoDB::Table"}, "OverflowDeadLetters": {harness.Backends.Queues.URL("OverflowDeadLetters"), "AWS::SQS::Queue"},
	}}).inTheCloud(t)
	t.Setenv("TABLE_NAME", "")
	if out := w.ok(); !strings.Contains(out, "Quarantined bodies: 1") || !strings.Contains(out, "OverflowDeadLetters    0") || !strings.Contains(out, "OutboundDeadLetters    not in this stack") {
		t.Errorf("says %s", out)
	}
	w.stack = "other"
	if out, err := w.run(); err == nil || !strings.Contains(err.Error(), "other") {
		t.Errorf("a different stack: %v %s", err, out)
	}
	w.stack = "demo"
	w.ok("-pick", "all", "-apply")
}
