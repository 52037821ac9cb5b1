package main

import (
	"os/exec"
	"strings"
	"testing"
	"time"
)

// Messages of last month are in no listing of today, and a second delivery of one is a repeat.
func TestMakeTriggerDeliversNewMessagesUnlessAskedForTheStoredOnes(t *testing.T) {
	r := start(t)
	makeTrigger := func(settings ...string) {
		t.Helper()
		command := exec.Command("make", append([]string{"-s", "trigger", "NAME=text", "STATE=" + r.state}, settings...)...)
		command.Dir = root
		out, err := command.CombinedOutput()
		if err != nil || !strings.Contains(string(out), `"status":200`) {
			t.Fatalf("%v: %s", err, out)
		}
	}
	recent := func() int { return r.items("?since=" + time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)).Count }
	for want := 1; want <= 2; want++ {
		makeTrigger()
		if all, fresh := r.items("").Count, recent(); all != want || fresh != want {
			t.Errorf("after %d triggers: %d items, %d of them of this hour", want, all, fresh)
		}
	}
	makeTrigger("REPEAT=3")
	if all := r.items("").Count; all != 3 {
		t.Errorf("a new one three times makes %d items, want 3", all)
	}
	for range 2 {
		makeTrigger("FRESH=0")
	}
	if all, fresh := r.items("").Count, recent(); all != 4 || fresh != 3 {
		t.Errorf("with FRESH=0: %d items, %d of them of this hour, want 4 and 3", all, fresh)
	}
}
