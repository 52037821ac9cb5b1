package schema_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"connexease-functions/pkg/events"
	"connexease-functions/pkg/events/schema"
)

// detail returns a valid detail of a type: every member is what the schema demands.
func detail(t *testing.T, detailType string) map[string]any {
	t.Helper()
	d := map[string]any{}
	for _, name := range schema.Members() {
		d[name] = ""
	}
	maps.Copy(d, must[detailType])
	return d
}

// must lists the members of which a type demands more than a string.
var must = map[string]map[string]any{
	events.Received:      {"pk": "wa#1", "sk": "message#2#" + hash, "kind": "message", "direction": "in"},
	events.Echoed:        {"pk": "wa#1", "sk": "message#2#" + hash, "kind": "message", "direction": "out"},
	events.History:       {"pk": "wa#1", "sk": "message#2#" + hash, "kind": "message", "direction": "in", "thread_id": "3"},
	events.StatusChanged: {"pk": "wa#1", "sk": "status#read#1#" + hash, "kind": "status", "direction": "out", "status": "read"},
	events.AccountEvent:  {"pk": "event#account_update#" + hash, "sk": "event", "kind": "event"},
	events.Quarantined:   {"pk": "event#quarantine#" + hash, "sk": "event", "kind": "quarantine", "reason": "not_json"},
	events.Standby:       {"pk": "wa#1", "sk": "message#2#" + hash, "kind": "message", "direction": "in", "field": "standby"},
	events.ConsentChanged: {
		"pk": "contact#1", "sk": "consent", "kind": "consent", "contact": "1", "status": "stop", "reason": "word", "timestamp": "1",
	},
	events.Outcome: {"pk": "msg_" + id, "sk": "send", "kind": "send", "direction": "out", "message_id": "msg_" + id, "outcome": "accepted"},
}

const hash, id = "0123456789abcdef", "abcdefghijklmnopqrstuvwxyz"

func faults(t *testing.T, detailType string, d map[string]any) string {
	t.Helper()
	b, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(schema.Validate(detailType, b), "\n")
}

func TestADetailFitsItsTypeAndNothingElseDoes(t *testing.T) {
	for _, name := range events.DetailTypes {
		t.Run(name, func(t *testing.T) {
			good := detail(t, name)
			if f := faults(t, name, good); f != "" {
				t.Fatalf("%v: %s", good, f)
			}
			for _, member := range schema.Members() {
				bad := maps.Clone(good)
				delete(bad, member)
				if f := faults(t, name, bad); !strings.Contains(f, member) {
					t.Errorf("without %s: %q", member, f)
				}
				for _, value := range []any{7, true, nil, []any{}, map[string]any{}, "a\"b", `a\b`} {
					bad[member] = value
					if f := faults(t, name, bad); !strings.Contains(f, "detail."+member) {
						t.Errorf("%s of %v: %q", member, value, f)
					}
				}
			}
			more := maps.Clone(good)
			more["payload"] = "x"
			if f := faults(t, name, more); !strings.Contains(f, "payload") {
				t.Errorf("with an extra member: %q", f)
			}
			for _, other := range events.DetailTypes {
				if other == name {
					continue
				}
				if f := faults(t, other, good); f == "" && !alike[[2]string{name, other}] {
					t.Errorf("it is a %s too", other)
				}
			}
		})
	}
	for what, c := range map[string][2]string{
		"no such type": {"WhatsApp", "{}"}, "not JSON": {events.Received, "x"}, "two values": {events.Received, "{} {}"}, "a list": {events.Received, "[]"}, "null": {events.Received, "null"},
	} {
		if f := schema.Validate(c[0], []byte(c[1])); len(f) == 0 {
			t.Errorf("%s: no fault", what)
		}
	}
}

// alike lists pairs where a detail of the first type is valid for the second too: not every history
// has a thread, and standby differs by its field alone.
var alike = map[[2]string]bool{
	{events.Received, events.History}: true, {events.Echoed, events.History}: true,
	{events.Standby, events.Received}: true, {events.Standby, events.History}: true,
}

// The library ignores unknown keywords, such as a misspelt one.
func TestTheSchemaHasOnlyKeywordsThatAreChecked(t *testing.T) {
	known := []string{"$ref", "type", "allOf", "properties", "required", "additionalProperties", "unevaluatedProperties", "const", "enum", "pattern", "minLength", "maxLength", "description", "title"}
	var walk func(at string, v any)
	walk = func(at string, v any) {
		for name, value := range v.(map[string]any) {
			if !slices.Contains(known, name) {
				t.Errorf("%s has %s", at, name)
			}
			switch name {
			case "properties":
				for member, below := range value.(map[string]any) {
					walk(at+"."+member, below)
				}
			case "allOf":
				for _, below := range value.([]any) {
					walk(at, below)
				}
			}
		}
	}
	var root map[string]any
	if err := json.Unmarshal(events.JSON, &root); err != nil {
		t.Fatal(err)
	}
	defs := root["$defs"].(map[string]any)
	for name, def := range defs {
		walk(name, def)
	}
	want := append(slices.Clone(events.DetailTypes), "detail")
	slices.Sort(want)
	if got := slices.Sorted(maps.Keys(defs)); !slices.Equal(got, want) {
		t.Errorf("definitions %v, want %v", got, want)
	}
}

func TestTheTablesHaveARowForEachTypeAndMember(t *testing.T) {
	if rows := strings.Count(schema.Types(), "\n") - 2; rows != len(events.DetailTypes) {
		t.Errorf("%d detail types in:\n%s", rows, schema.Types())
	}
	if rows := strings.Count(schema.Table(), "\n") - 2; rows != len(schema.Members()) || rows == 0 {
		t.Errorf("%d members in:\n%s", rows, schema.Table())
	}
	for _, name := range append(slices.Clone(events.DetailTypes), schema.Members()...) {
		if !strings.Contains(schema.Types()+schema.Table(), "`"+name+"`") {
			t.Errorf("no row for %s", name)
		}
	}
}
