// Package bridge lets containers reach servers that listen on 127.0.0.1 only.
package bridge

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// dockerInterface is that of Docker's default network, where Docker runs on this machine itself.
const dockerInterface = "docker0"

// Bridge is a set of ports that are open on an address of the container engine's network, for the
// containers of that network and nobody else: Linux accepts a packet for any of its addresses on any
// interface, so the address alone would keep no neighbour out.
type Bridge struct {
	subnet    netip.Prefix
	listeners []net.Listener
	mu        sync.Mutex
	open      map[net.Conn]bool // nil once it is closed
}

// Docker opens ports on the address by which containers call this machine (host-gateway). It returns
// nil where Docker has no network on this machine: it does not run, or it has a machine of its own
// and brings its containers to 127.0.0.1 itself (Docker Desktop, colima).
func Docker(ports []int) (*Bridge, error) {
	network, err := net.InterfaceByName(dockerInterface)
	if err != nil {
		return nil, nil
	}
	addresses, err := network.Addrs()
	if err != nil {
		return nil, fmt.Errorf("addresses of %s: %w", dockerInterface, err)
	}
	for _, a := range addresses {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() {
			return open(p.Masked(), p.Addr(), ports)
		}
	}
	return nil, nil
}

func open(subnet netip.Prefix, gateway netip.Addr, ports []int) (*Bridge, error) {
	b := &Bridge{subnet: subnet, open: map[net.Conn]bool{}}
	for _, port := range ports {
		l, err := net.Listen("tcp", netip.AddrPortFrom(gateway, uint16(port)).String())
		switch {
		case errors.Is(err, syscall.EADDRINUSE):
			continue // DynamoDB Local listens on every address
		case err != nil:
			b.Close()
			return nil, fmt.Errorf("open port %d for containers: %w", port, err)
		}
		b.listeners = append(b.listeners, l)
		go b.serve(l, net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	}
	return b, nil
}

func (b *Bridge) serve(l net.Listener, to string) {
	for {
		from, err := l.Accept()
		if err != nil {
			return
		}
		if !b.allowed(from.RemoteAddr()) || !b.keep(from) {
			_ = from.Close()
			continue
		}
		go b.forward(from, to)
	}
}

func (b *Bridge) allowed(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return ok && b.subnet.Contains(tcp.AddrPort().Addr().Unmap())
}

// forward copies both ways until either side ends.
func (b *Bridge) forward(from net.Conn, to string) {
	defer b.drop(from)
	into, err := net.DialTimeout("tcp", to, 5*time.Second)
	if err != nil || !b.keep(into) {
		return
	}
	defer b.drop(into)
	go func() {
		_, _ = io.Copy(into, from)
		b.drop(into)
	}()
	_, _ = io.Copy(from, into)
}

func (b *Bridge) keep(c net.Conn) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open == nil {
		_ = c.Close()
		return false
	}
	b.open[c] = true
	return true
}

func (b *Bridge) drop(c net.Conn) {
	_ = c.Close()
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.open, c)
}

// Close ends the listeners and every connection; nil has none.
func (b *Bridge) Close() {
	if b == nil {
		return
	}
	for _, l := range b.listeners {
		_ = l.Close()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for c := range b.open {
		_ = c.Close()
	}
	b.open = nil
}
