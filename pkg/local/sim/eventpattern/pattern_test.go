package eventpattern

import (
	"strings"
	"testing"
)

func TestAPatternMatchesAsEventBridgeSays(t *testing.T) {
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

func TestAPatternThatIsNotUnderstoodIsRefused(t *testing.T) {
	for pattern, want := range map[string]string{
		"":                                    "no JSON",
		"{} x":                                "more behind",
		"[]":                                  "no JSON object",
		"{}":                                  "no JSON object with members",
		`{"a":"x"}`:                           "a: must be a list",
		`{"a":{"b":[]}}`:                      "a.b: an empty list",
		`{"a":[{"cidr":"10.0.0.0/8"}]}`:       `"cidr"`,
		`{"a":[{"prefix":5}]}`:                `"prefix" with 5`,
		`{"a":[{"exists":"yes"}]}`:            "true or false",
		`{"a":[{"prefix":"x","suffix":"y"}]}`: "stands alone",
		`{"a":[{"numeric":[">"]}]}`:           "pairs",
		`{"a":[{"numeric":["!",5]}]}`:         "does not take",
		`{"a":[{"anything-but":[]}]}`:         "takes a value",
		`{"a":[{"anything-but":{"exists":true}}]}`: "does not take exists",
		`{"$or":["x"]}`: "takes objects",
	} {
		if _, err := ParsePattern(pattern); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want …%s…", pattern, err, want)
		}
	}
}
