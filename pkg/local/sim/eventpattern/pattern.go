package eventpattern

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strings"
)

// Pattern is an event pattern of EventBridge: a pipe's filter, or a rule's (Amazon
// EventBridge: "Comparison operators for use in event patterns").
type Pattern struct {
	fields map[string]any // *Pattern below an object, []matcher at a leaf
	or     [][]*Pattern   // each $or: one of its patterns must match
}

// matcher tells whether a value of an event is one of those that a leaf takes. there is
// false where the event has no such member.
type matcher func(value any, there bool) bool

// ParsePattern reads a pattern. An operator that is not known here is an error: what is
// not matched as in AWS must not seem to be.
func ParsePattern(text string) (*Pattern, error) {
	v, err := Decode([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("the pattern is no JSON: %w", err)
	}
	object, ok := v.(map[string]any)
	if !ok || len(object) == 0 {
		return nil, errors.New("the pattern is no JSON object with members")
	}
	return parseObject("", object)
}

// Decode reads one JSON value and keeps numbers as they are written.
func Decode(text []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err = d.Decode(&v); err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("there is more behind it")
		}
	}
	return v, err
}

func parseObject(path string, object map[string]any) (*Pattern, error) {
	p := &Pattern{fields: map[string]any{}}
	for name, v := range object {
		at := strings.TrimPrefix(path+"."+name, ".")
		switch v := v.(type) {
		case map[string]any:
			below, err := parseObject(at, v)
			if err != nil {
				return nil, err
			}
			p.fields[name] = below
		case []any:
			if len(v) == 0 {
				return nil, fmt.Errorf("%s: an empty list matches nothing", at)
			}
			if name == "$or" {
				alternatives, err := parseOr(path, v)
				if err != nil {
					return nil, err
				}
				p.or = append(p.or, alternatives)
				continue
			}
			leaf, err := parseLeaf(at, v)
			if err != nil {
				return nil, err
			}
			p.fields[name] = leaf
		default:
			return nil, fmt.Errorf("%s: must be a list or an object", at)
		}
	}
	return p, nil
}

func parseOr(path string, list []any) (all []*Pattern, err error) {
	for _, one := range list {
		object, ok := one.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("%s.$or: takes objects", path)
		}
		p, err := parseObject(path, object)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

func parseLeaf(at string, list []any) (all []matcher, err error) {
	for _, one := range list {
		m := equal(one)
		if object, ok := one.(map[string]any); ok {
			if len(object) != 1 {
				return nil, fmt.Errorf("%s: an operator stands alone in its object", at)
			}
			for name, argument := range object {
				if m, err = operator(name, argument); err != nil {
					return nil, fmt.Errorf("%s: %w", at, err)
				}
			}
		}
		all = append(all, m)
	}
	return all, nil
}

// equal matches one plain value. Numbers are compared by value, and never with texts.
func equal(want any) matcher {
	return func(v any, there bool) bool {
		if !there {
			return false
		}
		if n, ok := number(want); ok {
			m, ok := number(v)
			return ok && n.Cmp(m) == 0
		}
		switch v.(type) {
		case map[string]any, []any:
			return false
		}
		return v == want
	}
}

func number(v any) (*big.Rat, bool) {
	n, ok := v.(json.Number)
	if !ok {
		return nil, false
	}
	return new(big.Rat).SetString(n.String())
}

func onText(holds func(text string) bool) matcher {
	return func(v any, there bool) bool {
		text, ok := v.(string)
		return there && ok && holds(text)
	}
}

func operator(name string, argument any) (matcher, error) {
	text, isText := argument.(string)
	switch {
	case name == "exists":
		want, ok := argument.(bool)
		if !ok {
			return nil, errors.New("exists takes true or false")
		}
		return func(v any, there bool) bool {
			_, object := v.(map[string]any) // it works on leaves only
			return (there && !object) == want
		}, nil
	case name == "prefix" && isText:
		return onText(func(s string) bool { return strings.HasPrefix(s, text) }), nil
	case name == "suffix" && isText:
		return onText(func(s string) bool { return strings.HasSuffix(s, text) }), nil
	case name == "equals-ignore-case" && isText:
		return onText(func(s string) bool { return strings.EqualFold(s, text) }), nil
	case name == "wildcard" && isText:
		return onText(func(s string) bool { return wildcard(text, s) }), nil
	case name == "numeric":
		return numeric(argument)
	case name == "anything-but":
		return anythingBut(argument)
	}
	return nil, fmt.Errorf("the operator %q with %v cannot be had on a laptop", name, argument)
}

func wildcard(pattern, s string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == s
	}
	rest, ok := strings.CutPrefix(s, parts[0])
	if !ok {
		return false
	}
	for _, part := range parts[1 : len(parts)-1] {
		_, after, found := strings.Cut(rest, part)
		if !found {
			return false
		}
		rest = after
	}
	return strings.HasSuffix(rest, parts[len(parts)-1])
}

