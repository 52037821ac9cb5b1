package loopback

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
)

// held has the UDP ports of the numbers that FreePorts returned: nothing uses them, and only one
// process can have each.
var held struct {
	sync.Mutex
	ports []io.Closer
}

// FreePorts returns the first of n consecutive free ports of 127.0.0.1, below those that systems
// assign to outgoing connections and to port 0 (from 32768 on Linux, 49152 on macOS): a program may
// need seconds to bind one, and one of those would be assigned to a different process meanwhile. No
// other call returns them, in whichever process, until this process has ended.
func FreePorts(n int) (first int, err error) {
	for range 100 {
		first = 20000 + rand.IntN(12000)
		if err = hold(first, n); err == nil {
			return first, nil
		}
	}
	return 0, fmt.Errorf("no %d consecutive ports are free: %w", n, err)
}

// hold holds n ports if all of them are free.
func hold(first, n int) error {
	var taken []io.Closer
	for port := first; port < first+n; port++ {
		address := "127.0.0.1:" + strconv.Itoa(port)
		udp, err := net.ListenPacket("udp", address)
		if err == nil {
			taken = append(taken, udp)
			var tcp net.Listener
			if tcp, err = net.Listen("tcp", address); err == nil {
				err = tcp.Close()
			}
		}
		if err != nil {
			for _, t := range taken {
				err = errors.Join(err, t.Close())
			}
			return err
		}
	}
	held.Lock()
	defer held.Unlock()
	held.ports = append(held.ports, taken...)
	return nil
}
