package main

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"connexease-functions/pkg/proof/memory"
)

// flatness: the last third of a run may need this much more memory than the first, in which Go's
// heap still grows to what the load needs.
const (
	flatRatio = 1.25
	flatMore  = 8.0 // MB
	// memoryRows is about how many lines of the report show memory.
	memoryRows = 10
)

// sample is the resident memory of a function's processes at one moment, in MB.
type sample struct {
	at        time.Duration
	function  string
	processes int
	mean, max float64
}

// watch takes samples until ctx ends.
func (s *soak) watch(ctx context.Context) {
	every(ctx, min(5*time.Second, s.length/40), func() {
		at := time.Since(s.began)
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, name := range slices.Sorted(maps.Keys(s.stack.Functions)) {
			one := sample{at: at, function: name}
			sum := 0.0
			for _, pid := range s.stack.Functions[name].Status().PIDs {
				s.pids[pid] = true
				if mb, err := memory.Resident(pid); err == nil { // it may have ended
					one.processes++
					sum += mb
					one.max = max(one.max, mb)
				}
			}
			if one.processes > 0 {
				one.mean = sum / float64(one.processes)
				s.samples = append(s.samples, one)
			}
		}
	})
}

// memory prints the samples and checks for growth.
func (s *soak) memory() {
	if runtime.GOOS != "linux" {
		s.say("Memory is measured on Linux only.")
		return
	}
	for _, name := range slices.Sorted(maps.Keys(s.stack.Functions)) {
		var all []sample
		for _, one := range s.samples {
			if one.function == name {
				all = append(all, one)
			}
		}
		if len(all) < 6 {
			s.fault("%s has too few samples of its memory", name)
			continue
		}
		var line strings.Builder
		for i := 0; i < len(all); i += max(1, len(all)/memoryRows) {
			_, _ = fmt.Fprintf(&line, "  %v: %dx%.0f", all[i].at.Round(time.Second), all[i].processes, all[i].mean)
		}
		third := len(all) / 3
		first, last := typical(all[:third]), typical(all[len(all)-third:])
		s.say("Memory of %s, processes x mean MB:%s", name, line.String())
		s.say("  the largest process: %.1f MB in the first third, %.1f MB in the last (medians)", first, last)
		if last > first*flatRatio+flatMore {
			s.fault("%s grows: %.1f MB became %.1f MB", name, first, last)
		}
	}
}

// typical returns the median of the largest process.
func typical(all []sample) float64 {
	var values []float64
	for _, one := range all {
		values = append(values, one.max)
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// leaked finds processes that outlived the stack.
func (s *soak) leaked() {
	if db := s.stack.Database; db != nil {
		s.pids[db.PID()] = true
	}
	n := 0
	for pid := range s.pids {
		if syscall.Kill(pid, 0) == nil {
			n++
			s.fault("process %d still runs", pid)
		}
	}
	s.say("%d processes were seen, %d of them still run.", len(s.pids), n)
}
