package template

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"connexease-functions/pkg/local/template"
)

// gradualDeploys: with GradualDeploys, everything that invokes a function invokes its alias, each
// change of what the function is makes a new version, and its alarms undo one that fails. Without,
// none of it exists.
func gradualDeploys(p *proof) (faults []string) {
	faults = append(must("GradualDeploys", find(p.Root(), "Parameters", "GradualDeploys"), map[string]string{"Default": "no"}), p.pathsInvoke()...)
	for id, n := range p.every("AWS::Lambda::EventSourceMapping") {
		if p.invoked(find(n, "Properties", "FunctionName"), ref) == "" {
			faults = append(faults, id+" does not invoke an alias with GradualDeploys, and its function without")
		}
	}
	if p.invoked(find(p.Root(), "Outputs", "SendFunctionArn", "Value"), ref) != "SendFunction" {
		faults = append(faults, "SendFunctionArn is not the alias with GradualDeploys, and the function without")
	}
	for id, n := range p.every("AWS::Serverless::Function") {
		name := strings.TrimSuffix(id, "Function")
		for resource, want := range map[string]map[string]string{
			name + "Version": {"Type": "AWS::Lambda::Version", "Properties/FunctionName": "${" + id + "}"},
			name + "Alias": {
				"Type": "AWS::Lambda::Alias", "Properties/Name": "live", "Properties/FunctionName": "${" + id + "}",
				"Properties/FunctionVersion":                                      "${" + name + "Version.Version}",
				"UpdatePolicy/CodeDeployLambdaAliasUpdate/ApplicationName":        "${Deploys}",
				"UpdatePolicy/CodeDeployLambdaAliasUpdate/DeploymentGroupName":    "${" + name + "Deploys}",
				"UpdatePolicy/CodeDeployLambdaAliasUpdate/BeforeAllowTrafficHook": "",
			},
			name + "Deploys": {
				"Type": "AWS::CodeDeploy::DeploymentGroup", "Properties/DeploymentConfigName": "CodeDeployDefault.Lambda${GradualDeploys}",
				"Properties/AutoRollbackConfiguration/Enabled": "true", "Properties/AlarmConfiguration/Enabled": "true",
			},
			name + "AliasPermission": {"Type": "AWS::Lambda::Permission", "Properties/FunctionName": "${" + name + "Alias}", "Properties/Principal": "apigateway.amazonaws.com"},
		} {
			faults = append(faults, must(resource, find(p.Root(), "Resources", resource), want)...)
			faults = append(faults, must(resource, find(p.Root(), "Resources", resource), map[string]string{"Condition": "Gradual"})...)
		}
		permission := name + "AliasPermission"
		after := find(p.Root(), "Resources", "HttpApi", "Properties", "DefinitionBody", "info", "description")
		if whole(after) == after || after.Content[0].Value != "Gradual" || !strings.Contains(ref(after.Content[1]), "${"+permission+"}") ||
			strings.Contains(ref(find(p.Root(), "Resources", permission, "Properties", "SourceArn")), "${HttpApi}") {
			faults = append(faults, "HttpApi: it invokes "+name+"Alias before it may")
		}
		faults = append(faults, p.versioned(name, n)...)
		faults = append(faults, p.undone(name)...)
	}
	for _, id := range []string{"Release", "Deploys", "DeployRole", "SendAliasInvokeConfig"} {
		faults = append(faults, must(id, find(p.Root(), "Resources", id), map[string]string{"Condition": "Gradual"})...)
	}
	faults = append(faults, must("Release", find(p.Root(), "Resources", "Release"), map[string]string{"Properties/RetentionPolicy": "Delete", "Metadata/BuildMethod": "makefile"})...)
	return append(faults, p.deployMay()...)
}

// pathsInvoke: the API's paths are the functions' routes, and invoke these functions.
func (p *proof) pathsInvoke() (faults []string) {
	invokes, has := map[string]string{}, map[string]string{}
	for path, methods := range each(find(p.Root(), "Resources", "HttpApi", "Properties", "DefinitionBody", "paths")) {
		for method, n := range each(methods) {
			uri := find(n, "x-amazon-apigateway-integration", "uri")
			invokes[strings.ToUpper(method)+" "+path] = p.invoked(uri, func(n *yaml.Node) string {
				_, target, _ := strings.Cut(strings.TrimSuffix(ref(n), "/invocations"), "/functions/")
				return target
			})
		}
	}
	for id, n := range p.every("AWS::Serverless::Function") {
		for _, e := range each(find(n, "Properties", "Events")) {
			has[ref(find(e, "Properties", "Method"))+" "+ref(find(e, "Properties", "Path"))] = id
		}
	}
	if !maps.Equal(invokes, has) {
		faults = append(faults, fmt.Sprintf("HttpApi: its paths invoke %v, the events are %v", invokes, has))
	}
	return faults
}

