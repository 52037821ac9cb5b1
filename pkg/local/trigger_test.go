package main

import (
	"os/exec"
	"strings"
	"testing"
	"time"
)

// Messages of last month are in no listing of today, and a second delivery of one is a repeat.
func TestMakeTriggerDeliversNewMessagesUnlessAskedForTheStoredOnes(t *testing.T) {
	r := share(t)
	makeTrigger := r.makeTrigger
	recent := func() int { return r.Items("?since=" + time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)).Count }
	for want := 1; want <= 2; want++ {
		makeTrigger()
		if all, fresh := r.Items("").Count, recent(); all != want || fresh != want {
			t.Errorf("after %d triggers: %d items, %d of them of this hour", want, all, fresh)
		}
	}
	makeTrigger("REPEAT=3")
	if all := r.Items("").Count; all != 3 {
		t.Errorf("a new one three times makes %d items, want 3", all)
	}
	for range 2 {
		makeTrigger("FRESH=0")
	}
	if all, fresh := r.Items("").Count, recent(); all != 4 || fresh != 3 {
		t.Errorf("with FRESH=0: %d items, %d of them of this hour, want 4 and 3", all, fresh)
	}
}

// makeTrigger delivers the text fixture as a user does.
func (r *running) makeTrigger(settings ...string) {
	r.t.Helper()
	command := exec.Command("make", append([]string{"-s", "trigger", "NAME=text", "STATE=" + r.State}, settings...)...)
	command.Dir = root
	out, err := command.CombinedOutput()
	if err != nil || !strings.Contains(string(out), `"status":200`) {
		r.t.Fatalf("%v: %s", err, out)
	}
}

// A message of yesterday closes the window, one of now opens it.
func TestAnOldMessageClosesTheWindow(t *testing.T) {
	r := share(t)
	const free = `{"contact":"15550100055","onClosedWindow":"refuse","message":{"messaging_product":"whatsapp","type":"text","text":{"body":"Hello"}}}`
	for _, c := range []struct {
		ago  string
		want int
	}{{"25h", 409}, {"23h", 200}} {
		r.makeTrigger("FROM=15550100055", "AGO="+c.ago)
		if response, text := r.send(free); response.StatusCode != c.want || c.want == 409 && !strings.Contains(text, "WINDOW_001") {
			t.Errorf("after a message of %s ago: %d %s", c.ago, response.StatusCode, text)
		}
	}
	for _, query := range []string{"ago=yesterday&fresh=1", "ago=-1h&fresh=1", "ago=1h"} {
		if text := r.Try("POST", r.Env["CONTROL_URL"]+"/trigger/text?"+query, ""); !strings.Contains(text, "ago must be") {
			t.Errorf("%s: %s", query, text)
		}
	}
}
