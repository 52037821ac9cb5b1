package whatsapp

import (
	"bytes"
	"encoding/json"
	"iter"
	"unicode/utf8"
)

// encoding/json keeps neither member order nor duplicate keys nor the spelling
// of numbers and escapes. Events are stored as they came, so the splitter walks
// the bytes itself. Everything below expects what json.Compact has accepted:
// valid JSON without insignificant whitespace.

// raw is one JSON value as it came.
type raw []byte

// compacted returns a JSON text as raw; empty where it is not valid.
func compacted(text []byte) raw {
	var b bytes.Buffer
	if json.Compact(&b, text) != nil {
		return nil
	}
	return b.Bytes()
}

func (r raw) isObject() bool { return len(r) > 0 && r[0] == '{' }
func (r raw) isArray() bool  { return len(r) > 0 && r[0] == '[' }
func (r raw) isString() bool { return len(r) > 0 && r[0] == '"' }

// isInteger reports whether r is a JSON integer in the plain form that an int64
// prints, so that nothing is lost by storing the number instead of the text.
func (r raw) isInteger() bool {
	if len(r) == 0 || len(r) > 18 {
		return false
	}
	digits := bytes.TrimPrefix(r, []byte("-"))
	if len(digits) == 0 || (digits[0] == '0' && len(r) > 1) {
		return false
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// text decodes a JSON string; other values and broken UTF-8 inside are not text.
func (r raw) text() (string, bool) {
	if !r.isString() || !utf8.Valid(r) {
		return "", false
	}
	if inner := r[1 : len(r)-1]; bytes.IndexByte(inner, '\\') < 0 {
		return string(inner), true
	}
	var s string
	err := json.Unmarshal(r, &s)
	return s, err == nil
}

type member struct {
	key   string
	name  raw // the key as it came, with its quotes
	value raw
}

// members yields the members of an object in their order, duplicates included.
func (r raw) members() iter.Seq[member] {
	return func(yield func(member) bool) {
		if !r.isObject() {
			return
		}
		for i := 1; i < len(r) && r[i] != '}'; {
			keyEnd := skip(r, i)
			valueEnd := skip(r, keyEnd+1)
			name := r[i:keyEnd]
			key, ok := name.text()
			if !ok {
				key = string(name) // broken UTF-8: no key we know
			}
			if !yield(member{key, name, r[keyEnd+1 : valueEnd]}) {
				return
			}
			i = valueEnd
			if r[i] == ',' {
				i++
			}
		}
	}
}

// elements yields the elements of an array in their order.
func (r raw) elements() iter.Seq[raw] {
	return func(yield func(raw) bool) {
		if !r.isArray() {
			return
		}
		for i := 1; i < len(r) && r[i] != ']'; {
			end := skip(r, i)
			if !yield(r[i:end]) {
				return
			}
			i = end
			if r[i] == ',' {
				i++
			}
		}
	}
}

// get returns the last member of that name, as JSON readers do with duplicates.
func (r raw) get(key string) raw {
	var found raw
	for m := range r.members() {
		if m.key == key {
			found = m.value
		}
	}
	return found
}

// skip returns the index behind the value that starts at i.
func skip(b []byte, i int) int {
	switch b[i] {
	case '"':
		return skipString(b, i)
	case '{', '[':
		depth := 0
		for {
			switch b[i] {
			case '"':
				i = skipString(b, i)
				continue
			case '{', '[':
				depth++
			case '}', ']':
				depth--
			}
			i++
			if depth == 0 {
				return i
			}
		}
	default:
		for i < len(b) && b[i] != ',' && b[i] != '}' && b[i] != ']' {
			i++
		}
		return i
	}
}

func skipString(b []byte, i int) int {
	start := i + 1
	for {
		i += 1 + bytes.IndexByte(b[i+1:], '"')
		backslashes := 0
		for j := i - 1; j >= start && b[j] == '\\'; j-- {
			backslashes++
		}
		if backslashes%2 == 0 {
			return i + 1
		}
	}
}

// object puts members together again, each as it came.
func object(members []member) raw {
	out := raw{'{'}
	for i, m := range members {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, m.name...)
		out = append(out, ':')
		out = append(out, m.value...)
	}
	return append(out, '}')
}

// array puts elements together again, each as it came.
func array(elements []raw) raw {
	out := raw{'['}
	for i, e := range elements {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, e...)
	}
	return append(out, ']')
}
