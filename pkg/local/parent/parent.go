// Package parent ends a program that nothing else would end: after its parent has exited, or the
// terminal that it was started in was closed.
package parent

import (
	"errors"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/term"
)

// interval is how often the parent and the terminals are checked: often enough that a restart finds
// the ports free.
const interval = 200 * time.Millisecond

// Follow calls end once when parent, a process id, is no longer this process's parent, or when a
// terminal of this process has hung up. In a terminal opened just for make, make alone gets the
// hang-up signal, does not pass it on, and waits. A parent of 0 is not checked. Under nohup the
// terminal's end is ignored.
func Follow(parent int, end func()) {
	terminals := terminals()
	for {
		if parent != 0 && os.Getppid() != parent || hungUp(terminals) {
			end()
			return
		}
		<-time.After(interval)
	}
}

// terminals returns the descriptors to check. A stack whose input and output are files still
// belongs to its terminal, /dev/tty.
func terminals() []int {
	if signal.Ignored(syscall.SIGHUP) {
		return nil
	}
	all := []int{0, 1, 2}
	if tty, err := os.Open("/dev/tty"); err == nil {
		// The descriptor stays open for the life of the process.
		if fd, err := syscall.Dup(int(tty.Fd())); err == nil {
			syscall.CloseOnExec(fd)
			all = append(all, fd)
		}
		_ = tty.Close()
	}
	return all
}

// hungUp reports whether one of them was a terminal and is not one any more. Files, pipes and
// /dev/null are not terminals either, but return a different error.
func hungUp(terminals []int) bool {
	for _, fd := range terminals {
		if _, err := term.GetState(fd); errors.Is(err, syscall.EIO) || errors.Is(err, syscall.ENXIO) {
			return true
		}
	}
	return false
}
