package httpapi

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
)

// answer is the response to the client.
type answer struct {
	status  int
	headers map[string]string
	cookies []string
	body    []byte
}

// reply is a function's reply (AWS: Create AWS Lambda proxy integrations for HTTP APIs, response
// format 2.0).
type reply struct {
	StatusCode *int           `json:"statusCode"`
	Headers    map[string]any `json:"headers"`
	Body       string         `json:"body"`
	Cookies    []string       `json:"cookies"`
	Base64     bool           `json:"isBase64Encoded"`
}

func message(status int, text string) answer {
	return answer{status: status, headers: map[string]string{"Content-Type": "application/json"}, body: []byte(`{"message":"` + text + `"}`)}
}

// internalError is API Gateway's response to any failure of a function.
func internalError() answer { return message(http.StatusInternalServerError, "Internal Server Error") }

// readReply turns a function's payload into the response. Valid JSON without a statusCode is itself
// the body, a JSON string without its quotes.
func readReply(payload []byte) answer {
	var r reply
	err := json.Unmarshal(payload, &r)
	var mismatch *json.UnmarshalTypeError
	switch {
	case err != nil && !errors.As(err, &mismatch):
		return internalError()
	case r.StatusCode == nil && (mismatch == nil || mismatch.Field != "statusCode"):
		body := payload
		if trimmed := bytes.TrimSpace(payload); len(trimmed) > 0 && trimmed[0] == '"' {
			var s string
			if json.Unmarshal(trimmed, &s) == nil {
				body = []byte(s)
			}
		}
		return answer{status: http.StatusOK, headers: map[string]string{"Content-Type": "application/json"}, body: body}
	case err != nil || *r.StatusCode < 200 || *r.StatusCode > 599:
		return internalError()
	}
	a := answer{status: *r.StatusCode, cookies: r.Cookies, headers: make(map[string]string, len(r.Headers)+1)}
	for name, value := range r.Headers {
		name = http.CanonicalHeaderKey(name)
		if hopByHop[name] || name == "Content-Length" {
			continue
		}
		switch v := value.(type) {
		case string:
			a.headers[name] = v
		case bool:
			a.headers[name] = strconv.FormatBool(v)
		case float64:
			a.headers[name] = strconv.FormatFloat(v, 'f', -1, 64)
		case nil:
		default:
			return internalError()
		}
	}
	if a.headers["Content-Type"] == "" {
		a.headers["Content-Type"] = "text/plain; charset=utf-8"
	}
	a.body = []byte(r.Body)
	if r.Base64 {
		if a.body, err = base64.StdEncoding.DecodeString(r.Body); err != nil {
			return internalError()
		}
	}
	return a
}

// newRequestID returns an id in the form of API Gateway's request ids: 16 characters that end with
// "=".
func newRequestID() string {
	var b [11]byte
	_, _ = rand.Read(b[:]) // crypto/rand crashes the program rather than return an error
	return base64.URLEncoding.EncodeToString(b[:])
}

func (a answer) write(w http.ResponseWriter) {
	h := w.Header()
	for name, value := range a.headers {
		h[name] = []string{value}
	}
	if len(a.cookies) > 0 {
		h["Set-Cookie"] = a.cookies
	}
	if a.status != http.StatusNoContent && a.status != http.StatusNotModified {
		h["Content-Length"] = []string{strconv.Itoa(len(a.body))}
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // the client may have gone, which does not concern the function; HEAD and 204 have no body
}
