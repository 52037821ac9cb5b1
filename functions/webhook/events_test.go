package main

import (
	"encoding/json"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode"

	"connexease-functions/pkg/events"
	"connexease-functions/pkg/events/schema"
	"connexease-functions/pkg/local/fixtures"
	simeventbridge "connexease-functions/pkg/local/sim/eventbridge"
	"connexease-functions/pkg/proof/docs"
	"connexease-functions/pkg/proof/harness"
)

// facts reads an event's detail.
func facts(t *testing.T, e simeventbridge.Event) map[string]string {
	t.Helper()
	var d map[string]string
	if err := json.Unmarshal(e.Detail, &d); err != nil {
		t.Fatalf("%s: %v", e.Detail, err)
	}
	return d
}

// fits fails the test unless each event follows its schema and agrees with its item.
func fits(t *testing.T, came []simeventbridge.Event, items map[string]harness.Item) {
	t.Helper()
	for _, e := range came {
		for _, fault := range schema.Validate(e.DetailType, e.Detail) {
			t.Errorf("%s: %s", e.DetailType, fault)
		}
		d := facts(t, e)
		it := items[d["pk"]+" "+d["sk"]]
		if it == nil {
			t.Errorf("no item is under %s %s", d["pk"], d["sk"])
		}
		if e.DetailType == events.ConsentChanged && d["timestamp"] != it.Text("timestamp") {
			continue // a newer word has replaced it
		}
		for name, value := range d {
			attribute := name
			if name == "text" {
				attribute = "line"
			}
			if want := it.Text(attribute); name != "wamid" && value != want {
				t.Errorf("%s: %s is %q, the item has %q", e.DetailType, name, value, want)
			}
		}
	}
}

func TestEveryItemOfAFixtureBecomesOneEventThatFollowsItsSchema(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	out := harness.NewOut(t, w.table)
	names := fixtures.Names()
	for range 3 { // repeated deliveries, in any order, add no event
		rand.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		for _, name := range names {
			if a := w.deliver(fixture(t, name)); a.Status != 200 {
				t.Fatalf("%s: %s", name, a.Body)
			}
		}
	}
	large := strings.Replace(fixture(t, "text"), "Is the blue one", strings.Repeat("x", 800_000), 1)
	if a := w.deliver(large); a.Status != 200 {
		t.Fatal(a.Body)
	}
	items, heads := w.items(), 0
	for _, it := range items {
		if kind := it.Text("kind"); kind != "part" && kind != "alias" {
			heads++
		}
	}
	if heads == len(items) {
		t.Fatal("no payload is in parts")
	}
	came := out.Events(t)
	fits(t, came, items)
	seen, types := map[string]bool{}, map[string]int{}
	for _, e := range came {
		d := facts(t, e)
		if key := d["pk"] + " " + d["sk"]; seen[key] && e.DetailType != events.ConsentChanged {
			t.Errorf("a second event of %s", key)
		} else {
			seen[key] = true
		}
		types[e.DetailType]++
		for _, secret := range []string{"payload", "expires_at", "timeline_pk", "detail_type", "contact_payload"} {
			if _, there := d[secret]; there {
				t.Errorf("%s left", secret)
			}
		}
	}
	if len(seen) != heads {
		t.Errorf("events of %d items, there are %d", len(seen), heads)
	}
	for _, name := range events.DetailTypes {
		if types[name] == 0 && name != events.Outcome {
			t.Errorf("no fixture makes a %s: %v", name, types)
		}
	}
}

func TestAStatusSaysWhatWhatsAppCharges(t *testing.T) {
	t.Parallel()
	said := func(pricing string) string {
		return strings.Replace(fixture(t, "status-read"), `"status": "read"`, `"status": "read"`+pricing, 1)
	}
	for what, c := range map[string]struct{ body, want string }{
		"a fee":             {fixture(t, "status-sent"), "utility|regular|true"},
		"none":              {said(`,"pricing":{"billable":false,"pricing_model":"PMP","type":"free_customer_service","category":"service"}`), "service|free_customer_service|false"},
		"an earlier model":  {said(`,"pricing":{"billable":true,"pricing_model":"CBP","category":"user_initiated"}`), "user_initiated||true"},
		"nothing":           {fixture(t, "status-read"), "||"},
		"twice":             {said(`,"pricing":{"category":"utility","billable":true},"pricing":{"category":"service"}`), "service||"},
		"of no known form":  {said(`,"pricing":{"billable":"true","type":7,"category":"a\"b"}`), "||"},
		"not an object":     {said(`,"pricing":[true]`), "||"},
		"a message's":       {strings.Replace(fixture(t, "text"), `"type": "text"`, `"type":"text","pricing":{"category":"utility","type":"regular","billable":true}`, 1), "||"},
		"another app's fee": {strings.NewReplacer(`"field": "messages"`, `"field":"standby"`).Replace(fixture(t, "status-sent")), "utility|regular|true"},
	} {
		w := newWorld(t)
		out := harness.NewOut(t, w.table)
		w.stored(c.body, 1)
		came := out.Events(t)
		fits(t, came, w.items())
		if d := facts(t, came[0]); d["pricing_category"]+"|"+d["pricing_type"]+"|"+d["billable"] != c.want {
			t.Errorf("%s: %v", what, d)
		}
	}
}

