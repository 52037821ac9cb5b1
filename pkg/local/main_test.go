package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"connexease-functions/pkg/local/loopback"
	"connexease-functions/pkg/proof/docs"
	"connexease-functions/pkg/proof/harness"
	"connexease-functions/pkg/proof/laptop"
)

// program is the built command; TestMain builds it once.
var program string

func TestMain(m *testing.M) {
	folder, err := os.MkdirTemp("", "local-")
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	program = filepath.Join(folder, "local")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		fmt.Printf("%s\n%v\n", out, err)
		os.Exit(1)
	}
	code := harness.Run(m, nil)
	_ = os.RemoveAll(folder)
	os.Exit(code)
}

const root = "../.."

// running is a stack started as by make run.
type running struct {
	*laptop.Stack
	t    *testing.T
	port int
}

func freePorts(t *testing.T) int {
	t.Helper()
	port, err := loopback.FreePorts(2)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// share starts a stack on the package's DynamoDB Local, without the items of the one before; more
// are arguments. It is for what is not about the database's process: Java needs longer to start than
// all the rest.
func share(t *testing.T, more ...string) *running {
	t.Helper()
	laptop.NeedsJava(t)
	harness.DropTable(t)
	return start(t, append(more, "-dynamodb", harness.Backends.DynamoDBURL)...)
}

// start starts a stack; more are arguments.
func start(t *testing.T, more ...string) *running {
	t.Helper()
	port, state := freePorts(t), t.TempDir()
	command := exec.Command(program, append([]string{"-port", strconv.Itoa(port), "-state", state}, more...)...)
	command.Dir = root
	return &running{Stack: laptop.Start(t, state, command), t: t, port: port}
}

type processes struct {
	Functions []struct {
		Name        string
		PIDs        []int
		Invocations int
	}
	Database struct{ PID int }
}

func (r *running) processes() (all []int, p processes) {
	r.t.Helper()
	r.JSON(http.MethodGet, "/functions", "", &p)
	for _, f := range p.Functions {
		all = append(all, f.PIDs...)
	}
	return append(all, p.Database.PID), p
}

func (p processes) of(name string) []int {
	for _, f := range p.Functions {
		if f.Name == name {
			return f.PIDs
		}
	}
	return nil
}

func gone(pid int) bool { return syscall.Kill(pid, 0) != nil }

func TestReadmeCommandsPrintWhatReadmeSays(t *testing.T) {
	t.Parallel()
	pairs := docs.Exchanges(t)
	if len(pairs) < 8 {
		t.Fatalf("README has %d commands with output", len(pairs))
	}
	r := start(t)
	for _, p := range pairs {
		command := strings.ReplaceAll(p.Command, ". .local/env", ". "+filepath.Join(r.State, "env"))
		// A status arrives a moment after its message, so each command may be repeated.
		var out []byte
		var err error
		for began := time.Now(); time.Since(began) < time.Minute; {
			shell := exec.Command("sh", "-c", ". "+filepath.Join(r.State, "env")+"\n"+command)
			shell.Dir = root
			shell.Stderr = io.Discard
			if out, err = shell.Output(); err == nil && p.Response.Match(bytes.TrimSpace(out)) {
				break
			}
		}
		if err != nil || !p.Response.Match(bytes.TrimSpace(out)) {
			t.Errorf("%s\nanswers %s (%v), README says %s", p.Command, out, err, p.Printed)
		}
	}
}

func TestAKilledFunctionLosesNothingAndTheNextRequestIsServed(t *testing.T) {
	r := share(t)
	r.Trigger("text")
	_, before := r.processes()
	for _, pid := range before.of("WebhookFunction") {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	r.Trigger("image")
	if n := r.Items("").Count; n != 2 {
		t.Errorf("the table has %d items, want 2", n)
	}
	_, after := r.processes()
	if pids := after.of("WebhookFunction"); len(pids) != 1 || pids[0] == before.of("WebhookFunction")[0] {
		t.Errorf("processes before %v and after %v", before, after)
	}
}

func TestEverySignalEndsEverything(t *testing.T) {
	t.Parallel()
	for name, signal := range map[string]syscall.Signal{"SIGINT": syscall.SIGINT, "SIGTERM": syscall.SIGTERM, "SIGKILL": syscall.SIGKILL} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t)
			r.Trigger("text")
			if all, _ := r.processes(); len(all) != 2 {
				t.Fatalf("processes before the first send are %v", all)
			}
			r.call(http.MethodGet, r.Env["API_URL"]+"/v1/wa/message/msg_a", "wrong", "")
			all, _ := r.processes()
			if len(all) != 3 {
				t.Fatalf("processes are %v", all)
			}
			if err := r.Command.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			<-r.Ended
			if signal != syscall.SIGKILL && r.Command.ProcessState.ExitCode() != 0 {
				t.Errorf("exit code %d", r.Command.ProcessState.ExitCode())
			}
			for _, pid := range all {
				r.Until(fmt.Sprintf("process %d is gone", pid), func() bool { return gone(pid) })
			}
			l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(r.port))
			if err != nil {
				t.Fatalf("the port is not free: %v", err)
			}
			_ = l.Close()
		})
	}
}

