package httpapi

import (
	"os"
	"strconv"
	"testing"
	"time"

	"connexease-functions/pkg/local/sim/echo"
	"connexease-functions/pkg/local/sim/lambda"
)

func TestMain(m *testing.M) { os.Exit(echo.Run(m)) }

func newFunction(t testing.TB, change func(*lambda.Config)) *lambda.Function {
	t.Helper()
	c := lambda.Config{Name: "EchoFunction", Command: []string{echo.Binary}, Timeout: 20 * time.Second}
	if change != nil {
		change(&c)
	}
	f := lambda.New(c)
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func pid(t testing.TB, f *lambda.Function) int {
	t.Helper()
	r, err := f.Invoke(t.Context(), []byte(`{"do":"pid"}`))
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(string(r.Payload))
	if err != nil || r.FunctionError != "" {
		t.Fatalf("pid: %s %s", r.FunctionError, r.Payload)
	}
	return n
}
