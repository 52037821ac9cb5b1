package gateway

import (
	"encoding/json"
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

// metaNotNow returns the code by which Meta says "not now" in a refusal of the Gateway; 0 without
// one, and where a different code of Meta's is in it too. Where the Gateway puts the code is not
// public, so both places that known wrappers use count: "(#131056)" in the words, and a member
// code, or error.code, anywhere below params.
func metaNotNow(description string, params json.RawMessage) int {
	var found []int
	add := func(code int) {
		if code < 400 || code > 599 || slices.Contains(notNow, code) { // else an HTTP status
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
			for name, one := range v {
				if name == "code" || name == "error.code" {
					if n, ok := number(one); ok {
						add(n)
						continue
					}
				}
				walk(one)
			}
		}
	}
	words(description)
	var p any
	if json.Unmarshal(params, &p) == nil {
		walk(p)
	}
	code := 0
	for _, n := range found {
		switch {
		case !slices.Contains(notNow, n):
			return 0
		case code != pairLimit: // the longest pause counts
			code = n
		}
	}
	return code
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
