package template

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// actionOf maps an SDK operation to the IAM actions that it needs (Service Authorization Reference:
// "Actions, resources, and condition keys for" the service). Most have the operation's name; those
// that need a different one, or several, require the table.
var actionOf = map[string][]string{
	"dynamodb.BatchWriteItem": {"dynamodb:BatchWriteItem"}, // the batch's puts do not need PutItem
	"dynamodb.PutItem":        {"dynamodb:PutItem"},        // with a condition too
	"dynamodb.UpdateItem":     {"dynamodb:UpdateItem"},     // ReturnValues and conditions need no GetItem
	"dynamodb.Query":          {"dynamodb:Query"},          // on the table, on an index, or both: see code.indexes
	// Amazon DynamoDB: "IAM security policies with PartiQL for DynamoDB". The code's statements select.
	"dynamodb.ExecuteStatement": {"dynamodb:PartiQLSelect"},
	// There is no such action: a transaction needs those of its parts (Amazon DynamoDB: "Using IAM
	// with DynamoDB transactions"). The code's consist of puts and condition checks.
	"dynamodb.TransactWriteItems":   {"dynamodb:PutItem", "dynamodb:ConditionCheckItem"},
	"sqs.SendMessage":               {"sqs:SendMessage"},
	"sqs.ChangeMessageVisibility":   {"sqs:ChangeMessageVisibility"},
	"secretsmanager.GetSecretValue": {"secretsmanager:GetSecretValue"}, // kms:Decrypt only with a customer managed key
	"scheduler.CreateSchedule":      {"scheduler:CreateSchedule"},      // and iam:PassRole: see needed
	"scheduler.DeleteSchedule":      {"scheduler:DeleteSchedule"},
}

// schedulesOf returns the ARN of a group's schedules, the only wildcard: a schedule has an ARN once
// it is there.
func schedulesOf(group string) string {
	return "arn:${AWS::Partition}:scheduler:${AWS::Region}:${AWS::AccountId}:schedule/${" + group + "}/*"
}

// grantedFor lists the actions that our code does not call, but AWS does under the function's role.
var grantedFor = map[string]string{
	"logs:CreateLogStream":   "Lambda writes the function's logs (AWS Lambda: \"Sending Lambda function logs to CloudWatch Logs\")",
	"logs:PutLogEvents":      "the same",
	"sqs:ReceiveMessage":     "Lambda's poller receives the queue's records (AWS Lambda: \"Using Lambda with Amazon SQS\", execution role permissions)",
	"sqs:DeleteMessage":      "the same",
	"sqs:GetQueueAttributes": "the same",
	// A trace has no ARN (Service Authorization Reference: "Actions, resources, and condition keys for
	// AWS X-Ray").
	"kms:Decrypt":              "DynamoDB, SQS and Secrets Manager use the customer's key on the function's behalf",
	"kms:GenerateDataKey":      "SQS encrypts what is sent",
	"xray:PutTraceSegments":    "Lambda sends the function's traces (AWS Lambda: \"Visualize Lambda function invocations using AWS X-Ray\")",
	"xray:PutTelemetryRecords": "the same",
	"sqs:SendMessage":          "Lambda sends failed asynchronous invocations to the OnFailure queue (AWS Lambda: \"Capturing records of Lambda asynchronous invocations\")",
}

// grants: a function may do exactly what its code does, and AWS on its behalf, on the resources in
// its environment, and nothing else.
func grants(p *proof) (faults []string) {
	return append(p.codes(func(id string, n *yaml.Node, c *code) {
		granted, bad := p.granted(n)
		needed, bad2 := p.needed(n, c)
		for _, fault := range append(bad, bad2...) {
			faults = append(faults, id+": "+fault)
		}
		for grant, why := range needed {
			if !granted[grant] {
				faults = append(faults, fmt.Sprintf("%s: %s is not granted: %s", id, grant, why))
			}
		}
		for grant := range granted {
			if needed[grant] == "" {
				faults = append(faults, fmt.Sprintf("%s: %s is granted and not used", id, grant))
			}
		}
	}), faults...)
}

