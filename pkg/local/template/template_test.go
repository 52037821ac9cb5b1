package template

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func load(t *testing.T, text string) *Template {
	t.Helper()
	path := filepath.Join(t.TempDir(), "template.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	tpl, err := Load(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return tpl
}

func TestTheProjectsTemplateSaysWhatTheLaptopRuns(t *testing.T) {
	tpl, err := Load("../../../template.yaml", map[string]string{"RetentionDays": "7"})
	if err != nil {
		t.Fatal(err)
	}
	functions, err := tpl.Functions()
	if err != nil {
		t.Fatal(err)
	}
	var webhook *Function
	for i := range functions {
		if functions[i].Name == "WebhookFunction" {
			webhook = &functions[i]
		}
	}
	if webhook == nil {
		t.Fatal("there is no WebhookFunction")
	}
	if webhook.Folder != "functions/webhook" || webhook.Timeout != 10*time.Second || webhook.MemoryMB != 512 {
		t.Errorf("got %+v", *webhook)
	}
	if len(webhook.Routes) != 1 || webhook.Routes[0] != (Route{"POST", "/webhook"}) {
		t.Errorf("routes are %v", webhook.Routes)
	}
	want := map[string]string{"TABLE_NAME": "EventsTable", "WEBHOOK_SECRET_ID": "WebhookSecret", "RETENTION_DAYS": "7", "PREVIOUS_SECRET_GRACE_HOURS": "24"}
	for k, v := range want {
		if webhook.Environment[k] != v {
			t.Errorf("%s is %q, want %q", k, webhook.Environment[k], v)
		}
	}
	if len(webhook.Environment) != len(want) {
		t.Errorf("environment is %v", webhook.Environment)
	}
	tables, err := tpl.Tables()
	if err != nil || len(tables) != 1 {
		t.Fatalf("tables: %d, %v", len(tables), err)
	}
	table := tables[0]
	if table.BillingMode != "PAY_PER_REQUEST" || len(table.KeySchema) != 2 || len(table.GlobalSecondaryIndexes) != 2 ||
		table.StreamSpecification == nil || table.StreamSpecification.StreamViewType != "NEW_IMAGE" {
		t.Errorf("table is %+v", table)
	}
	for path, want := range map[string]string{
		"DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain",
		"Properties/TimeToLiveSpecification/AttributeName":                       "expires_at",
		"Properties/PointInTimeRecoverySpecification/PointInTimeRecoveryEnabled": "true",
	} {
		n := find(tpl.root, append([]string{"Resources", "EventsTable"}, strings.Split(path, "/")...)...)
		if n == nil || n.Value != want {
			t.Errorf("EventsTable %s is not %s", path, want)
		}
	}
	secrets, err := tpl.Secrets()
	if err != nil || len(secrets) != 1 || secrets[0] != (Secret{"WebhookSecret", 48}) {
		t.Errorf("secrets are %v, %v", secrets, err)
	}
}

func TestAFaultyTemplateIsOneSentenceWithItsLine(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"unknown reference": {"Resources:\n  AFunction:\n    Type: AWS::Serverless::Function\n    Properties:\n      Environment:\n        Variables:\n          X: !Ref Nobody\n", "template.yaml:7: there is no resource or parameter Nobody"},
		"no default":        {"Parameters:\n  P: {Type: String}\nResources:\n  AFunction:\n    Type: AWS::Serverless::Function\n    Properties:\n      Timeout: !Ref P\n", "template.yaml:7: parameter P has no default"},
		"not a number":      {"Resources:\n  AFunction:\n    Type: AWS::Serverless::Function\n    Properties:\n      Timeout: soon\n", "template.yaml:5: Timeout is not a whole number"},
		"other intrinsic":   {"Resources:\n  AFunction:\n    Type: AWS::Serverless::Function\n    Properties:\n      Timeout: !If [A, 1, 2]\n", "template.yaml:5: cannot be resolved on a laptop: !If"},
		"no path":           {"Resources:\n  AFunction:\n    Type: AWS::Serverless::Function\n    Properties:\n      Events:\n        E:\n          Type: HttpApi\n", "template.yaml:7: the HttpApi event has no Method or no Path"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := load(t, c.text).Functions()
			if err == nil || !strings.HasSuffix(err.Error(), c.want) {
				t.Errorf("got %v, want …%s", err, c.want)
			}
		})
	}
	for text, want := range map[string]string{"a: [": "is not valid YAML", "": "has no Resources", "Parameters: {}": "has no Resources"} {
		path := filepath.Join(t.TempDir(), "template.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(path, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
	if _, err := Load(filepath.Join(t.TempDir(), "gone.yaml"), nil); err == nil || !strings.Contains(err.Error(), "cannot be read") {
		t.Errorf("a missing file: %v", err)
	}
}

func TestReferencesResolveToLocalValues(t *testing.T) {
	tpl := load(t, "Resources:\n  Q: {Type: AWS::SQS::Queue}\n  AFunction:\n    Type: AWS::Serverless::Function\n    Properties:\n      Environment:\n        Variables:\n          A: !Ref Q\n          B: !GetAtt Q.Arn\n          C: !Sub \"x-${Q}-${Q.Arn}\"\n          D: 5\n")
	tpl.Resolve = func(id, attribute string) (string, error) { return "<" + id + ":" + attribute + ">", nil }
	functions, err := tpl.Functions()
	if err != nil {
		t.Fatal(err)
	}
	for k, want := range map[string]string{"A": "<Q:>", "B": "<Q:Arn>", "C": "x-<Q:>-<Q:Arn>", "D": "5"} {
		if got := functions[0].Environment[k]; got != want {
			t.Errorf("%s is %q, want %q", k, got, want)
		}
	}
}
