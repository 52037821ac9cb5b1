package whatsapp

import (
	"bytes"
	"encoding/json"
	"maps"
	"testing"

	"connexease-functions/pkg/local/fixtures"
)

// withContacts returns a body each of whose values has its contacts changed.
func withContacts(t testing.TB, body []byte, change func([]any) []any) []byte {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var tree any
	if d.Decode(&tree) != nil {
		return body
	}
	var walk func(any)
	walk = func(n any) {
		switch n := n.(type) {
		case map[string]any:
			_, about := n["metadata"]
			contacts, has := n["contacts"].([]any)
			if changed := change(contacts); has && about || about && len(changed) > 0 {
				if n["contacts"] = changed; changed == nil {
					delete(n, "contacts")
				}
			}
			for name, v := range n {
				if name != "contacts" && name != "metadata" {
					walk(v)
				}
			}
		case []any:
			for _, v := range n {
				walk(v)
			}
		}
	}
	walk(tree)
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(tree); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// neighbours are what may become of an update's contacts from one delivery to another.
var neighbours = map[string]func([]any) []any{
	"as they were": func(all []any) []any { return all },
	"taken away":   func([]any) []any { return nil },
	"doubled":      func(all []any) []any { return append(all[:len(all):len(all)], all...) },
	"swapped":      func([]any) []any { return []any{map[string]any{"wa_id": "15550100777", "user_id": "US.777"}} },
	"joined": func(all []any) []any {
		return append([]any{map[string]any{"wa_id": "15550100777"}, map[string]any{"user_id": "US.778"}}, all...)
	},
}

// sameRowSameFacts fails where two deliveries write one row with different facts: then the last
// one of them would win. What stands beside a payload is no fact, nor are aliases, which are
// rows of their own.
func sameRowSameFacts(t testing.TB, deliveries map[string][]byte) {
	t.Helper()
	type row struct {
		kind Kind
		key  Key
	}
	seen := map[row]map[string]string{}
	for name, body := range deliveries {
		for _, e := range Split(body) {
			facts := factsOf(e)
			delete(facts, "aliases")
			key := row{e.Kind, e.Key}
			if before, there := seen[key]; there && !maps.Equal(before, facts) {
				t.Errorf("%s: %v and %v are one row: %s", name, before, facts, e.Payload)
			}
			seen[key] = facts
		}
	}
}

func TestNoFactDependsOnTheNeighbourhood(t *testing.T) {
	bodies := map[string][]byte{}
	for _, name := range fixtures.Names() {
		body, err := fixtures.Body(name)
		if err != nil {
			t.Fatal(err)
		}
		bodies[name] = body
	}
	bodies["nobody named"] = value("messages", `{`+own+`"contacts":[{"wa_id":"15550100001"}],"messages":[{"id":"w"}],"statuses":[{"id":"w","status":"read"}]}`)
	bodies["errors beside"] = value("messages", `{`+own+`"messages":[{"id":"w","from":"1"}],"errors":[{"code":1}],"conversation_context":{"a":1}}`)
	bodies["errors beside another"] = value("messages", `{`+own+`"messages":[{"id":"x","from":"2"}],"errors":[{"code":1}],"conversation_context":{"a":1}}`)
	for name, body := range bodies {
		deliveries := map[string][]byte{"": body}
		for how, change := range neighbours {
			deliveries[how] = withContacts(t, body, change)
		}
		t.Run(name, func(t *testing.T) { sameRowSameFacts(t, deliveries) })
	}
	t.Run("two bodies", func(t *testing.T) {
		sameRowSameFacts(t, map[string][]byte{"one": bodies["errors beside"], "another": bodies["errors beside another"]})
	})
}

// FuzzSameBytesOtherContacts: for any update and any neighbours.
func FuzzSameBytesOtherContacts(f *testing.F) {
	f.Add("messages", []byte(`{"from":"15550100001","id":"w","system":{"wa_id":"1"}}`), []byte(`[{"wa_id":"1","user_id":"US.1"}]`), []byte(`[]`))
	f.Add("statuses", []byte(`{"id":"w","recipient_user_id":"US.1"}`), []byte(`[{"user_id":"US.1"}]`), []byte(`[{"user_id":"US.1","wa_id":"2"},{}]`))
	f.Add("calls", []byte(`{"from":"15550100099"}`), []byte(`[{"wa_id":"15550100099"}]`), []byte(`[{"user_id":"US.1"}]`))
	f.Add("history", []byte(`{"threads":[{"id":"1","messages":[{"from":"1"},{"to":"1"},{}]}]}`), []byte(`[{"wa_id":"1"}]`), []byte(`[{"wa_id":"2"}]`))
	f.Fuzz(func(t *testing.T, list string, update, contacts, others []byte) {
		name, _ := json.Marshal(list)
		deliveries := map[string][]byte{}
		for which, all := range map[string][]byte{"contacts": contacts, "others": others, "none": []byte("[]")} {
			deliveries[which] = value("messages", `{`+own+`"contacts":`+string(all)+`,`+string(name)+`:[`+string(update)+`]}`)
			if !json.Valid(deliveries[which]) {
				return
			}
		}
		sameRowSameFacts(t, deliveries)
	})
}
