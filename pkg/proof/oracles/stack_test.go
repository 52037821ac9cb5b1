//go:build oracles

package oracles

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// lacks lists the types of template.yaml's resources that moto's CloudFormation does not have. One
// that it has by now fails the test, so the list stays correct.
var lacks = []string{
	"AWS::ApiGatewayV2::Api", "AWS::ApiGatewayV2::ApiMapping", "AWS::ApiGatewayV2::DomainName", "AWS::ApiGatewayV2::Stage",
	"AWS::CloudWatch::Alarm", "AWS::CodeDeploy::Application", "AWS::CodeDeploy::DeploymentGroup",
	"AWS::Lambda::Alias", "AWS::Lambda::EventInvokeConfig", "AWS::Logs::MetricFilter", "AWS::Logs::QueryDefinition",
	"AWS::Pipes::Pipe", "AWS::SNS::Subscription", "AWS::SNS::TopicPolicy", "AWS::SQS::QueuePolicy",
	"AWS::Scheduler::ScheduleGroup", "AWS::SecretsManager::Secret",
}

// ignored lists the properties that moto's services do not return as the template has them, each
// with the reason. One that they return by now fails the test.
var ignored = map[string]string{
	"AWS::DynamoDB::Table PointInTimeRecoverySpecification": "moto does not read it from a template",
	"AWS::DynamoDB::Table SSESpecification":                 "moto expects the members that DynamoDB has, not CloudFormation's",
	"AWS::DynamoDB::Table TimeToLiveSpecification":          "moto does not read it from a template",
	"AWS::Lambda::Function Architectures":                   "moto does not read it from a template",
	"AWS::Lambda::Function Code":                            "Lambda does not return it",
	"AWS::Lambda::Function LoggingConfig":                   "moto does not have it",
	"AWS::Lambda::Function Tags":                            "Lambda returns them by a call of their own",
	"AWS::Lambda::Function TracingConfig":                   "moto does not read it from a template",
	"AWS::SQS::Queue RedriveAllowPolicy":                    "moto does not have it",
}

// python runs a program with moto's Python, and returns what it prints.
func python(t *testing.T, args ...string) []byte {
	t.Helper()
	command := exec.CommandContext(t.Context(), filepath.Join(tools(t), "moto", "bin", "python"), args...)
	command.Env = append(command.Environ(), "AWS_DEFAULT_REGION=us-east-1")
	var trouble strings.Builder
	command.Stderr = &trouble
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, trouble.String())
	}
	return out
}

// translated is what SAM's translator makes of template.yaml in a stack with these parameters; with
// none, all of it.
func translated(t *testing.T, parameters ...string) map[string]any {
	t.Helper()
	args := append([]string{filepath.Join(root, "pkg/proof/template/testdata/translate.py"), filepath.Join(root, "template.yaml")}, parameters...)
	return decoded(t, string(python(t, args...))).(map[string]any)
}

// decoded returns a JSON value, its numbers as they are written.
func decoded(t *testing.T, text string) (v any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return v
}

// plain returns what an SDK returned as a JSON value, whose names are mostly those of
// CloudFormation's properties.
func plain(t *testing.T, v any, err error) map[string]any {
	t.Helper()
	text, wrong := json.Marshal(v)
	if err != nil || wrong != nil {
		t.Fatal(err, wrong)
	}
	return decoded(t, string(text)).(map[string]any)
}

func TestMotoLacksTheTypesOfTheList(t *testing.T) {
	var has []string
	known := python(t, "-c", "import json; from moto.cloudformation.parsing import get_model_map; print(json.dumps(list(get_model_map())))")
	if err := json.Unmarshal(known, &has); err != nil {
		t.Fatal(err)
	}
	missing := map[string]bool{}
	for _, r := range translated(t)["Resources"].(map[string]any) {
		if kind := kindOf(r); !slices.Contains(has, kind) {
			missing[kind] = true
		}
	}
	if got := slices.Sorted(maps.Keys(missing)); !slices.Equal(got, lacks) {
		t.Errorf("moto lacks\n%v\nthe list has\n%v", got, lacks)
	}
}

func kindOf(resource any) string { return resource.(map[string]any)["Type"].(string) }

// created is template.yaml's stack in moto, without what moto lacks, or a test leaves out: where
// another resource names that, it has the logical id instead.
type created struct {
	*side
	stacks     *cloudformation.Client
	roles      *iam.Client
	functions  *lambda.Client
	tables     *dynamodb.Client
	parameters map[string]any
	resources  map[string]any // of the template, by logical id
	outputs    map[string]any // of the template
	ids        map[string]string
	attributes map[string]string // that were asked for, by "resource.attribute"
}

