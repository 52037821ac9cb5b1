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
	"sync"
	"syscall"
	"testing"
	"time"
)

// built builds a command of the project, once.
func built(t *testing.T, folder string) string {
	t.Helper()
	build, _ := builds.LoadOrStore(folder, sync.OnceValues(func() (string, error) {
		path := filepath.Join(binaries, filepath.Base(folder))
		command := exec.Command("go", "build", "-o", path, "./"+folder)
		command.Dir = root
		if out, err := command.CombinedOutput(); err != nil {
			return "", fmt.Errorf("%s%w", out, err)
		}
		return path, nil
	}))
	path, err := build.(func() (string, error))()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var (
	builds   sync.Map
	binaries string // folder, which TestMain makes
)

// running is the laptop's stack as started by make run, with its functions.
type running struct {
	t       *testing.T
	state   string
	env     map[string]string
	process *os.Process
	output  bytes.Buffer
	ended   chan struct{}
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
	t.Fatal("there are no two consecutive free ports")
	return 0
}

func start(t *testing.T) *running {
	t.Helper()
	if testing.Short() {
		t.Skip(needsJava)
	}
	r := &running{t: t, state: t.TempDir(), env: map[string]string{}, ended: make(chan struct{})}
	command := exec.Command(built(t, "pkg/local"), "-port", strconv.Itoa(freePorts(t)), "-state", r.state)
	command.Dir, command.Stdout, command.Stderr = root, &r.output, &r.output
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	r.process = command.Process
	go func() { _ = command.Wait(); close(r.ended) }()
	t.Cleanup(func() {
		_ = r.process.Signal(syscall.SIGTERM)
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
		return err == nil && r.try("GET", r.env["CONTROL_URL"]+"/functions", "") != ""
	})
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

// trigger delivers a fixture unchanged, with its old times and ids.
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

// ops runs a command against it.
func (r *running) ops(typed, command string, arguments ...string) (string, error) {
	r.t.Helper()
	return ops(r.t, r.state, local, typed, append([]string{command}, arguments...)...)
}

// command returns the program as a process of its own, in a folder of its own.
func (r *running) command(arguments ...string) *exec.Cmd {
	r.t.Helper()
	path, err := filepath.Abs(filepath.Join(root, "template.yaml"))
	if err != nil {
		r.t.Fatal(err)
	}
	command := exec.Command(built(r.t, "pkg/ops"), append(arguments, "-state", r.state, "-template", path)...)
	command.Dir = r.t.TempDir()
	return command
}
