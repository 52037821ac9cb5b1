package template

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"connexease-functions/pkg/gateway"
	simsqs "connexease-functions/pkg/local/sim/sqs"
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

func TestTheLaptopRunsTheProjectsTemplate(t *testing.T) {
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
	want := map[string]string{"TABLE_NAME": "EventsTable", "WEBHOOK_SECRET_ID": "WebhookSecret", "OVERFLOW_QUEUE_URL": "OverflowQueue", "RETENTION_DAYS": "7", "PREVIOUS_SECRET_GRACE_HOURS": "24", "OPT_OUT_WORDS": "", "OPT_IN_WORDS": ""}
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
	if table.BillingMode != "PAY_PER_REQUEST" || len(table.KeySchema) != 2 || len(table.GlobalSecondaryIndexes) != 3 ||
		table.StreamSpecification == nil || table.StreamSpecification.StreamViewType != "NEW_IMAGE" {
		t.Errorf("table is %+v", table)
	}
	secrets, err := tpl.Secrets()
	if want := []Secret{
		{Name: "WebhookSecret", Generated: 48}, {Name: "GatewayKeySecret"},
		{Name: "ClientKeysSecret", Generated: 48, Template: "{}", Key: "default"},
	}; err != nil || !slices.Equal(secrets, want) {
		t.Errorf("secrets are %v, %v", secrets, err)
	}
}