const motoAccount = "123456789012"

// stackName is the one in the READMEs.
const stackName = "connexease-prod"

func create(t *testing.T, leftOut []string, parameters ...string) *created {
	t.Helper()
	address := moto(t)
	key := credentials.NewStaticCredentialsProvider("local", "local", "")
	s := &created{
		side:       newSide(t, address, address, address),
		stacks:     cloudformation.New(cloudformation.Options{Region: "us-east-1", BaseEndpoint: &address, Credentials: key}),
		roles:      iam.New(iam.Options{Region: "us-east-1", BaseEndpoint: &address, Credentials: key}),
		functions:  lambda.New(lambda.Options{Region: "us-east-1", BaseEndpoint: &address, Credentials: key}),
		tables:     dynamodb.New(dynamodb.Options{Region: "us-east-1", BaseEndpoint: &address, Credentials: key}),
		attributes: map[string]string{},
	}
	template := translated(t, parameters...)
	all := template["Resources"].(map[string]any)
	gone := func(id string) bool { return all[id] != nil && slices.Contains(leftOut, kindOf(all[id])) }
	template = rewritten(template, func(id, attribute string) (string, bool) {
		if id+attribute == "EventBus" {
			return stackName, true // see TestTheStackIsMadeAsTheTemplateSays
		}
		return id + attribute, gone(id)
	}).(map[string]any)
	s.resources, s.outputs, s.parameters = template["Resources"].(map[string]any), template["Outputs"].(map[string]any), template["Parameters"].(map[string]any)
	maps.DeleteFunc(s.resources, func(id string, _ any) bool { return gone(id) })
	for _, p := range s.parameters { // CloudFormation has strings only, moto what was written
		p.(map[string]any)["Default"] = fmt.Sprint(p.(map[string]any)["Default"])
	}
	var err error
	for _, r := range s.resources { // CloudFormation makes it the number that Lambda has, moto a string
		if scaling, is := r.(map[string]any)["Properties"].(map[string]any)["ScalingConfig"].(map[string]any); is {
			if scaling["MaximumConcurrency"], err = strconv.Atoi(fmt.Sprint(s.resolved(scaling["MaximumConcurrency"]))); err != nil {
				t.Fatal(err)
			}
		}
	}
	text, err := json.Marshal(template)
	if err != nil {
		t.Fatal(err)
	}
	s.ids = s.makeStack(t.Context(), stackName, string(text))
	return s
}

// makeStack returns the physical ids of a new stack's resources.
func (s *created) makeStack(ctx context.Context, name, template string) map[string]string {
	s.t.Helper()
	_, err := s.stacks.CreateStack(ctx, &cloudformation.CreateStackInput{StackName: &name, TemplateBody: &template, Capabilities: []cfntypes.Capability{"CAPABILITY_IAM"}})
	if err != nil {
		s.t.Fatal(err)
	}
	made, err := s.stacks.DescribeStackResources(ctx, &cloudformation.DescribeStackResourcesInput{StackName: &name})
	if err != nil {
		s.t.Fatal(err)
	}
	ids := map[string]string{}
	for _, r := range made.StackResources {
		ids[*r.LogicalResourceId] = aws.ToString(r.PhysicalResourceId)
	}
	return ids
}

// rewritten replaces references in a template by what to returns for a resource and an attribute,
// which is empty or as ".Name"; false leaves one as it is.
func rewritten(v any, to func(id, attribute string) (string, bool)) any {
	switch v := v.(type) {
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = rewritten(v[i], to)
		}
		return list
	case map[string]any:
		if id, is := v["Ref"].(string); is {
			if text, known := to(id, ""); known {
				return text
			}
		}
		if list, is := v["Fn::GetAtt"].([]any); is {
			if text, known := to(list[0].(string), "."+list[1].(string)); known {
				return text
			}
		}
		if text, is := v["Fn::Sub"].(string); is {
			return map[string]any{"Fn::Sub": substituted(text, to)}
		}
		if list, is := v["Fn::Sub"].([]any); is {
			return map[string]any{"Fn::Sub": []any{substituted(list[0].(string), to), rewritten(list[1], to)}}
		}
		all := map[string]any{}
		for k := range v {
			all[k] = rewritten(v[k], to)
		}
		return all
	}
	return v
}

// reference is one in a string of Fn::Sub.
var reference = regexp.MustCompile(`\$\{([\w:]+)(\.\w+)?\}`)

func substituted(text string, to func(id, attribute string) (string, bool)) string {
	return reference.ReplaceAllStringFunc(text, func(match string) string {
		part := reference.FindStringSubmatch(match)
		if text, known := to(part[1], part[2]); known {
			return text
		}
		return match
	})
}

