package template

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"connexease-functions/pkg/local/template"
)

// generated pins the parameters of a secret's value: AWS generates a new value when they change.
var generated = map[string]map[string]string{
	"WebhookSecret":    {"PasswordLength": "48", "ExcludePunctuation": "true"},
	"GatewayKeySecret": nil, // without a value
	"ClientKeysSecret": {"PasswordLength": "48", "ExcludePunctuation": "true", "SecretStringTemplate": "{}", "GenerateStringKey": "default"},
}

// secrets: they are generated as before, and no secret is written anywhere.
func secrets(p *proof) (faults []string) {
	seen := 0
	for id, n := range p.every("AWS::SecretsManager::Secret") {
		seen++
		want, known := generated[id]
		if !known {
			faults = append(faults, id+" is not pinned")
		}
		block := find(n, "Properties", "GenerateSecretString")
		members := 0
		for name, v := range each(block) {
			if members++; want[name] != v.Value {
				faults = append(faults, fmt.Sprintf("%s: %s is %q, not %q: AWS would generate a new value", id, name, v.Value, want[name]))
			}
		}
		if members != len(want) {
			faults = append(faults, id+": a member of GenerateSecretString was added or removed: AWS would generate a new value")
		}
		if find(n, "Properties", "SecretString") != nil {
			faults = append(faults, id+" has its value in the template")
		}
	}
	if seen != len(generated) {
		faults = append(faults, "a secret was added or removed")
	}
	for name, n := range each(find(p.Root(), "Parameters")) {
		if find(n, "NoEcho") != nil || secretName.MatchString(name) && name != "PreviousSecretGraceHours" && name != "KmsKeyArn" {
			faults = append(faults, "parameter "+name+" looks like a secret")
		}
	}
	// A variable may hold a secret's name, if its own name says so. A value that CloudFormation
	// resolves would appear unencrypted in the function's configuration.
	walk(p.Root(), func(n *yaml.Node) {
		if strings.Contains(n.Value, "{{resolve:") {
			faults = append(faults, fmt.Sprintf("line %d resolves a secret into the stack", n.Line))
		}
	})
	for id, n := range p.every("AWS::Serverless::Function") {
		for name, v := range each(find(n, "Properties", "Environment", "Variables")) {
			_, isSecret := p.refersTo(ref(v), "", "AWS::SecretsManager::Secret")
			if secretName.MatchString(name) && name != "PREVIOUS_SECRET_GRACE_HOURS" && (!isSecret || !strings.HasSuffix(name, "_SECRET_ID")) {
				faults = append(faults, fmt.Sprintf("%s: variable %s may hold a secret", id, name))
			}
		}
	}
	return faults
}

var secretName = regexp.MustCompile(`(?i)secret|key|token|password|credential`)

// named lists properties that give a resource its physical name. Fixed names would collide between
// two stacks of one account, or between a stack and what an earlier one left behind.
var named = strings.Fields("FunctionName TableName QueueName RoleName LogGroupName AlarmName TopicName DashboardName BucketName " +
	"StageName ManagedPolicyName FilterName LayerName")

// names: no physical name is fixed.
func names(p *proof) (faults []string) {
	own := map[string]bool{ // properties that refer to a different resource, or whose resource type requires a Name
		"AWS::SecretsManager::Secret Name": true, "AWS::Logs::QueryDefinition Name": true, "AWS::Serverless::HttpApi Name": true,
		"AWS::Events::EventBus Name": true, "AWS::Pipes::Pipe Name": true, "AWS::Events::Archive ArchiveName": true,
	}
	for id, n := range each(find(p.Root(), "Resources")) {
		kind := ref(find(n, "Type"))
		for name, v := range each(find(n, "Properties")) {
			is := own[kind+" "+name]
			for _, one := range named {
				is = is || one == name
			}
			if _, refers := p.refersTo(ref(v), "", "AWS::Logs::LogGroup"); refers && kind == "AWS::Logs::MetricFilter" {
				continue
			}
			if name == "FunctionName" && kind != "AWS::Serverless::Function" { // the function of a mapping, an alias or a permission
				continue
			}
			if text := ref(whole(v)); is && !strings.Contains(text, "${AWS::StackName}") {
				faults = append(faults, fmt.Sprintf("%s has the fixed %s %q", id, name, text))
			}
		}
	}
	return faults
}

