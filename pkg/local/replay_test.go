package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// replay runs the command against the stack, with its progress kept in the state folder.
func (r *running) replay(binary string, arguments ...string) *exec.Cmd {
	command := exec.Command(binary, append([]string{"-state", filepath.Join(r.state, "replay.json")}, arguments...)...)
	command.Dir = root
	command.Env = os.Environ()
	for name, value := range r.env {
		command.Env = append(command.Env, name+"="+value)
	}
	return command
}

// marks counts the events of the bus by the mark of their replay, empty for none.
func (r *running) marks() (marks map[string]int, all int) {
	r.t.Helper()
	var answer struct {
		Events []struct{ Detail map[string]string }
	}
	r.json("GET", "/events", "", &answer)
	marks = map[string]int{}
	for _, e := range answer.Events {
		marks[e.Detail["replay"]]++
	}
	return marks, len(answer.Events)
}

func TestAReplayCountsThenMarksAndGoesOnWhereItEnded(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "replay")
	if out, err := exec.Command("go", "build", "-o", binary, "../ops/replay").CombinedOutput(); err != nil {
		t.Fatalf("%s %v", out, err)
	}
	r := start(t)
	const deliveries = 30
	for range deliveries {
		r.try("POST", r.env["CONTROL_URL"]+"/trigger/text?fresh=1", "")
	}
	r.trigger("status-read")
	r.until("the bus has them", func() bool { _, all := r.marks(); return all == deliveries+1 })

	out, err := r.replay(binary, "-kind", "message").CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), fmt.Sprintf("%d events", deliveries)) {
		t.Fatalf("%s %v", out, err)
	}
	if marks, all := r.marks(); all != deliveries+1 || len(marks) != 1 {
		t.Errorf("counting put events on the bus: %v", marks)
	}

	// Ended in the middle: ten a second, so the third batch is two seconds away.
	slow := r.replay(binary, "-kind", "message", "-rate", "10", "-since", "48h", "-apply")
	if err := slow.Start(); err != nil {
		t.Fatal(err)
	}
	r.until("the first batch is there", func() bool { _, all := r.marks(); return all > deliveries+1 })
	r.until("its progress is kept", func() bool { _, err := os.Stat(filepath.Join(r.state, "replay.json")); return err == nil })
	_ = slow.Process.Signal(os.Interrupt)
	if err := slow.Wait(); err == nil {
		t.Error("a replay that was ended says that it is done")
	}
	out, err = r.replay(binary, "-kind", "message", "-rate", "400", "-since", "48h", "-apply").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "Going on after ") || !strings.Contains(string(out), fmt.Sprintf("%d events are on the bus", deliveries)) {
		t.Errorf("%s %v", out, err)
	}
	marks, _ := r.marks()
	delete(marks, "")
	if len(marks) != 1 {
		t.Fatalf("marks are %v", marks)
	}
	for _, n := range marks {
		if n != deliveries {
			t.Errorf("%d events came again, want %d", n, deliveries)
		}
	}
	if _, err := os.Stat(filepath.Join(r.state, "replay.json")); err == nil {
		t.Error("a replay that is done left its progress behind")
	}

	one := r.items("?kind=status").Items[0]["pk"].(string)
	out, err = r.replay(binary, "-key", one, "-apply", "-until", time.Now().Format(time.RFC3339)).CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), "1 events") {
		t.Errorf("%s %v", out, err)
	}
	for _, wrong := range [][]string{{"-rate", "0"}, {"-since", "soon"}, {"-stack", "connexease-prod"}, {"more"}} {
		if out, err := r.replay(binary, wrong...).CombinedOutput(); err == nil || len(out) == 0 {
			t.Errorf("%v: %s %v", wrong, out, err)
		}
	}
}
