// Package memory reads how much memory a process has, which only Linux says.
package memory

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
)

// Peak returns the most resident memory that a process has had so far, in MB.
func Peak(pid int) (float64, error) { return read(pid, "VmHWM") }

// Resident returns a process's resident memory, in MB.
func Resident(pid int) (float64, error) { return read(pid, "VmRSS") }

var row = regexp.MustCompile(`(?m)^(Vm\w+):\s+(\d+) kB$`)

func read(pid int, name string) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for _, m := range row.FindAllStringSubmatch(string(text), -1) {
		if m[1] == name {
			kB, err := strconv.Atoi(m[2])
			return float64(kB) / 1024, err
		}
	}
	return 0, fmt.Errorf("the kernel does not report %s of process %d", name, pid)
}
