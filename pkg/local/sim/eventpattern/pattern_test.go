package eventpattern

import (
	"strings"
	"testing"
)

func TestAPatternMatchesAsEventBridgeDocuments(t *testing.T) {
	const event = `{"source":"shop","n":5,"f":5.0,"yes":true,"nothing":null,"tags":["a","b"],"empty":"","detail":{"type":"text","contact":"15550100001","deep":{"x":"1"}},"list":[{"k":"v"},{"k":"w"}]}`
	for pattern, want := range map[string]bool{
		`{"source":["shop"]}`:         true,
		`{"source":["other","shop"]}`: true,
		`{"source":["Shop"]}`:         false,
		`{"source":["shop"],"n":[6]}`: false,
		`{"n":[5.0]}`:                 true,
		`{"f":[5]}`:                   true,
		`{"n":["5"]}`:                 false,
		`{"yes":[true]}`:              true,
		`{"nothing":[null]}`:          true,
		`{"gone":[null]}`:             false,
		`{"empty":[""]}`:              true,
		`{"tags":["b"]}`:              true,
		`{"tags":["c"]}`:              false,
		`{"list":{"k":["w"]}}`:        true,
		`{"list":{"k":["x"]}}`:        false,
		`{"detail":{"type":["text"],"deep":{"x":["1"]}}}`:    true,
		`{"detail":{"deep":{"x":["2"]}}}`:                    false,
		`{"detail":["text"]}`:                                false,
		`{"detail":{"contact":[{"prefix":"1555"}]}}`:         true,
		`{"detail":{"contact":[{"prefix":"1666"}]}}`:         false,
		`{"detail":{"contact":[{"suffix":"0001"}]}}`:         true,
		`{"n":[{"prefix":"5"}]}`:                             false,
		`{"source":[{"equals-ignore-case":"SHOP"}]}`:         true,
		`{"source":[{"wildcard":"s*o*"}]}`:                   true,
		`{"source":[{"wildcard":"s*x"}]}`:                    false,
		`{"source":[{"anything-but":"shop"}]}`:               false,
		`{"source":[{"anything-but":["a","b"]}]}`:            true,
		`{"source":[{"anything-but":{"prefix":"sh"}}]}`:      false,
		`{"n":[{"anything-but":[5]}]}`:                       false,
		`{"n":[{"anything-but":6}]}`:                         true,
		`{"gone":[{"anything-but":"x"}]}`:                    false,
		`{"gone":[{"exists":false}]}`:                        true,
		`{"gone":[{"exists":true}]}`:                         false,
		`{"source":[{"exists":true}]}`:                       true,
		`{"detail":{"replay":[{"exists":false}]}}`:           true,
		`{"detail":{"deep":[{"exists":true}]}}`:              false,
		`{"n":[{"numeric":["=",5]}]}`:                        true,
		`{"n":[{"numeric":[">",4,"<=",5]}]}`:                 true,
		`{"n":[{"numeric":[">",5]}]}`:                        false,
		`{"source":[{"numeric":[">",5]}]}`:                   false,
		`{"$or":[{"source":["x"]},{"n":[5]}]}`:               true,
		`{"$or":[{"source":["x"]},{"n":[6]}]}`:               false,
		`{"source":["shop"],"$or":[{"n":[6]},{"f":[5]}]}`:    true,
		`{"detail":{"$or":[{"type":["x"]},{"type":["y"]}]}}`: false,
	} {
		p, err := ParsePattern(pattern)
		if err != nil {
			t.Errorf("%s: %v", pattern, err)
		} else if got := p.Match([]byte(event)); got != want {
			t.Errorf("%s: %t", pattern, got)
		}
	}
}

func TestAnInvalidPatternIsRefused(t *testing.T) {
	for pattern, want := range map[string]string{
		"":                                    "not JSON",
		"{} x":                                "trailing data",
		"[]":                                  "not a JSON object",
		"{}":                                  "not a JSON object with members",
		`{"a":"x"}`:                           "a: must be a list",
		`{"a":{"b":[]}}`:                      "a.b: an empty list",
		`{"a":[{"ip-address":"10.0.0.0"}]}`:   `"ip-address"`,
		`{"a":[{"prefix":5}]}`:                `"prefix" with 5`,
		`{"a":[{"exists":"yes"}]}`:            "true or false",
		`{"a":[{"prefix":"x","suffix":"y"}]}`: "must be alone",
		`{"a":[{"numeric":[">"]}]}`:           "pairs",
		`{"a":[{"numeric":["!",5]}]}`:         "does not accept",
		`{"a":[{"anything-but":[]}]}`:         "accepts a value",
		`{"a":[{"anything-but":{"exists":true}}]}`: "does not accept exists",
		`{"$or":["x","y"]}`:                        "accepts objects",
	} {
		if _, err := ParsePattern(pattern); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want …%s…", pattern, err, want)
		}
	}
}

