package main

import (
	"debug/elf"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"connexease-functions/pkg/local/template"
)

// SAM passes a function what its template declares and nothing else, and its user's credentials
// where the template has none.
func TestBackendsWriteATemplateThatNeverReachesAWS(t *testing.T) {
	t.Parallel()
	r := start(t, "-backends")
	path := filepath.Join(r.State, "sam-template.yaml")
	tpl, err := template.Load(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	functions, err := tpl.Functions()
	if err != nil || len(functions) != 2 {
		t.Fatalf("%d functions, %v", len(functions), err)
	}
	var variables map[string]map[string]string
	text, err := os.ReadFile(filepath.Join(r.State, "sam-variables.json"))
	if err == nil {
		err = json.Unmarshal(text, &variables)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range functions {
		if len(f.Routes) == 0 || !maps.Equal(f.Environment, variables[f.Name]) {
			t.Errorf("%s: routes %v, the template declares %v, the variables are %v", f.Name, f.Routes, f.Environment, variables[f.Name])
		}
		for _, name := range []string{
			"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL_SECRETS_MANAGER", "AWS_ENDPOINT_URL_SQS",
			"AWS_ENDPOINT_URL_LAMBDA", "AWS_ENDPOINT_URL_EVENTBRIDGE", "AWS_ENDPOINT_URL_SCHEDULER", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
		} {
			value, declared := f.Environment[name]
			local := strings.HasPrefix(value, "http://host.docker.internal:") || strings.HasPrefix(value, "http://127.0.0.1:")
			if !declared || strings.Contains(name, "ENDPOINT") && !local {
				t.Errorf("%s: %s is %q", f.Name, name, value)
			}
		}
		binary, err := elf.Open(filepath.Join(r.State, "sam-functions", f.Name, "bootstrap"))
		if err != nil {
			t.Error(err)
			continue
		}
		if slices.ContainsFunc(binary.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) {
			t.Errorf("%s is not static", f.Name)
		}
		_ = binary.Close()
	}
	r.Stop()
	left, err := filepath.Glob(filepath.Join(r.State, "sam-*"))
	if err != nil || len(left) != 0 {
		t.Errorf("what is left: %v, %v", left, err)
	}
}
