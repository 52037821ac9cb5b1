package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"connexease-functions/pkg/proof/docs"
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
	code := m.Run()
	_ = os.RemoveAll(folder)
	os.Exit(code)
}

const root = "../.."

// running is a stack started as by make run.
type running struct {
	t       *testing.T
	state   string
	port    int
	command *exec.Cmd
	output  bytes.Buffer
	ended   chan struct{}
	env     map[string]string
}

func freePorts(t *testing.T) int {
	t.Helper()
	for range 50 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		next, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port+1))
		_ = l.Close()
		if err == nil {
			_ = next.Close()
			return port
		}
	}
	t.Fatal("there are no two free ports in a row")
	return 0
}

// needsJava skips tests that start the whole stack.
func needsJava(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("not with -short: DynamoDB Local needs Java")
	}
}

func start(t *testing.T) *running {
	t.Helper()
	needsJava(t)
	r := &running{t: t, state: t.TempDir(), port: freePorts(t)}
	return await(t, r, exec.Command(program, "-port", strconv.Itoa(r.port), "-state", r.state), root)
}

// await runs a command that starts the stack, and waits until it serves.
func await(t *testing.T, r *running, command *exec.Cmd, folder string) *running {
	t.Helper()
	needsJava(t)
	r.command, r.ended, r.env = command, make(chan struct{}), map[string]string{}
	r.command.Dir = folder
	r.command.WaitDelay = time.Second // its output survives a killed make
	r.command.Stdout, r.command.Stderr = &r.output, &r.output
	if err := r.command.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = r.command.Wait(); close(r.ended) }()
	t.Cleanup(func() {
		_ = r.command.Process.Signal(syscall.SIGTERM)
		<-r.ended
	})
	r.until("it is ready", func() bool {
		select {
		case <-r.ended:
			t.Fatalf("the stack ended: %s", r.output.String())
		default:
		}
		text, err := os.ReadFile(filepath.Join(r.state, "env"))
		for _, m := range regexp.MustCompile(`export (\w+)='(.*)'`).FindAllStringSubmatch(string(text), -1) {
			r.env[m[1]] = m[2]
		}
		return err == nil
	})
	r.until("the control address serves", func() bool { return r.try(http.MethodGet, r.env["CONTROL_URL"]+"/functions", "") != "" })
	return r
}

func (r *running) until(what string, is func() bool) {
	r.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	end := time.After(2 * time.Minute)
	for !is() {
		select {
		case <-tick.C:
		case <-end:
			r.t.Fatalf("waited too long until %s", what)
		}
	}
}

// try returns the body of a response, or "".
func (r *running) try(method, url, body string) string {
	request, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+r.env["WEBHOOK_SECRET"])
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return ""
	}
	defer func() { _ = response.Body.Close() }()
	text, _ := io.ReadAll(response.Body)
	return string(text)
}

