package api_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"connexease-functions/pkg/api"
)

// event is an HTTP API event with some members changed.
func event(t *testing.T, changes map[string]any) []byte {
	t.Helper()
	e := map[string]any{
		"version": "2.0", "routeKey": "POST /webhook", "headers": map[string]string{"authorization": "Bearer x"},
		"requestContext": map[string]any{"http": map[string]string{"method": "POST"}, "timeEpoch": 1764000000123, "requestId": "r-1"},
		"body":           "{}", "isBase64Encoded": false,
	}
	for name, value := range changes {
		if e[name] = value; value == nil {
			delete(e, name)
		}
	}
	b, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func read(t *testing.T, changes map[string]any) api.Request {
	t.Helper()
	r, err := api.ReadRequest(event(t, changes))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestARequestIsReadAsAPIGatewaySendsIt(t *testing.T) {
	r := read(t, map[string]any{"queryStringParameters": map[string]string{"a": ""}, "pathParameters": map[string]string{"id": "7"}})
	if r.RouteKey != "POST /webhook" || r.Path["id"] != "7" || r.ID != "r-1" || !r.Received.Equal(time.UnixMilli(1764000000123)) {
		t.Errorf("%+v", r)
	}
	if value, there := r.Query["a"]; !there || value != "" {
		t.Errorf("an empty parameter: %q %v", value, there)
	}
	if r := read(t, map[string]any{"requestContext": map[string]any{"http": map[string]string{}}}); !r.Received.IsZero() || r.ID != "" {
		t.Errorf("without a time: %+v", r)
	}
}

func TestOnlyEventsOfAnHTTPAPIAreRequests(t *testing.T) {
	for what, payload := range map[string]string{
		"not JSON": "x", "nothing": "", "null": "null", "a list": "[]", "an empty object": "{}",
		"format 1.0":   string(event(t, map[string]any{"version": "1.0"})),
		"no version":   string(event(t, map[string]any{"version": nil})),
		"a number":     string(event(t, map[string]any{"version": 2.0})),
		"no http":      string(event(t, map[string]any{"requestContext": map[string]any{}})),
		"no context":   string(event(t, map[string]any{"requestContext": nil})),
		"SQS":          `{"Records":[{"eventSource":"aws:sqs"}]}`,
		"a body of 17": string(event(t, map[string]any{"body": 17})),
	} {
		if _, err := api.ReadRequest([]byte(payload)); !errors.Is(err, api.ErrNotHTTP) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestAHeadersNameIsReadInAnyCase(t *testing.T) {
	for _, stored := range []string{"authorization", "Authorization", "AUTHORIZATION", "aUthorization"} {
		r := read(t, map[string]any{"headers": map[string]string{stored: "Bearer x", "other": "y"}})
		for _, asked := range []string{"authorization", "Authorization"} {
			if value, there := r.HasHeader(asked); !there || value != "Bearer x" || r.Header(asked) != "Bearer x" {
				t.Errorf("%s read as %s: %q %v", stored, asked, value, there)
			}
		}
	}
	r := read(t, map[string]any{"headers": map[string]string{"idempotency-key": "", "two": "a,b"}})
	if value, there := r.HasHeader("Idempotency-Key"); !there || value != "" {
		t.Errorf("an empty header: %q %v", value, there)
	}
	// API Gateway joins headers of one name with commas; the readers refuse what that makes.
	if r.Header("Two") != "a,b" {
		t.Errorf("two headers of one name: %q", r.Header("Two"))
	}
	for _, headers := range []any{nil, map[string]string{}} {
		r := read(t, map[string]any{"headers": headers})
		if value, there := r.HasHeader("authorization"); there || value != "" || r.Header("authorization") != "" {
			t.Errorf("no header: %q %v", value, there)
		}
	}
}

func TestABodyIsDecodedAndBounded(t *testing.T) {
	encode := base64.StdEncoding.EncodeToString
	exact, over := strings.Repeat("x", 4<<20), strings.Repeat("x", 4<<20+1)
	for what, c := range map[string]struct {
		body   string
		base64 bool
		want   string
		err    error
	}{
		"plain":                  {"{}", false, "{}", nil},
		"empty":                  {"", false, "", nil},
		"the most":               {exact, false, exact, nil},
		"a byte more":            {over, false, "", api.ErrTooLarge},
		"base64":                 {encode([]byte("\xff\x00é")), true, "\xff\x00é", nil},
		"empty base64":           {"", true, "", nil},
		"base64, not encoded":    {"{}", true, "", api.ErrBase64},
		"base64 of a URL":        {"_-8=", true, "", api.ErrBase64},
		"base64, cut off":        {"e30", true, "", api.ErrBase64},
		"base64 of the most":     {encode([]byte(exact)), true, exact, nil},
		"base64 of a byte more":  {encode([]byte(over)), true, "", api.ErrTooLarge},
		"base64 of far too much": {strings.Repeat("!", 8<<20), true, "", api.ErrTooLarge},
	} {
		body, err := read(t, map[string]any{"body": c.body, "isBase64Encoded": c.base64}).Body()
		if string(body) != c.want || !errors.Is(err, c.err) {
			t.Errorf("%s: %d bytes, %v, want %d, %v", what, len(body), err, len(c.want), c.err)
		}
	}
}
