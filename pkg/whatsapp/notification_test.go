package whatsapp

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"connexease-functions/pkg/local/fixtures"
)

// leaves collects every scalar of a JSON text as it is written, and the names of
// members, so that duplicates and odd numbers count too.
func leaves(text []byte, into map[string]bool) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	for {
		token, err := d.Token()
		if err != nil {
			return
		}
		if _, structure := token.(json.Delim); !structure {
			into[fmt.Sprint(token)] = true
		}
	}
}

// FuzzSplit: whatever comes, every scalar and every member's name of it is in the
// payload of an event or in one of its facts, and splitting again gives the same.
func FuzzSplit(f *testing.F) {
	for _, name := range fixtures.Names() {
		body, err := fixtures.Body(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	f.Add([]byte(`{"entry":[{"id":"1","id":"2","changes":[{"field":"a","field":"b","value":{"metadata":{},"metadata":{"phone_number_id":"1"},"contacts":[{}],"contacts":[{"wa_id":"1"}],"messages":[{}]},"value":1}],"changes":[]}],"entry":[3]}`))
	f.Add([]byte(`{"entry":[{"changes":[{"field":"messages","value":{"messages":[{"id":"a"}],"m\u0065ssages":[{"id":"b"}]}}]}]}`))
	f.Add([]byte(`{"entry":[{"changes":[{"field":"messages","value":{"metadata":{},"` + strings.Repeat("n", 600) + `":[1],"":[2],"` + "\xff" + `":[3],"messages":[{"id":"a"}]}}]}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		events := Split(body)
		if len(events) == 0 {
			t.Fatal("nothing came out")
		}
		if !json.Valid(body) {
			if len(events) != 1 || !bytes.Equal(events[0].Payload, body) || events[0].Reason != ReasonNotJSON {
				t.Fatalf("a body that is not JSON became %d events", len(events))
			}
			return
		}
		have := map[string]bool{}
		for _, name := range []string{
			"object", "entry", "id", "time", "changes", "field", "value", "messaging_product", "metadata", "phone_number_id",
			"display_phone_number", "contacts", "messages", "message_echoes", "statuses", "history", "whatsapp", "whatsapp_business_account",
		} {
			have[name] = true
		}
		for _, e := range events {
			leaves(e.Payload, have)
			leaves(e.ContactPayload, have)
			for _, fact := range []string{e.Field, e.WABAID, e.PhoneNumberID, e.DisplayPhoneNumber, e.Type} {
				have[fact] = true
			}
			have[strconv.FormatInt(e.EntryTime, 10)] = true
			if len(e.Type) > maxIdentifier || !utf8.ValidString(e.Type) {
				t.Fatalf("type is %q", e.Type)
			}
			if len(e.Text) > maxText || !utf8.ValidString(e.Text) {
				t.Fatalf("text is %d bytes", len(e.Text))
			}
			for _, key := range []string{e.Key.Message, e.Key.Number, e.Key.Status, e.Key.Field, e.Contact, e.WAMID} {
				if len(key) > maxIdentifier || !utf8.ValidString(key) {
					t.Fatalf("a key is %d bytes", len(key))
				}
			}
			if len(e.Key.Hash) != 16 || (e.Kind == KindMessage && e.Key.Message == "") {
				t.Fatalf("keys are %+v", e.Key)
			}
		}
		want := map[string]bool{}
		leaves(body, want)
		for leaf := range want {
			if !have[leaf] {
				t.Fatalf("%q of %s is lost", leaf, body)
			}
		}
		if again := Split(body); !reflect.DeepEqual(events, again) {
			t.Fatal("splitting twice gives two results")
		}
	})
}

func TestStatusesFoldInAnyOrder(t *testing.T) {
	status := func(s string) Event { return Event{Status: s} }
	for name, c := range map[string]struct {
		in   []Event
		want Folded
	}{
		"none":             {nil, Folded{}},
		"out of order":     {[]Event{status("read"), status("sent"), status("delivered"), status("delivered")}, Folded{State: "read"}},
		"played":           {[]Event{status("played"), status("read")}, Folded{State: "played"}},
		"failed on one":    {[]Event{status("delivered"), {Status: "failed", ErrorCode: "131026"}, {Status: "failed", ErrorCode: "131026"}}, Folded{State: "delivered", Failed: true, ErrorCodes: []string{"131026"}}},
		"failed, no error": {[]Event{status("failed")}, Folded{Failed: true}},
		"others":           {[]Event{status("warning"), status("deleted"), status("warning")}, Folded{Others: []string{"deleted", "warning"}}},
	} {
		if got := Fold(c.in); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %+v, want %+v", name, got, c.want)
		}
	}
}

func TestHistoryIsSplitWithItsDirections(t *testing.T) {
	body, err := fixtures.Body("history")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range Split(body) {
		got = append(got, fmt.Sprint(e.Kind, " ", e.Direction, " ", e.Contact, " ", e.Type))
	}
	want := []string{"message out 15550100001 text", "message in 15550100001 text", "message in 15550100002 media_placeholder", "event   history"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestTimestampsAreReadInEveryFormSeen(t *testing.T) {
	for text, want := range map[string]int64{
		`"1764000000"`: 1764000000000, `1764000000`: 1764000000000, `1764000000123`: 1764000000123, `"soon"`: 0, `""`: 0, `null`: 0,
		`-5`: 0, `1e9`: 0, `1764000000.5`: 0, `99999999999999999999`: 0, `{}`: 0, `20000000000`: 0,
	} {
		if got := milliseconds(raw(text)); got != want {
			t.Errorf("%s: got %d, want %d", text, got, want)
		}
	}
}

// value is a body with one value.
func value(field, v string) []byte {
	return []byte(`{"entry":[{"id":"W","changes":[{"field":"` + field + `","value":` + v + `}]}]}`)
}

func contactsOf(events []Event) (all []string) {
	for _, e := range events {
		if e.Kind == KindMessage || e.Type == "calls" {
			all = append(all, string(e.Direction)+" "+e.Contact)
		}
	}
	return all
}

func TestEveryMessageIsFiledUnderItsOwnCustomer(t *testing.T) {
	const metadata = `"metadata":{"display_phone_number":"+1 555-000-0000","phone_number_id":"P"}`
	for name, c := range map[string]struct {
		body []byte
		want []string
	}{
		"history of three beside one contact": {value("history", `{`+metadata+`,"contacts":[{"wa_id":"111"}],"history":[{"threads":[{"id":"111","messages":[{"from":"111","id":"h1"}]},{"id":"222","messages":[{"from":"222","id":"h2"}]},{"id":"333","messages":[{"from":"15550000000","to":"333","id":"h3"}]}]}]}`), []string{"in 111", "in 222", "out 333"}},
		"a call of ours":                      {value("calls", `{`+metadata+`,"calls":[{"id":"c","from":"15550000000","to":"888"}]}`), []string{" 888"}},
		"another wa_id, alone":                {value("messages", `{`+metadata+`,"contacts":[{"wa_id":"525551"}],"messages":[{"from":"5215551","id":"k1"}]}`), []string{"in 5215551"}},
		"another wa_id, in company":           {value("messages", `{`+metadata+`,"contacts":[{"wa_id":"525551"}],"messages":[{"from":"5215551","id":"k1"},{"from":"7","id":"k2"}]}`), []string{"in 5215551", "in 7"}},
		"nobody named":                        {value("messages", `{`+metadata+`,"contacts":[{"wa_id":"525551"}],"messages":[{"id":"k1"}]}`), []string{"in 525551"}},
		"an echo to a user id":                {value("smb_message_echoes", `{`+metadata+`,"message_echoes":[{"to_user_id":"US.cust","from_user_id":"US.biz","id":"e"}]}`), []string{"out US.cust"}},
	} {
		if got := contactsOf(Split(c.body)); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func TestDifferentUpdatesWithEqualBytesAreDifferentRows(t *testing.T) {
	for _, body := range [][]byte{
		value("messages", `{"metadata":{},"errors":[{"code":1}],"user_actions":[{"code":1}]}`),
		[]byte(`{"foo":1,"entry":[{"foo":1,"changes":[{"value":{"messages":[{"id":"l1"}]}}]}]}`),
	} {
		seen := map[Key]bool{}
		events := Split(body)
		for _, e := range events {
			seen[e.Key] = true
		}
		if len(seen) != len(events) {
			t.Errorf("%s: %d events have %d keys", body, len(events), len(seen))
		}
	}
}

func TestAListWithoutUpdatesStaysWhole(t *testing.T) {
	events := Split(value("new_field", `{"metadata":{},"hours":[3,1,3],"none":[],"messages":[{"id":"a"}]}`))
	if len(events) != 2 || string(events[1].Payload) != `{"hours":[3,1,3],"none":[]}` {
		t.Errorf("got %d events, the last is %s", len(events), events[len(events)-1].Payload)
	}
}

func TestTheBodysLeftoverBelongsToNoEntry(t *testing.T) {
	events := Split([]byte(`{"foo":2,"entry":[{"id":"W1","time":1764000000,"changes":[{"field":"messages","value":{"messages":[{"id":"l1"}]}}]}]}`))
	if last := events[len(events)-1]; last.Type != "body" || last.WABAID != "" || last.EntryTime != 0 || last.Time != 0 {
		t.Errorf("got %+v", last)
	}
}

func TestALoneSurrogateIsNotAnIdentifier(t *testing.T) {
	a := Split(value("messages", `{"messages":[{"id":"\ud800"},{"id":"\ud801"},{"id":"\ufffd"}]}`))
	if a[0].WAMID != "" || a[0].Key.Message == a[1].Key.Message || a[2].WAMID != "\ufffd" {
		t.Errorf("got %+v", a)
	}
}

func TestABodyOfTooManyUpdatesIsKeptWhole(t *testing.T) {
	body := value("messages", `{"messages":[`+strings.TrimSuffix(strings.Repeat(`{},`, 20_000), ",")+`]}`)
	events := Split(body)
	if len(events) != 1 || events[0].Reason != ReasonTooMany || !bytes.Equal(events[0].Payload, body) {
		t.Errorf("got %d events", len(events))
	}
}

// Whatever bytes a body has, it has the key of nothing else: neither of a change whose field
// is called as a key's own word is, nor of another account, number or field.
func TestDifferentUpdatesNeverShareAKey(t *testing.T) {
	change := func(entry, field, metadata string) string {
		return `{"entry":[{` + entry + `"changes":[{` + field + `"value":{` + metadata + `"errors":[{"code":1}]}}]}]}`
	}
	const number = `"metadata":{"phone_number_id":"1"},`
	payload := `{"code":1}`
	bodies := []string{
		change(`"id":"1",`, `"field":"quarantine",`, number),
		"\"1\"\n\"1\"\nerrors\n" + payload, "event\n\"1\"\n\n\"1\"\n\"quarantine\"\nerrors\n" + payload,
		change(`"id":"1",`, ``, `"metadata":{},`), change(``, ``, number),
		change(`"id":"1",`, `"field":"unknown",`, `"metadata":{},`), change(`"id":1,`, ``, `"metadata":{},`), change(`"time":1,`, ``, `"metadata":{},`),
		change(`"id":"1","time":2,`, ``, `"metadata":{},`), change(`"id":"1",`, ``, `"metadata":{"phone_number_id":2},`),
		change(`"id":"1",`, `"field":3,`, `"metadata":{},`), change(`"id":"1",`, `"field":"`+hash([]byte("3"))+`",`, `"metadata":{},`),
		change(`"id":"1",`, `"field":"`+hash([]byte(`"quarantine"`))+`",`, number),
	}
	seen := map[string]string{}
	for _, body := range bodies {
		e := Split([]byte(body))[0]
		key := e.Key.Field + "#" + e.Key.Hash
		if before, there := seen[key]; there {
			t.Errorf("%q and %q have the key %s", body, before, key)
		}
		seen[key] = body
	}
}

func TestTheKeysOfOrdinaryUpdatesAreThoseOfEarlierVersions(t *testing.T) {
	for body, want := range map[string]string{
		`{"entry":[{"id":"W","time":5,"changes":[{"field":"account_update","value":{"event":"E"}}]}]}`:                           "account_update#" + hash([]byte("\"W\"\n5\nE\n{\"event\":\"E\"}")),
		`{"entry":[{"id":"W","changes":[{"field":"calls","value":{"metadata":{"phone_number_id":"P"},"calls":[{"id":"c"}]}}]}]}`: "calls#" + hash([]byte("\"W\"\n\"P\"\ncalls\n{\"id\":\"c\"}")),
		`{"entry":[{"id":"W","changes":[{"value":{"event":"E"}}]}]}`:                                                             "unknown#" + hash([]byte("\"W\"\nE\n{\"event\":\"E\"}")),
		`{"hello":1}`: "quarantine#" + hash([]byte(`{"hello":1}`)),
		"no JSON":     "quarantine#" + hash([]byte("no JSON")),
	} {
		if e := Split([]byte(body))[0]; e.Key.Field+"#"+e.Key.Hash != want {
			t.Errorf("%s: %+v, want %s", body, e.Key, want)
		}
	}
}
