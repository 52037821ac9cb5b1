package connexease

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"connexease-functions/pkg/local/loopback"
)

// Listen opens an address for the Gateway, such as 127.0.0.1:0, and returns its base URL. Only
// loopback addresses are accepted, because the simulated Gateway is for this machine alone.
func (s *Server) Listen(address string) (baseURL string, err error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return "", fmt.Errorf("listen address: %w", err)
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return "", errors.New("listen address must be a loopback address such as 127.0.0.1:0")
	}
	s.listening.Lock()
	defer s.listening.Unlock()
	if s.address != "" {
		return "", errors.New("already listening")
	}
	s.address = address
	if err := s.open(); err != nil {
		s.address = ""
		return "", err
	}
	return "http://" + s.address, nil
}

// open expects listening to be locked.
func (s *Server) open() error {
	l, err := net.Listen("tcp", s.address)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	s.address = l.Addr().String() // the port stays the same after a refusal
	server := &http.Server{Handler: loopback.Only(s), ReadHeaderTimeout: 10 * time.Second}
	s.server = server
	s.work.Go(func() { _ = server.Serve(l) })
	return nil
}

// shut expects listening to be locked. Requests in progress still get their response; idle
// connections end, so that later requests are refused.
func (s *Server) shut() {
	server := s.server
	if server == nil {
		return
	}
	s.server = nil
	// With a context that has ended, Shutdown closes the listener and idle connections and does not
	// wait.
	over, cancel := context.WithCancel(context.Background())
	cancel()
	_ = server.Shutdown(over)
	s.work.Go(func() {
		// Busy connections are closed once they become idle.
		_ = server.Shutdown(s.ctx)
		_ = server.Close()
	})
}

// applyRefusal opens or closes the address as the faults say.
func (s *Server) applyRefusal() error {
	s.listening.Lock()
	defer s.listening.Unlock()
	if s.address == "" || s.ctx.Err() != nil {
		return nil
	}
	if s.reopen != nil {
		s.reopen.Stop()
		s.reopen = nil
	}
	for _, f := range s.Faults() {
		if f.Kind != Refuse {
			continue
		}
		s.shut()
		if f.DelayMS > 0 {
			s.reopen = time.AfterFunc(time.Duration(f.DelayMS)*time.Millisecond, s.endRefusal)
		}
		return nil
	}
	if s.server != nil {
		return nil
	}
	return s.open()
}

// endRefusal leaves all other faults as they are.
func (s *Server) endRefusal() {
	s.mu.Lock()
	var left Faults
	for _, f := range s.faults {
		if f.Kind != Refuse {
			left = append(left, f)
		}
	}
	s.faults = left
	s.mu.Unlock()
	_ = s.applyRefusal()
}

func (s *Server) closeAddress() {
	s.listening.Lock()
	defer s.listening.Unlock()
	if s.reopen != nil {
		s.reopen.Stop()
	}
	if s.server != nil {
		_ = s.server.Close()
		s.server = nil
	}
}
