package gateway

import "testing"

func TestWhatAResultAsksOfItsCaller(t *testing.T) {
	code := func(code string) Response { return Response{Errors: &Error{Code: code}} }
	for what, c := range map[string]struct {
		result                               Result
		slows, byMeta, pausesAll, refusesKey bool
	}{
		"accepted":                     {Result{Status: 200, Reason: ReasonAccepted}, false, false, false, false},
		"the Gateway's rate limit":     {Result{Status: 429, Reason: ReasonRateLimited}, true, false, true, false},
		"Meta's limit of the number":   {Result{Status: 502, Reason: ReasonMetaLimited}, true, true, true, false},
		"Meta's limit of one pair":     {Result{Status: 502, Reason: ReasonPairLimited}, true, true, false, false},
		"our key refused":              {Result{Status: 401, Response: code("AUTH_001")}, false, false, false, true},
		"401 without a code":           {Result{Status: 401, Response: code("")}, false, false, false, true},
		"401 without a readable body":  {Result{Status: 401}, false, false, false, true},
		"the account's credentials":    {Result{Status: 401, Response: code("WABA_001")}, false, false, false, false},
		"an AUTH code without its 401": {Result{Status: 500, Response: code("AUTH_004")}, false, false, false, false},
	} {
		r := &c.result
		if r.SlowsDown() != c.slows || r.LimitedByMeta() != c.byMeta || r.PausesAll() != c.pausesAll || r.RefusesKey() != c.refusesKey {
			t.Errorf("%s: slows down %t, by Meta %t, pauses all %t, refuses our key %t", what, r.SlowsDown(), r.LimitedByMeta(), r.PausesAll(), r.RefusesKey())
		}
	}
}
