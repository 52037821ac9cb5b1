package command

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

func init() { register(policyCommand) }

func policyCommand(p *program) *cobra.Command {
	names, part := place{}, 0
	c := &cobra.Command{
		Use:   "policy -stack NAME",
		Short: "Print the IAM policy that deploying a stack needs",
		Long: "Print an IAM policy document that allows to create, change, try and delete a stack of this template\n" +
			"and nothing else, as far as AWS lets names limit it. A managed policy may have 6,144 characters, so\n" +
			"-part prints one that fits, from 1 on; none is left where it fails. It calls nothing, so it needs no\n" +
			"IAM actions of its own.",
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if p.stack == local {
				return errors.New("name the stack that is to be deployed: -stack (STACK= for make)")
			}
			statements := policy(p.stack, names)
			if part != 0 {
				parts := inParts(statements)
				if part < 1 || part > len(parts) {
					return fmt.Errorf("the policy has %d parts", len(parts))
				}
				statements = parts[part-1]
			}
			p.printf("%s\n", plainJSON(document(statements), "  "))
			return nil
		},
	}
	c.Flags().StringVar(&names.account, "account", "*", "number of the account")
	c.Flags().StringVar(&names.region, "region", "*", "region of the stack")
	c.Flags().StringVar(&names.domain, "domain", "", "the parameter DomainName, where the stack has one")
	c.Flags().StringVar(&names.zone, "zone", "", "the parameter HostedZoneId, where the stack has one")
	c.Flags().StringVar(&names.key, "key", "", "the parameter KmsKeyArn, where the stack has one")
	c.Flags().IntVar(&part, "part", 0, "part to print, from 1; 0: the whole policy")
	return c
}

// place says where a stack is.
type place struct{ account, region, domain, zone, key string }

// grant is a part of what a resource type needs: actions on ARNs without their first two parts.
type grant struct {
	actions string
	on      string // empty: *, because the actions know no resources
	to      string // service to which a role may be passed
}

// Names that CloudFormation generates begin with the stack's, or those of newer types with the
// logical one; which, AWS does not document for all.
const tags = " apigateway:{region}::/tags/*"

