package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"connexease-functions/pkg/local/output"
)

var ofMake = []string{"MAKEFLAGS", "MFLAGS", "MAKELEVEL", "LAMBDA_ARCH", "ARTIFACTS_DIR"}

// ownEnvironment returns this process's environment with additions, but without the user's AWS
// settings and those of the calling make: no AWS account must be reached by accident, and builds
// must be like those of a fresh shell.
func ownEnvironment(more map[string]string) []string {
	var env []string
	for _, pair := range os.Environ() {
		name, _, _ := strings.Cut(pair, "=")
		if strings.HasPrefix(name, "AWS_") && name != "AWS_CA_BUNDLE" || slices.Contains(ofMake, name) {
			continue
		}
		if _, set := more[name]; !set {
			env = append(env, pair)
		}
	}
	for name, value := range more {
		env = append(env, name+"="+value)
	}
	return env
}

// execute runs a command and returns its standard output. The error holds the end of its standard
// error.
func execute(ctx context.Context, folder string, env []string, name string, args ...string) (string, error) {
	c := exec.CommandContext(ctx, name, args...)
	c.Dir, c.Env = folder, env
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	// A process group of its own: Ctrl-C ends it through the context, in order.
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGTERM) }
	c.WaitDelay = 20 * time.Second
	if err := c.Run(); err != nil {
		return out.String(), fmt.Errorf("%s %s: %w\n%s", filepath.Base(name), strings.Join(args, " "), err, output.LastLines(out.String()+"\n"+errs.String(), 30))
	}
	return out.String(), nil
}

// process is a child process that runs alongside the test.
type process struct {
	command *exec.Cmd
	ended   chan struct{}
	group   bool // whether to signal its children too
}

// launch starts a process that writes to a log.
func launch(log, folder string, env []string, group bool, name string, args ...string) (*process, error) {
	file, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	p := &process{command: exec.Command(name, args...), ended: make(chan struct{}), group: group}
	p.command.Dir, p.command.Env = folder, env
	p.command.Stdout, p.command.Stderr = file, file
	p.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.command.Start(); err != nil {
		return nil, err
	}
	go func() { _ = p.command.Wait(); close(p.ended) }()
	return p, nil
}

// errFinal ends an until: the check can no longer succeed.
var errFinal = errors.New("waiting is useless")

// running returns an error once the process has ended.
func (p *process) running() error {
	select {
	case <-p.ended:
		return fmt.Errorf("it has ended on its own (%s); %w", p.command.ProcessState, errFinal)
	default:
		return nil
	}
}

// stop ends the process, by force if necessary, and waits for it.
func (p *process) stop() {
	pid := p.command.Process.Pid
	target := pid
	if p.group {
		target = -pid
	}
	if p.running() == nil {
		_ = syscall.Kill(target, syscall.SIGTERM)
		select {
		case <-p.ended:
		case <-time.After(30 * time.Second):
		}
	}
	// Ends remaining children too; for an empty group it does nothing.
	_ = syscall.Kill(-pid, syscall.SIGKILL)
	<-p.ended
}
