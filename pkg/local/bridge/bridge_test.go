package bridge

import (
	"bufio"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"testing"
)

// greeter listens on 127.0.0.1 only, says one line to each visitor, and returns its port.
func greeter(t *testing.T) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = fmt.Fprintln(c, "hello")
			_ = c.Close()
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}

// heard is what a visitor of an address gets, or "" where it gets nothing.
func heard(address string) string {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return ""
	}
	defer func() { _ = c.Close() }()
	line, _ := bufio.NewReader(c).ReadString('\n')
	return line
}

func TestTheBridgeIsOpenToItsContainersOnlyAndForItsTimeOnly(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has all of 127.0.0.0/8, which stands for a bridge here")
	}
	port, gateway := greeter(t), netip.MustParseAddr("127.0.0.2")
	address := netip.AddrPortFrom(gateway, uint16(port)).String()
	for _, c := range []struct{ subnet, want string }{{"127.0.0.0/8", "hello\n"}, {"172.17.0.0/16", ""}} {
		b, err := open(netip.MustParsePrefix(c.subnet), gateway, []int{port})
		if err != nil {
			t.Fatal(err)
		}
		if got := heard(address); got != c.want {
			t.Errorf("from 127.0.0.1, open to %s: heard %q, want %q", c.subnet, got, c.want)
		}
		b.Close()
		if got := heard(address); got != "" {
			t.Errorf("heard %q after the end", got)
		}
	}
}
