package cost

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"connexease-functions/pkg/local/template"
	"connexease-functions/pkg/proof/docs"
	proof "connexease-functions/pkg/proof/template"
)

const root = "../../../"

// stack returns the parts of the template that cost money with these parameters.
func stack(t *testing.T, parameters map[string]string) Stack {
	t.Helper()
	tpl, err := template.Load(root+"template.yaml", parameters)
	if err != nil {
		t.Fatal(err)
	}
	pipes, err := tpl.Pipes()
	if err != nil {
		t.Fatal(err)
	}
	return Stack{tpl.Count("AWS::SecretsManager::Secret"), tpl.Count("AWS::CloudWatch::Alarm"), tpl.AlarmMetrics(), len(pipes) > 0}
}

// The descriptions of parameters state their costs, to the dollar.
func TestParameterDescriptionsStateTheirCosts(t *testing.T) {
	tpl, err := template.Load(root+"template.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	defaults := stack(t, nil)
	for name, dollars := range map[string]float64{"Monitoring": defaults.alarms(), "EventsOut": defaults.pipe()} {
		text := template.Find(tpl.Root(), "Parameters", name, "Description")
		if want := fmt.Sprintf("about $%.0f a month", dollars); text == nil || !strings.Contains(text.Value, want) {
			t.Errorf("%s does not say %s", name, want)
		}
	}
}

func TestTheBulkLaneStatesItsCost(t *testing.T) {
	tpl, err := template.Load(root+"template.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	alarms := stack(t, map[string]string{"BulkLane": "yes"}).alarms() - stack(t, nil).alarms()
	want := fmt.Sprintf("about $%.2f a month, its alarms $%.2f", float64(idlePolls)/2/1e6*queueRequest, alarms)
	if text := template.Find(tpl.Root(), "Parameters", "BulkLane", "Description"); text == nil || !strings.Contains(text.Value, want) {
		t.Errorf("BulkLane does not say %s", want)
	}
}

func TestReadmeHasTheComputedCosts(t *testing.T) {
	samconfig, err := os.ReadFile(root + "samconfig.toml")
	if err != nil {
		t.Fatal(err)
	}
	development, err := proof.Overrides(string(samconfig), "default")
	if err != nil || len(development) == 0 {
		t.Fatalf("the development stack's parameters are %v, %v", development, err)
	}
	idle := Idle(stack(t, nil), stack(t, map[string]string{"Monitoring": "no", "EventsOut": "no"}), stack(t, development))
	for _, want := range []string{Table(), PricesOf, idle} {
		if !strings.Contains(docs.Text(t), want) {
			t.Errorf("README lacks:\n%s", want)
		}
	}
}