func TestTheProjectsSendFunctionHasItsQueue(t *testing.T) {
	tpl, err := Load("../../../template.yaml", map[string]string{"GatewayUrl": "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	functions, err := tpl.Functions()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(functions, func(f Function) bool { return f.Name == "SendFunction" })
	if i < 0 {
		t.Fatal("there is no SendFunction")
	}
	if want := (Function{
		Name: "SendFunction", Folder: "functions/send", Timeout: 28 * time.Second, MemoryMB: 512,
		Environment: map[string]string{
			"TABLE_NAME": "EventsTable", "GATEWAY_URL": "http://127.0.0.1:1", "GATEWAY_KEY_SECRET_ID": "GatewayKeySecret",
			"CLIENT_KEYS_SECRET_ID": "ClientKeysSecret", "QUEUE_URL": "OutboundQueue", "RETENTION_DAYS": "365",
			"QUEUE_ARN": "OutboundQueue", "SCHEDULE_GROUP": "ScheduleGroup", "SCHEDULE_ROLE_ARN": "ScheduleRole", "SCHEDULE_DLQ_ARN": "ScheduleDeadLetters",
			"QUEUE_CONCURRENCY": "2", "QUEUE_SENDS_PER_SECOND": "0", "BULK_QUEUE_URL": "", "BULK_QUEUE_ARN": "",
		},
		Routes: []Route{{"POST", "/v1/wa/message"}, {"GET", "/v1/wa/message/{id}"}, {"DELETE", "/v1/wa/message/{id}"}, {"GET", "/v1/wa/message"},
			{"GET", "/v1/wa/conversation/{contact}"}, {"GET", "/v1/wa/conversation/group/{id}"}, {"GET", "/v1/wa/event"}},
		Mappings: []simsqs.Mapping{{Queue: "OutboundQueue", BatchSize: 10, MaxConcurrency: 2}},
		Retries:  2, OnFailure: "FailedInvocations",
	}); !reflect.DeepEqual(functions[i], want) {
		t.Errorf("got %+v\nwant %+v", functions[i], want)
	}
	queues, err := tpl.Queues()
	const day = 24 * time.Hour
	if want := []simsqs.QueueConfig{
		{Name: "OutboundDeadLetters", Retention: 14 * day},
		{Name: "FailedInvocations", Retention: 14 * day},
		{Name: "EventDeadLetters", Retention: 14 * day},
		{Name: "ScheduleDeadLetters", Retention: 14 * day},
		{Name: "OutboundQueue", VisibilityTimeout: 180 * time.Second, Retention: 14 * day, DeadLetter: "OutboundDeadLetters", MaxReceiveCount: 1000},
		{Name: "OverflowDeadLetters", Retention: 14 * day},
		{Name: "OverflowQueue", VisibilityTimeout: 120 * time.Second, Retention: 14 * day, DeadLetter: "OverflowDeadLetters", MaxReceiveCount: 1000},
	}; err != nil || !sameQueues(queues, want) {
		t.Errorf("queues are %+v, %v", queues, err)
	}
}

func TestGatewayUrlAllowsWhatTheClientAcceptsWithTLS(t *testing.T) {
	tpl, err := Load("../../../template.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	parameter := Find(tpl.root, "Parameters", "GatewayUrl")
	allowed := regexp.MustCompile(Find(parameter, "AllowedPattern").Value)
	for url, want := range map[string]bool{
		Find(parameter, "Default").Value: true, "https://api.gateway.connexease.com": true, "https://h/base/": true, "https://h/": true,
		"": false, "gateway.example": false, "ftp://h": false, "https://": false, "https://h?x=1": false, "https://h/p?x": false, "https://h#f": false,
		"https://user@h": false, "https://user:pass@h": false, "https://h /": false,
		"https://h?": false, "https://h#": false, "https://h/p?": false, "https://h/p#": false, "https://h/ ": false, "https://h/\n": false, "https://h\n": false,
		"https://h/v1/wa/message": false, "https://h/v1/wa/message/": false, "https://h/v1/wa/message//": false, "https://h/base/v1/wa/message": false, "https://h/message": false,
		"https://h/e": true, "https://h/ge": true, "https://h/age": true, "https://h/sage": true, "https://h/ssage": true, "https://h/essage/": true,
		"https://h/base": true, "https://h/page": true, "https://h/stage": true, "https://h/passage": true, "https://h/dressage": true, "https://h/message/x": true, "https://h/messages": true, "https://h//": true,
		"https://h:8443/base": true,
	} {
		_, refused := gateway.New(url)
		if allowed.MatchString(url) != want || (refused == nil) != want {
			t.Errorf("%q: allowed %t, the client says %v, want %t", url, allowed.MatchString(url), refused, want)
		}
	}
	// The laptop's simulated Gateway only: a deployment must not send an API key unencrypted.
	if _, refused := gateway.New("http://127.0.0.1:8080"); refused != nil || allowed.MatchString("http://127.0.0.1:8080") {
		t.Errorf("a Gateway without TLS: the client says %v, the template allows it: %t", refused, allowed.MatchString("http://127.0.0.1:8080"))
	}
}

// sameQueues compares queues, ignoring the order of independent ones.
func sameQueues(got, want []simsqs.QueueConfig) bool {
	for i, q := range got {
		if j := slices.IndexFunc(got, func(d simsqs.QueueConfig) bool { return d.Name == q.DeadLetter }); j > i || !slices.Contains(want, q) {
			return false
		}
	}
	return len(got) == len(want)
}

func TestQueuesAreReadWithTheirMappings(t *testing.T) {
	tpl := load(t, `
Parameters:
  Stage: {Type: String, Default: dev}
Conditions:
  IsProd: !Equals [!Ref Stage, prod]
  IsNot: !Not [!Condition IsProd]
  Both: !And [!Condition IsNot, !Equals [a, a]]
  Either: !Or [!Condition IsProd, !Equals [a, b]]
Resources:
  First: {Type: AWS::SQS::Queue, Properties: {RedrivePolicy: {deadLetterTargetArn: !GetAtt Second.Arn, maxReceiveCount: !If [IsNot, 3, 5]}}}
  Second: {Type: AWS::SQS::Queue, Properties: {DelaySeconds: 7, RedrivePolicy: {deadLetterTargetArn: !GetAtt Third.Arn, maxReceiveCount: 1}}}
  Third: {Type: AWS::SQS::Queue, Properties: {VisibilityTimeout: !If [Both, !Ref AWS::NoValue, 9]}}
  Fourth: {Type: AWS::SQS::Queue, Condition: Either}
  AFunction:
    Type: AWS::Serverless::Function
    Properties:
      Timeout: !If [IsProd, 1, 2]
      Environment: {Variables: {A: !If [IsProd, x, !Ref AWS::NoValue], B: !If [Either, x, !Ref Stage]}}
      EventInvokeConfig: {MaximumRetryAttempts: 0}
      Events:
        Q: {Type: SQS, Properties: {Queue: !GetAtt First.Arn}}
        Off: {Type: SQS, Properties: {Queue: !GetAtt First.Arn, Enabled: false}}
        Other: {Type: Schedule}
`)
	queues, err := tpl.Queues()
	if want := []simsqs.QueueConfig{
		{Name: "Third"}, {Name: "Second", Delay: 7 * time.Second, DeadLetter: "Third", MaxReceiveCount: 1}, {Name: "First", DeadLetter: "Second", MaxReceiveCount: 3},
	}; err != nil || !slices.Equal(queues, want) {
		t.Errorf("queues are %+v, %v", queues, err)
	}
	functions, err := tpl.Functions()
	if err != nil || len(functions) != 1 {
		t.Fatalf("%d functions, %v", len(functions), err)
	}
	if want := (Function{
		Name: "AFunction", Folder: "functions/a", Timeout: 2 * time.Second, MemoryMB: 128, Environment: map[string]string{"B": "dev"},
		Mappings: []simsqs.Mapping{{Queue: "First", WholeBatch: true}},
	}); !reflect.DeepEqual(functions[0], want) {
		t.Errorf("got %+v\nwant %+v", functions[0], want)
	}
}

func TestAFaultyQueueIsOneSentenceWithItsLine(t *testing.T) {
	const queue, event = "Resources:\n  Q:\n    Type: AWS::SQS::Queue\n    Properties:\n      ", "Resources:\n  Q: {Type: AWS::SQS::Queue}\n  AFunction:\n    Type: AWS::Serverless::Function\n    Properties:\n      "
	for text, want := range map[string]string{
		queue + "DelaySeconds: soon\n":                                                     ":5: DelaySeconds is not a whole number",
		queue + "FifoQueue: true\n":                                                        ":5: FIFO queues are not supported on a laptop",
		queue + "RedrivePolicy: {maxReceiveCount: 1}\n":                                    ":5: there is no deadLetterTargetArn",
		queue + "RedrivePolicy: {deadLetterTargetArn: !Ref Q}\n":                           ":5: deadLetterTargetArn must be !GetAtt <resource>.Arn",
		queue + "RedrivePolicy: {deadLetterTargetArn: !GetAtt X.Arn}\n":                    ":5: X is not an AWS::SQS::Queue of this template",
		queue + "DelaySeconds: !If [No, 1, 2]\n":                                           ":5: there is no condition No",
		queue + "DelaySeconds: !If [No, 1]\n":                                              ":5: !If needs a condition and two values",
		event + "Events: {E: {Type: SQS}}\n":                                               ":6: the SQS event has no Properties",
		event + "Events: {E: {Properties: {}}}\n":                                          ":6: the event has no Type",
		event + "Events: {E: {Type: SQS, Properties: {Queue: !Ref Q}}}\n":                  ":6: Queue must be !GetAtt <resource>.Arn",
		event + "Events: {E: {Type: SQS, Properties: {FilterCriteria: {}}}}\n":             ":6: FilterCriteria is not supported on a laptop",
		event + "EventInvokeConfig: {DestinationConfig: {OnFailure: {Type: SNS}}}\n":       ":6: there is no Destination",
		event + "Timeout: !If [C, 1, 2]\nConditions:\n  C: !Condition C\n":                 ":8: the conditions form a cycle",
		event + "Timeout: !If [C, 1, 2]\nConditions:\n  C: !Equals [1]\n":                  ":8: cannot be resolved on a laptop: !Equals",
		event + "Timeout: !If [C, 1, 2]\nConditions:\n  C: !Not [!Equals [!Ref N, 1]]\n":   ":8: there is no resource or parameter N",
		event + "Timeout: !If [C, 1, 2]\nConditions:\n  C: !And [!Equals [a, a], other]\n": ":8: cannot be resolved on a laptop: !!str",
	} {
		tpl := load(t, text)
		_, err := tpl.Queues()
		if err == nil {
			_, err = tpl.Functions()
		}
		if err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s\ngot %v, want …%s", text, err, want)
		}
	}
}

func TestAGeneratedSecretIsWrappedInItsTemplate(t *testing.T) {
	for _, c := range []struct {
		secret Secret
		want   string
	}{
		{Secret{}, "abc"},
		{Secret{Template: "{}", Key: "default"}, `{"default":"abc"}`},
		{Secret{Template: `{"user":"x","n":1}`, Key: "password"}, `{"n":1,"password":"abc","user":"x"}`},
		{Secret{Template: "[]", Key: "k"}, ""},
		{Secret{Template: "null", Key: "k"}, ""},
		{Secret{Template: "{}"}, ""},
		{Secret{Key: "k"}, ""},
	} {
		if got, err := c.secret.Value("abc"); got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%+v: %q, %v", c.secret, got, err)
		}
	}
}

func TestAFaultyTemplateIsOneSentenceWithItsLine(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"unknown reference": {"Resources:\n  AFunction:\n    Type: AWS::Serverless::Function\n    Properties:\n      Environment:\n        Variables:\n          X: !Ref Nobody\n", "template.yaml:7: there is no resource or parameter Nobody"},
		"no default":        {"Parameters:\n  P: {Type: String}\nResources:\n  AFunction:\n    Type: AWS::Serverless::Function\n    Properties:\n      Timeout: !Ref P\n", "template.yaml:7: parameter P has no default"},
		"not a number":      {"Resources:\n  AFunction:\n    Type: AWS::Serverless::Function\n    Properties:\n      Timeout: soon\n", "template.yaml:5: Timeout is not a whole number"},
		"other intrinsic":   {"Resources:\n  AFunction:\n    Type: AWS::Serverless::Function\n    Properties:\n      Timeout: !Select [A, 1, 2]\n", "template.yaml:5: cannot be resolved on a laptop: !Select"},
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
