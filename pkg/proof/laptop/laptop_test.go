package laptop

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"connexease-functions/pkg/local/environment"
)

func TestAStackIsAwaitedAskedAndEnded(t *testing.T) {
	secret := "first"
	control := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		answer := map[string]any{"asked": r.Method + " " + r.URL.RequestURI() + " " + string(body) + " " + r.Header.Get("Authorization")}
		switch r.URL.Path {
		case "/items":
			answer = map[string]any{"count": 1, "items": []any{map[string]any{"pk": r.URL.Query().Get("kind")}}}
		case "/trigger/text":
			answer = map[string]any{"deliveries": []any{map[string]any{"status": 200}}}
		}
		_ = json.NewEncoder(w).Encode(answer)
	}))
	defer control.Close()
	state := t.TempDir()
	write := func() {
		if err := environment.Write(state, map[string]string{"CONTROL_URL": control.URL, "WEBHOOK_SECRET": secret}); err != nil {
			t.Fatal(err)
		}
	}
	ready := filepath.Join(state, "ready")
	written := make(chan struct{})
	go func() { // as a stack does, some time after its start
		defer close(written)
		for _, err := os.Stat(ready); err != nil; _, err = os.Stat(ready) {
			select {
			case <-t.Context().Done():
				return
			default:
			}
		}
		write()
	}()
	s := Start(t, state, exec.Command("sh", "-c", `touch "$1"; echo started; sleep 600 & trap 'kill $!; echo ended; exit 0' TERM; wait`, "sh", ready))
	<-written

	var said struct{ Asked string }
	if s.JSON(http.MethodPut, "/limits?x=1", "{}", &said); said.Asked != "PUT /limits?x=1 {} Bearer first" {
		t.Errorf("asked %q", said.Asked)
	}
	secret = "second"
	write()
	s.Reread()
	if s.JSON(http.MethodGet, "/functions", "", &said); said.Asked != "GET /functions  Bearer second" {
		t.Errorf("after a rotation it asked %q", said.Asked)
	}
	if l := s.Items("?kind=message"); l.Count != 1 || l.Items[0]["pk"] != "message" {
		t.Errorf("listed %v", l)
	}
	s.Trigger("text")
	if text := s.Try(http.MethodGet, "http://127.0.0.1:1/", ""); text != "" {
		t.Errorf("nobody responds %q", text)
	}
	s.Stop()
	if err := syscall.Kill(s.Command.Process.Pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("the process still runs: %v", err)
	}
	if text := s.Output.String(); !strings.HasPrefix(text, "started\n") || !strings.HasSuffix(text, "ended\n") {
		t.Errorf("its output is %q", text)
	}
}

func TestAProjectHasWhatMakeNeedsAndAStateOfItsOwn(t *testing.T) {
	folder := Project(t, "../../..")
	for _, part := range []string{"Makefile", "go.mod", "template.yaml", "functions/send/main.go", "pkg/local/main.go"} {
		if _, err := os.Stat(filepath.Join(folder, part)); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(filepath.Join(folder, ".local")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it has the checkout's state: %v", err)
	}
}
