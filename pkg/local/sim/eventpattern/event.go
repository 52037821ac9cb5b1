package eventpattern

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
)

// members is a JSON object with its members in their written order, including repeated ones.
type members []member

type member struct {
	name  string
	value any // members, []any, string, json.Number, bool or nil
}

// Decode parses one JSON value and keeps numbers in their written form.
func Decode(text []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err = d.Decode(&v); err == nil {
		err = end(d)
	}
	return v, err
}

func end(d *json.Decoder) error {
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is trailing data")
	}
	return nil
}

// parse is Decode with objects returned as members.
func parse(text []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	v, err := parseValue(d)
	if err == nil {
		err = end(d)
	}
	return v, err
}

func parseValue(d *json.Decoder) (any, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('{'):
		object := members{}
		for d.More() {
			name, err := d.Token()
			if err != nil {
				return nil, err
			}
			v, err := parseValue(d)
			if err != nil {
				return nil, err
			}
			object = append(object, member{name.(string), v}) // the decoder accepts only strings as names
		}
		_, err = d.Token()
		return object, err
	case json.Delim('['):
		list := []any{}
		for d.More() {
			v, err := parseValue(d)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err = d.Token()
		return list, err
	}
	return token, nil
}

// membership maps each list that a value is in, by number, to the element that it belongs to. Only
// elements that are objects or lists count.
type membership map[int]int

// with joins two memberships; they are inconsistent where they have different elements of one list.
func (m membership) with(more membership) (membership, bool) {
	if len(more) == 0 {
		return m, true
	}
	joined := maps.Clone(m)
	if joined == nil {
		joined = membership{}
	}
	for list, element := range more {
		if before, there := joined[list]; there && before != element {
			return nil, false
		}
		joined[list] = element
	}
	return joined, true
}

// field is one value of an event that is neither an object nor a list.
type field struct {
	value any
	in    membership
}

// flattener collects the values of an event by path. The path of an empty object or list is absent.
type flattener struct {
	steps  map[string]bool
	fields map[string][]field
	path   []string
	in     membership
	lists  int
}

func (f *flattener) object(object members) {
	for _, m := range object {
		if !f.used(m.name) {
			continue
		}
		f.path = append(f.path, m.name)
		f.add(m.value)
		f.path = f.path[:len(f.path)-1]
	}
}

func (f *flattener) add(v any) {
	switch v := v.(type) {
	case members:
		f.object(v)
	case []any:
		list := f.lists
		f.lists++
		for i, one := range v {
			switch one.(type) {
			case members, []any:
				outer := f.in
				f.in, _ = outer.with(membership{list: i})
				f.add(one)
				f.in = outer
			default:
				f.add(one)
			}
		}
	default:
		path := at(f.path)
		f.fields[path] = append(f.fields[path], field{v, f.in})
	}
}

// used reports whether a step can lead to a path of the pattern. A step with dots can if each of
// its parts can.
func (f *flattener) used(step string) bool {
	if f.steps[step] {
		return true
	}
	return strings.Contains(step, ".") && !slices.ContainsFunc(splitPath(step), func(part string) bool { return !f.steps[part] })
}
