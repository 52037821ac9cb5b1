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

// apiListener gives every connection of the Runtime API a memory of how it ended.
type apiListener struct{ net.Listener }

func (l *apiListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &apiConn{Conn: c, closed: make(chan struct{})}, nil
}

// apiConn tells whether its peer died with bytes of ours unread. TCP says so: a socket that is closed while data waits in it, or that gets data
// after its close, answers with a reset; one that is closed after everything was read ends in order.
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
	// net/http interrupts its own reads with a deadline and closes the connection itself: neither says anything of the peer.
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

// endedUnread waits at most for the given time until the server is done with the connection of a process that is gone.
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

// pendingError asks the socket for an error that no read or write has reported: data that was sent after the peer's orderly end is answered with
// a reset, which a reader does not see behind the end of the stream.
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
