package main

import (
	"os"
	"strings"
	"testing"
)

func TestMissingToolsAreReportedBeforeAnythingIsCreated(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Chdir(t.TempDir())
	err := run(t.Context(), false, 0)
	if err == nil || !strings.Contains(err.Error(), "apt-get install docker.io") || !strings.Contains(err.Error(), "apt-get install python3-venv") {
		t.Errorf("got %v", err)
	}
	if left, err := os.ReadDir("."); err != nil || len(left) != 0 {
		t.Errorf("it created %v, %v", left, err)
	}
}
