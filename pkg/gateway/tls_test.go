package gateway

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
)

// secure serves over TLS, and makes the client trust the server.
func secure(t *testing.T, http2 bool, h http.HandlerFunc) *Client {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.EnableHTTP2 = http2
	s.StartTLS()
	t.Cleanup(s.Close)
	c := client(t, s.URL)
	c.transport.(*http.Transport).TLSClientConfig.RootCAs = s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	return c
}

func TestANewConnectionResumesTheTLSSession(t *testing.T) {
	var resumed []bool
	c := secure(t, false, func(w http.ResponseWriter, r *http.Request) {
		resumed = append(resumed, r.TLS.DidResume)
		w.Header().Set("Connection", "close")
		_, _ = io.WriteString(w, success)
	})
	for range 2 {
		if r := send(t, c); r.State != Accepted {
			t.Fatalf("%+v", r)
		}
	}
	if len(resumed) != 2 || resumed[0] || !resumed[1] {
		t.Errorf("resumed %v", resumed)
	}
}

func TestAStreamThatIsResetInHTTP2IsNotPostedAgain(t *testing.T) {
	var posts atomic.Int32
	c := secure(t, true, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.ProtoMajor != 2 {
			t.Errorf("spoke %s", r.Proto)
		}
		if posts.Add(1) > 1 {
			panic(http.ErrAbortHandler) // RST_STREAM
		}
		_, _ = io.WriteString(w, success)
	})
	if r := send(t, c); r.State != Accepted {
		t.Fatalf("%+v", r)
	}
	if r := send(t, c); r.State != Unknown || r.Reason != ReasonBroken || posts.Load() != 2 {
		t.Errorf("%+v after %d posts", r, posts.Load())
	}
}

func TestAServerThatCannotProveItselfGetsNothing(t *testing.T) {
	var posts atomic.Int32
	s := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { posts.Add(1) }))
	t.Cleanup(s.Close)
	if r := send(t, client(t, s.URL)); r.State != Released || !r.NotConnected || r.Err == nil || posts.Load() != 0 {
		t.Errorf("%+v", r)
	}
}
