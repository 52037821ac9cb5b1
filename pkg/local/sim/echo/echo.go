// Package echo builds the function that the simulators' tests run, which does what its event says,
// and sends requests to a server under test.
package echo

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Binary is the path of the built function.
var Binary string

// Run builds the function, runs the tests of a package alongside this one, and returns their exit
// code.
func Run(m *testing.M) int {
	folder, err := os.MkdirTemp("", "echo-")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(folder) }()
	Binary = filepath.Join(folder, "bootstrap")
	if out, err := exec.Command("go", "build", "-buildvcs=false", "-tags", "lambda.norpc", "-o", Binary, "../echo/function").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%s\n", out)
		return 1
	}
	return m.Run()
}

// Send sends a request, whose headers are names and values by turns, and returns the response with
// its body.
func Send(t testing.TB, s *httptest.Server, method, target, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	answer, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(text)
}
