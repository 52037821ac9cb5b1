package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"connexease-functions/pkg/local/template"
)

func TestTheLocalTemplateIsTheDeployedOneForThisMachineWithTheEndpointsDeclared(t *testing.T) {
	source, err := os.ReadFile("../../../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text, runtime, err := localTemplate(source, x86)
	if err != nil {
		t.Fatal(err)
	}
	if runtime != "provided.al2023" {
		t.Errorf("runtime %q", runtime)
	}
	path := filepath.Join(t.TempDir(), "template.yaml")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	local, deployed := functions(t, path), functions(t, "../../../template.yaml")
	if len(local) != len(deployed) || len(local) == 0 {
		t.Fatalf("%d functions, want %d", len(local), len(deployed))
	}
	for i, f := range local {
		for _, name := range endpoints {
			if _, declared := f.Environment[name]; !declared {
				t.Errorf("%s: %s is not declared", f.Name, name)
			}
		}
		if got, want := len(f.Environment), len(deployed[i].Environment)+len(endpoints); got != want {
			t.Errorf("%s: %d variables, want %d", f.Name, got, want)
		}
	}
}

func functions(t *testing.T, path string) []template.Function {
	t.Helper()
	tpl, err := template.Load(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	all, err := tpl.Functions()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

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
