package command

import (
	"encoding/json"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// unneeded are permissions of handlers that this template never uses, by action or type and action,
// with the feature that would need them.
var unneeded = map[string]string{
	`^ec2:|^elasticfilesystem:|^s3files:`:                                                                                                     "functions in a VPC, with file systems",
	`^kinesis:|^dynamodb:(En|Dis)ableKinesis|^dynamodb:UpdateKinesis`:                                                                         "streams of Kinesis",
	`^dynamodb:(DescribeImport|ImportTable)|DynamoDB::Table s3:|DynamoDB::Table logs:`:                                                        "tables that are imported from S3",
	`Replica$|DynamoDB::Table iam:CreateServiceLinkedRole`:                                                                                    "replicas",
	`^dynamodb:(Scan|Query|BatchWriteItem|(Get|Put|Update|Delete)Item)$`:                                                                      "replicas are filled",
	`^dynamodb:(Put|Delete)ResourcePolicy$|^dynamodb:UpdateContributorInsights$`:                                                              "policies and insights of tables",
	`^firehose:|^s3:REST|Pipes::Pipe (s3|logs|iam:Create)|PutBearerTokenAuthentication`:                                                       "logs to other places than CloudWatch",
	`^logs:(Put|Delete)(DataProtection|Index)Policy$|LogGroup logs:(CreateLogDelivery|(Put|Delete)ResourcePolicy)|LogGroupDeletionProtection`: "policies and protection of log groups",
	`ApiGatewayV2::\S+ s3:`: "APIs that are described in S3",
	`(Put|Delete)FunctionCodeSigning|:GetCodeSigning|CapacityProvider|AssociateRuntimeAlias|Lambda::Function lambda:GetLayerVersion|(Put|Delete)ProvisionedConcurrency|PutRuntimeManagement|PutFunctionRecursion|PutFunctionScaling|Lambda::Function lambda:PublishVersion`: "features of functions that are not set",
	`(Topic|Subscription) iam:|^sns:PutDataProtectionPolicy|SNS::Topic sns:(Subscribe|Unsubscribe)`: "delivery logs, data protection and subscriptions that are written in topics",
	`^secretsmanager:(ReplicateSecretToRegions|RemoveRegionsFromReplication)`:                       "replicas of secrets",
	`^events:(Put|Remove)Permission`:                                          "a bus with a policy",
	`^iam:(Attach|Detach)RolePolicy|^iam:(Put|Delete)RolePermissionsBoundary`: "managed policies and boundaries of roles",
	`OnPremisesInstance`:                                                      "CodeDeploy for servers",
}

// beyond are actions that the handlers' schemas do not name.
var beyond = map[string]string{
	`ApiGatewayV2::Stage logs:`: "access logs",
	`ApiGatewayV2::Api apigateway:(POST|PUT|PATCH|DELETE|GET|TagResource|UntagResource)`: "of the API and its stage",
	`Lambda::\S+ lambda:(ListTags|GetPolicy)`:                                            "tags and policies are read to be compared",
}

func actionsOf(all []grant) (actions []string) {
	for _, g := range all {
		actions = append(actions, strings.Fields(g.actions)...)
	}
	return actions
}

// matching returns the pattern that an action of a type matches.
func matching(patterns map[string]string, kind, action string) (pattern string, is bool) {
	for pattern := range patterns {
		if regexp.MustCompile(pattern).MatchString(action) || regexp.MustCompile(pattern).MatchString(kind+" "+action) {
			return pattern, true
		}
	}
	return "", false
}

func readJSON(t *testing.T, variable string, into any) {
	t.Helper()
	path := os.Getenv(variable)
	if path == "" {
		t.Skip("make lint-template runs this")
	}
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestThePolicyIsWhatCloudFormationNeeds compares it with the handlers of each type that SAM makes of
// the template.
func TestThePolicyIsWhatCloudFormationNeeds(t *testing.T) {
	var handlers map[string][]string
	readJSON(t, "HANDLERS", &handlers)
	var translated struct {
		Resources map[string]struct{ Type string }
	}
	readJSON(t, "TRANSLATED_TEMPLATE", &translated)
	kinds, used, keyed := map[string]bool{}, map[string]bool{}, map[string]bool{}
	ofKey := regexp.MustCompile(`^kms:|^logs:(Dis)?[aA]ssociateKmsKey$`)
	for id, r := range translated.Resources {
		kinds[r.Type] = true
		if grants[r.Type] == nil {
			t.Errorf("%s: nothing is granted for %s", id, r.Type)
		}
		if len(handlers[r.Type]) == 0 {
			t.Errorf("%s: the permissions of %s are not known", id, r.Type)
		}
	}
	for kind, all := range grants {
		if !kinds[kind] {
			t.Errorf("the template has no %s", kind)
		}
		granted := actionsOf(all)
		for _, action := range handlers[kind] {
			if ofKey.MatchString(action) {
				// IAM has ReEncrypt in two halves.
				if keyed[action] = true; action != "kms:ReEncrypt" && !slices.Contains(actionsOf(around["Key"]), action) {
					t.Errorf("with a key %s needs %s", kind, action)
				}
				continue
			}
			pattern, is := matching(unneeded, kind, action)
			used[pattern] = true
			if !is && !slices.Contains(granted, action) && !(strings.HasPrefix(kind, "AWS::ApiGatewayV2") && slices.Contains(actionsOf(grants["AWS::ApiGatewayV2::Api"]), action)) {
				t.Errorf("%s needs %s", kind, action)
			}
			if is && slices.Contains(granted, action) {
				t.Errorf("%s does not need %s: %s", kind, action, unneeded[pattern])
			}
		}
		for _, action := range granted {
			pattern, is := matching(beyond, kind, action)
			used[pattern] = true
			if !is && !slices.Contains(handlers[kind], action) {
				t.Errorf("%s is granted %s, which its handlers do not call", kind, action)
			}
		}
	}
	for _, patterns := range []map[string]string{unneeded, beyond} {
		for pattern, reason := range patterns {
			if !used[pattern] {
				t.Errorf("no handler has what is left out for %s: %s", reason, pattern)
			}
		}
	}
	for _, action := range actionsOf(around["Key"]) {
		if !keyed[action] {
			t.Errorf("no handler needs %s of a key", action)
		}
	}
	// Secrets are named by their logical names, without the stack's.
	for id, r := range translated.Resources {
		for kind, prefix := range map[string]string{
			"AWS::SecretsManager::Secret": ":secret:", "AWS::Pipes::Pipe": ":pipe/", "AWS::Events::Archive": ":archive/", "AWS::CloudWatch::Dashboard": ":dashboard/", "AWS::Scheduler::ScheduleGroup": ":schedule-group/", "AWS::CodeDeploy::Application": ":application:",
		} {
			if r.Type == kind && !strings.Contains(grants[kind][0].on, prefix+id+"-*") {
				t.Errorf("%s is not in the names of %s", id, kind)
			}
		}
	}
}

func TestThePolicyNamesTheStackAndFitsManagedPolicies(t *testing.T) {
	printed := func(part string) (statements []statement) {
		t.Helper()
		out, err := ops(t, t.TempDir(), "connexease-prod", "", "policy", "-account", "123456789012", "-region", "ap-southeast-2",
			"-domain", "messages.example.com", "-zone", "Z0123456789ABCDEFGHIJ",
			"-key", "arn:aws:kms:ap-southeast-2:123456789012:key/12345678-1234-1234-1234-123456789012", "-part", part)
		var document struct{ Statement []statement }
		if err == nil {
			err = json.Unmarshal([]byte(out), &document)
		}
		if n := len(strings.Join(strings.Fields(out), "")); err != nil || part != "0" && n > 6144 {
			t.Fatalf("part %s: %v, %d characters, and a managed policy may have 6,144", part, err, n)
		}
		return document.Statement
	}
	whole, parts := printed("0"), slices.Concat(printed("1"), printed("2"))
	if !reflect.DeepEqual(whole, parts) {
		t.Errorf("the parts have %d statements of %d", len(parts), len(whole))
	}
	granted := map[string]bool{}
	for _, s := range whole {
		if slices.Contains(s.Action, "iam:PassRole") && (len(s.Action) != 1 || s.Condition["StringEquals"]["iam:PassedToService"] == "") {
			t.Errorf("roles may be passed to any service: %+v", s)
		}
		for _, action := range s.Action {
			granted[action] = true
			if strings.Contains(action, "*") {
				t.Errorf("%s is granted", action)
			}
		}
		for _, resource := range s.Resource {
			if strings.ContainsAny(resource, "{}") {
				t.Errorf("a resource is %s", resource)
			}
		}
	}
	for _, action := range strings.Fields(smokeCommand(&program{}).Annotations[permissions]) {
		if !granted[action] {
			t.Errorf("make smoke needs %s", action)
		}
	}
	if !granted["route53:ChangeResourceRecordSets"] || !granted["apigateway:AddCertificateToDomain"] {
		t.Error("nothing is granted for the domain")
	}
	if !granted["kms:CreateGrant"] || !granted["logs:AssociateKmsKey"] {
		t.Error("nothing is granted for the key")
	}
	if other, _ := ops(t, t.TempDir(), "connexease-dev", "", "policy"); strings.Contains(other, "route53") || strings.Contains(other, "domainnames") || strings.Contains(other, "kms:") {
		t.Errorf("without a domain and a key: %s", other)
	}
	if other, _ := ops(t, t.TempDir(), "connexease-dev", "", "policy"); strings.Contains(other, "connexease-prod") || len(slices.Collect(maps.Keys(granted))) < 50 {
		t.Errorf("%d actions, and of another stack %s", len(granted), other)
	}
	for _, wrong := range [][]string{{local}, {"demo", "-part", "3"}, {"demo", "-part", "-1"}} {
		if out, err := ops(t, t.TempDir(), wrong[0], "", append([]string{"policy"}, wrong[1:]...)...); err == nil {
			t.Errorf("%v: %s", wrong, out)
		}
	}
}
