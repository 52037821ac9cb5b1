package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"connexease-functions/pkg/local/fixtures"
	"connexease-functions/pkg/local/sim/connexease"
	"connexease-functions/pkg/local/stack"
	"connexease-functions/pkg/proof/laptop"
)

const (
	root    = "../../.."
	message = `{"messaging_product":"whatsapp","to":"15550100001","type":"text","text":{"body":"Hello"}}`
)

func fixture(t *testing.T, name string) []byte {
	t.Helper()
	body, err := fixtures.Body(name)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func TestAFolderOfBodiesIsDeliveredAndCounted(t *testing.T) {
	t.Parallel()
	laptop.NeedsJava(t)
	folder := t.TempDir()
	if err := os.Mkdir(filepath.Join(folder, "below"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, body := range map[string][]byte{
		"text.json": bytes.Replace(fixture(t, "text"), []byte(`"wamid.`), []byte(`"wamid.another`), 1), "below/batch.JSON": fixture(t, "batch"), "not-json.json": []byte("{"), "send.json": []byte(message),
		"refused.json": []byte(strings.Replace(message, `"Hello"`, `""`, 1)), "ignored.txt": []byte("{}"),
	} {
		if err := os.WriteFile(filepath.Join(folder, name), body, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	command := exec.Command("go", "run", "./pkg/proof/try", "-bodies", folder)
	command.Dir = root
	out, err := command.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "\n5 bodies: 4 stored whole, 1 refused, 0 lost\n") {
		t.Fatalf("%v: %s", err, out)
	}
	for _, want := range []string{"\nbelow/batch.JSON  200\n", "kind message  direction in  type text", "\nrefused.json  400\n    refused: ", "kind quarantine",
		"\n    equals the fixture batch\n", "\n1 equal a fixture: "} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%q is not in %s", want, out)
		}
	}
}

// What is deployed loses nothing, so other servers stand in its place.
func TestWhatIsLostIsReported(t *testing.T) {
	t.Parallel()
	laptop.NeedsJava(t)
	s, err := stack.Start(t.Context(), stack.Options{Root: root})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Gateway.SetCallbacks(connexease.Callbacks{Off: true}); err != nil {
		t.Fatal(err)
	}
	whole := s.APIURL
	for what, c := range map[string]struct {
		body    string
		status  int
		answer  string
		verdict verdict
		says    string
	}{
		"accepted and not stored":         {string(fixture(t, "text")), 200, `{"isSuccess":true,"data":{"events":1}}`, lost, "LOST: "},
		"not accepted":                    {string(fixture(t, "text")), 503, `{}`, lost, "LOST: {}"},
		"said to be sent":                 {message, 200, `{"isSuccess":true}`, lost, "LOST: the Gateway had 0 messages"},
		"refused for its limits":          {message, 400, `{"isSuccess":false,"errors":{"code":"MSG_001"}}`, refused, "refused: "},
		"refused for any other reason":    {message, 401, `{"isSuccess":false,"errors":{"code":"AUTH_001"}}`, lost, "LOST: "},
		"refused without a word of ours":  {message, 400, `<html>`, lost, "LOST: <html>"},
		"a webhook's body, as it is kept": {string(fixture(t, "text")), 0, "", kept, "kind message"},
		"a message, as it is sent":        {message, 0, "", kept, "direction out"},
	} {
		t.Run(what, func(t *testing.T) {
			s.APIURL = whole
			if c.status != 0 {
				server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					w.WriteHeader(c.status)
					_, _ = w.Write([]byte(c.answer))
				}))
				defer server.Close()
				s.APIURL = server.URL
			}
			deliver := receive
			if isSend([]byte(c.body)) {
				deliver = send
			}
			r, err := deliver(t.Context(), s, []byte(c.body))
			if err != nil {
				t.Fatal(err)
			}
			if r.verdict != c.verdict || !strings.Contains(r.String(), c.says) {
				t.Errorf("verdict %d, want %d with %q: %s", r.verdict, c.verdict, c.says, r)
			}
			if err := empty(t.Context(), s); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAFolderWithoutBodiesIsRefused(t *testing.T) {
	for folder, want := range map[string]string{"": "make try BODIES=folder", t.TempDir(): "has no *.json", "/nonexistent": "no such file"} {
		if err := run(t.Context(), folder); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", folder, err, want)
		}
	}
}
