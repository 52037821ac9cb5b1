package lambda

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// apiListener makes every connection of the Runtime API remember how it ended.
type apiListener struct{ net.Listener }

func (l *apiListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &apiConn{Conn: c, closed: make(chan struct{})}, nil
}

// apiConn detects whether its peer died with unread bytes of ours. TCP shows it: a socket that is
// closed while data waits in it, or that receives data after its close, sends a reset; one that is
// closed after everything was read ends in order.
type apiConn struct {
	net.Conn
	reset  atomic.Bool
	once   sync.Once
	closed chan struct{}
}

func (c *apiConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.note(err)
	return n, err
}

func (c *apiConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.note(err)
	return n, err
}

func (c *apiConn) note(err error) {
	// net/http interrupts its own reads with a deadline and closes the connection itself; neither
	// says anything about the peer.
	if err != nil && err != io.EOF && !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, net.ErrClosed) {
		c.reset.Store(true)
	}
}

func (c *apiConn) Close() error {
	c.once.Do(func() {
		if pendingError(c.Conn) {
			c.reset.Store(true)
		}
		close(c.closed)
	})
	return c.Conn.Close()
}

// endedUnread reports whether a process that has ended left bytes unread. It waits at most the
// given time for the server to finish with its connection.
func (c *apiConn) endedUnread(wait time.Duration) bool {
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-c.closed:
		return c.reset.Load()
	case <-t.C:
		return false
	}
}

// pendingError returns a socket error that no read or write has reported: data sent after the
// peer's orderly end triggers a reset, which a reader does not see after the end of the stream.
func pendingError(c net.Conn) bool {
	s, ok := c.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return false
	}
	pending := false
	_ = raw.Control(func(fd uintptr) {
		n, err := syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_ERROR)
		pending = err == nil && n != 0
	})
	return pending
}