func (r *running) json(method, path, body string, into any) {
	r.t.Helper()
	if text := r.try(method, r.env["CONTROL_URL"]+path, body); json.Unmarshal([]byte(text), into) != nil {
		r.t.Fatalf("%s %s: %s", method, path, text)
	}
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
	r.json(http.MethodGet, "/functions", "", &p)
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

func (r *running) trigger(name string) {
	r.t.Helper()
	var d struct {
		Deliveries []struct{ Status int }
	}
	r.json(http.MethodPost, "/trigger/"+name, "", &d)
	if len(d.Deliveries) != 1 || d.Deliveries[0].Status != 200 {
		r.t.Fatalf("trigger %s: %+v", name, d)
	}
}

type listing struct {
	Count int
	Items []map[string]any
}

func (r *running) items(query string) listing {
	r.t.Helper()
	var l listing
	r.json(http.MethodGet, "/items"+query, "", &l)
	return l
}

func TestReadmeCommandsPrintWhatReadmeSays(t *testing.T) {
	pairs := docs.Exchanges(t)
	if len(pairs) < 8 {
		t.Fatalf("README has %d commands with output", len(pairs))
	}
	r := start(t)
	for _, p := range pairs {
		command := strings.ReplaceAll(p.Command, ". .local/env", ". "+filepath.Join(r.state, "env"))
		// A status arrives a moment after its message, so each command may be repeated.
		var out []byte
		var err error
		for range 50 {
			shell := exec.Command("sh", "-c", ". "+filepath.Join(r.state, "env")+"\n"+command)
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
	r := start(t)
	r.trigger("text")
	_, before := r.processes()
	for _, pid := range before.of("WebhookFunction") {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	r.trigger("image")
	if n := r.items("").Count; n != 2 {
		t.Errorf("the table has %d items, want 2", n)
	}
	_, after := r.processes()
	if pids := after.of("WebhookFunction"); len(pids) != 1 || pids[0] == before.of("WebhookFunction")[0] {
		t.Errorf("processes before %v and after %v", before, after)
	}
}

func TestEverySignalEndsEverything(t *testing.T) {
	for name, signal := range map[string]syscall.Signal{"SIGINT": syscall.SIGINT, "SIGTERM": syscall.SIGTERM, "SIGKILL": syscall.SIGKILL} {
		t.Run(name, func(t *testing.T) {
			r := start(t)
			r.trigger("text")
			if all, _ := r.processes(); len(all) != 2 {
				t.Fatalf("processes before the first send are %v", all)
			}
			r.call(http.MethodGet, r.env["API_URL"]+"/v1/wa/message/msg_a", "wrong", "")
			all, _ := r.processes()
			if len(all) != 3 {
				t.Fatalf("processes are %v", all)
			}
			if err := r.command.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			<-r.ended
			if signal != syscall.SIGKILL && r.command.ProcessState.ExitCode() != 0 {
				t.Errorf("exit code %d", r.command.ProcessState.ExitCode())
			}
			for _, pid := range all {
				r.until(fmt.Sprintf("process %d is gone", pid), func() bool { return gone(pid) })
			}
			l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(r.port))
			if err != nil {
				t.Fatalf("the port is not free: %v", err)
			}
			_ = l.Close()
		})
	}
}

// clone copies the project to a folder, so that its .local is not the user's.
func clone(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	for _, part := range []string{"go.mod", "go.sum", "Makefile", "template.yaml", "functions", "pkg"} {
		source, err := filepath.Abs(filepath.Join(root, part))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(source, filepath.Join(folder, part)); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func TestEndingMakeOrGoRunEndsEverything(t *testing.T) {
	for name, c := range map[string]struct {
		command []string
		signal  syscall.Signal
	}{
		"make, SIGTERM":   {[]string{"make", "run"}, syscall.SIGTERM},
		"make, SIGKILL":   {[]string{"make", "run"}, syscall.SIGKILL},
		"go run, SIGTERM": {[]string{"go", "run", "./pkg/local"}, syscall.SIGTERM},
	} {
		t.Run(name, func(t *testing.T) {
			folder := clone(t)
			port := freePorts(t)
			if c.command[0] == "make" {
				c.command = append(c.command, fmt.Sprintf("PORT=%d", port))
			} else {
				c.command = append(c.command, "-port", strconv.Itoa(port))
			}
			r := await(t, &running{t: t, state: filepath.Join(folder, ".local"), port: port}, exec.Command(c.command[0], c.command[1:]...), folder)
			r.trigger("text")
			all, _ := r.processes()
			if err := r.command.Process.Signal(c.signal); err != nil {
				t.Fatal(err)
			}
			<-r.ended
			for _, pid := range all {
				r.until(fmt.Sprintf("process %d is gone", pid), func() bool { return gone(pid) })
			}
			r.until("the address is free", func() bool { return r.try(http.MethodGet, r.env["CONTROL_URL"]+"/functions", "") == "" })
		})
	}
}

func TestTheDeathOfTheDatabaseEndsTheStack(t *testing.T) {
	r := start(t)
	_, p := r.processes()
	if err := syscall.Kill(p.Database.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-r.ended
	if r.command.ProcessState.ExitCode() != 1 || !strings.Contains(r.output.String(), "DynamoDB Local has ended") {
		t.Errorf("exit code %d: %s", r.command.ProcessState.ExitCode(), r.output.String())
	}
}

func TestAMissingToolIsOneSentenceWithTheCommandThatFixesIt(t *testing.T) {
	port := freePorts(t) // the next one must be free: a start without it names that one
	taken, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	empty := t.TempDir()
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
			command.Env = append(os.Environ(), "PATH="+c.path)
			out, err := command.CombinedOutput()
			if err == nil || command.ProcessState.ExitCode() != 1 || !strings.Contains(string(out), c.want) {
				t.Errorf("%v: %s, want %s", err, out, c.want)
			}
		})
	}
}

func TestTheControlAddressShowsItemsAndVariesFixtures(t *testing.T) {
	r := start(t)
	r.trigger("batch")
	r.trigger("echo")
	r.trigger("template-status")
	var d struct {
		Deliveries []struct{ Status int }
	}
	r.json(http.MethodPost, "/trigger/text?repeat=3&from=15550100042&text=Hello&fresh=1", "", &d)
	if len(d.Deliveries) != 3 {
		t.Errorf("repeated %d times", len(d.Deliveries))
	}
	for query, want := range map[string]int{"": 8, "?kind=status": 2, "?kind=message": 5, "?contact=15550100042": 1, "?since=2026-01-01T00:00:00Z&kind=message": 1, "?until=1764000000": 7} {
		if l := r.items(query); l.Count != want || len(l.Items) != want {
			t.Errorf("%q has %d items, want %d", query, l.Count, want)
		}
	}
	var c listing
	r.json(http.MethodGet, "/conversations/15550100001", "", &c)
	if len(c.Items) != 3 || c.Items[0]["kind"] != "message" {
		t.Errorf("the conversation is %v", c.Items)
	}
	var rotated struct{ Value string }
	r.json(http.MethodPut, "/secrets/webhook", "", &rotated)
	r.trigger("image")
	for _, token := range []string{rotated.Value, r.env["WEBHOOK_SECRET"]} {
		r.env["WEBHOOK_SECRET"] = token
		if text := r.try(http.MethodPost, r.env["API_URL"]+"/webhook", "{}"); text != `{"isSuccess":true,"data":{"events":1}}` {
			t.Errorf("after the rotation: %s", text)
		}
	}
	request, _ := http.NewRequest(http.MethodGet, r.env["CONTROL_URL"]+"/items", nil)
	request.Host = "evil.example"
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusForbidden {
		t.Errorf("a foreign host gets %d", response.StatusCode)
	}
	if text := r.try(http.MethodGet, r.env["API_URL"]+"/webhook", ""); text != `{"message":"Not Found"}` {
		t.Errorf("GET /webhook: %s", text)
	}
	log, err := os.ReadFile(filepath.Join(r.state, "functions.log"))
	if err != nil || len(log) == 0 || bytes.Contains(log, []byte("15550")) || bytes.Contains(log, []byte(rotated.Value)) {
		t.Errorf("the log is %s, %v", log, err)
	}
}

func TestDeployedPackagesDoNotImportTheLaptopStack(t *testing.T) {
	list := exec.Command("go", "list", "-deps", "./functions/...")
	list.Dir = root
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(out), "/pkg/local") || strings.Contains(string(out), "yaml") || !strings.Contains(string(out), "connexease-functions/pkg/table") {
		t.Errorf("the functions import %s", out)
	}
}
