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

// members is a JSON object with its members as they are written, repeated ones included.
type members []member

type member struct {
	name  string
	value any // members, []any, string, json.Number, bool or nil
}

// Decode reads one JSON value and keeps numbers as they are written.
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
		return errors.New("there is more after it")
	}
	return nil
}

// parse is Decode with objects as members.
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
			object = append(object, member{name.(string), v}) // the decoder takes no other names
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

// membership says for the lists that a value is in, each with a number of its own, which
// element it belongs to. Only objects and lists within lists count.
type membership map[int]int

// with joins two memberships; they are not consistent where they have different elements of
// one list.
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

// flattener collects the values of an event by path. An object or list without values leaves
// nothing: its path is absent.
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

// used reports whether a step can lead to a path of the pattern. One with dots counts where each
// of its parts does.
func (f *flattener) used(step string) bool {
	if f.steps[step] {
		return true
	}
	return strings.Contains(step, ".") && !slices.ContainsFunc(splitPath(step), func(part string) bool { return !f.steps[part] })
}
