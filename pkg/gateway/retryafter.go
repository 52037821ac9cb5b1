package gateway

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// retryAfterMost bounds how long a foreign response can make a caller wait.
const retryAfterMost = time.Hour

// RetryAfter returns how long a response asks to wait: params.retry_after, else the
// Retry-After header; between 0 (not said, or not understood) and one hour. The
// Gateway writes "1s", "60s", or "1 seconds"; a number is seconds. The header is
// seconds or a date (RFC 9110, section 10.2.3).
func RetryAfter(params map[string]any, header http.Header, now time.Time) time.Duration {
	var wait time.Duration
	switch v := params["retry_after"].(type) {
	case string:
		wait = parseWait(v)
	case float64:
		wait = seconds(v)
	}
	if wait > 0 {
		return wait
	}
	text := strings.TrimSpace(header.Get("Retry-After"))
	if at, err := http.ParseTime(text); err == nil {
		return min(max(at.Sub(now), 0), retryAfterMost)
	}
	return parseWait(text)
}

// parseWait reads a number and a unit; without a unit it is seconds.
func parseWait(s string) time.Duration {
	s = strings.TrimSpace(s)
	end := 0
	for end < len(s) && (s[end] >= '0' && s[end] <= '9' || s[end] == '.') {
		end++
	}
	n, err := strconv.ParseFloat(s[:end], 64)
	if err != nil {
		return 0
	}
	switch strings.ToLower(strings.TrimSpace(s[end:])) {
	case "", "s", "sec", "secs", "second", "seconds":
		return seconds(n)
	case "ms", "millisecond", "milliseconds":
		return seconds(n / 1000)
	case "m", "min", "mins", "minute", "minutes":
		return seconds(n * 60)
	case "h", "hour", "hours":
		return seconds(n * 3600)
	}
	return 0
}

func seconds(n float64) time.Duration {
	if math.IsNaN(n) || n <= 0 {
		return 0
	}
	if n >= retryAfterMost.Seconds() {
		return retryAfterMost
	}
	return time.Duration(math.Ceil(n*1e3)) * time.Millisecond // up, so that nobody comes too early
}
