package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/creack/pty"

	"connexease-functions/pkg/proof/docs"
	"connexease-functions/pkg/proof/laptop"
)

// A shell whose only command is make replaces itself with make, which alone gets the terminal's
// hang-up signal then, and waits for its children.
func TestClosingTheTerminalEndsEverything(t *testing.T) {
	t.Parallel()
	laptop.NeedsJava(t)
	folder, port := laptop.Project(t, root), freePorts(t)
	command := exec.Command("make", "run", fmt.Sprintf("PORT=%d", port))
	command.Dir = folder
	terminal := terminal(t, command)
	r := &running{Stack: &laptop.Stack{State: filepath.Join(folder, ".local"), Command: command}, t: t, port: port}
	go func() { _, _ = r.Output.ReadFrom(terminal) }()
	r.Await(t)
	r.Trigger("text")
	all, _ := r.processes()
	if err := terminal.Close(); err != nil {
		t.Fatal(err)
	}
	<-r.Ended
	for _, pid := range all {
		r.Until(fmt.Sprintf("process %d is gone", pid), func() bool { return gone(pid) })
	}
	if _, err := os.Stat(filepath.Join(r.State, "env")); err == nil {
		t.Error("the environment file is left")
	}
}

// terminal starts a command in a terminal of its own. pty's own file is a blocking one: it is not
// closed before what is read from it ends, which is never.
func terminal(t *testing.T, command *exec.Cmd) *os.File {
	t.Helper()
	blocking, err := pty.Start(command)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := syscall.Dup(int(blocking.Fd()))
	if err == nil {
		err = errors.Join(syscall.SetNonblock(fd, true), blocking.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(fd), "terminal")
}

func TestASecondRunInAFolderNamesItsHolderAndTouchesNothing(t *testing.T) {
	r := share(t)
	r.Trigger("text")
	log := filepath.Join(r.State, "functions.log")
	r.Until("the function has logged", func() bool { text, _ := os.ReadFile(log); return len(text) > 0 })
	before, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	for _, port := range []int{r.port, freePorts(t)} {
		second := exec.Command(program, "-port", strconv.Itoa(port), "-state", r.State)
		second.Dir = root
		out, err := second.CombinedOutput()
		if err == nil || !strings.Contains(string(out), fmt.Sprintf("(process %d, http://127.0.0.1:%d)", r.Command.Process.Pid, r.port)) ||
			!strings.Contains(string(out), "make run STATE=") || strings.Count(string(out), "\n") != 1 {
			t.Errorf("the second run said: %s (%v)", out, err)
		}
	}
	after, err := os.ReadFile(log)
	if err != nil || !bytes.HasPrefix(after, before) {
		t.Errorf("the log had %d bytes, and has %d, %v", len(before), len(after), err)
	}
	if _, err := os.Stat(filepath.Join(r.State, "env")); err != nil {
		t.Error(err)
	}
}

func TestAWrongEnvironmentIsOneSentenceAndNothingIsWritten(t *testing.T) {
	for name, c := range map[string]struct {
		port, temporary string
		want            string
	}{
		"no next port":        {"65535", "", "PORT must be a whole number from 1 to 65534"},
		"no number":           {"http", "", "PORT must be a whole number from 1 to 65534"},
		"zero":                {"0", "", "PORT must be a whole number from 1 to 65534"},
		"no temporary folder": {strconv.Itoa(freePorts(t)), "/nonexistent", "/nonexistent, the folder for temporary files. Fix it with: unset TMPDIR"},
	} {
		t.Run(name, func(t *testing.T) {
			state := filepath.Join(t.TempDir(), "state")
			command := exec.Command(program, "-port", c.port, "-state", state)
			command.Dir = root
			if c.temporary != "" {
				command.Env = append(os.Environ(), "TMPDIR="+c.temporary)
			}
			out, err := command.CombinedOutput()
			if err == nil || !strings.Contains(string(out), c.want) || strings.Count(string(out), "\n") != 1 {
				t.Errorf("%v: %s, want %s", err, out, c.want)
			}
			if _, err := os.Stat(state); err == nil {
				t.Error("its folder was created")
			}
		})
	}
}

func TestAPortThatIsNotAllowedIsNotReportedAsTaken(t *testing.T) {
	if l, err := net.Listen("tcp", "127.0.0.1:79"); err == nil {
		_ = l.Close()
	}
	command := exec.Command(program, "-port", "79", "-state", t.TempDir())
	command.Dir = root
	if os.Geteuid() == 0 { // root may bind it, nobody may not
		folder, err := os.MkdirTemp("", "local-nobody-")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.RemoveAll(folder) })
		copied := filepath.Join(folder, "local")
		text, err := os.ReadFile(program)
		if err != nil {
			t.Fatal(err)
		}
		for path, err := range map[string]error{
			folder: os.Chmod(folder, 0o777), copied: os.WriteFile(copied, text, 0o755),
		} {
			if err != nil {
				t.Fatalf("%s: %v", path, err)
			}
		}
		command = exec.Command(copied, "-port", "79", "-state", filepath.Join(folder, "state"))
		command.Dir, command.Env = folder, []string{"HOME=" + folder, "PATH=" + os.Getenv("PATH")}
		command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	out, err := command.CombinedOutput()
	if lowest, _ := os.ReadFile("/proc/sys/net/ipv4/ip_unprivileged_port_start"); strings.TrimSpace(string(lowest)) == "0" {
		if !strings.Contains(string(out), "template.yaml cannot be read") {
			t.Errorf("every port is allowed here, but: %s", out)
		}
		return
	}
	if want := "Port 80, for the control address, is not allowed for this user. Fix it with: make run PORT=8079\n"; err == nil || string(out) != want {
		t.Errorf("%v: %s, want %s", err, out, want)
	}
}

