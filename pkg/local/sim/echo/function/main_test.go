package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
)

func TestTheFunctionDoesWhatItsEventSays(t *testing.T) {
	for event, want := range map[string]any{
		`{"other":1}`:                  json.RawMessage(`{"other":1}`),
		`{"do":"big","size":3}`:        "xxx",
		`{"do":"raw","text":"[1]"}`:    json.RawMessage(`[1]`),
		`{"do":"pid"}`:                 os.Getpid(),
		`{"do":"fail","text":"sorry"}`: nil,
	} {
		got, err := handle(t.Context(), json.RawMessage(event))
		a, _ := json.Marshal(got)
		b, _ := json.Marshal(want)
		var failed OutOfLuck
		if string(a) != string(b) || errors.As(err, &failed) != (want == nil) {
			t.Errorf("%s: %s, %v, want %s", event, a, err, b)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := handle(ended, json.RawMessage(`{"do":"wait"}`)); !errors.Is(err, context.Canceled) {
		t.Errorf("a wait ends with %v", err)
	}
}

func TestAnHTTPRequestsHeadersSayWhatToDo(t *testing.T) {
	for event, want := range map[string]string{
		`{"version":"2.0","headers":{}}`:                                `"statusCode":201`,
		`{"version":"2.0","headers":{"x-do":"raw","x-text":"[\"a\"]"}}`: `["a"]`,
	} {
		got, err := handle(t.Context(), json.RawMessage(event))
		text, _ := json.Marshal(got)
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s: %s, %v", event, text, err)
		}
	}
}