// parameters: each has a description and a default that it allows, is in one group of the console,
// and is used.
func parameters(p *proof) (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	used := map[string]bool{}
	for _, part := range []string{"Conditions", "Resources", "Outputs"} {
		walk(find(p.Root(), part), func(n *yaml.Node) {
			if n.Tag == "!Ref" {
				used[n.Value] = true
			}
			for _, m := range template.Placeholder.FindAllStringSubmatch(n.Value, -1) {
				used[m[1]] = true
			}
		})
	}
	grouped := map[string]int{}
	for _, group := range list(find(p.Root(), "Metadata", "AWS::CloudFormation::Interface", "ParameterGroups")) {
		if ref(find(group, "Label", "default")) == "" {
			fault("a group of parameters has no label")
		}
		for _, name := range list(find(group, "Parameters")) {
			grouped[name.Value]++
		}
	}
	for name, n := range each(find(p.Root(), "Parameters")) {
		if find(n, "Description") == nil || find(n, "Type") == nil || find(n, "Default") == nil {
			fault("%s needs a description, a type and a default", name)
		}
		if find(n, "AllowedValues") == nil && find(n, "AllowedPattern") == nil && find(n, "MinValue") == nil {
			fault("%s accepts anything", name)
		}
		if why := allows(n, ref(find(n, "Default"))); why != "" {
			fault("%s: its default %s", name, why)
		}
		if !used[name] {
			fault("%s is not used", name)
		}
		if grouped[name] != 1 {
			fault("%s is in %d groups", name, grouped[name])
		}
		delete(grouped, name)
	}
	for name := range grouped {
		fault("the group's %s is not a parameter", name)
	}
	return faults
}

// allows says why a parameter does not accept a value; "" if it does.
func allows(n *yaml.Node, value string) string {
	if ref(find(n, "Type")) == "Number" {
		number, err := strconv.Atoi(value)
		if err != nil {
			return "is not a number"
		}
		if least, err := strconv.Atoi(ref(find(n, "MinValue"))); err == nil && number < least {
			return "is too small"
		}
		if most, err := strconv.Atoi(ref(find(n, "MaxValue"))); err == nil && number > most {
			return "is too large"
		}
	}
	if pattern := find(n, "AllowedPattern"); pattern != nil && !regexp.MustCompile(pattern.Value).MatchString(value) {
		return "does not match"
	}
	values := list(find(n, "AllowedValues"))
	for _, v := range values {
		if v.Value == value {
			return ""
		}
	}
	if values != nil {
		return "is not an allowed value"
	}
	return ""
}

// outputs: those that users and make smoke need exist, with a description, and commands name their
// region.
func outputs(p *proof) (faults []string) {
	for _, name := range strings.Fields("NextSteps WebhookUrl ReadWebhookSecret PutGatewayKey SendUrl DomainTarget ReadClientKeys QueueUrl QueueArn SendFunctionArn EventBusName EventBusArn TableName") {
		if find(p.Root(), "Outputs", name, "Value") == nil {
			faults = append(faults, "there is no output "+name)
		}
	}
	for name, n := range each(find(p.Root(), "Outputs")) {
		value := ref(find(n, "Value"))
		if find(n, "Description") == nil {
			faults = append(faults, name+" has no description")
		}
		if strings.HasPrefix(value, "aws ") && !strings.HasSuffix(value, " --region ${AWS::Region}") {
			faults = append(faults, name+" would use the region of the user's CLI")
		}
		if export := find(n, "Export", "Name"); export != nil && !strings.HasPrefix(export.Value, "${AWS::StackName}-") {
			faults = append(faults, name+" is exported under a name that only one stack can have")
		}
	}
	return faults
}
