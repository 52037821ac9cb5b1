package api

import (
	"bytes"
	"encoding/json"
	"slices"
)

// mostRepeated bounds how many names of repeated members are returned.
const mostRepeated = 11

// Members reads an object by its exact names; nil for anything else. Readers differ
// about which of two equal names counts, so it returns those that appear more than once.
func Members(object []byte) (members map[string]json.RawMessage, repeated []string) {
	if !json.Valid(object) {
		return nil, nil
	}
	d := json.NewDecoder(bytes.NewReader(object))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil, nil
	}
	members = map[string]json.RawMessage{}
	for d.More() {
		token, _ := d.Token() // valid JSON: a name and a value
		name, _ := token.(string)
		var value json.RawMessage
		_ = d.Decode(&value)
		if _, again := members[name]; again && len(repeated) < mostRepeated && !slices.Contains(repeated, name) {
			repeated = append(repeated, name)
		}
		members[name] = value
	}
	return members, repeated
}

// IsText reports whether a value is a string of this text, in any notation.
func IsText(value json.RawMessage, text string) bool {
	var s string
	return json.Unmarshal(value, &s) == nil && s == text
}
