package template

import (
	"path"
	"reflect"
	"strings"
	"testing"
)

// What is off by default adds nothing: the stack is the one that SAM makes of a template in which
// it was never written.
func TestWhatSAMMakesWithoutGradualDeploysHasNothingOfThem(t *testing.T) {
	off, never := form(t, "default"), form(t, "without-gradual")
	if len(off.Resources) == 0 || len(off.Outputs) == 0 {
		t.Fatal("the stack is empty")
	}
	for what, pair := range map[string][2]map[string]any{"resource": {off.Resources, never.Resources}, "output": {off.Outputs, never.Outputs}} {
		for id := range pair[0] {
			if !reflect.DeepEqual(pair[0][id], pair[1][id]) {
				t.Errorf("%s %s is %s, not %s", what, id, asText(pair[0][id]), asText(pair[1][id]))
			}
		}
		if len(pair[0]) != len(pair[1]) {
			t.Errorf("there are %d of kind %s, not %d", len(pair[0]), what, len(pair[1]))
		}
	}
}

func TestWhatSAMMakesWithGradualDeploysInvokesAliasesOnly(t *testing.T) {
	gradual := form(t, "gradual")
	alias := map[string]string{}
	for id, r := range gradual.of("AWS::Lambda::Alias") {
		alias[asText(dig(r, "FunctionName", "Ref"))] = id
	}
	if len(alias) != 2 {
		t.Fatalf("the aliases are %v", alias)
	}
	permitted := map[string]string{} // a pattern of method and path, of each alias
	for _, r := range gradual.of("AWS::Lambda::Permission") {
		if sub, is := dig(r, "SourceArn", "Fn::Sub").(string); is {
			_, permitted[asText(dig(r, "FunctionName", "Ref"))], _ = strings.Cut(sub, "${AWS::AccountId}:*/*/")
		}
	}
	paths, _ := dig(gradual.of("AWS::ApiGatewayV2::Api")["HttpApi"], "Body", "paths").(map[string]any)
	routes := 0
	for p, methods := range paths {
		all, _ := methods.(map[string]any)
		for method, m := range all {
			routes++
			uri := asText(dig(m, "x-amazon-apigateway-integration", "uri", "Fn::Sub"))
			_, invoked, _ := strings.Cut(strings.TrimSuffix(uri, "}/invocations"), "/functions/${")
			arn := strings.ToUpper(method) + strings.NewReplacer("{", "", "}", "").Replace(p)
			if !matches(permitted[invoked], arn) {
				t.Errorf("%s %s invokes %q, for which API Gateway may call %q", method, p, invoked, permitted[invoked])
			}
		}
	}
	if routes < 5 {
		t.Errorf("the API has %d routes", routes)
	}
	mappings := gradual.of("AWS::Lambda::EventSourceMapping")
	for id, r := range mappings {
		if name := asText(dig(r, "FunctionName", "Ref")); !strings.HasSuffix(name, "Alias") {
			t.Errorf("%s invokes %s", id, name)
		}
	}
	if len(mappings) != 2 {
		t.Errorf("there are %d mappings", len(mappings))
	}
	if got := asText(dig(gradual.Outputs["SendFunctionArn"], "Value", "Ref")); got != alias["SendFunction"] {
		t.Errorf("callers get %s", got)
	}
	// Failed asynchronous invocations are kept, whichever of the two is invoked.
	var kept []any
	for _, r := range gradual.of("AWS::Lambda::EventInvokeConfig") {
		properties, _ := r.(map[string]any)
		kept = append(kept, properties["Qualifier"])
		delete(properties, "Qualifier")
	}
	configs := gradual.of("AWS::Lambda::EventInvokeConfig")
	if len(kept) != 2 || !reflect.DeepEqual(configs["SendAliasInvokeConfig"], configs["SendFunctionEventInvokeConfig"]) {
		t.Errorf("asynchronous invocations of %v are kept: %s", kept, asText(configs))
	}
}

// matches reports whether an ARN fits a pattern of IAM, whose * crosses slashes.
func matches(pattern, arn string) bool {
	fits, err := path.Match(strings.ReplaceAll(pattern, "/", ":"), strings.ReplaceAll(arn, "/", ":"))
	return fits && err == nil
}

func TestWhatSAMMakesWithADomainNamesNoOtherHost(t *testing.T) {
	for name, off := range map[string]any{"domain": true, "domain-without-record": false, "default": false} {
		m := form(t, name)
		servers, _ := dig(m.of("AWS::ApiGatewayV2::Api")["HttpApi"], "Body", "servers").([]any)
		var got any
		if len(servers) == 1 {
			got = dig(servers[0], "x-amazon-apigateway-endpoint-configuration", "disableExecuteApiEndpoint")
		}
		if got != off {
			t.Errorf("%s: the default endpoint is disabled: %v, want %v", name, got, off)
		}
		outputs := asText(m.Outputs)
		if has := strings.Contains(outputs, "https://${DomainName}/webhook"); has != (name != "default") || has == strings.Contains(outputs, "HttpApi.ApiEndpoint") {
			t.Errorf("%s: the outputs are %s", name, outputs)
		}
		for kind, n := range map[string]int{"AWS::ApiGatewayV2::DomainName": 1, "AWS::ApiGatewayV2::ApiMapping": 1, "AWS::Route53::RecordSet": 1} {
			if name == "default" || name != "domain" && kind == "AWS::Route53::RecordSet" {
				n = 0
			}
			if made := m.of(kind); len(made) != n {
				t.Errorf("%s: %d resources of type %s, want %d", name, len(made), kind, n)
			}
		}
		if first := asText(dig(m.Outputs["NextSteps"], "Value")); strings.Contains(first, "CNAME") != (name == "domain-without-record") {
			t.Errorf("%s: the next steps are %s", name, first)
		}
	}
}