// resolved returns a value of the template as the stack has it.
func (s *created) resolved(v any) any {
	s.t.Helper()
	return joined(rewritten(v, func(id, attribute string) (string, bool) {
		switch pseudo := map[string]string{"AWS::Partition": "aws", "AWS::Region": "us-east-1", "AWS::AccountId": motoAccount, "AWS::StackName": stackName}[id]; {
		case pseudo != "":
			return pseudo, true
		case s.parameters[id] != nil:
			return s.parameters[id].(map[string]any)["Default"].(string), true
		case s.resources[id] == nil: // a variable of Fn::Sub
			return "", false
		case attribute == "":
			return s.ids[id], true
		}
		return s.attribute(id, attribute[1:]), true
	}))
}

// joined evaluates what is left of a value without references.
func joined(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = joined(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = joined(v[k])
		}
		if text, is := v["Fn::Sub"].(string); is {
			return text
		}
		if list, is := v["Fn::Sub"].([]any); is {
			return substituted(list[0].(string), func(name, _ string) (string, bool) { return list[1].(map[string]any)[name].(string), true })
		}
	}
	return v
}

// attribute returns one of a resource, by its service.
func (s *created) attribute(id, name string) string {
	s.t.Helper()
	if value, known := s.attributes[id+"."+name]; known {
		return value
	}
	value := ""
	switch kind := kindOf(s.resources[id]); kind + " " + name {
	case "AWS::SQS::Queue Arn":
		value = fmt.Sprint(s.read(id)["QueueArn"])
	case "AWS::SQS::Queue QueueName":
		value = nameOf(aws.String(s.ids[id]))
	case "AWS::DynamoDB::Table Arn":
		value = fmt.Sprint(s.read(id)["TableArn"])
	case "AWS::DynamoDB::Table StreamArn":
		value = fmt.Sprint(s.read(id)["LatestStreamArn"])
	case "AWS::Lambda::Function Arn":
		value = fmt.Sprint(s.read(id)["FunctionArn"])
	case "AWS::IAM::Role Arn":
		value = fmt.Sprint(s.read(id)["Arn"])
	case "AWS::Events::EventBus Arn", "AWS::Events::EventBus Name":
		bus, err := s.events.DescribeEventBus(s.t.Context(), &eventbridge.DescribeEventBusInput{Name: aws.String(stackName)})
		value = fmt.Sprint(plain(s.t, bus, err)[name])
	case "AWS::Logs::LogGroup Arn":
		value = "arn:aws:logs:us-east-1:" + motoAccount + ":log-group:" + s.ids[id] // AWS adds :*, moto does not
	default:
		s.t.Fatalf("no service was asked for %s of %s %s", name, kind, id)
	}
	s.attributes[id+"."+name] = value
	return value
}

// read returns a resource as its service describes it; nil where the test asks no service.
func (s *created) read(id string) map[string]any {
	t, ctx, name := s.t, s.t.Context(), aws.String(s.ids[id])
	t.Helper()
	switch kindOf(s.resources[id]) {
	case "AWS::SQS::Queue":
		got, err := s.sqs.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: name, AttributeNames: []types.QueueAttributeName{"All"}})
		return plain(t, got, err)["Attributes"].(map[string]any)
	case "AWS::Lambda::EventSourceMapping":
		got, err := s.functions.GetEventSourceMapping(ctx, &lambda.GetEventSourceMappingInput{UUID: name})
		all := plain(t, got, err)
		_, all["FunctionName"], _ = strings.Cut(fmt.Sprint(all["FunctionArn"]), ":function:")
		return all
	case "AWS::Lambda::Function":
		got, err := s.functions.GetFunctionConfiguration(ctx, &lambda.GetFunctionConfigurationInput{FunctionName: name})
		return plain(t, got, err)
	case "AWS::DynamoDB::Table":
		got, err := s.tables.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: name})
		all := plain(t, got, err)["Table"].(map[string]any)
		live, err := s.tables.DescribeTimeToLive(ctx, &dynamodb.DescribeTimeToLiveInput{TableName: name})
		all["TimeToLiveSpecification"] = plain(t, live, err)["TimeToLiveDescription"]
		if summary, is := all["BillingModeSummary"].(map[string]any); is {
			all["BillingMode"] = summary["BillingMode"]
		}
		return all
	case "AWS::IAM::Role":
		got, err := s.roles.GetRole(ctx, &iam.GetRoleInput{RoleName: name})
		all := plain(t, got, err)["Role"].(map[string]any)
		all["AssumeRolePolicyDocument"] = document(t, fmt.Sprint(all["AssumeRolePolicyDocument"]))
		listed, err := s.roles.ListRolePolicies(ctx, &iam.ListRolePoliciesInput{RoleName: name})
		if err != nil {
			t.Fatal(err)
		}
		var policies []any
		for _, policy := range listed.PolicyNames {
			got, err := s.roles.GetRolePolicy(ctx, &iam.GetRolePolicyInput{RoleName: name, PolicyName: &policy})
			if err != nil {
				t.Fatal(err)
			}
			policies = append(policies, map[string]any{"PolicyName": policy, "PolicyDocument": document(t, *got.PolicyDocument)})
		}
		all["Policies"] = policies
		return all
	}
	return nil
}

