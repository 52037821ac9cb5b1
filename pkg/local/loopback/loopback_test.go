package loopback

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestAPageOfAnotherSiteReachesNothing(t *testing.T) {
	for _, c := range []struct {
		host, origin string
		want         int
	}{
		{"127.0.0.1:8081", "", 200},
		{"localhost:8081", "", 200},
		{"[::1]:8081", "", 200},
		{"127.0.0.1", "", 200},
		{"host.docker.internal:8081", "", 200},
		{"127.0.0.1:8081", "http://127.0.0.1:8081", 200},
		{"evil.example:8081", "", 403}, // its name resolves to this machine
		{"127.0.0.1.evil.example", "", 403},
		{"", "", 403},
		{"127.0.0.1:8081", "https://evil.example", 403},
		{"127.0.0.1:8081", "http://127.0.0.1:9090", 403},
		{"127.0.0.1:8081", "http://localhost:8081", 403},
		{"127.0.0.1:8081", "null", 403}, // of a file, or a frame without an origin
	} {
		reached := false
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Host = c.host
		if c.origin != "" {
			r.Header.Set("Origin", c.origin)
		}
		w := httptest.NewRecorder()
		Only(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true })).ServeHTTP(w, r)
		if w.Code != c.want || reached != (c.want == 200) {
			t.Errorf("host %q, origin %q: %d, reached %v", c.host, c.origin, w.Code, reached)
		}
	}
}
