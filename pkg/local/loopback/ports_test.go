package loopback

import (
	"net"
	"strconv"
	"testing"
)

func TestFreePortsAreReturnedOnce(t *testing.T) {
	seen := map[int]bool{}
	for range 100 {
		first, err := FreePorts(3)
		if err != nil {
			t.Fatal(err)
		}
		for port := first; port < first+3; port++ {
			if seen[port] {
				t.Errorf("port %d is returned twice", port)
			}
			seen[port] = true
			l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
			if err != nil {
				t.Fatal(err)
			}
			_ = l.Close()
			// What a different process does.
			if hold(port, 1) == nil {
				t.Errorf("port %d can be held twice", port)
			}
		}
	}
}
