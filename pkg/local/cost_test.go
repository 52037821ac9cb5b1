package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"connexease-functions/pkg/local/template"
	"connexease-functions/pkg/proof/cost"
)

func TestReadmeHasTheComputedCosts(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	tpl, err := template.Load(filepath.Join(root, "template.yaml"), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{cost.Table(), cost.PricesOf, cost.Idle(tpl.Count("AWS::SecretsManager::Secret"), tpl.Count("AWS::CloudWatch::Alarm"), tpl.AlarmMetrics())} {
		if !strings.Contains(string(readme), want) {
			t.Errorf("README lacks:\n%s", want)
		}
	}
}
