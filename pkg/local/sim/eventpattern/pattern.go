// Package eventpattern matches events as Amazon EventBridge does. It accepts, refuses and matches
// the same as Event Ruler, the library that EventBridge is built on: make oracles compares the two.
package eventpattern

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Pattern is an event pattern: a pipe's filter or a rule's (Amazon EventBridge: "Comparison
// operators for use in event patterns").
type Pattern struct {
	alternatives []alternative
	steps        map[string]bool // the names that occur in any path
}

// alternative is one choice from the pattern's $or lists: the conditions on each path. Paths are
// joined by dots, so that {"a.b": …} and {"a": {"b": …}} are one path, as in AWS.
type alternative map[string]leaf

// leaf matches a path if any of the conditions matches one of its values, or, with absent, if it
// has none.
type leaf struct {
	conditions []condition
	absent     bool
}

// ParsePattern parses a pattern, and refuses what AWS refuses.
func ParsePattern(text string) (*Pattern, error) {
	v, err := parse([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("the pattern is not JSON: %w", err)
	}
	object, ok := v.(members)
	if !ok || len(object) == 0 {
		return nil, errors.New("the pattern is not a JSON object with members")
	}
	p := &Pattern{steps: map[string]bool{}}
	if p.alternatives, err = compileObject(nil, nil, object, false); err != nil {
		return nil, err
	}
	for _, one := range p.alternatives {
		for path := range one {
			for _, step := range splitPath(path) {
				p.steps[step] = true
			}
		}
	}
	return p, nil
}

// orKeyword names a list of which one element must match; it is not part of a path.
const orKeyword = "$or"

// reservedInOr lists names that a field below $or cannot have, so that an operator without its list
// is noticed.
var reservedInOr = strings.Fields(`exactly equals-ignore-case prefix suffix anything-but exists wildcard numeric cidr
	= < <= > >= regex not-wildcard not-equals-ignore-case date-after date-on-or-after date-before
	date-on-or-before in-date-range ip-address-in-range ip-address-not-in-range`)

// compileObject adds an object's conditions to each alternative. Members apply in their written
// order: a path that is named both in $or and alongside it keeps the later one.
func compileObject(all []alternative, path []string, object members, inOr bool) ([]alternative, error) {
	if len(object) == 0 {
		return nil, fmt.Errorf("%s: an empty object is not allowed", at(path))
	}
	for _, m := range object {
		here := append(slices.Clone(path), m.name)
		list, isList := m.value.([]any)
		below, isObject := m.value.(members)
		var err error
		switch {
		case m.name == orKeyword:
			all, err = compileOr(all, path, m.value)
		case inOr && slices.Contains(reservedInOr, m.name):
			err = fmt.Errorf("%s: the name is reserved within $or", at(here))
		case isObject:
			all, err = compileObject(all, here, below, inOr)
		case isList:
			var l leaf
			if l, err = compileLeaf(list); err != nil {
				err = fmt.Errorf("%s: %w", at(here), err)
				break
			}
			if len(all) == 0 {
				all = []alternative{{}}
			}
			for _, one := range all {
				one[patternPath(path, m.name)] = l
			}
		default:
			err = fmt.Errorf("%s: must be a list or an object", at(here))
		}
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

func compileOr(all []alternative, path []string, v any) (forked []alternative, err error) {
	here := at(append(slices.Clone(path), orKeyword))
	list, ok := v.([]any)
	if !ok || len(list) < 2 {
		return nil, fmt.Errorf("%s: must be a list of at least two objects", here)
	}
	if len(all) == 0 {
		all = []alternative{{}}
	}
	for _, one := range list {
		object, ok := one.(members)
		if !ok {
			return nil, fmt.Errorf("%s: accepts objects", here)
		}
		branch := make([]alternative, len(all))
		for i := range all {
			branch[i] = maps.Clone(all[i])
		}
		if branch, err = compileObject(branch, path, object, true); err != nil {
			return nil, err
		}
		forked = append(forked, branch...)
	}
	return forked, nil
}

func compileLeaf(list []any) (l leaf, err error) {
	if len(list) == 0 {
		return l, errors.New("an empty list matches nothing")
	}
	for _, one := range list {
		var c condition
		switch one := one.(type) {
		case []any:
			return l, errors.New("a list accepts strings, numbers, true, false, null and operators")
		case members:
			if len(one) != 1 {
				return l, errors.New("an operator must be alone in its object")
			}
			if one[0].name == "exists" && one[0].value == false {
				l.absent = true
				continue
			}
			if c, err = operator(one[0].name, one[0].value); err != nil {
				return l, err
			}
		default:
			c = equal(one)
		}
		l.conditions = append(l.conditions, c)
	}
	return l, nil
}

func at(path []string) string { return strings.Join(path, ".") }

// patternPath joins a path as Event Ruler does: an empty first step adds no dot.
func patternPath(path []string, last string) string {
	if base := at(path); base != "" {
		return base + "." + last
	}
	return last
}

// splitPath reverses patternPath as far as possible: empty steps at the end are dropped.
func splitPath(path string) []string {
	if path == "" {
		return []string{""}
	}
	steps := strings.Split(path, ".")
	for len(steps) > 0 && steps[len(steps)-1] == "" {
		steps = steps[:len(steps)-1]
	}
	return steps
}

// Match reports whether an event, a JSON object, matches.
func (p *Pattern) Match(event []byte) bool {
	v, err := parse(event)
	object, ok := v.(members)
	if err != nil || !ok {
		return false
	}
	f := flattener{steps: p.steps, fields: map[string][]field{}}
	f.object(object)
	return slices.ContainsFunc(p.alternatives, func(one alternative) bool {
		return search(one, slices.Sorted(maps.Keys(one)), f.fields, nil)
	})
}

// search looks for one value for each path such that no two values come from different elements of
// one list.
func search(want alternative, paths []string, fields map[string][]field, so membership) bool {
	if len(paths) == 0 {
		return true
	}
	l, found := want[paths[0]], false
	for _, f := range fields[paths[0]] {
		merged, consistent := so.with(f.in)
		if !consistent {
			continue
		}
		found = true
		if slices.ContainsFunc(l.conditions, func(c condition) bool { return c(f.value) }) && search(want, paths[1:], fields, merged) {
			return true
		}
	}
	return l.absent && !found && search(want, paths[1:], fields, so)
}
