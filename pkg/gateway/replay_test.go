package gateway

import (
	"crypto/tls"
	"encoding/binary"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// Frames of HTTP/2 (RFC 9113, sections 4.1, 6 and 7).
const (
	frameHeaders, frameReset, frameSettings = 1, 3, 4
	endOfStream, acknowledged               = 1, 1
	refusedStream                           = 7
	preface                                 = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
)

func frame(kind, flags byte, stream uint32, payload ...byte) []byte {
	head := binary.BigEndian.AppendUint32(nil, uint32(len(payload))<<8|uint32(kind))
	head = append(head, flags)
	return append(binary.BigEndian.AppendUint32(head, stream), payload...)
}

// refuseStreams reads requests to their end, and says of each that it was not processed.
func refuseStreams(conn *tls.Conn, requests *atomic.Int32) {
	defer func() { _ = conn.Close() }()
	if _, err := io.ReadFull(conn, make([]byte, len(preface))); err != nil {
		return
	}
	_, _ = conn.Write(frame(frameSettings, 0, 0))
	for {
		head := make([]byte, 9)
		if _, err := io.ReadFull(conn, head); err != nil {
			return
		}
		if _, err := io.CopyN(io.Discard, conn, int64(binary.BigEndian.Uint32(head)>>8)); err != nil {
			return
		}
		kind, flags, stream := head[3], head[4], binary.BigEndian.Uint32(head[5:])
		switch {
		case kind == frameSettings && flags&acknowledged == 0:
			_, _ = conn.Write(frame(frameSettings, acknowledged, 0))
		case kind == frameHeaders:
			requests.Add(1)
		}
		if kind <= frameHeaders && flags&endOfStream != 0 {
			_, _ = conn.Write(frame(frameReset, 0, stream, 0, 0, 0, refusedStream))
		}
	}
}

// Go would post again what a server of HTTP/2 says that it has not processed. A proxy may say
// so of what it has passed on.
func TestAStreamThatIsRefusedInHTTP2IsNotPostedAgain(t *testing.T) {
	var requests atomic.Int32
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.TLS = &tls.Config{NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS12}
	s.Config.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){
		"h2": func(_ *http.Server, conn *tls.Conn, _ http.Handler) { refuseStreams(conn, &requests) },
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	c := client(t, s.URL)
	c.transport.(*http.Transport).TLSClientConfig.RootCAs = s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	if r := send(t, c); r.State != Unknown || r.Reason != ReasonBroken || requests.Load() != 1 {
		t.Errorf("%+v after %d posts", r, requests.Load())
	}
}

func TestAnIDCountsOnlyOfAnAcceptedMessage(t *testing.T) {
	for what, c := range map[string]struct {
		status int
		body   string
		kind   State
		wamid  string
	}{
		"accepted":                 {200, success, Accepted, "wamid.1"},
		"refused":                  {400, success, Rejected, ""},
		"broken":                   {500, success, Unknown, ""},
		"limited":                  {429, success, Released, ""},
		"accepted, of a megabyte ": {200, success + strings.Repeat(" ", maxResponse), Unknown, ""},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, c.body)
		}))
		t.Cleanup(s.Close)
		if r := send(t, client(t, s.URL)); r.State != c.kind || (r.Wamid != "") != (c.wamid != "") {
			t.Errorf("%s: %s with %q", what, r.State, r.Wamid)
		}
	}
}