// match reports whether a pattern, which must be valid, matches an event.
func match(t *testing.T, pattern, event string) bool {
	t.Helper()
	p, err := ParsePattern(pattern)
	if err != nil {
		t.Fatalf("%s: %v", pattern, err)
	}
	return p.Match([]byte(event))
}

// The expectations are Event Ruler's (make oracles).
func TestAPatternMatchesAsEventRulerWhereThatIsSurprising(t *testing.T) {
	for _, c := range []struct {
		pattern, event string
		want           bool
	}{
		// A backslash escapes a star and a backslash in wildcard.
		{`{"a":[{"wildcard":"a\\*b"}]}`, `{"a":"a*b"}`, true},
		{`{"a":[{"wildcard":"a\\*b"}]}`, `{"a":"axb"}`, false},
		{`{"a":[{"wildcard":"a\\\\*"}]}`, `{"a":"a\\b"}`, true},
		{`{"a":[{"wildcard":"a\\\\*"}]}`, `{"a":"a*b"}`, false},
		// An empty list or object is absent.
		{`{"a":[{"exists":false}]}`, `{"a":[]}`, true},
		{`{"a":[{"exists":true}]}`, `{"a":[]}`, false},
		{`{"a":[{"exists":false}]}`, `{"a":{}}`, true},
		{`{"a":[{"anything-but":"x"}]}`, `{"a":[[]]}`, false},
		// The later of two patterns for one name counts, in $or or alongside it.
		{`{"a":["x"],"$or":[{"a":["y"]},{"b":["z"]}]}`, `{"a":"y"}`, true},
		{`{"a":["x"],"$or":[{"a":["y"]},{"b":["z"]}]}`, `{"a":"x"}`, false},
		{`{"a":["x"],"$or":[{"a":["y"]},{"b":["z"]}]}`, `{"a":"x","b":"z"}`, true},
		{`{"$or":[{"a":["y"]},{"b":["z"]}],"a":["x"]}`, `{"a":"y"}`, false},
		{`{"$or":[{"a":["y"]},{"b":["z"]}],"a":["x"]}`, `{"a":"x"}`, true},
		{`{"a":["x"],"a":["y"]}`, `{"a":"x"}`, false},
		{`{"a":{"b":["x"]},"a":{"c":["y"]}}`, `{"a":{"c":"y"}}`, false},
		// Values come from one element of a list; a path is absent if no such element has it.
		{`{"l":{"a":["1"],"b":["2"]}}`, `{"l":[{"a":"1","b":"3"},{"a":"2","b":"2"}]}`, false},
		{`{"l":{"a":["1"],"b":["2"]}}`, `{"l":[{"a":"2"},{"a":"1","b":"2"}]}`, true},
		{`{"l":{"a":["1"],"b":[{"exists":false}]}}`, `{"l":[{"a":"1"},{"b":"2"}]}`, true},
		{`{"l":{"a":["1"],"b":[{"exists":false}]}}`, `{"l":[{"a":"1","b":"2"},{"a":"3"}]}`, false},
		{`{"l":{"b":[{"exists":false}]}}`, `{"l":[{"a":"1"},{"b":"2"}]}`, false},
		// Lists within lists, and values alongside objects.
		{`{"a":["x"]}`, `{"a":[["y"],["x"]]}`, true},
		{`{"a":{"b":["x"]}}`, `{"a":[1,[{"b":"x"}]]}`, true},
		// equals-ignore-case compares the two cases of each character.
		{`{"a":[{"equals-ignore-case":"ß"}]}`, `{"a":"SS"}`, true},
		{`{"a":[{"equals-ignore-case":"ß"}]}`, `{"a":"ss"}`, false},
		{`{"a":[{"equals-ignore-case":"SS"}]}`, `{"a":"ß"}`, false},
		{`{"a":[{"equals-ignore-case":"SS"}]}`, `{"a":"sS"}`, true},
		{`{"a":[{"equals-ignore-case":"k"}]}`, `{"a":"K"}`, false}, // the Kelvin sign
		{`{"a":[{"equals-ignore-case":"😀"}]}`, `{"a":"😀"}`, false},
		{`{"a":[{"prefix":{"equals-ignore-case":"AB"}}]}`, `{"a":"abc"}`, true},
		{`{"a":[{"suffix":{"equals-ignore-case":"BC"}}]}`, `{"a":"abc"}`, true},
		{`{"a":[{"suffix":{"equals-ignore-case":"AB"}}]}`, `{"a":"abc"}`, false},
		// Dots join names.
		{`{"a.b":["x"]}`, `{"a":{"b":"x"}}`, true},
		{`{"a":{"b":["x"]}}`, `{"a.b":"x"}`, true},
		{`{"a.b":[{"exists":false}]}`, `{"a":{"b":"x"}}`, false},
		// Numbers compare by value as far as a double holds them, else by their digits.
		{`{"a":[300]}`, `{"a":3e2}`, true},
		{`{"a":[0]}`, `{"a":-0.0}`, true},
		{`{"a":[9007199254740993]}`, `{"a":9007199254740993}`, true},
		{`{"a":[9007199254740993]}`, `{"a":9007199254740992}`, false},
		{`{"a":[{"numeric":[">",5]}]}`, `{"a":9007199254740993}`, false},
		{`{"a":[{"anything-but":5}]}`, `{"a":"5"}`, true},
		// Operators on lists, and those that were missing.
		{`{"a":[{"anything-but":{"wildcard":["*b","c*"]}}]}`, `{"a":"ab"}`, false},
		{`{"a":[{"anything-but":{"equals-ignore-case":["AB","c"]}}]}`, `{"a":"d"}`, true},
		{`{"a":[{"anything-but":{"prefix":"x"}}]}`, `{"a":5}`, true},
		{`{"a":[{"cidr":"10.0.0.0/13"}]}`, `{"a":"10.7.255.255"}`, true},
		{`{"a":[{"cidr":"10.0.0.0/13"}]}`, `{"a":"10.8.0.0"}`, false},
		{`{"a":[{"cidr":"2001:db8::/33"}]}`, `{"a":"2001:db8:7fff::1"}`, true},
		{`{"a":[{"cidr":"2001:db8::/33"}]}`, `{"a":"2001:db8:8000::1"}`, false},
		{`{"a":[{"cidr":"10.0.0.0/8"}]}`, `{"a":"text"}`, false},
		{`{"a":["10.0.0.1"]}`, `{"a":"010.0.0.1"}`, true},
		{`{"a":["::1"]}`, `{"a":"0:0:0:0:0:0:0:1"}`, true},
		{`{"a":["x"]}`, `["a"]`, false},
		{`{"a":["x"]}`, `{"a":"x"} more`, false},
	} {
		if got := match(t, c.pattern, c.event); got != c.want {
			t.Errorf("%s on %s: %t", c.pattern, c.event, got)
		}
	}
}

