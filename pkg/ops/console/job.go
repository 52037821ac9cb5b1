package console

import (
	"context"
	"sync"
	"time"
)

// longest bounds a job: a table of tens of gigabytes is read in less.
const longest = 30 * time.Minute

// job is work that takes longer than a page may. Its page shows how far it is, and then its result.
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

// start runs a job under a name, instead of one that has ended.
func (c *Console) start(name string, total int64, run func(ctx context.Context, read func(int)) (any, error)) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if there := c.jobs[name]; there != nil && there.now().Running() {
		return wrongf("it is under way since %s. Wait for its end", clock(there.now().Started))
	}
	j := &job{state: jobState{Started: time.Now(), Total: total}}
	if c.jobs == nil {
		c.jobs = map[string]*job{}
	}
	c.jobs[name] = j
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), longest)
		defer cancel()
		result, err := run(ctx, func(n int) {
			j.mu.Lock()
			defer j.mu.Unlock()
			j.state.Read += int64(n)
		})
		j.mu.Lock()
		defer j.mu.Unlock()
		j.state.Result, j.state.Err, j.state.Ended = result, err, time.Now()
	}()
	return nil
}

func (j *job) now() jobState {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.state
}

// job returns the last job of a name; nil without one.
func (c *Console) job(name string) *jobState {
	c.mu.Lock()
	defer c.mu.Unlock()
	if j := c.jobs[name]; j != nil {
		state := j.now()
		return &state
	}
	return nil
}
