package echo

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestARequestIsSentAsItIsGiven(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Got", fmt.Sprint(r.Header["X-Twice"]))
		w.WriteHeader(http.StatusTeapot)
		_, _ = fmt.Fprintf(w, "%s %s %s", r.Method, r.RequestURI, body)
	}))
	defer server.Close()
	answer, text := Send(t, server, http.MethodPut, "/a?b=%2Fc", "body", "X-Twice", "1", "X-Twice", "2")
	if answer.StatusCode != http.StatusTeapot || answer.Header.Get("X-Got") != "[1 2]" || text != "PUT /a?b=%2Fc body" {
		t.Errorf("got %d %q %q", answer.StatusCode, answer.Header.Get("X-Got"), text)
	}
}
