//go:build oracles

package oracles

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
)

// generator makes patterns and events from few names and values, so that they often match.
type generator struct {
	*rand.Rand
	operators map[string]int // how often each kind was generated
}

var (
	names = []string{"a", "b", "c", "a.b", "d"}
	strs  = []string{"", "a", "ab", "abc", "b", "ba", "aab", "A", "AB", "a*b", "*", `a\b`, `\`, "axb", `"a`, `a"`, "5", "true", "ß", "SS", "ss", "ſ", "K", "k", "é", "É", "İ", "i̇", "ﬁ", "FI", "Σ", "ς", "σ", "😀", "??", "ŉ", "日本"}
	nums  = []string{"0", "-0", "-0.0", "1", "1.0", "1e0", "5", "5.0", "300", "3e2", "3E+2", "-1", "-1.5", "0.1", "1e-7", "9007199254740992", "1e308", "0.30000000000000004", "0e5", "100000000000000000000"}
	// Event Ruler compares these by their digits alone, and accepts them only as plain values.
	longNums = []string{"9007199254740993", "123456789012345678901", "1e400", "5.00000000000000000001"}
	wilds    = []string{"*", "a*", "*a", "a*b", "*b*", "a*b*", "*a*b", `a\*b`, `a\\b`, `\*`, `\\`, `*\**`, "é*", "*é", "", "ab"}
	badWilds = []string{"**", "a**b", `a\b`, `\`, `a\`, `a*\`, `\***`}
	ips      = []string{"10.0.0.1", "10.0.0.255", "10.0.1.0", "010.0.0.1", "192.168.255.254", "0.0.0.0", "255.255.255.255", "256.0.0.1", "10.0.0", "::1", "0:0:0:0:0:0:0:1", "::ffff:a00:1", "A00:1::", "a00:1::5", "2001:db8::", "2001:DB8::ff", "a:b", "::", "text", "12:30"}
	cidrs    = []string{"10.0.0.0/8", "10.0.0.1/31", "10.0.0.77/24", "0.0.0.0/0", "::/0", "2001:db8::/32", "2001:db8::/97", "192.168.255.255/13"}
	badCIDRs = []string{"10.0.0.0/32", "10.0.0.0", "10.0.0.0/x", "10.0.0.0/-1", "::1/128", "1.2.3/8"}
	bounded  = []string{"=", "<", "<=", ">", ">="}
)

func pick[T any](g *generator, all []T) T { return all[g.IntN(len(all))] }

func quote(s string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s)
	return strings.TrimSpace(b.String())
}

func (g *generator) many(least, most int, one func() string) string {
	all := make([]string, least+g.IntN(most-least+1))
	for i := range all {
		all[i] = one()
	}
	return strings.Join(all, ",")
}

func (g *generator) str() string { return quote(pick(g, strs)) }

func (g *generator) num() string {
	if g.IntN(20) == 0 {
		return pick(g, longNums)
	}
	return pick(g, nums)
}

// plain returns a value that is neither an object nor a list.
func (g *generator) plain() string {
	switch g.IntN(10) {
	case 0:
		return pick(g, []string{"true", "false", "null"})
	case 1, 2, 3, 4:
		return g.num()
	}
	return g.str()
}

// name returns a name and whether its values are addresses.
func (g *generator) name() (string, bool) {
	switch g.IntN(40) {
	case 0:
		return pick(g, []string{"", "a.", ".a", "a..b", "prefix"}), false
	case 1, 2, 3, 4, 5:
		return "ip", true
	}
	return pick(g, names), false
}

func (g *generator) operator(name, argument string) string {
	g.operators[name]++
	return `{` + quote(name) + `:` + argument + `}`
}

// element returns one element of a leaf's list.
func (g *generator) element(addresses bool) string {
	text := g.str
	if addresses {
		if g.IntN(3) == 0 {
			if g.IntN(20) == 0 {
				return g.operator("cidr", quote(pick(g, badCIDRs)))
			}
			return g.operator("cidr", quote(pick(g, cidrs)))
		}
		text = func() string { return quote(pick(g, ips)) }
		if g.IntN(2) == 0 {
			return text()
		}
	}
	wild := func() string {
		if g.IntN(20) == 0 {
			return quote(pick(g, badWilds))
		}
		return quote(pick(g, wilds))
	}
	oneOrMore := func(one func() string) string {
		if g.IntN(2) == 0 {
			return one()
		}
		return "[" + g.many(1, 3, one) + "]"
	}
	switch g.IntN(16) {
	case 0, 1:
		return g.operator("exists", pick(g, []string{"true", "false"}))
	case 2:
		return g.operator("prefix", text())
	case 3:
		return g.operator("suffix", text())
	case 4:
		return g.operator("equals-ignore-case", text())
	case 5:
		return g.operator(pick(g, []string{"prefix", "suffix"}), g.operator("equals-ignore-case", text()))
	case 6:
		return g.operator("wildcard", wild())
	case 7:
		return g.operator("numeric", g.numeric())
	case 8:
		return g.operator("anything-but", oneOrMore(pick(g, []func() string{text, g.num})))
	case 9:
		inner := pick(g, []string{"prefix", "suffix", "equals-ignore-case", "wildcard"})
		one := text
		if inner == "wildcard" {
			one = wild
		}
		return g.operator("anything-but", g.operator(inner, oneOrMore(one)))
	case 10:
		if g.IntN(4) == 0 {
			return g.odd(text)
		}
	}
	return g.plain()
}

func (g *generator) numeric() string {
	one := func() string { return quote(pick(g, bounded)) + "," + g.num() }
	if g.IntN(2) == 0 {
		return "[" + one() + "]"
	}
	return fmt.Sprintf("[%s,%s,%s,%s]", quote(pick(g, []string{">", ">="})), g.num(), quote(pick(g, []string{"<", "<="})), g.num())
}

// odd returns values that are mostly refused.
func (g *generator) odd(text func() string) string {
	switch g.IntN(10) {
	case 0:
		return g.operator("anything-but", "["+g.many(0, 3, g.plain)+"]")
	case 1:
		return g.operator("anything-but", pick(g, []string{"null", "true", "{}", `{"exists":true}`, `{"numeric":["=",1]}`, `{"prefix":5}`, `{"prefix":"a","suffix":"b"}`, `{"wildcard":["a",1]}`}))
	case 2:
		return g.operator("numeric", "["+g.many(0, 4, func() string { return pick(g, []string{quote(pick(g, bounded)), g.num(), g.plain()}) })+"]")
	case 3:
		return pick(g, []string{"{}", "[]", `["a"]`, `{"unknown":"a"}`, `{"prefix":"a","suffix":"b"}`, `{"prefix":"a","prefix":"b"}`})
	case 4:
		return g.operator("exists", g.plain())
	case 5:
		return g.operator(pick(g, []string{"prefix", "suffix", "equals-ignore-case", "wildcard", "cidr"}), pick(g, []string{"1", "null", "[]", `["a"]`, `{"prefix":"a"}`}))
	case 6:
		return g.operator("exactly", text())
	}
	return g.plain()
}

func (g *generator) pattern() string { return g.patternObject(2) }

func (g *generator) patternObject(depth int) string {
	if g.IntN(60) == 0 {
		return "{}"
	}
	return "{" + g.many(1, 2, func() string {
		name, addresses := g.name()
		switch g.IntN(12) {
		case 0, 1:
			if depth > 0 {
				g.operators["$or"]++
				least := 2
				if g.IntN(20) == 0 {
					least = 0
				}
				return `"$or":[` + g.many(least, 3, func() string { return g.patternObject(depth - 1) }) + "]"
			}
		case 2, 3, 4:
			if depth > 0 {
				return quote(name) + ":" + g.patternObject(depth-1)
			}
		case 5:
			if g.IntN(10) == 0 {
				return quote(name) + ":" + g.plain()
			}
		}
		least := 1
		if g.IntN(60) == 0 {
			least = 0
		}
		return quote(name) + ":[" + g.many(least, 3, func() string { return g.element(addresses) }) + "]"
	}) + "}"
}

func (g *generator) event() string { return g.eventObject(3) }

func (g *generator) eventObject(depth int) string {
	return "{" + g.many(0, 5, func() string {
		name, addresses := g.name()
		return quote(name) + ":" + g.eventValue(depth, addresses)
	}) + "}"
}

func (g *generator) eventValue(depth int, addresses bool) string {
	switch g.IntN(8) {
	case 0, 1:
		if depth > 0 {
			return g.eventObject(depth - 1)
		}
	case 2, 3:
		if depth > 0 {
			return "[" + g.many(0, 3, func() string { return g.eventValue(depth-1, addresses) }) + "]"
		}
	}
	if addresses { // Event Ruler reads a number as hexadecimal digits of an address
		return quote(pick(g, ips))
	}
	return g.plain()
}
