package eventpattern

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// comparable returns the value of a number that EventBridge compares as a number: one that is
// written with no more digits than a double holds. Others are compared by their digits alone.
func comparable(v any) (float64, bool) {
	n, ok := v.(json.Number)
	if !ok {
		return 0, false
	}
	f, err := strconv.ParseFloat(n.String(), 64)
	if err != nil || canonical(n.String()) != canonical(strconv.FormatFloat(f, 'e', -1, 64)) {
		return 0, false
	}
	return f + 0, true // -0 is 0
}

// canonical returns the one form, digits and exponent, of equal decimal numbers.
func canonical(text string) string {
	mantissa, exponent, _ := strings.Cut(strings.ToLower(text), "e")
	digits, negative := strings.CutPrefix(mantissa, "-")
	whole, fraction, _ := strings.Cut(digits, ".")
	digits = strings.TrimLeft(whole+fraction, "0")
	if digits == "" {
		return "0"
	}
	short := strings.TrimRight(digits, "0")
	e, _ := strconv.Atoi(exponent) // out of a double's range too
	sign := ""
	if negative {
		sign = "-"
	}
	return sign + short + "e" + strconv.Itoa(e-len(fraction)+len(digits)-len(short))
}

// numeric accepts one comparison, or a lower bound followed by a higher upper bound.
func numeric(argument any) (condition, error) {
	list, ok := argument.([]any)
	if !ok || len(list) != 2 && len(list) != 4 {
		return nil, errors.New("numeric accepts one or two pairs of an operator and a number")
	}
	type bound struct {
		op string
		n  float64
	}
	var all []bound
	for i := 0; i < len(list); i += 2 {
		op, _ := list[i].(string)
		n, ok := comparable(list[i+1])
		if !ok || !slices.Contains([]string{"=", "<", "<=", ">", ">="}, op) {
			return nil, fmt.Errorf("numeric does not accept %v %v", list[i], list[i+1])
		}
		all = append(all, bound{op, n})
	}
	if len(all) == 2 && (all[0].op[0] != '>' || all[1].op[0] != '<' || all[0].n >= all[1].n) {
		return nil, errors.New("numeric accepts a range as a lower bound, then a higher upper bound")
	}
	return func(v any) bool {
		n, ok := comparable(v)
		return ok && !slices.ContainsFunc(all, func(b bound) bool {
			return !(n == b.n && strings.Contains(b.op, "=") || n < b.n && b.op[0] == '<' || n > b.n && b.op[0] == '>')
		})
	}, nil
}