// grants are what CloudFormation calls for each resource type of the translated template, to create,
// read, change and delete it with its tags. The source are the handlers' permissions in the types' schemas,
// without what the template does not use: policy_test.go has those, and compares.
var grants = map[string][]grant{
	"AWS::ApiGatewayV2::Api":        {{actions: "apigateway:GET apigateway:POST apigateway:PUT apigateway:PATCH apigateway:DELETE apigateway:TagResource apigateway:UntagResource", on: "apigateway:{region}::/apis apigateway:{region}::/apis/*" + tags}},
	"AWS::ApiGatewayV2::ApiMapping": {{actions: "apigateway:GET apigateway:POST apigateway:PUT apigateway:PATCH apigateway:DELETE", on: domains}},
	"AWS::ApiGatewayV2::DomainName": {{actions: "apigateway:GET apigateway:POST apigateway:PUT apigateway:PATCH apigateway:DELETE apigateway:AddCertificateToDomain apigateway:RemoveCertificateFromDomain", on: domains}},
	"AWS::ApiGatewayV2::Stage": {
		// Access logs are delivered by CloudWatch Logs (Amazon CloudWatch Logs: "Enabling logging from AWS services").
		{actions: "logs:CreateLogDelivery logs:GetLogDelivery logs:UpdateLogDelivery logs:DeleteLogDelivery logs:ListLogDeliveries logs:PutResourcePolicy logs:DescribeResourcePolicies"},
	},
	"AWS::CloudWatch::Alarm": {
		{actions: "cloudwatch:PutMetricAlarm cloudwatch:DeleteAlarms cloudwatch:TagResource cloudwatch:UntagResource cloudwatch:ListTagsForResource", on: "cloudwatch:{at}:alarm:{stack}-*"},
		{actions: "cloudwatch:DescribeAlarms"},
	},
	"AWS::CloudWatch::Dashboard": {{actions: "cloudwatch:PutDashboard cloudwatch:GetDashboard cloudwatch:DeleteDashboards cloudwatch:TagResource cloudwatch:UntagResource cloudwatch:ListTagsForResource",
		on: "cloudwatch::{account}:dashboard/{stack}-* cloudwatch::{account}:dashboard/Dashboard-*"}},
	"AWS::CodeDeploy::Application": {{actions: "codedeploy:CreateApplication codedeploy:GetApplication codedeploy:DeleteApplication codedeploy:TagResource codedeploy:UntagResource codedeploy:ListTagsForResource", on: application}},
	"AWS::CodeDeploy::DeploymentGroup": {
		{actions: "codedeploy:CreateDeploymentGroup codedeploy:GetDeploymentGroup codedeploy:UpdateDeploymentGroup codedeploy:DeleteDeploymentGroup codedeploy:TagResource codedeploy:UntagResource codedeploy:ListTagsForResource " +
			deployments + " codedeploy:ListDeployments", on: deploymentGroup},
		{actions: "codedeploy:GetApplicationRevision codedeploy:RegisterApplicationRevision", on: application},
		{actions: "codedeploy:GetDeploymentConfig", on: deploymentConfig},
		{actions: "codedeploy:StopDeployment"},
		{actions: "iam:PassRole", on: "iam::{account}:role/{stack}-*", to: "codedeploy.amazonaws.com"},
	},
	"AWS::DynamoDB::Table": {{actions: "dynamodb:CreateTable dynamodb:UpdateTable dynamodb:DeleteTable dynamodb:DescribeTable dynamodb:DescribeTimeToLive dynamodb:UpdateTimeToLive " +
		"dynamodb:DescribeContinuousBackups dynamodb:UpdateContinuousBackups dynamodb:DescribeContributorInsights dynamodb:DescribeKinesisStreamingDestination dynamodb:GetResourcePolicy " +
		"dynamodb:ListTagsOfResource dynamodb:TagResource dynamodb:UntagResource", on: "dynamodb:{at}:table/{stack}-*"}},
	"AWS::Events::Archive": {{actions: "events:CreateArchive events:DescribeArchive events:UpdateArchive events:DeleteArchive", on: "events:{at}:archive/{stack}-* events:{at}:archive/EventArchive-* events:{at}:event-bus/{stack}"}},
	"AWS::Events::EventBus": {{actions: "events:CreateEventBus events:DescribeEventBus events:UpdateEventBus events:DeleteEventBus events:TagResource events:UntagResource events:ListTagsForResource",
		on: "events:{at}:event-bus/{stack}"}},
	"AWS::IAM::Role": {{actions: "iam:CreateRole iam:GetRole iam:UpdateRole iam:UpdateRoleDescription iam:UpdateAssumeRolePolicy iam:DeleteRole iam:PutRolePolicy iam:GetRolePolicy iam:DeleteRolePolicy " +
		"iam:ListRolePolicies iam:ListAttachedRolePolicies iam:TagRole iam:UntagRole iam:ListRoleTags", on: "iam::{account}:role/{stack}-*"}},
	"AWS::Lambda::Alias": {
		{actions: "lambda:CreateAlias lambda:GetAlias lambda:UpdateAlias lambda:DeleteAlias lambda:GetProvisionedConcurrencyConfig", on: "lambda:{at}:function:{stack}-*"},
		{actions: deployments + " codedeploy:GetDeploymentGroup", on: deploymentGroup},
		{actions: "codedeploy:GetDeploymentConfig", on: deploymentConfig},
		{actions: "codedeploy:StopDeployment"},
	},
	"AWS::Lambda::EventInvokeConfig": {{actions: "lambda:PutFunctionEventInvokeConfig lambda:GetFunctionEventInvokeConfig lambda:UpdateFunctionEventInvokeConfig lambda:DeleteFunctionEventInvokeConfig", on: "lambda:{at}:function:{stack}-*"}},
	"AWS::Lambda::EventSourceMapping": {
		{actions: "lambda:CreateEventSourceMapping"},
		{actions: "lambda:GetEventSourceMapping lambda:UpdateEventSourceMapping lambda:DeleteEventSourceMapping lambda:ListTags lambda:TagResource lambda:UntagResource", on: "lambda:{at}:event-source-mapping:*"},
	},
	"AWS::Lambda::Function": {
		{actions: "lambda:CreateFunction lambda:GetFunction lambda:UpdateFunctionConfiguration lambda:UpdateFunctionCode lambda:DeleteFunction lambda:PutFunctionConcurrency lambda:DeleteFunctionConcurrency " +
			"lambda:GetFunctionCodeSigningConfig lambda:GetRuntimeManagementConfig lambda:GetFunctionRecursionConfig lambda:GetFunctionScalingConfig lambda:ListTags lambda:TagResource lambda:UntagResource", on: "lambda:{at}:function:{stack}-*"},
		{actions: "iam:PassRole", on: "iam::{account}:role/{stack}-*", to: "lambda.amazonaws.com"},
		{actions: "s3:GetObject s3:GetObjectVersion", on: bucket + "/*"},
	},
	"AWS::Lambda::LayerVersion": {
		{actions: "lambda:PublishLayerVersion", on: "lambda:{at}:layer:{stack}-*"},
		{actions: "lambda:GetLayerVersion lambda:DeleteLayerVersion", on: "lambda:{at}:layer:{stack}-*:*"},
		{actions: "s3:GetObject s3:GetObjectVersion", on: bucket + "/*"},
	},
	"AWS::Lambda::Version": {{actions: "lambda:PublishVersion lambda:ListVersionsByFunction lambda:GetFunctionConfiguration lambda:DeleteFunction lambda:GetProvisionedConcurrencyConfig " +
		"lambda:GetRuntimeManagementConfig lambda:GetFunctionScalingConfig", on: "lambda:{at}:function:{stack}-*"}},
	"AWS::Lambda::Permission": {{actions: "lambda:AddPermission lambda:RemovePermission lambda:GetPolicy", on: "lambda:{at}:function:{stack}-*"}},
	"AWS::Logs::LogGroup": {
		{actions: "logs:CreateLogGroup logs:DeleteLogGroup logs:PutRetentionPolicy logs:DeleteRetentionPolicy logs:TagResource logs:UntagResource logs:ListTagsForResource logs:GetDataProtectionPolicy",
			on: "logs:{at}:log-group:{stack}-* logs:{at}:log-group:/aws/vendedlogs/{stack}/*"},
		{actions: "logs:DescribeLogGroups logs:DescribeResourcePolicies logs:DescribeIndexPolicies"},
	},
	"AWS::Logs::MetricFilter":    {{actions: "logs:PutMetricFilter logs:DescribeMetricFilters logs:DeleteMetricFilter", on: "logs:{at}:log-group:/aws/vendedlogs/{stack}/*"}},
	"AWS::Logs::QueryDefinition": {{actions: "logs:PutQueryDefinition logs:DescribeQueryDefinitions logs:DeleteQueryDefinition"}},
	"AWS::Pipes::Pipe": {
		{actions: "pipes:CreatePipe pipes:DescribePipe pipes:UpdatePipe pipes:DeletePipe pipes:TagResource pipes:UntagResource pipes:ListTagsForResource", on: "pipes:{at}:pipe/{stack}-* pipes:{at}:pipe/EventPipe-*"},
		{actions: "iam:PassRole", on: "iam::{account}:role/{stack}-*", to: "pipes.amazonaws.com"},
	},
	"AWS::Route53::RecordSet": {
		{actions: "route53:ChangeResourceRecordSets route53:ListResourceRecordSets route53:GetHostedZone", on: "route53:::hostedzone/{zone}"},
		{actions: "route53:GetChange", on: "route53:::change/*"},
		{actions: "route53:ListHostedZones"},
	},
	"AWS::SNS::Subscription": {{actions: "sns:Subscribe", on: "sns:{at}:{stack}-*"}, {actions: "sns:Unsubscribe sns:GetSubscriptionAttributes sns:SetSubscriptionAttributes"}},
	"AWS::SNS::Topic": {{actions: "sns:CreateTopic sns:GetTopicAttributes sns:SetTopicAttributes sns:DeleteTopic sns:ListSubscriptionsByTopic sns:GetDataProtectionPolicy " +
		"sns:TagResource sns:UntagResource sns:ListTagsForResource", on: "sns:{at}:{stack}-*"}},
	"AWS::SNS::TopicPolicy": {{actions: "sns:SetTopicAttributes", on: "sns:{at}:{stack}-*"}},
	"AWS::SQS::Queue":       {{actions: "sqs:CreateQueue sqs:GetQueueUrl sqs:GetQueueAttributes sqs:SetQueueAttributes sqs:DeleteQueue sqs:ListQueueTags sqs:TagQueue sqs:UntagQueue", on: "sqs:{at}:{stack}-*"}},
	"AWS::SQS::QueuePolicy": {{actions: "sqs:SetQueueAttributes", on: "sqs:{at}:{stack}-*"}},
	"AWS::Scheduler::ScheduleGroup": {{actions: "scheduler:CreateScheduleGroup scheduler:GetScheduleGroup scheduler:DeleteScheduleGroup scheduler:TagResource scheduler:UntagResource scheduler:ListTagsForResource",
		on: "scheduler:{at}:schedule-group/{stack}-* scheduler:{at}:schedule-group/ScheduleGroup-*"},
		{actions: "scheduler:DeleteSchedule", on: "scheduler:{at}:schedule/{stack}-*/* scheduler:{at}:schedule/ScheduleGroup-*/*"}},
	"AWS::SecretsManager::Secret": {
		{actions: "secretsmanager:CreateSecret secretsmanager:DescribeSecret secretsmanager:UpdateSecret secretsmanager:DeleteSecret secretsmanager:GetSecretValue secretsmanager:TagResource secretsmanager:UntagResource",
			on: "secretsmanager:{at}:secret:WebhookSecret-* secretsmanager:{at}:secret:GatewayKeySecret-* secretsmanager:{at}:secret:ClientKeysSecret-*"},
		{actions: "secretsmanager:GetRandomPassword"},
	},
}

