package console_test

import (
	"fmt"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"connexease-functions/pkg/local/stack"
	"connexease-functions/pkg/proof/await"
	"connexease-functions/pkg/proof/browser"
)

// button selects a button of the laptop's page by what it says.
func button(label string) string { return fmt.Sprintf(`button[value=%q]`, label) }

func TestTheLaptopIsChangedByOneClick(t *testing.T) {
	l := newLaptop(t)
	tab := l.open("/laptop")
	tab.Type("#fixtures input[name=from]", "15550100042")
	tab.Submit("#fixtures button")
	tab.See("#done", "200")
	if l.items("?contact=15550100042") == 0 {
		t.Error("the fixture is not stored")
	}
	tab.Submit(button("429 three times"))
	if status, text := l.send("limited", hello, nil); status != 429 {
		t.Errorf("%d %s", status, text)
	}
	tab.Submit(button("No faults"))
	if status, text := l.send("limited", hello, nil); status != 200 {
		t.Errorf("%d %s", status, text)
	}
	before := l.stack.Functions["SendFunction"].Status().PIDs
	tab.Submit(button("Kill SendFunction"))
	tab.See("#done", fmt.Sprint(before[0]))
	await.Until(t, "its process is gone", func() bool { return !slices.Contains(l.stack.Functions["SendFunction"].Status().PIDs, before[0]) })
	old, _ := l.stack.Secrets.Current(stack.WebhookSecret)
	tab.Submit(button("Rotate webhook"))
	tab.See("#done", "200")
	fresh, _ := l.stack.Secrets.Current(stack.WebhookSecret)
	if page := tab.Text("body"); fresh == old || strings.Contains(page, fresh) || strings.Contains(page, old) {
		t.Error("it is not rotated, or shown")
	}
	at := l.stack.Scheduler.Now()
	tab.Submit(button("On by 24h"))
	if moved := l.stack.Scheduler.Now().Sub(at); moved.Hours() < 24 {
		t.Errorf("its time moved by %v", moved)
	}
}

// Each command that the page shows does what its button does.
func TestTheCommandsOfTheLaptopWork(t *testing.T) {
	l := newLaptop(t)
	tab := l.open("/laptop")
	commands := browser.Eval[[]string](tab, `[...document.querySelectorAll(".does code")].map((c) => c.textContent)`)
	if len(commands) < 20 {
		t.Fatalf("only %q", commands)
	}
	for _, command := range commands {
		shell := exec.Command("sh", "-c", command+` -o /dev/null -w '%{http_code}'`) // #nosec G204 -- of the page
		shell.Env = append(shell.Environ(), "CONTROL_URL="+l.url)
		if out, err := shell.CombinedOutput(); err != nil || string(out) != "200" {
			t.Errorf("%s: %v %s", command, err, out)
		}
	}
	if status, _ := l.do(http.MethodPost, l.url+"/laptop/do", "method=PUT&path=/gateway/faults&body=[]", map[string]string{"Content-Type": "application/x-www-form-urlencoded", "Accept": "text/html"}); status != 403 {
		t.Errorf("without the page's token: %d", status)
	}
}
