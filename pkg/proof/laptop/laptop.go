// Package laptop runs the laptop's stack, as started by make run, for tests: it starts it as a
// process, waits until it serves, and asks its addresses.
package laptop

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/go-resty/resty/v2"

	"connexease-functions/pkg/local/environment"
	"connexease-functions/pkg/proof/await"
)

// Stack is a running stack.
type Stack struct {
	State   string            // its folder
	Env     map[string]string // content of its environment file; see Reread
	Command *exec.Cmd
	Output  bytes.Buffer  // of the process and its children; complete once it has ended
	Ended   chan struct{} // is closed at the end of the process

	t *testing.T
}

// NeedsJava skips a test with -short.
func NeedsJava(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("not with -short: DynamoDB Local needs Java")
	}
}

// Start runs a command that starts a stack in a state folder, and waits until it serves. At the end
// of the test it ends it.
func Start(t *testing.T, state string, command *exec.Cmd) *Stack {
	t.Helper()
	NeedsJava(t)
	s := &Stack{State: state, Command: command}
	command.WaitDelay = time.Second // its output survives a killed make
	command.Stdout, command.Stderr = &s.Output, &s.Output
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	s.Await(t)
	return s
}

// Await waits until the started Command's stack serves, and ends it at the end of the test.
func (s *Stack) Await(t *testing.T) {
	t.Helper()
	s.t, s.Env, s.Ended = t, map[string]string{}, make(chan struct{})
	go func() { _ = s.Command.Wait(); close(s.Ended) }()
	t.Cleanup(s.Stop)
	s.Until("it serves", func() bool {
		select {
		case <-s.Ended:
			t.Fatalf("the stack ended: %s", s.Output.String())
		default:
		}
		return s.read() == nil && s.Try(http.MethodGet, s.Env["CONTROL_URL"]+"/functions", "") != ""
	})
}

// Stop ends the stack and waits for its end.
func (s *Stack) Stop() {
	_ = s.Command.Process.Signal(syscall.SIGTERM)
	<-s.Ended
}

func (s *Stack) read() (err error) {
	s.Env, err = environment.Read(s.State)
	return err
}

// Reread reads the environment file again, after a rotation.
func (s *Stack) Reread() {
	s.t.Helper()
	if err := s.read(); err != nil {
		s.t.Fatal(err)
	}
}

// Until waits for a condition.
func (s *Stack) Until(what string, holds func() bool) {
	s.t.Helper()
	await.Until(s.t, what, holds)
}

var client = resty.New()

// Try sends a request with the webhook secret, and returns the body of its response; empty if there
// is none.
func (s *Stack) Try(method, url, body string) string {
	request := client.R().SetAuthToken(s.Env["WEBHOOK_SECRET"]).SetHeader("Content-Type", "application/x-www-form-urlencoded") // as curl -d
	response, err := request.SetBody(body).Execute(method, url)
	if err != nil {
		return ""
	}
	return string(response.Body())
}

// JSON decodes the response of the control address.
func (s *Stack) JSON(method, path, body string, into any) {
	s.t.Helper()
	if text := s.Try(method, s.Env["CONTROL_URL"]+path, body); json.Unmarshal([]byte(text), into) != nil {
		s.t.Fatalf("%s %s: %s", method, path, text)
	}
}

// Trigger delivers a fixture unchanged, with its old times and ids.
func (s *Stack) Trigger(name string) {
	s.t.Helper()
	var d struct {
		Deliveries []struct{ Status int }
	}
	s.JSON(http.MethodPost, "/trigger/"+name, "", &d)
	if len(d.Deliveries) != 1 || d.Deliveries[0].Status != 200 {
		s.t.Fatalf("trigger %s: %+v", name, d)
	}
}

// Listing is a response of the control address with items.
type Listing struct {
	Count int
	Items []map[string]any
}

// Items lists items of the table; query is empty or starts with a question mark.
func (s *Stack) Items(query string) (l Listing) {
	s.t.Helper()
	s.JSON(http.MethodGet, "/items"+query, "", &l)
	return l
}

// Project creates a folder with the parts of the checkout at root that make needs, and with a
// .local of its own.
func Project(t testing.TB, root string) string {
	t.Helper()
	folder := t.TempDir()
	for _, part := range []string{"go.mod", "go.sum", "Makefile", "template.yaml", "functions", "pkg"} {
		source, err := filepath.Abs(filepath.Join(root, part))
		if err == nil {
			err = os.Symlink(source, filepath.Join(folder, part))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return folder
}