// The user's shell has a proxy, and AWS settings of a real account: after . .local/env no laptop
// traffic goes there.
func TestAShellWithTheEnvironmentFileUsesThisMachineOnly(t *testing.T) {
	r := share(t)
	var proxied atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { proxied.Add(1); w.WriteHeader(http.StatusBadGateway) }))
	defer proxy.Close()
	shell := func(script string) string {
		command := exec.Command("sh", "-euc", ". "+filepath.Join(r.State, "env")+"\n"+script)
		command.Env = []string{
			"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "http_proxy=" + proxy.URL, "HTTP_PROXY=" + proxy.URL, "https_proxy=" + proxy.URL, "no_proxy=example.org",
			"AWS_PROFILE=none-such", "AWS_DEFAULT_PROFILE=none-such", "AWS_SESSION_TOKEN=of-the-user", "AWS_ACCESS_KEY_ID=of-the-user",
			"AWS_SECRET_ACCESS_KEY=of-the-user", "AWS_ENDPOINT_URL=https://aws.example", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true",
		}
		out, err := command.CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v: %s", script, err, out)
		}
		return string(out)
	}
	if got := shell(`curl -sS -X POST $API_URL/webhook -H "Authorization: Bearer $WEBHOOK_SECRET" -d '{}'`); !strings.Contains(got, `"isSuccess":true`) {
		t.Errorf("the webhook: %s", got)
	}
	if got := shell(`curl -sS $CONTROL_URL/functions`); !strings.Contains(got, "WebhookFunction") {
		t.Errorf("the control address: %s", got)
	}
	if got := shell(`. ` + filepath.Join(r.State, "env") + `; echo "$no_proxy $NO_PROXY"`); got != "127.0.0.1,localhost,::1,example.org 127.0.0.1,localhost,::1\n" {
		t.Errorf("read twice: %s", got)
	}
	got := shell("env")
	for _, name := range []string{"none-such", "of-the-user", "aws.example", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"} {
		if strings.Contains(got, name) {
			t.Errorf("%s is left: %s", name, got)
		}
	}
	if n := proxied.Load(); n != 0 {
		t.Errorf("the proxy had %d requests", n)
	}
}

func TestOnlyOneSpellingOfThisMachineIsPrinted(t *testing.T) {
	source, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	// Where localhost resolves to ::1 first, nothing listens there.
	for name, text := range map[string]string{"a README": docs.Text(t), "main.go": string(source)} {
		if strings.Contains(text, "localhost:") || strings.Contains(text, "//localhost") {
			t.Errorf("%s names localhost", name)
		}
	}
}
