// Package canonical reads JSON without losing anything of it, duplicate members included, and
// writes it in the one form of RFC 8785, so that two spellings of the same content are equal.
package canonical

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"unicode/utf8"
)

// ErrNotJSON reports input that is not exactly one JSON value.
var ErrNotJSON = errors.New("not a JSON value")

// MostDuplicates bounds how many duplicate members Parse reports.
const MostDuplicates = 100

// Value is a JSON value as it was written.
type Value struct {
	text     []byte // a string with its quotes, a number, true, false or null
	members  []member
	elements []Value
	kind     byte // '{', '[', '"', '0' for a number, else the literal's first letter
}

type member struct {
	name  string // in canonical form, without quotes
	raw   []byte // as written, with quotes
	value Value
}

// Parse reads one JSON value. duplicates are the paths of members that an object has more than
// once, such as text.body or contacts[1].name, each path once, at most MostDuplicates; readers of
// JSON differ about which of them counts. A name that is not a plain word is * in a path, because
// it may be anything. It returns ErrNotJSON.
func Parse(text []byte) (v Value, duplicates []string, err error) {
	if !json.Valid(text) { // also bounds the depth
		return Value{}, nil, ErrNotJSON
	}
	p := &parser{text: text, reported: map[string]bool{}}
	v = p.value()
	return v, p.duplicates, nil
}

// IsObject reports whether v is an object.
func (v Value) IsObject() bool { return v.kind == '{' }

// IsString reports whether v is a string.
func (v Value) IsString() bool { return v.kind == '"' }

// IsNumber reports whether v is a number.
func (v Value) IsNumber() bool { return v.kind == '0' }

// Present reports whether v exists and is not null.
func (v Value) Present() bool { return v.kind != 0 && v.kind != 'n' }

// Get returns an object's member of that name, which must be plain ASCII without quotes and
// backslashes: the last one of several, as most readers do, and the zero Value where there is none.
func (v Value) Get(name string) Value {
	for i := len(v.members) - 1; i >= 0; i-- {
		if v.members[i].name == name {
			return v.members[i].value
		}
	}
	return Value{}
}

// Names returns the names of an object's members in their order, in canonical form.
func (v Value) Names() []string {
	names := make([]string, len(v.members))
	for i, m := range v.members {
		names[i] = m.name
	}
	return names
}

// Elements returns an array's elements; nil for any other value.
func (v Value) Elements() []Value { return v.elements }

// Text returns a string's content, with U+FFFD for what is not Unicode, or a number as it is
// written; empty for any other value.
func (v Value) Text() string {
	switch {
	case v.kind == '0':
		return string(v.text)
	case v.kind != '"':
		return ""
	}
	if inner := v.text[1 : len(v.text)-1]; bytes.IndexByte(inner, '\\') < 0 && utf8.Valid(inner) {
		return string(inner)
	}
	var s string
	_ = json.Unmarshal(v.text, &s) // a valid string
	return s
}

type step struct {
	name  string
	index int // of an element; -1 for a member
}

// parser walks input that json.Valid has accepted.
type parser struct {
	text       []byte
	at         int
	path       []step
	duplicates []string
	reported   map[string]bool
}

func (p *parser) blanks() {
	for p.at < len(p.text) {
		switch p.text[p.at] {
		case ' ', '\t', '\n', '\r':
			p.at++
		default:
			return
		}
	}
}

// next skips blanks and one byte, and returns it.
func (p *parser) next() byte {
	p.blanks()
	p.at++
	return p.text[p.at-1]
}

func (p *parser) value() Value {
	p.blanks()
	switch c := p.text[p.at]; c {
	case '{':
		return p.object()
	case '[':
		return p.array()
	case '"':
		return Value{kind: '"', text: p.quoted()}
	default:
		start := p.at
		for p.at < len(p.text) && bytes.IndexByte([]byte(",]} \t\r\n"), p.text[p.at]) < 0 {
			p.at++
		}
		if c == '-' || '0' <= c && c <= '9' {
			c = '0'
		}
		return Value{kind: c, text: p.text[start:p.at]}
	}
}

func (p *parser) quoted() []byte {
	start := p.at
	for p.at++; p.text[p.at] != '"'; p.at++ {
		if p.text[p.at] == '\\' {
			p.at++
		}
	}
	p.at++
	return p.text[start:p.at]
}

// fewMembers is the number of members up to which comparing names one by one is cheaper than a map.
const fewMembers = 8

func (p *parser) object() Value {
	v := Value{kind: '{'}
	var seen map[string]bool
	p.next()
	if p.blanks(); p.text[p.at] == '}' {
		p.at++
		return v
	}
	for {
		p.blanks()
		raw := p.quoted()
		quoted := appendString(nil, raw)
		m := member{name: string(quoted[1 : len(quoted)-1]), raw: raw}
		again := false
		if seen == nil {
			for i := range v.members {
				again = again || v.members[i].name == m.name
			}
			if len(v.members) == fewMembers {
				seen = map[string]bool{}
				for i := range v.members {
					seen[v.members[i].name] = true
				}
			}
		} else {
			again = seen[m.name]
		}
		if seen != nil {
			seen[m.name] = true
		}
		p.path = append(p.path, step{m.name, -1})
		if again {
			p.report()
		}
		p.next() // the colon
		m.value = p.value()
		p.path = p.path[:len(p.path)-1]
		v.members = append(v.members, m)
		if p.next() == '}' {
			return v
		}
	}
}

func (p *parser) array() Value {
	v := Value{kind: '['}
	p.next()
	if p.blanks(); p.text[p.at] == ']' {
		p.at++
		return v
	}
	for {
		p.path = append(p.path, step{index: len(v.elements)})
		v.elements = append(v.elements, p.value())
		p.path = p.path[:len(p.path)-1]
		if p.next() == ']' {
			return v
		}
	}
}

const (
	longestName  = 40  // bytes of a name that a path shows
	longestSteps = 200 // bytes after which a path ends in *
)

func (p *parser) report() {
	if len(p.duplicates) == MostDuplicates {
		return
	}
	var path []byte
	for _, s := range p.path {
		switch {
		case s.index >= 0:
			path = append(strconv.AppendInt(append(path, '['), int64(s.index), 10), ']')
		default:
			if len(path) > 0 {
				path = append(path, '.')
			}
			if plain(s.name) {
				path = append(path, s.name...)
			} else {
				path = append(path, '*')
			}
		}
		if len(path) > longestSteps {
			path = append(path, ".*"...)
			break
		}
	}
	if text := string(path); !p.reported[text] {
		p.reported[text] = true
		p.duplicates = append(p.duplicates, text)
	}
}

// plain reports whether a name is a word like those of documented members, and not, for instance,
// a phone number.
func plain(name string) bool {
	if name == "" || len(name) > longestName {
		return false
	}
	for i := range len(name) {
		c := name[i] | 0x20
		letter := 'a' <= c && c <= 'z'
		if !letter && (i == 0 || name[i] != '_' && name[i] != '-' && (name[i] < '0' || name[i] > '9')) {
			return false
		}
	}
	return true
}
