package gateway

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// upstream is the Gateway's code for anything that Meta said.
const upstream = "GW_001"

// pairLimit is Meta's code for too many messages between two numbers.
const pairLimit = 131056

// PairPause is what Meta asks for between two messages of one pair of numbers (WhatsApp
// Cloud API: Messages, "Pair rate limits"), NumberPause the least for other limits.
const (
	PairPause   = 6 * time.Second
	NumberPause = time.Second
)

// notNow are Meta's codes with which nothing was sent and a retry is right (WhatsApp Cloud
// API: Error codes, "Throttling errors"): of the app, the account, the number's throughput,
// the pair, and the registration. 131048 and 131049 are about the customer's trust, and stay
// refusals.
var notNow = []int{4, 80007, 130429, pairLimit, 133016}

var inText = regexp.MustCompile(`\(#([0-9]{1,9})\)`)

// metaNotNow returns the code by which Meta says "not now" in a refusal of the Gateway; 0
// without one, and where a different code of Meta's is in it too.
func metaNotNow(description string, params json.RawMessage) int {
	code := 0
	for _, n := range metaCodes(description, params) {
		switch {
		case !slices.Contains(notNow, n):
			return 0
		case code != pairLimit: // the longest pause counts
			code = n
		}
	}
	return code
}

// MetaCodes returns the codes of Meta's in a response of the Gateway, without repeats; none in
// anything but a refusal by Meta.
func MetaCodes(response []byte) []int {
	var r struct {
		Errors struct {
			Code        string          `json:"code"`
			Description string          `json:"description"`
			Params      json.RawMessage `json:"params"`
		} `json:"errors"`
	}
	if json.Unmarshal(response, &r) != nil || r.Errors.Code != upstream {
		return nil
	}
	return metaCodes(r.Errors.Description, r.Errors.Params)
}

// metaCodes finds Meta's codes. Where the Gateway puts them is not public, so both places that known
// wrappers use count: "(#131056)" in the words, and a member code, or error.code, anywhere below
// params.
func metaCodes(description string, params json.RawMessage) (found []int) {
	add := func(code int) {
		if (code < 400 || code > 599) && !slices.Contains(found, code) { // else an HTTP status
			found = append(found, code)
		}
	}
	words := func(text string) {
		for _, m := range inText.FindAllStringSubmatch(text, -1) {
			n, _ := strconv.Atoi(m[1]) // at most nine digits
			add(n)
		}
	}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case string:
			words(v)
		case []any:
			for _, one := range v {
				walk(one)
			}
		case map[string]any:
			for _, name := range slices.Sorted(maps.Keys(v)) {
				if name == "code" || name == "error.code" {
					if n, ok := number(v[name]); ok {
						add(n)
						continue
					}
				}
				walk(v[name])
			}
		}
	}
	words(description)
	var p any
	if json.Unmarshal(params, &p) == nil {
		walk(p)
	}
	return found
}

func number(v any) (int, bool) {
	switch v := v.(type) {
	case float64:
		return int(v), v == float64(int(v))
	case string:
		n, err := strconv.Atoi(strings.TrimSpace(v))
		return n, err == nil
	}
	return 0, false
}