const (
	domains          = "apigateway:{region}::/domainnames apigateway:{region}::/domainnames/{domain} apigateway:{region}::/domainnames/{domain}/*"
	bucket           = "s3:::aws-sam-cli-managed-default-*"
	application      = "codedeploy:{at}:application:{stack}-* codedeploy:{at}:application:Deploys-*"
	deploymentGroup  = "codedeploy:{at}:deploymentgroup:{stack}-*/* codedeploy:{at}:deploymentgroup:Deploys-*/*"
	deploymentConfig = "codedeploy:{at}:deploymentconfig:CodeDeployDefault.Lambda*"
	deployments      = "codedeploy:CreateDeployment codedeploy:GetDeployment"
)

// around are what sam deploy does besides CloudFormation's own calls, what these need where the stack
// has a key of its own, and what make smoke does.
var around = map[string][]grant{
	"SAM": {
		{actions: "cloudformation:CreateChangeSet cloudformation:DescribeChangeSet cloudformation:ExecuteChangeSet cloudformation:DeleteChangeSet cloudformation:DescribeStacks cloudformation:DescribeStackEvents " +
			"cloudformation:DescribeStackResource cloudformation:ListStackResources cloudformation:GetTemplate cloudformation:CreateStack cloudformation:UpdateStack cloudformation:DeleteStack cloudformation:TagResource",
			on: "cloudformation:{at}:stack/{stack}/* cloudformation:{at}:stack/aws-sam-cli-managed-default/*"},
		{actions: "cloudformation:CreateChangeSet", on: "cloudformation:{region}:aws:transform/Serverless-2016-10-31"},
		{actions: "cloudformation:GetTemplateSummary"},
		{actions: "s3:CreateBucket s3:GetBucketLocation s3:ListBucket s3:GetBucketPolicy s3:PutBucketPolicy s3:PutBucketVersioning s3:GetBucketVersioning s3:PutBucketTagging s3:PutBucketPublicAccessBlock s3:PutEncryptionConfiguration", on: bucket},
		{actions: "s3:GetObject s3:PutObject", on: bucket + "/*"},
	},
	"Key": {
		{actions: "kms:CreateGrant kms:Decrypt kms:DescribeKey kms:Encrypt kms:GenerateDataKey kms:GenerateDataKeyWithoutPlaintext kms:ReEncryptFrom kms:ReEncryptTo kms:RevokeGrant", on: "{key}"},
		{actions: "logs:AssociateKmsKey logs:DisassociateKmsKey", on: "logs:{at}:log-group:{stack}-* logs:{at}:log-group:/aws/vendedlogs/{stack}/*"},
		{actions: "kms:ListAliases"},
	},
	"Smoke": {
		{actions: "dynamodb:Query dynamodb:Scan dynamodb:DeleteItem", on: "dynamodb:{at}:table/{stack}-*"},
		{actions: "sqs:SendMessage", on: "sqs:{at}:{stack}-*"},
		{actions: "lambda:ListEventSourceMappings"},
		{actions: "events:PutRule events:PutTargets events:RemoveTargets events:DeleteRule", on: "events:{at}:rule/{stack}/connexease-smoke-*"},
		{actions: "events:PutEvents", on: "events:{at}:event-bus/{stack}"},
	},
}

