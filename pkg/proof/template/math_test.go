package template

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// points are a metric's values, one per period, oldest first; NaN where CloudWatch has none.
type points []float64

// operand is a series, or a number, which has no points of its own.
type operand struct {
	points
	number bool
}

func isMissing(v float64) bool { return math.IsNaN(v) }

// mathOf evaluates the part of CloudWatch's metric math that alarms use (Amazon CloudWatch:
// "Using math expressions with CloudWatch metrics"): + - * /, comparisons, FILL and IF.
type mathOf struct {
	series map[string]points
	length int
	// strict selects the other reading of the page: FILL does not fill a metric without any data
	// point in the range, and a comparison with a missing point has none. The page is silent on
	// both, so alarms must be right either way.
	strict bool
	tokens []string
}

var mathToken = regexp.MustCompile(`\s*([A-Za-z_][A-Za-z0-9_]*|[0-9.]+|>=|<=|==|[-+*/(),<>])`)

// evaluate returns the expression's points.
func (m *mathOf) evaluate(expression string) (p points, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%s: %v", expression, r)
		}
	}()
	m.tokens = nil
	rest := strings.TrimSpace(expression)
	for rest != "" {
		at := mathToken.FindStringSubmatchIndex(rest)
		if at == nil || at[0] != 0 {
			return nil, fmt.Errorf("%s: cannot be read from %q on", expression, rest)
		}
		m.tokens = append(m.tokens, rest[at[2]:at[3]])
		rest = strings.TrimSpace(rest[at[1]:])
	}
	p = m.comparison().points
	if len(m.tokens) > 0 {
		return nil, fmt.Errorf("%s: what is %v", expression, m.tokens)
	}
	return p, nil
}

func (m *mathOf) next() string {
	token := m.tokens[0]
	m.tokens = m.tokens[1:]
	return token
}

func (m *mathOf) is(any ...string) bool {
	for _, token := range any {
		if len(m.tokens) > 0 && m.tokens[0] == token {
			return true
		}
	}
	return false
}

func (m *mathOf) expect(token string) {
	if got := m.next(); got != token {
		panic(fmt.Sprintf("%q instead of %q", got, token))
	}
}

// each combines two operands. Of two series, a point that only one has is combined with zero; a
// number yields no point where the series has none.
func (m *mathOf) each(a, b operand, f func(x, y float64) float64) operand {
	out := make(points, m.length)
	for i := range out {
		x, y := a.points[i], b.points[i]
		switch {
		case isMissing(x) && (isMissing(y) || b.number), isMissing(y) && a.number:
			out[i] = math.NaN()
			continue
		case isMissing(x):
			x = 0
		case isMissing(y):
			y = 0
		}
		out[i] = f(x, y)
	}
	return operand{out, a.number && b.number}
}

func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

func (m *mathOf) comparison() operand {
	left := m.sum()
	for m.is(">", "<", ">=", "<=", "==") {
		operator := m.next()
		right := m.sum()
		out := m.each(left, right, func(x, y float64) float64 {
			return truth(map[string]bool{">": x > y, "<": x < y, ">=": x >= y, "<=": x <= y, "==": x == y}[operator])
		})
		for i := range out.points {
			if m.strict && (isMissing(left.points[i]) || isMissing(right.points[i])) {
				out.points[i] = math.NaN()
			}
		}
		left = out
	}
	return left
}

func (m *mathOf) sum() operand {
	left := m.product()
	for m.is("+", "-") {
		sign := 1.0
		if m.next() == "-" {
			sign = -1
		}
		left = m.each(left, m.product(), func(x, y float64) float64 { return x + sign*y })
	}
	return left
}

func (m *mathOf) product() operand {
	left := m.value()
	for m.is("*", "/") {
		operator := m.next()
		left = m.each(left, m.value(), func(x, y float64) float64 {
			switch {
			case operator == "*":
				return x * y
			case y == 0:
				return math.NaN()
			}
			return x / y
		})
	}
	return left
}

func (m *mathOf) value() operand {
	out := make(points, m.length)
	token := m.next()
	if number, err := strconv.ParseFloat(token, 64); err == nil {
		for i := range out {
			out[i] = number
		}
		return operand{out, true}
	}
	switch token {
	case "(":
		inner := m.comparison()
		m.expect(")")
		return inner
	case "FILL":
		m.expect("(")
		inner := m.comparison()
		m.expect(",")
		with := m.comparison()
		m.expect(")")
		empty := true
		for i, v := range inner.points {
			if empty = empty && isMissing(v); isMissing(v) {
				v = with.points[i]
			}
			out[i] = v
		}
		if empty && m.strict {
			return inner
		}
		return operand{points: out}
	case "IF":
		m.expect("(")
		condition := m.comparison()
		m.expect(",")
		yes := m.comparison()
		m.expect(",")
		no := m.comparison()
		m.expect(")")
		for i, c := range condition.points {
			switch {
			case isMissing(c):
				out[i] = math.NaN()
			case c != 0:
				out[i] = yes.points[i]
			default:
				out[i] = no.points[i]
			}
		}
		return operand{points: out}
	}
	series, known := m.series[token]
	if !known {
		panic("there is no metric " + token)
	}
	return operand{points: series}
}

// Other tests rely on it, so it is tested with the statements of AWS's page.
func TestMetricMathIsEvaluatedAsByCloudWatch(t *testing.T) {
	gap := math.NaN()
	series := map[string]points{"a": {1, gap, 3}, "b": {gap, gap, 2}, "none": {gap, gap, gap}}
	for expression, want := range map[string][2]points{ // in either reading
		"a + b":                    {{1, gap, 5}, {1, gap, 5}},
		"a - b * 2":                {{1, gap, -1}, {1, gap, -1}},
		"a / b":                    {{gap, gap, 1.5}, {gap, gap, 1.5}},
		"a > b":                    {{1, gap, 1}, {gap, gap, 1}},
		"FILL(a, 0) + b":           {{1, 0, 5}, {1, 0, 5}},
		"FILL(none, 0) + a":        {{1, 0, 3}, {1, gap, 3}},
		"IF(none > 0, 1, 0)":       {{gap, gap, gap}, {gap, gap, gap}}, // as does an alarm whose condition has no point
		"IF(a > b, 5, 6)":          {{5, gap, 5}, {gap, gap, 5}},
		"IF(a, 7, FILL(b, 9))":     {{7, gap, 7}, {7, gap, 7}},
		"(a + 1) * 2 >= FILL(b,0)": {{1, 1, 1}, {1, gap, 1}},
		"100 * a":                  {{100, gap, 300}, {100, gap, 300}},
	} {
		for i, strict := range []bool{false, true} {
			got, err := (&mathOf{series: series, length: 3, strict: strict}).evaluate(expression)
			if fmt.Sprint(got) != fmt.Sprint(want[i]) || err != nil {
				t.Errorf("%s is %v, %v, want %v", expression, got, err, want[i])
			}
		}
	}
	for _, expression := range []string{"a +", "c", "MAX(a, b)", "FILL(a)", "a b", "a ? b"} {
		if got, err := (&mathOf{series: series, length: 3}).evaluate(expression); err == nil {
			t.Errorf("%s is %v", expression, got)
		}
	}
}