// anythingBut matches a value that is there and is none of those.
func anythingBut(argument any) (matcher, error) {
	var none []matcher
	switch a := argument.(type) {
	case map[string]any:
		for name, inner := range a {
			if name == "exists" || name == "numeric" || name == "anything-but" {
				return nil, fmt.Errorf("anything-but does not take %s", name)
			}
			values, ok := inner.([]any)
			if !ok {
				values = []any{inner}
			}
			for _, one := range values {
				m, err := operator(name, one)
				if err != nil {
					return nil, err
				}
				none = append(none, m)
			}
		}
	case []any:
		for _, one := range a {
			none = append(none, equal(one))
		}
	default:
		none = append(none, equal(a))
	}
	if len(none) == 0 {
		return nil, errors.New("anything-but takes a value")
	}
	return func(v any, there bool) bool {
		if _, object := v.(map[string]any); !there || object {
			return false
		}
		return !slices.ContainsFunc(none, func(m matcher) bool { return m(v, true) })
	}, nil
}

func numeric(argument any) (matcher, error) {
	list, ok := argument.([]any)
	if !ok || len(list) == 0 || len(list)%2 != 0 {
		return nil, errors.New("numeric takes pairs of an operator and a number")
	}
	type bound struct {
		op string
		n  *big.Rat
	}
	var all []bound
	for i := 0; i < len(list); i += 2 {
		op, _ := list[i].(string)
		n, ok := number(list[i+1])
		if !ok || !slices.Contains([]string{"=", "<", "<=", ">", ">="}, op) {
			return nil, fmt.Errorf("numeric does not take %v %v", list[i], list[i+1])
		}
		all = append(all, bound{op, n})
	}
	return func(v any, there bool) bool {
		n, ok := number(v)
		if !there || !ok {
			return false
		}
		for _, b := range all {
			c := n.Cmp(b.n)
			if !(c == 0 && strings.Contains(b.op, "=") || c < 0 && b.op[0] == '<' || c > 0 && b.op[0] == '>') {
				return false
			}
		}
		return true
	}, nil
}

// Match tells whether an event, a JSON object, matches.
func (p *Pattern) Match(event []byte) bool {
	v, err := Decode(event)
	return err == nil && p.matches(v)
}

func (p *Pattern) matches(v any) bool {
	if list, ok := v.([]any); ok { // objects in a list: one of them
		return slices.ContainsFunc(list, p.matches)
	}
	object, _ := v.(map[string]any) // nil has no members
	for name, want := range p.fields {
		value, there := object[name]
		switch want := want.(type) {
		case *Pattern:
			if !want.matches(value) {
				return false
			}
		case []matcher:
			if !oneOf(want, value, there) {
				return false
			}
		}
	}
	for _, alternatives := range p.or {
		if !slices.ContainsFunc(alternatives, func(a *Pattern) bool { return a.matches(v) }) {
			return false
		}
	}
	return true
}

// oneOf matches a list where any of its elements matches.
func oneOf(all []matcher, value any, there bool) bool {
	values := []any{value}
	if list, ok := value.([]any); ok && len(list) > 0 {
		values = list
	}
	return slices.ContainsFunc(values, func(v any) bool {
		return slices.ContainsFunc(all, func(m matcher) bool { return m(v, there) })
	})
}
