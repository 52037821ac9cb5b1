package eventpattern

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// condition reports whether a value of an event (string, json.Number, bool or nil) matches.
type condition func(value any) bool

// equal matches one plain value. Numbers are compared by value and never with strings; IP addresses
// by their value.
func equal(want any) condition {
	switch want := want.(type) {
	case json.Number:
		n, ok := comparable(want)
		return func(v any) bool {
			if m, numeric := comparable(v); numeric && ok {
				return m == n
			}
			return v == any(want)
		}
	case string:
		if one, ok := address(want); ok {
			return addressRange{one, one}.matches
		}
	}
	return func(v any) bool { return v == want }
}

// onString matches a string including its quotes: Event Ruler compares them too, so a suffix can
// reach the opening one.
func onString(holds func(quoted string) bool) condition {
	return func(v any) bool {
		text, ok := v.(string)
		return ok && holds(`"`+text+`"`)
	}
}

func operator(name string, argument any) (condition, error) {
	text, isString := argument.(string)
	inner, isObject := argument.(members)
	switch {
	case name == "exists" && argument == true:
		return func(any) bool { return true }, nil
	case name == "exists":
		return nil, errors.New("exists accepts true or false")
	case name == "numeric":
		return numeric(argument)
	case name == "anything-but":
		return anythingBut(argument)
	case isString:
		return stringOperator(name, text)
	case isObject && (name == "prefix" || name == "suffix"):
		if len(inner) != 1 || inner[0].name != "equals-ignore-case" {
			return nil, fmt.Errorf("%s accepts a string or equals-ignore-case", name)
		}
		if text, isString = inner[0].value.(string); !isString {
			return nil, errors.New("equals-ignore-case accepts a string")
		}
		if name == "prefix" {
			return onString(func(s string) bool { return foldedPrefix(folded(`"`+text), s, false) }), nil
		}
		want := folded(text + `"`)
		return onString(func(s string) bool {
			for i := range len(s) {
				if foldedPrefix(want, s[i:], true) {
					return true
				}
			}
			return false
		}), nil
	}
	return nil, fmt.Errorf("the operator %q with %v is not one of EventBridge's", name, argument)
}

// stringOperator returns the condition of an operator with one string.
func stringOperator(name, text string) (condition, error) {
	switch name {
	case "exactly":
		return func(v any) bool { return v == text }, nil
	case "prefix":
		return onString(func(s string) bool { return strings.HasPrefix(s, `"`+text) }), nil
	case "suffix":
		return onString(func(s string) bool { return strings.HasSuffix(s, text+`"`) }), nil
	case "equals-ignore-case":
		want := folded(`"` + text + `"`)
		return onString(func(s string) bool { return foldedPrefix(want, s, true) }), nil
	case "wildcard":
		parts, err := wildcardParts(`"` + text + `"`)
		return onString(func(s string) bool { return wildcard(parts, s) }), err
	case "cidr":
		block, err := cidr(text)
		return block.matches, err
	}
	return nil, fmt.Errorf("the operator %q is not one of EventBridge's", name)
}

// wildcardParts splits a string at each unescaped star.
func wildcardParts(pattern string) ([]string, error) {
	parts := []string{""}
	last := func() *string { return &parts[len(parts)-1] }
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case c == '*' && pattern[i+1] == '*': // the closing quote follows every star
			return nil, errors.New("wildcard does not accept consecutive stars")
		case c == '*':
			parts = append(parts, "")
		case c == '\\' && pattern[i+1] != '*' && pattern[i+1] != '\\':
			return nil, errors.New(`wildcard accepts a backslash only in \* and \\`)
		case c == '\\':
			i++
			*last() += pattern[i : i+1]
		default:
			*last() += pattern[i : i+1]
		}
	}
	return parts, nil
}

func wildcard(parts []string, s string) bool {
	if len(parts) == 1 {
		return parts[0] == s
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

// anythingBut matches any present value except the given ones.
func anythingBut(argument any) (condition, error) {
	name := "exactly"
	if object, ok := argument.(members); ok {
		if len(object) != 1 {
			return nil, errors.New("anything-but accepts one operator")
		}
		name, argument = object[0].name, object[0].value
		if !slices.Contains([]string{"prefix", "suffix", "equals-ignore-case", "wildcard"}, name) {
			return nil, fmt.Errorf("anything-but does not accept %s", name)
		}
	}
	values, isList := argument.([]any)
	if !isList {
		values = []any{argument}
	}
	if len(values) == 0 {
		return nil, errors.New("anything-but accepts a value")
	}
	var none []condition
	numbers := 0
	for _, one := range values {
		text, isString := one.(string)
		_, isNumber := comparable(one)
		switch {
		case isNumber && name == "exactly":
			numbers++
			none = append(none, equal(one))
		case isString && text == "" && (name == "prefix" || name == "suffix"):
			return nil, fmt.Errorf("anything-but does not accept an empty %s", name)
		case isString:
			c, err := stringOperator(name, text)
			if err != nil {
				return nil, err
			}
			none = append(none, c)
		default:
			return nil, fmt.Errorf("anything-but does not accept %v", one)
		}
	}
	if numbers != 0 && numbers != len(values) {
		return nil, errors.New("anything-but accepts strings or numbers, not both")
	}
	return func(v any) bool {
		return !slices.ContainsFunc(none, func(c condition) bool { return c(v) })
	}, nil
}
