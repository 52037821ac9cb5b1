package httpapi

import (
	"cmp"
	"slices"
	"strings"

	"connexease-functions/pkg/local/sim/lambda"
)

// Route sends requests to a function. Path is written as in API Gateway: "/webhook",
// "/v1/wa/message/{id}", "/{proxy+}"; Method may be "ANY".
type Route struct {
	Method, Path string
	Function     *lambda.Function
}

type segmentKind int

// In the order in which API Gateway prefers them (AWS: Create routes for HTTP APIs).
const (
	literal segmentKind = iota
	variable
	greedy
)

type segment struct {
	kind segmentKind
	text string // the literal, or the variable's name
}

type route struct {
	Route
	key      string
	segments []segment
}

func compile(routes []Route) []route {
	compiled := make([]route, 0, len(routes))
	for _, r := range routes {
		c := route{Route: r, key: r.Method + " " + r.Path}
		for s := range strings.SplitSeq(strings.TrimPrefix(r.Path, "/"), "/") {
			name, opened := strings.CutPrefix(s, "{")
			name, closed := strings.CutSuffix(name, "}")
			rest, all := strings.CutSuffix(name, "+")
			switch {
			case opened && closed && all:
				c.segments = append(c.segments, segment{greedy, rest})
			case opened && closed:
				c.segments = append(c.segments, segment{variable, name})
			default:
				c.segments = append(c.segments, segment{literal, s})
			}
		}
		compiled = append(compiled, c)
	}
	slices.SortStableFunc(compiled, func(a, b route) int {
		byKind := slices.CompareFunc(a.segments, b.segments, func(x, y segment) int { return cmp.Compare(x.kind, y.kind) })
		return cmp.Or(byKind, cmp.Compare(anyLast(a.Method), anyLast(b.Method)))
	})
	return compiled
}

func anyLast(method string) int {
	if method == "ANY" {
		return 1
	}
	return 0
}

// find returns the most specific route for a decoded path. As in API Gateway, an empty segment does
// not match a variable, so trailing and doubled slashes are significant, and HEAD is a method of
// its own.
func find(routes []route, method, path string) (*route, map[string]string) {
	path, ok := strings.CutPrefix(path, "/")
	if !ok {
		return nil, nil
	}
	for i := range routes {
		r := &routes[i]
		if r.Method != method && r.Method != "ANY" {
			continue
		}
		if parameters, ok := r.match(path); ok {
			return r, parameters
		}
	}
	return nil, nil
}

func (r *route) match(path string) (parameters map[string]string, ok bool) {
	for i, s := range r.segments {
		part, rest, more := strings.Cut(path, "/")
		switch s.kind {
		case literal:
			if part != s.text {
				return nil, false
			}
		default:
			if s.kind == greedy {
				part, more = path, false
			}
			if part == "" {
				return nil, false
			}
			if parameters == nil {
				parameters = map[string]string{}
			}
			parameters[s.text] = part
		}
		if more == (i == len(r.segments)-1) {
			return nil, false
		}
		path = rest
	}
	return parameters, true
}