// versioned: every parameter that a function's configuration depends on is in the version's
// description, or changes the release in it.
func (p *proof) versioned(name string, function *yaml.Node) (faults []string) {
	resources := find(p.Root(), "Resources")
	mentioned := func(nodes ...*yaml.Node) map[string]bool {
		found := map[string]bool{}
		for _, n := range nodes {
			walk(n, func(n *yaml.Node) {
				if n.Tag == "!Ref" {
					found[n.Value] = true
				}
				for _, m := range template.Placeholder.FindAllStringSubmatch(n.Value, -1) {
					found[m[1]] = true
				}
				if n.Tag == "!If" && n.Content[0].Value != "Gradual" {
					walk(find(p.Root(), "Conditions", n.Content[0].Value), func(c *yaml.Node) {
						if c.Tag == "!Ref" {
							found[c.Value] = true
						}
					})
				}
			})
		}
		return found
	}
	version := find(resources, name+"Version", "Properties", "Description")
	release := find(resources, "Release", "Properties")
	known := mentioned(version, find(release, "Description"), find(release, "LicenseInfo"))
	if !known["Release"] || !mentioned(whole(find(function, "Properties", "Description")))["Release"] {
		faults = append(faults, name+"Version: a new release does not make a new version")
	}
	for parameter := range mentioned(find(function, "Properties", "Environment"), find(function, "Properties", "TracingConfig"), find(function, "Properties", "Tracing")) {
		if find(p.Root(), "Parameters", parameter) != nil && !known[parameter] {
			faults = append(faults, fmt.Sprintf("%sVersion: a new %s does not make a new version", name, parameter))
		}
	}
	return faults
}

// undone lists the alarms that stop a deployment, of each function.
var undone = map[string][]string{"Webhook": {"WebhookFailing", "WebhookSlow"}, "Send": {"SendErrors", "OutcomesUnknown"}}

// undone: the alarms of failing and slow stop a deployment, which then goes back.
func (p *proof) undone(name string) (faults []string) {
	group := find(p.Root(), "Resources", name+"Deploys", "Properties")
	var alarms, events []string
	for _, a := range list(find(group, "AlarmConfiguration", "Alarms")) {
		alarm := strings.Trim(ref(find(a, "Name")), "${}")
		if named, is := strings.CutPrefix(alarm, "AWS::StackName}-"); is && ref(whole(find(p.Root(), "Resources", named, "Properties", "AlarmName"))) == "${AWS::StackName}-"+named {
			alarm = named
		}
		alarms = append(alarms, alarm)
	}
	for _, e := range list(find(group, "AutoRollbackConfiguration", "Events")) {
		events = append(events, e.Value)
	}
	if !slices.Equal(alarms, undone[name]) {
		faults = append(faults, fmt.Sprintf("%sDeploys: its alarms are %v, not %v", name, alarms, undone[name]))
	}
	if !slices.Contains(events, "DEPLOYMENT_STOP_ON_ALARM") || !slices.Contains(events, "DEPLOYMENT_FAILURE") {
		faults = append(faults, name+"Deploys: an alarm does not undo a deployment")
	}
	return faults
}

// deployMay: CodeDeploy may move the aliases of these functions, and read alarms (AWS CodeDeploy:
// "AWS managed policies for AWS CodeDeploy", AWSCodeDeployRoleForLambdaLimited).
func (p *proof) deployMay() (faults []string) {
	role := find(p.Root(), "Resources", "DeployRole", "Properties")
	trust := list(find(role, "AssumeRolePolicyDocument", "Statement"))
	if len(trust) != 1 || ref(find(trust[0], "Principal", "Service")) != "codedeploy.amazonaws.com" ||
		ref(find(trust[0], "Condition", "StringEquals", "aws:SourceAccount")) != "${AWS::AccountId}" || find(role, "ManagedPolicyArns") != nil {
		faults = append(faults, "DeployRole: it must be assumable by this account's CodeDeploy alone, and have no permissions besides its own policy's")
	}
	want := map[string]bool{"cloudwatch:DescribeAlarms on arn:${AWS::Partition}:cloudwatch:${AWS::Region}:${AWS::AccountId}:alarm:*": true}
	for id := range p.every("AWS::Serverless::Function") {
		for _, action := range []string{"lambda:GetAlias", "lambda:UpdateAlias", "lambda:GetProvisionedConcurrencyConfig"} {
			want[action+" on ${"+id+".Arn}"], want[action+" on ${"+id+".Arn}:*"] = true, true
		}
	}
	if granted := grantedBy(role); !maps.Equal(granted, want) {
		faults = append(faults, fmt.Sprintf("DeployRole grants %q, not %q", joined(granted), joined(want)))
	}
	return faults
}