// needed returns "action on resource" with its reason.
func (p *proof) needed(n *yaml.Node, c *code) (all map[string]string, faults []string) {
	all = map[string]string{}
	need := func(action, resource, why string) { all[action+" on "+resource] = why }
	// The resources are those named in the function's environment.
	given := map[string][]string{}
	for _, v := range each(find(n, "Properties", "Environment", "Variables")) {
		v = whole(v)
		if id, ok := p.refersTo(ref(v), "", "AWS::DynamoDB::Table"); ok {
			given["dynamodb"] = append(given["dynamodb"], "${"+id+".Arn}")
		}
		if id, ok := p.refersTo(ref(v), "", "AWS::SQS::Queue"); ok {
			given["sqs"] = append(given["sqs"], "${"+id+".Arn}")
		}
		if id, ok := p.refersTo(ref(v), "", "AWS::SecretsManager::Secret"); ok {
			given["secretsmanager"] = append(given["secretsmanager"], "${"+id+"}")
		}
		if id, ok := p.refersTo(ref(v), "", "AWS::Scheduler::ScheduleGroup"); ok {
			given["scheduler"] = append(given["scheduler"], schedulesOf(id))
		}
		if id, ok := p.refersTo(ref(v), "Arn", "AWS::IAM::Role"); ok && c.operations["scheduler.CreateSchedule"] {
			need("iam:PassRole", "${"+id+".Arn}", "a schedule names its role")
		}
	}
	used := map[string]bool{}
	for operation := range c.operations {
		service, _, _ := strings.Cut(operation, ".")
		used[service] = true
		actions := actionOf[operation]
		if actions == nil {
			faults = append(faults, operation+" is called, but actionOf does not say what it needs")
			continue
		}
		if given[service] == nil {
			faults = append(faults, fmt.Sprintf("%s is called, but no variable names its resource", operation))
		}
		for _, resource := range given[service] {
			on := []string{resource}
			if operation == "dynamodb.Query" {
				on = nil
				for index := range c.indexes {
					on = append(on, strings.TrimSuffix(resource+"/index/"+index, "/index/"))
				}
			}
			for _, one := range on {
				for _, action := range actions {
					need(action, one, "the code calls "+operation)
				}
			}
		}
	}
	for service := range given {
		if !used[service] {
			faults = append(faults, fmt.Sprintf("its environment names a resource of %s, which its code never calls", service))
		}
	}
	onBehalf := func(resource string, actions ...string) {
		for _, action := range actions {
			need(action, resource, grantedFor[action])
		}
	}
	if group, ok := p.refersTo(ref(find(n, "Properties", "LoggingConfig", "LogGroup")), "", "AWS::Logs::LogGroup"); ok {
		onBehalf("${"+group+".Arn}", "logs:CreateLogStream", "logs:PutLogEvents")
	}
	for _, m := range p.every("AWS::Lambda::EventSourceMapping") {
		if name := p.invoked(find(m, "Properties", "FunctionName"), ref); name != "" && find(p.Root(), "Resources", name) == n {
			onBehalf(ref(find(m, "Properties", "EventSourceArn")), "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")
		}
	}
	onBehalf("${KmsKeyArn}", "kms:Decrypt", "kms:GenerateDataKey") // see keyed
	if traced := find(n, "Properties", "Tracing"); ref(whole(traced)) == "Active" {
		onBehalf("*", "xray:PutTraceSegments", "xray:PutTelemetryRecords")
	}
	if failed := find(n, "Properties", "EventInvokeConfig", "DestinationConfig", "OnFailure", "Destination"); failed != nil {
		onBehalf(ref(failed), "sqs:SendMessage")
	}
	return all, faults
}

// granted reads the role of a function. A role generated by SAM would have broad permissions, so
// there must be one.
func (p *proof) granted(n *yaml.Node) (all map[string]bool, faults []string) {
	all = map[string]bool{}
	role, ok := p.refersTo(ref(find(n, "Properties", "Role")), "Arn", "AWS::IAM::Role")
	if !ok {
		return all, []string{"its role is not in this template"}
	}
	properties := find(p.Root(), "Resources", role, "Properties")
	for _, broad := range []*yaml.Node{find(n, "Properties", "Policies"), find(properties, "ManagedPolicyArns")} {
		if broad != nil {
			faults = append(faults, "it has permissions besides those of its role's own policies")
		}
	}
	if trust := list(find(properties, "AssumeRolePolicyDocument", "Statement")); len(trust) != 1 || ref(find(trust[0], "Principal", "Service")) != "lambda.amazonaws.com" {
		faults = append(faults, "its role must be assumable by Lambda alone")
	}
	for _, policy := range list(find(properties, "Policies")) {
		statements := find(policy, "PolicyDocument", "Statement")
		for i, statement := range list(statements) {
			// Allowed with its parameter only.
			if traces := statements.Content[i]; ref(find(statement, "Resource")) == "*" && (traces.Tag != "!If" || traces.Content[0].Value != "Traced" || ref(traces.Content[2]) != "${AWS::NoValue}") {
				faults = append(faults, "a permission for everything does not depend on Tracing")
			}
			if ref(find(statement, "Effect")) != "Allow" || find(statement, "NotAction") != nil || find(statement, "NotResource") != nil {
				faults = append(faults, "a statement is not a plain Allow")
			}
			passed := ref(find(statement, "Condition", "StringEquals", "iam:PassedToService"))
			for _, action := range list(find(statement, "Action")) {
				if action.Value == "dynamodb:PartiQLSelect" && ref(find(statement, "Condition", "BoolIfExists", "dynamodb:FullTableScan")) != "false" {
					faults = append(faults, "dynamodb:PartiQLSelect may scan the table")
				}
				if action.Value == "iam:PassRole" && passed != "scheduler.amazonaws.com" {
					faults = append(faults, "iam:PassRole hands a role to any service")
				}
				for _, resource := range list(find(statement, "Resource")) {
					if strings.Contains(action.Value+resource.Value, "*") && ref(resource) != schedulesOf("ScheduleGroup") && !strings.HasPrefix(action.Value, "xray:Put") {
						faults = append(faults, fmt.Sprintf("%s on %s is a wildcard", action.Value, ref(resource)))
					}
					all[action.Value+" on "+ref(resource)] = true
				}
			}
		}
	}
	return all, faults
}
