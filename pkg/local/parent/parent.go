// Package parent ends a program when nobody is left who could end it: its parent has gone, or the
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

// interval is how often is looked. What starts the program anew finds its ports free by then.
const interval = 200 * time.Millisecond

// Follow calls end once when the parent, a process id, is no longer this process's parent, or when
// a terminal of this process has hung up: make gets that signal alone where it is what the terminal
// was opened for, passes it to nobody, and waits. A parent of 0 is not looked at. Under nohup,
// which asks for it, the terminal's end does not count.
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

// terminals returns the descriptors to look at. A stack whose input and output are files still
// belongs to the terminal that /dev/tty is.
func terminals() []int {
	if signal.Ignored(syscall.SIGHUP) {
		return nil
	}
	all := []int{0, 1, 2}
	if tty, err := os.Open("/dev/tty"); err == nil {
		// The descriptor stays open as long as the process runs.
		if fd, err := syscall.Dup(int(tty.Fd())); err == nil {
			syscall.CloseOnExec(fd)
			all = append(all, fd)
		}
		_ = tty.Close()
	}
	return all
}

// hungUp reports whether one of them was a terminal and is none any more. A file, a pipe and
// /dev/null are not terminals either, and say so by another error.
func hungUp(terminals []int) bool {
	for _, fd := range terminals {
		if _, err := term.GetState(fd); errors.Is(err, syscall.EIO) || errors.Is(err, syscall.ENXIO) {
			return true
		}
	}
	return false
}