func TestEndingMakeOrGoRunEndsEverything(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		command []string
		signal  syscall.Signal
	}{
		"make, SIGTERM":   {[]string{"make", "run"}, syscall.SIGTERM},
		"make, SIGKILL":   {[]string{"make", "run"}, syscall.SIGKILL},
		"go run, SIGTERM": {[]string{"go", "run", "./pkg/local"}, syscall.SIGTERM},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := laptop.Project(t, root)
			port := freePorts(t)
			if c.command[0] == "make" {
				c.command = append(c.command, fmt.Sprintf("PORT=%d", port))
			} else {
				c.command = append(c.command, "-port", strconv.Itoa(port))
			}
			command := exec.Command(c.command[0], c.command[1:]...)
			command.Dir, command.Env = folder, append(os.Environ(), "GOFLAGS=-trimpath") // so that go run compiles for any folder, as make does
			r := &running{Stack: laptop.Start(t, filepath.Join(folder, ".local"), command), t: t, port: port}
			r.Trigger("text")
			all, _ := r.processes()
			if err := r.Command.Process.Signal(c.signal); err != nil {
				t.Fatal(err)
			}
			<-r.Ended
			for _, pid := range all {
				r.Until(fmt.Sprintf("process %d is gone", pid), func() bool { return gone(pid) })
			}
			r.Until("the address is free", func() bool { return r.Try(http.MethodGet, r.Env["CONTROL_URL"]+"/functions", "") == "" })
		})
	}
}

func TestTheDeathOfTheDatabaseEndsTheStack(t *testing.T) {
	t.Parallel()
	r := start(t)
	_, p := r.processes()
	if err := syscall.Kill(p.Database.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-r.Ended
	if r.Command.ProcessState.ExitCode() != 1 || !strings.Contains(r.Output.String(), "DynamoDB Local has ended") {
		t.Errorf("exit code %d: %s", r.Command.ProcessState.ExitCode(), r.Output.String())
	}
}

func TestAMissingToolIsOneSentenceWithTheCommandThatFixesIt(t *testing.T) {
	port := freePorts(t) // the next one must be free: a start without it names that one
	taken, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	built, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	empty := t.TempDir() // also the cache: what is missing is found before anything is fetched
	noJava := t.TempDir()
	for _, tool := range []string{"go", "sh", "npm"} {
		if path, err := exec.LookPath(tool); err == nil {
			if err := os.Symlink(path, filepath.Join(noJava, tool)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, c := range map[string]struct {
		folder, path string
		port         int
		want         string
	}{
		"taken port":         {root, os.Getenv("PATH"), port, fmt.Sprintf("Port %d is taken. Fix it with: make run PORT=%d", port, port+10)},
		"taken control port": {root, os.Getenv("PATH"), port - 1, fmt.Sprintf("make run PORT=%d", port+9)},
		"no template":        {empty, os.Getenv("PATH"), freePorts(t), "template.yaml cannot be read"},
		"no java":            {root, noJava, freePorts(t), "java is not installed"},
	} {
		t.Run(name, func(t *testing.T) {
			command := exec.Command(program, "-port", strconv.Itoa(c.port), "-state", t.TempDir())
			command.Dir = c.folder
			command.Env = append(os.Environ(), "PATH="+c.path, "XDG_CACHE_HOME="+empty, "GOCACHE="+strings.TrimSpace(string(built)))
			out, err := command.CombinedOutput()
			if strings.Contains(string(out), "Fetching") {
				t.Errorf("fetched before the fault was found: %s", out)
			}
			if err == nil || command.ProcessState.ExitCode() != 1 || !strings.Contains(string(out), c.want) {
				t.Errorf("%v: %s, want %s", err, out, c.want)
			}
		})
	}
}

func TestTheControlAddressShowsItemsAndVariesFixtures(t *testing.T) {
	r := share(t)
	r.Trigger("batch")
	r.Trigger("echo")
	r.Trigger("template-status")
	var d struct {
		Deliveries []struct{ Status int }
	}
	r.JSON(http.MethodPost, "/trigger/text?repeat=3&from=15550100042&text=Hello&fresh=1", "", &d)
	if len(d.Deliveries) != 3 {
		t.Errorf("repeated %d times", len(d.Deliveries))
	}
	for query, want := range map[string]int{"": 8, "?kind=status": 2, "?kind=message": 5, "?contact=15550100042": 1, "?since=2026-01-01T00:00:00Z&kind=message": 1, "?until=1764000000": 7} {
		if l := r.Items(query); l.Count != want || len(l.Items) != want {
			t.Errorf("%q has %d items, want %d", query, l.Count, want)
		}
	}
	var c laptop.Listing
	r.JSON(http.MethodGet, "/conversations/15550100001", "", &c)
	if len(c.Items) != 3 || c.Items[0]["kind"] != "message" {
		t.Errorf("the conversation is %v", c.Items)
	}
	var rotated struct{ Value string }
	r.JSON(http.MethodPut, "/secrets/webhook", "", &rotated)
	r.Trigger("image")
	for _, token := range []string{rotated.Value, r.Env["WEBHOOK_SECRET"]} {
		r.Env["WEBHOOK_SECRET"] = token
		if text := r.Try(http.MethodPost, r.Env["API_URL"]+"/webhook", "{}"); text != `{"isSuccess":true,"data":{"events":1}}` {
			t.Errorf("after the rotation: %s", text)
		}
	}
	request, _ := http.NewRequest(http.MethodGet, r.Env["CONTROL_URL"]+"/items", nil)
	request.Host = "evil.example"
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusForbidden {
		t.Errorf("a foreign host gets %d", response.StatusCode)
	}
	if text := r.Try(http.MethodGet, r.Env["API_URL"]+"/webhook", ""); text != `{"message":"Not Found"}` {
		t.Errorf("GET /webhook: %s", text)
	}
	r.Stop() // the log is complete now
	log, err := os.ReadFile(filepath.Join(r.State, "functions.log"))
	if err != nil || len(log) == 0 || bytes.Contains(log, []byte("15550")) || bytes.Contains(log, []byte(rotated.Value)) {
		t.Errorf("the log is %s, %v", log, err)
	}
}