func TestWhatAWSRefusesIsRefused(t *testing.T) {
	for pattern, want := range map[string]string{
		`{"a":[{"wildcard":"a**b"}]}`:                          "consecutive",
		`{"a":[{"wildcard":"a\\b"}]}`:                          "backslash",
		`{"a":[{"wildcard":"a\\"}]}`:                           "backslash",
		`{"a":[{"anything-but":{"wildcard":["a","a**"]}}]}`:    "consecutive",
		`{"a":[{"anything-but":["a",1]}]}`:                     "not both",
		`{"a":[{"anything-but":["a",null]}]}`:                  "does not accept",
		`{"a":[{"anything-but":null}]}`:                        "does not accept",
		`{"a":[{"anything-but":true}]}`:                        "does not accept",
		`{"a":[{"anything-but":9007199254740993}]}`:            "does not accept",
		`{"a":[{"anything-but":{"prefix":""}}]}`:               "empty prefix",
		`{"a":[{"anything-but":{"prefix":"a","suffix":"b"}}]}`: "one operator",
		`{"a":[{"anything-but":{"prefix":[]}}]}`:               "accepts a value",
		`{"a":[{"numeric":[">",5,"<",5]}]}`:                    "higher upper bound",
		`{"a":[{"numeric":[">=",5,"<=",4]}]}`:                  "higher upper bound",
		`{"a":[{"numeric":["<",5,">",4]}]}`:                    "lower bound, then",
		`{"a":[{"numeric":["=",5,"=",5]}]}`:                    "lower bound, then",
		`{"a":[{"numeric":[">",1,"<",3,"<",2]}]}`:              "one or two",
		`{"a":[{"numeric":["=",9007199254740993]}]}`:           "does not accept",
		`{"$or":[{"a":["x"]}]}`:                                "at least two",
		`{"$or":[]}`:                                           "at least two",
		`{"$or":{"a":["x"]}}`:                                  "at least two",
		`{"$or":[{"prefix":["x"]},{"a":["x"]}]}`:               "reserved",
		`{"$or":[{"a":["x"]},{}]}`:                             "empty object",
		`{"a":{}}`:                                             "a: an empty object",
		`{"a":{"b":{}}}`:                                       "a.b: an empty object",
		`{"a":[[]]}`:                                           "a list accepts",
		`{"a":[{}]}`:                                           "must be alone",
		`{"a":[{"prefix":"x","prefix":"y"}]}`:                  "must be alone",
		`{"a":[{"prefix":{"equals-ignore-case":5}}]}`:          "accepts a string",
		`{"a":[{"suffix":{"prefix":"x"}}]}`:                    "equals-ignore-case",
		`{"a":[{"cidr":"10.0.0.0/32"}]}`:                       "cidr accepts",
		`{"a":[{"cidr":"10.0.0.0"}]}`:                          "cidr accepts",
		`{"a":[{"cidr":"text/8"}]}`:                            "cidr accepts",
	} {
		if _, err := ParsePattern(pattern); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want …%s…", pattern, err, want)
		}
	}
}
