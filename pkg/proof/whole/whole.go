// Package whole finds the parts of a webhook's body that are missing from the items stored for it.
package whole

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"connexease-functions/pkg/table"
)

// Missing returns a line for each value of the body that no item contains, and for each update that
// is not the payload of an item. items must be joined: table.Join reassembles payloads from their
// parts.
func Missing(body []byte, items []table.Item) (missing []string) {
	have, payloads := map[string]bool{"whatsapp": true, "whatsapp_business_account": true}, map[string]bool{}
	for _, it := range items {
		for name := range it {
			have[it.Text(name)] = true
		}
		payloads[it.Text("payload")] = true
		for _, name := range []string{"payload", "contact_payload"} {
			leaves([]byte(it.Text(name)), have)
		}
	}
	want := map[string]bool{}
	if !leaves(body, want) { // not JSON: it is kept unchanged
		want = map[string]bool{string(body): true}
	}
	for _, leaf := range slices.Sorted(maps.Keys(want)) {
		if !have[leaf] {
			missing = append(missing, fmt.Sprintf("%q is nowhere in the table", leaf))
		}
	}
	for _, u := range Updates(body) {
		if !payloads[u] {
			missing = append(missing, "no item has the payload "+u)
		}
	}
	return missing
}

// leaves collects the scalar values of JSON, with numbers in their written form, and reports
// whether the text is JSON.
func leaves(text []byte, into map[string]bool) bool {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var tree any
	if !json.Valid(text) || d.Decode(&tree) != nil {
		return false
	}
	var walk func(any)
	walk = func(n any) {
		switch n := n.(type) {
		case map[string]any:
			for _, v := range n {
				walk(v)
			}
		case []any:
			for _, v := range n {
				walk(v)
			}
		default:
			into[fmt.Sprint(n)] = true
		}
	}
	walk(tree)
	return true
}

// Updates returns the updates of a body, each as compact JSON.
func Updates(body []byte) (all []string) {
	var n struct {
		Entry []struct {
			Changes []struct{ Value json.RawMessage }
		}
	}
	if json.Unmarshal(body, &n) != nil {
		return nil
	}
	for _, e := range n.Entry {
		for _, c := range e.Changes {
			var lists map[string]json.RawMessage
			if json.Unmarshal(c.Value, &lists) != nil {
				continue
			}
			for _, name := range []string{"messages", "statuses", "message_echoes", "errors", "calls"} {
				var elements []json.RawMessage
				if lists["metadata"] == nil || json.Unmarshal(lists[name], &elements) != nil {
					continue
				}
				for _, e := range elements {
					var compact bytes.Buffer
					_ = json.Compact(&compact, e) // it was decoded from JSON
					all = append(all, compact.String())
				}
			}
		}
	}
	return all
}