// document returns a policy as IAM returns it.
func document(t *testing.T, text string) any {
	t.Helper()
	text, err := url.PathUnescape(text)
	if err != nil {
		t.Fatal(err)
	}
	return decoded(t, strings.ReplaceAll(text, "'", `"`)) // moto writes it as Python does
}

// isAs reports whether a service's value is the wanted one, but for more members. Services return
// numbers and objects as strings too.
func isAs(got, want any) bool {
	switch want := want.(type) {
	case map[string]any:
		if text, is := got.(string); is {
			d := json.NewDecoder(strings.NewReader(text))
			d.UseNumber()
			_ = d.Decode(&got)
		}
		all, _ := got.(map[string]any)
		for k := range want {
			if !isAs(all[k], want[k]) {
				return false
			}
		}
		return all != nil
	case []any:
		all, _ := got.([]any)
		return slices.EqualFunc(all, want, isAs)
	}
	return fmt.Sprint(got) == fmt.Sprint(want)
}

func TestTheStackIsMadeAsTheTemplateSays(t *testing.T) {
	differ := map[string]string{} // by type and property
	for _, parameters := range [][]string{
		{"EventsOut=yes"},
		{"EventsOut=yes", "BulkLane=yes", "Tracing=yes", "KmsKeyArn=arn:aws:kms:us-east-1:123456789012:key/12345678-1234-1234-1234-123456789012"},
	} {
		s := create(t, lacks, parameters...)
		if len(s.ids) != len(s.resources) {
			t.Errorf("with %v the stack has %d resources, the template %d", parameters, len(s.ids), len(s.resources))
		}
		if s.ids["EventBus"] != "" {
			t.Error("moto returns a bus for Ref by now: create need not replace it any more")
		}
		compared := map[string]int{}
		for id, resource := range s.resources {
			got := s.read(id)
			if got == nil {
				continue
			}
			compared[kindOf(resource)]++
			for property, value := range resource.(map[string]any)["Properties"].(map[string]any) {
				name, want := kindOf(resource)+" "+property, s.resolved(value)
				if !isAs(got[property], want) {
					differ[name] = fmt.Sprintf("%s\nmoto: %v\ntemplate: %v", id, got[property], want)
				}
			}
		}
		t.Logf("with %v moto has %d resources; compared: %v", parameters, len(s.ids), compared)
		s.compareOutputs()
	}
	for name, text := range differ {
		if ignored[name] == "" {
			t.Errorf("%s of %s", name, text)
		}
	}
	for name := range ignored {
		if differ[name] == "" {
			t.Errorf("%s does not differ any more", name)
		}
	}
}

// compareOutputs compares the outputs and the exports, whose names other stacks import.
func (s *created) compareOutputs() {
	s.t.Helper()
	described, err := s.stacks.DescribeStacks(s.t.Context(), &cloudformation.DescribeStacksInput{StackName: aws.String(stackName)})
	if err != nil {
		s.t.Fatal(err)
	}
	exported, err := s.stacks.ListExports(s.t.Context(), &cloudformation.ListExportsInput{})
	if err != nil {
		s.t.Fatal(err)
	}
	got, want := map[string]string{}, map[string]string{}
	for _, o := range described.Stacks[0].Outputs {
		got[*o.OutputKey] = *o.OutputValue
	}
	for _, e := range exported.Exports {
		got["export "+*e.Name] = *e.Value
	}
	for id, o := range s.outputs {
		output := o.(map[string]any)
		want[id] = fmt.Sprint(s.resolved(output["Value"]))
		if export, is := output["Export"].(map[string]any); is {
			want["export "+fmt.Sprint(s.resolved(export["Name"]))] = want[id]
		}
	}
	if !maps.Equal(got, want) {
		for _, name := range slices.Sorted(maps.Keys(want)) {
			if got[name] != want[name] {
				s.t.Errorf("%s\nmoto: %s\ntemplate: %s", name, got[name], want[name])
			}
		}
		s.t.Errorf("moto has the outputs %v, the template %v", keys(got), keys(want))
	}
}
