package main

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

// bridge lets containers reach backends that listen on 127.0.0.1 only: each port is
// opened on the engine's bridge address, too, for the time of a run, and for nobody
// but that bridge's containers. Linux takes a packet for any of its addresses on any
// interface, so the address alone would keep no neighbour out.
type bridge struct {
	subnet    netip.Prefix
	listeners []net.Listener
	mu        sync.Mutex
	open      map[net.Conn]bool // nil once it is closed
}

// openBridge opens the ports. Where the gateway is no address of this machine, the
// engine has a machine of its own and brings its containers to 127.0.0.1 itself
// (Docker Desktop, colima).
func openBridge(subnet netip.Prefix, gateway netip.Addr, ports []int) (*bridge, error) {
	b := &bridge{subnet: subnet, open: map[net.Conn]bool{}}
	for _, port := range ports {
		l, err := net.Listen("tcp", netip.AddrPortFrom(gateway, uint16(port)).String())
		switch {
		case errors.Is(err, syscall.EADDRNOTAVAIL):
			return b, nil
		case errors.Is(err, syscall.EADDRINUSE):
			continue // DynamoDB Local listens on every address
		case err != nil:
			b.close()
			return nil, fmt.Errorf("open port %d for containers: %w", port, err)
		}
		b.listeners = append(b.listeners, l)
		go b.serve(l, net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	}
	return b, nil
}

func (b *bridge) serve(l net.Listener, to string) {
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

func (b *bridge) allowed(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return ok && b.subnet.Contains(tcp.AddrPort().Addr().Unmap())
}

// forward copies both ways until either side ends.
func (b *bridge) forward(from net.Conn, to string) {
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

func (b *bridge) keep(c net.Conn) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open == nil {
		_ = c.Close()
		return false
	}
	b.open[c] = true
	return true
}

func (b *bridge) drop(c net.Conn) {
	_ = c.Close()
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.open, c)
}

func (b *bridge) close() {
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
