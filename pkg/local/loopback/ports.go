package loopback

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// FreePorts returns the first of n consecutive free ports of 127.0.0.1, below those that systems
// assign to outgoing connections and to port 0 (from 32768 on Linux, 49152 on macOS): a program may
// need seconds to bind one, and one of those would be assigned to a different process meanwhile.
func FreePorts(n int) (first int, err error) {
	for range 100 {
		first = 20000 + rand.IntN(12000)
		if err = free(first, n); err == nil {
			return first, nil
		}
	}
	return 0, fmt.Errorf("no %d consecutive ports are free: %w", n, err)
}

func free(first, n int) error {
	for port := first; port < first+n; port++ {
		l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
		if err != nil {
			return err
		}
		_ = l.Close()
	}
	return nil
}