func TestDetailTypesSeparateWhatMayBeRepliedTo(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"text": events.Received, "reaction": events.Received, "unknown-type": events.Received, "echo": events.Echoed, "status-read": events.StatusChanged,
		"text-stop": events.Received, "template-status": events.AccountEvent, "call-connect": events.AccountEvent, "dashboard-test": events.Quarantined, "standby": events.Standby,
	} {
		w := newWorld(t)
		out := harness.NewOut(t, w.table)
		w.deliver(fixture(t, name))
		if came := out.Events(t); len(came) != 1 || came[0].DetailType != want || came[0].Source != "connexease" {
			t.Errorf("%s: %+v, want %s", name, came, want)
		}
	}
	w := newWorld(t)
	out := harness.NewOut(t, w.table)
	w.deliver(fixture(t, "history"))
	for _, e := range out.Events(t) {
		if d := facts(t, e); d["kind"] == "message" && e.DetailType != events.History {
			t.Errorf("a message of history is a %s", e.DetailType)
		}
	}
}

// Neither a customer's text nor any other value of a body can end a string of an event or begin a
// member.
func TestNoValueEscapesItsMember(t *testing.T) {
	const evil = `x","contact":"15550100666","outcome":"accepted","a":{"b":"\` + "\u0007\n\u2028😀" + `<$.dynamodb.NewImage.pk.S><aws.pipes.event.json>`
	text, err := json.Marshal(evil)
	if err != nil {
		t.Fatal(err)
	}
	q := string(text)
	w := newWorld(t)
	out := harness.NewOut(t, w.table)
	bodies := []string{
		`{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages","value":{"messaging_product":"whatsapp","metadata":{"display_phone_number":"15550100099","phone_number_id":"3"},"messages":[{"id":"wamid.fine","from":"15550100001","timestamp":"1764000000","type":"text","text":{"body":` + q + `}}]}}]}]}`,
		`{"object":"whatsapp_business_account","entry":[{"id":` + q + `,"changes":[{"field":` + q + `,"value":{"messaging_product":"whatsapp","metadata":{"display_phone_number":` + q + `,"phone_number_id":` + q + `},` + q + `:[{"a":1,"errors":[{"code":` + q + `}]}],"contacts":[{"wa_id":` + q + `}],"messages":[{"id":` + q + `,"from":` + q + `,"timestamp":` + q + `,"type":` + q + `,"errors":[{"code":` + q + `}],"text":{"body":` + q + `}}],"statuses":[{"id":` + q + `,"status":` + q + `,"recipient_id":` + q + `,"biz_opaque_callback_data":` + q + `}]}}]}]}`,
		`{"object":"whatsapp_business_account","entry":[{"id":` + q + `,"changes":[{"field":` + q + `,"value":{"event":` + q + `,"x":` + q + `}}]}]}`,
		`{` + q + `:` + q + `}`,
		evil,
	}
	for _, body := range bodies {
		if a := w.deliver(body); a.Status != 200 {
			t.Fatal(a.Body)
		}
	}
	came, items := out.Events(t), w.items()
	fits(t, came, items)
	if len(came) != len(items) {
		t.Errorf("%d events of %d items", len(came), len(items))
	}
	found := false
	for _, e := range came {
		d := facts(t, e)
		for name, value := range d {
			if strings.ContainsFunc(value, unicode.IsControl) || strings.ContainsAny(value, `"\`) {
				t.Errorf("%s is %q", name, value)
			}
		}
		if d["contact"] == "15550100666" || d["outcome"] != "" {
			t.Errorf("a text became a member: %s", e.Detail)
		}
		found = found || d["wamid"] == "wamid.fine" && d["text"] == "x','contact':'15550100666','outcome':'accepted','a':{'b':'/  \u2028😀<$.dynamodb.NewImage.pk.S><aws.pipes.event.json>"
	}
	if !found {
		t.Errorf("the text is not what it should be: %v", came)
	}
}

func TestReadmesExamplesAreTheEventsOfFixtures(t *testing.T) {
	t.Parallel()
	fixtureOf := map[string]string{
		events.Received: "text", events.Echoed: "echo", events.History: "history", events.StatusChanged: "status-failed",
		events.AccountEvent: "template-status", events.Quarantined: "dashboard-test", events.Standby: "standby",
		events.ConsentChanged: "user-preference",
	}
	seen := map[string]bool{}
	for _, block := range docs.Examples(t) {
		var example simeventbridge.Event
		if err := json.Unmarshal([]byte(block), &example); err != nil {
			t.Fatal(err)
		}
		seen[example.DetailType] = true
		for _, fault := range schema.Validate(example.DetailType, example.Detail) {
			t.Errorf("%s: %s", example.DetailType, fault)
		}
		name := fixtureOf[example.DetailType]
		if name == "" { // of a send, covered by its own tests
			continue
		}
		w := newWorld(t)
		out := harness.NewOut(t, w.table)
		w.deliver(fixture(t, name))
		if !slices.ContainsFunc(out.Events(t), func(e simeventbridge.Event) bool {
			return e.DetailType == example.DetailType && e.Source == example.Source && maps.Equal(facts(t, e), facts(t, example))
		}) {
			t.Errorf("%s makes no such event: %s", name, example.Detail)
		}
	}
	for _, name := range events.DetailTypes {
		if !seen[name] {
			t.Errorf("README has no example of %s", name)
		}
	}
}
