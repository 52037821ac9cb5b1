package console

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	// longest bounds a job: a table of tens of gigabytes is read in less.
	longest = 30 * time.Minute
	// cleaningUp bounds how long the end of the console waits for jobs: a redrive makes messages of
	// dead-letter queues visible again.
	cleaningUp = 25 * time.Second
)

// job is work that takes longer than a page may. Its page shows how far it is, and then its result,
// to the session that started it. It ends with the console.
type job struct {
	mu    sync.Mutex
	state jobState
}

type jobState struct {
	Started, Ended time.Time
	Read, Total    int64 // items; Total is an estimate
	Result         any
	Err            error
}

// Running reports whether there is no result yet.
func (s jobState) Running() bool { return s.Ended.IsZero() }

// Share is how far it is, in per cent.
func (s jobState) Share() int64 { return min(99, 100*s.Read/max(1, s.Total)) }

// start runs a job of the session under a name, instead of one that has ended.
func (v *visit) start(name string, total int64, run func(ctx context.Context, read func(int)) (any, error)) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.open.Err() != nil {
		return errors.New("the console ends. Start it again")
	}
	there := v.session.jobs[name]
	if name == redriving {
		there = v.redriven
	}
	if there != nil && there.now().Running() {
		return wrongf("it is under way since %s. Wait for its end", clock(there.now().Started))
	}
	j := &job{state: jobState{Started: time.Now(), Total: total}}
	v.session.jobs[name] = j
	if name == redriving {
		v.redriven = j
	}
	v.jobs.Go(func() {
		ctx, cancel := context.WithTimeout(v.open, longest)
		defer cancel()
		result, err := run(ctx, func(n int) {
			j.mu.Lock()
			defer j.mu.Unlock()
			j.state.Read += int64(n)
		})
		j.mu.Lock()
		defer j.mu.Unlock()
		j.state.Result, j.state.Err, j.state.Ended = result, err, time.Now()
	})
	return nil
}

// Close ends jobs and the following of the stack, and waits until the jobs have cleaned up. The error
// is that of a redrive, or a preview, that it ended; other jobs only read.
func (c *Console) Close() error {
	c.mu.Lock()
	c.end()
	last := c.redriven
	cut := last != nil && last.now().Running()
	c.mu.Unlock()
	ended := make(chan struct{})
	go func() { c.jobs.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(cleaningUp):
	}
	switch {
	case !cut:
		return nil
	case last.now().Running():
		return fmt.Errorf("the redrive did not end within %v: messages that it received may be hidden for some time", cleaningUp)
	}
	return last.now().Err
}

func (j *job) now() jobState {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.state
}

// job returns the session's last job of a name; nil without one.
func (v *visit) job(name string) *jobState {
	v.mu.Lock()
	defer v.mu.Unlock()
	if j := v.session.jobs[name]; j != nil {
		state := j.now()
		return &state
	}
	return nil
}