// statement is one of a policy document.
type statement struct {
	Effect    string
	Action    []string
	Resource  []string
	Condition map[string]map[string]string `json:",omitempty"`
}

func document(statements []*statement) map[string]any {
	return map[string]any{"Version": "2012-10-17", "Statement": statements}
}

// most is what a managed policy may have, in characters other than white space (AWS IAM: "IAM and AWS
// STS quotas").
const most = 6144

// inParts splits statements into documents that fit managed policies.
func inParts(statements []*statement) (parts [][]*statement) {
	for _, s := range statements {
		last := len(parts) - 1
		if last < 0 || len(strings.Join(strings.Fields(string(plainJSON(document(append(slices.Clone(parts[last]), s)), ""))), "")) > most {
			parts = append(parts, nil)
			last++
		}
		parts[last] = append(parts[last], s)
	}
	return parts
}

// without reports whether a stack has no resource of a type: one that is for its domain, or its key.
func (p place) without(all []grant) bool {
	return slices.ContainsFunc(all, func(g grant) bool {
		return p.domain == "" && strings.Contains(g.on, "{domain}") || p.zone == "" && strings.Contains(g.on, "{zone}") || p.key == "" && g.on == "{key}"
	})
}

// policy returns the statements for a stack. Grants on the same resources are one.
func policy(stack string, at place) []*statement {
	fill := strings.NewReplacer("{stack}", stack, "{at}", at.region+":"+at.account, "{account}", at.account, "{region}", at.region, "{domain}", at.domain, "{zone}", at.zone, "{key}", strings.TrimPrefix(at.key, "arn:aws:"))
	all := map[string]*statement{}
	for _, part := range []map[string][]grant{grants, around} {
		for _, kind := range slices.Sorted(maps.Keys(part)) {
			for _, g := range part[kind] {
				if at.without(part[kind]) {
					continue
				}
				key := g.on + g.to
				s := all[key]
				if s == nil {
					s = &statement{Effect: "Allow", Resource: []string{"*"}}
					if g.on != "" {
						s.Resource = nil
						for _, on := range strings.Fields(fill.Replace(g.on)) {
							s.Resource = append(s.Resource, "arn:aws:"+on)
						}
					}
					if g.to != "" {
						s.Condition = map[string]map[string]string{"StringEquals": {"iam:PassedToService": g.to}}
					}
					all[key] = s
				}
				s.Action = append(s.Action, strings.Fields(g.actions)...)
			}
		}
	}
	statements := []*statement{}
	for _, key := range slices.Sorted(maps.Keys(all)) {
		s := all[key]
		slices.Sort(s.Action)
		s.Action = slices.Compact(s.Action)
		statements = append(statements, s)
	}
	return statements
}
