package template

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"connexease-functions/pkg/local/template"
)

// dig returns the value at a path of a JSON value; nil if there is none.
func dig(v any, path ...string) any {
	for _, key := range path {
		m, _ := v.(map[string]any)
		v = m[key]
	}
	return v
}

func asText(v any) string {
	text, _ := json.Marshal(v)
	return strings.Trim(string(text), `"`)
}

// inPath matches a parameter of a route.
var inPath = regexp.MustCompile(`\{\w+\}`)

// made is what SAM makes of template.yaml, or what is left of that in a stack with some parameters.
type made struct{ Resources, Outputs map[string]any }

// form reads a form that make lint-template has written beside TRANSLATED_TEMPLATE.
func form(t *testing.T, name string) (m made) {
	t.Helper()
	path := os.Getenv("TRANSLATED_TEMPLATE")
	if path == "" {
		t.Skip("make lint-template runs this")
	}
	data, err := os.ReadFile(filepath.Join(filepath.Dir(path), name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// of returns the properties of a type's resources.
func (m made) of(kind string) map[string]any {
	found := map[string]any{}
	for id, r := range m.Resources {
		if dig(r, "Type") == kind {
			found[id] = dig(r, "Properties")
		}
	}
	return found
}

// CloudFormation receives this, not template.yaml. make lint-template runs SAM's translator and
// passes its result.
func TestWhatSAMMakesOfTheTemplateIsWhatItSays(t *testing.T) {
	translated := form(t, "translated")
	of := translated.of
	same := func(what string, got, want any) {
		t.Helper()
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}

	// A first deployment that fails leaves nothing behind, unless the table is protected; later
	// changes keep the table. No other resource is retained.
	for id, r := range translated.Resources {
		if deleted := dig(r, "DeletionPolicy"); id != "EventsTable" && (deleted != nil && deleted != "Delete" || dig(r, "UpdateReplacePolicy") != nil) {
			t.Errorf("%s stays when the stack goes", id)
		}
	}
	same("table's deletion", dig(translated.Resources["EventsTable"], "DeletionPolicy"), "RetainExceptOnCreate")
	same("table's replacement", dig(translated.Resources["EventsTable"], "UpdateReplacePolicy"), "Retain")
	same("table's protection", asText(dig(of("AWS::DynamoDB::Table")["EventsTable"], "DeletionProtectionEnabled")), `{"Fn::If":["ProtectsTable",true,false]}`)
	same("pipe", dig(translated.Resources["EventPipe"], "Condition"), "SendsEvents")

	// SAM adds no role and no policy of its own.
	same("roles", slices.Sorted(maps.Keys(of("AWS::IAM::Role"))), []string{"DeployRole", "PipeRole", "ScheduleRole", "SendRole", "WebhookRole"})
	same("policies", len(of("AWS::IAM::Policy"))+len(of("AWS::IAM::ManagedPolicy")), 0)

	everything, err := template.Load("../../../template.yaml", map[string]string{"BulkLane": "yes"})
	if err != nil {
		t.Fatal(err)
	}
	functions, err := everything.Functions()
	if err != nil {
		t.Fatal(err)
	}
	same("functions", len(of("AWS::Lambda::Function")), len(functions))
	api := of("AWS::ApiGatewayV2::Api")["HttpApi"]
	permissions := asText(of("AWS::Lambda::Permission"))
	routes, mappings := 0, 0
	for _, f := range functions {
		made := of("AWS::Lambda::Function")[f.Name]
		same(f.Name+" architecture", dig(made, "Architectures"), "[arm64]")
		same(f.Name+" runtime", dig(made, "Runtime"), "provided.al2023")
		same(f.Name+" logs", asText(dig(made, "LoggingConfig")), fmt.Sprintf(`{"LogFormat":"JSON","LogGroup":{"Ref":"%sLogs"}}`, strings.TrimSuffix(f.Name, "Function")))
		same(f.Name+" timeout", dig(made, "Timeout"), f.Timeout.Seconds())
		same(f.Name+" role", asText(dig(made, "Role")), fmt.Sprintf(`{"Fn::GetAtt":["%sRole","Arn"]}`, strings.TrimSuffix(f.Name, "Function")))
		variables, _ := dig(made, "Environment", "Variables").(map[string]any)
		same(f.Name+" variables", slices.Sorted(maps.Keys(variables)), slices.Sorted(maps.Keys(f.Environment)))
		for _, r := range f.Routes {
			routes++
			integration := dig(api, "Body", "paths", r.Path, strings.ToLower(r.Method), "x-amazon-apigateway-integration")
			same(r.Path+" payload format", dig(integration, "payloadFormatVersion"), "2.0")
			if !strings.Contains(asText(dig(integration, "uri")), "${"+f.Name+".Arn}") {
				t.Errorf("%s %s is not %s's: %s", r.Method, r.Path, f.Name, asText(integration))
			}
			// API Gateway may invoke the function for this route only.
			if arn := "/" + r.Method + inPath.ReplaceAllString(r.Path, "*"); !strings.Contains(permissions, arn+`"`) {
				t.Errorf("no permission for %s in %s", arn, permissions)
			}
		}
		for _, m := range f.Mappings {
			mappings++
			compared := 0
			for _, made := range of("AWS::Lambda::EventSourceMapping") {
				if asText(dig(made, "EventSourceArn")) == fmt.Sprintf(`{"Fn::GetAtt":["%s","Arn"]}`, m.Queue) {
					compared++
					same(m.Queue+" batch size", dig(made, "BatchSize"), m.BatchSize)
					same(m.Queue+" response", dig(made, "FunctionResponseTypes"), "[ReportBatchItemFailures]")
					atOnce := fmt.Sprint(m.MaxConcurrency)
					if m.Queue != "OverflowQueue" {
						atOnce = `{"Ref":"QueueConcurrency"}`
					}
					same(m.Queue+" concurrency", asText(dig(made, "ScalingConfig", "MaximumConcurrency")), atOnce)
				}
			}
			same(m.Queue+" mappings", compared, 1)
		}
	}
	same("permissions", len(of("AWS::Lambda::Permission")), routes+len(of("AWS::Lambda::Alias")))
	same("mappings", len(of("AWS::Lambda::EventSourceMapping")), mappings)
	same("destination", asText(dig(of("AWS::Lambda::EventInvokeConfig")["SendFunctionEventInvokeConfig"], "DestinationConfig", "OnFailure", "Destination")),
		`{"Fn::GetAtt":["FailedInvocations","Arn"]}`)
	stages := of("AWS::ApiGatewayV2::Stage")
	same("stages", len(stages), 1)
	for _, stage := range stages {
		same("stage", dig(stage, "StageName"), "$default")
		same("webhook's throttle", dig(stage, "RouteSettings", webhookRoute, "ThrottlingRateLimit"), 2000)
		same("sends' throttle", asText(dig(stage, "RouteSettings", "POST /v1/wa/message", "ThrottlingRateLimit")), `{"Ref":"SendRequestsPerSecond"}`)
		same("other throttles", dig(stage, "DefaultRouteSettings", "ThrottlingRateLimit"), 100)
		same("access log", asText(dig(stage, "AccessLogSettings", "DestinationArn")), `{"Fn::GetAtt":["AccessLogs","Arn"]}`)
	}
}
