package gateway

import (
	"net/http"
	"testing"
	"time"
)

func TestRetryAfterIsReadInEveryFormTheGatewayWrites(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		param  any
		header string
		want   time.Duration
	}{
		{"1s", "", time.Second},
		{"60s", "", time.Minute},
		{"1 seconds", "", time.Second},
		{" 2 Seconds ", "", 2 * time.Second},
		{"1 minute", "", time.Minute},
		{"250ms", "", 250 * time.Millisecond},
		{"1.5s", "", 1500 * time.Millisecond},
		{"0.0001s", "", time.Millisecond},
		{"7", "", 7 * time.Second},
		{float64(3), "", 3 * time.Second},
		{float64(-3), "", 0},
		{"-3s", "", 0},
		{"1e9", "", 0},
		{"9999999999999999999999s", "", time.Hour},
		{"2 hours", "", time.Hour},
		{"soon", "", 0},
		{"1 fortnight", "", 0},
		{"", "", 0},
		{nil, "5", 5 * time.Second},
		{nil, "Tue, 24 Nov 2026 12:00:30 GMT", 30 * time.Second},
		{nil, "Tue, 24 Nov 2026 11:00:00 GMT", 0},
		{nil, "Tue, 24 Nov 2099 11:00:00 GMT", time.Hour},
		{nil, "later", 0},
		{"soon", "5", 5 * time.Second},
		{"1s", "5", time.Second},
		{true, "", 0},
	} {
		header := http.Header{}
		if c.header != "" {
			header.Set("Retry-After", c.header)
		}
		if got := RetryAfter(map[string]any{"retry_after": c.param}, header, now); got != c.want {
			t.Errorf("%v %q: %s, want %s", c.param, c.header, got, c.want)
		}
	}
	if got := RetryAfter(nil, nil, now); got != 0 {
		t.Errorf("nothing: %s", got)
	}
}

func FuzzRetryAfter(f *testing.F) {
	for _, s := range []string{"1s", "60s", "1 seconds", "1.5", "..", "Tue, 24 Nov 2026 12:00:30 GMT", "99999999999999999999999999999999h", "-1"} {
		f.Add(s)
	}
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, s string) {
		fromParams := RetryAfter(map[string]any{"retry_after": s}, nil, now)
		fromHeader := RetryAfter(nil, http.Header{"Retry-After": {s}}, now)
		for _, d := range []time.Duration{fromParams, fromHeader} {
			if d < 0 || d > retryAfterMost {
				t.Fatalf("%q: %s", s, d)
			}
		}
		if fromParams > 0 && fromHeader != fromParams {
			t.Fatalf("%q: %s as a parameter, %s as a header", s, fromParams, fromHeader)
		}
	})
}
