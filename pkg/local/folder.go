package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// lockFolder locks the folder of a stack's state for the life of this process, or says which run
// already holds it. Two runs would truncate each other's log and remove each other's environment
// file.
func lockFolder(state string, port int) (*os.File, error) {
	if err := os.MkdirAll(state, 0o755); err != nil {
		return nil, err
	}
	// Not truncated, because it describes the run that holds it.
	lock, err := os.OpenFile(filepath.Join(state, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		holder, _ := io.ReadAll(io.LimitReader(lock, 200))
		_ = lock.Close()
		return nil, fmt.Errorf("the folder %s belongs to a running stack (%s). End that stack, or start a second one alongside it with: make run STATE=%s PORT=%d",
			state, strings.TrimSpace(string(holder)), filepath.Join(filepath.Dir(state), ".local-second"), port+10)
	}
	if err == nil {
		err = lock.Truncate(0)
	}
	if err == nil {
		_, err = fmt.Fprintf(lock, "process %d, http://127.0.0.1:%d\n", os.Getpid(), port)
	}
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", state, err)
	}
	return lock, nil
}

// checkTemporary returns an error unless files can be created in the folder for temporary files.
func checkTemporary() error {
	folder := os.TempDir()
	file, err := os.CreateTemp(folder, "local-")
	if err != nil {
		return fmt.Errorf("no file can be written in %s, the folder for temporary files. Fix it with: unset TMPDIR", folder)
	}
	return errors.Join(file.Close(), os.Remove(file.Name()))
}
