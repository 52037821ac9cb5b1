package cost

import (
	"fmt"
	"os"
	"regexp"
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
	return Stack{
		Secrets: tpl.Count("AWS::SecretsManager::Secret"), Alarms: tpl.Count("AWS::CloudWatch::Alarm"), AlarmMetrics: tpl.AlarmMetrics(),
		Queues: tpl.Count("AWS::Lambda::EventSourceMapping"), Pipe: len(pipes) > 0, Key: parameters["KmsKeyArn"] != "",
	}
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
	defaults, lane := stack(t, nil), stack(t, map[string]string{"BulkLane": "yes"})
	want := fmt.Sprintf("about $%.2f a month, its alarms $%.2f", lane.polls()-defaults.polls(), lane.alarms()-defaults.alarms())
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
	named := func(name string, parameters map[string]string) Stack {
		s := stack(t, parameters)
		s.Name = name
		return s
	}
	defaults := named("the template's defaults", nil)
	idle := Idle(defaults, named("the development stack of `samconfig.toml`", development),
		named("the least: `Monitoring=no EventsOut=no`", map[string]string{"Monitoring": "no", "EventsOut": "no"}),
		named("the most: `BulkLane=yes KmsKeyArn=…`", map[string]string{"BulkLane": "yes", "KmsKeyArn": "arn:aws:kms:x"}))
	counted := fmt.Sprintf("%d secrets, %d alarms of %d metrics", defaults.Secrets, defaults.Alarms, defaults.AlarmMetrics)
	for _, want := range []string{Table(), PricesOf, idle, counted} {
		if !strings.Contains(strings.Join(strings.Fields(docs.Text(t)), " "), strings.Join(strings.Fields(want), " ")) {
			t.Errorf("README lacks:\n%s", want)
		}
	}
}

// A new parameter has its price, or is known to have none, before it is in the table of settings.
func TestEachParameterSaysWhatItCosts(t *testing.T) {
	tpl, err := template.Load(root+"template.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	settings, err := os.ReadFile(root + "pkg/config/README.md")
	if err != nil {
		t.Fatal(err)
	}
	all := Parameters(stack(t, nil), stack(t, map[string]string{"BulkLane": "yes"}))
	for name := range template.Each(template.Find(tpl.Root(), "Parameters")) {
		costs := all[name]
		delete(all, name)
		row := regexp.MustCompile("(?m)^\\|[^|]*`" + name + "`[^|]*\\|.*\\| ([^|]*) \\|$").FindSubmatch(settings)
		switch {
		case costs == "":
			t.Errorf("nobody knows what %s costs", name)
		case row == nil || string(row[1]) != costs:
			t.Errorf("the row of %s does not say %q: %q", name, costs, row)
		}
	}
	if len(all) > 0 {
		t.Errorf("the template lacks the parameters %v", all)
	}
}

// What costs nothing makes nothing that is billed while idle.
func TestAParameterThatCostsNothingAddsNothing(t *testing.T) {
	values := map[string]string{
		"GatewayUrl": "https://x", "CertificateArn": "arn:aws:acm:x", "DomainName": "wa.example.com", "HostedZoneId": "Z1", "KeepDefaultEndpoint": "yes",
		"TableProtection": "no", "GradualDeploys": "AllAtOnce",
	}
	for _, name := range free {
		if values[name] == "" {
			values[name] = "3"
		}
	}
	if with, without := stack(t, values), stack(t, nil); with != without {
		t.Errorf("with %v the stack has %+v, not %+v", values, with, without)
	}
}
