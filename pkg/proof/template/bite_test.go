package template

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"go.yaml.in/yaml/v3"

	"connexease-functions/pkg/local/template"
	"connexease-functions/pkg/proof/docs"
)

// read is the project, read once.
var read = sync.OnceValues(func() (*proof, error) {
	s, err := readSource()
	if err != nil {
		return nil, err
	}
	tpl, err := template.Load("../../../template.yaml", nil)
	if err != nil {
		return nil, err
	}
	samconfig, err := os.ReadFile("../../../samconfig.toml")
	if err != nil {
		return nil, err
	}
	makefile, err := os.ReadFile("../../../Makefile")
	return &proof{tpl, s, string(samconfig), string(makefile), "", testsOf}, err
})

// project returns the project, with a template of its own after an edit of its YAML tree if there
// is one.
func project(t *testing.T, edit func(root *yaml.Node)) *proof {
	t.Helper()
	p, err := read()
	if err != nil {
		t.Fatal(err)
	}
	edited := *p
	edited.Template = p.With(clone(p.Root(), map[*yaml.Node]*yaml.Node{}))
	edited.readmes = readmes(t)
	if edit != nil {
		edit(edited.Root())
	}
	return &edited
}

var allReadmes string

func readmes(t *testing.T) string {
	t.Helper()
	if allReadmes == "" {
		allReadmes = docs.Text(t)
	}
	return allReadmes
}

// testsOf returns the source of a package's tests.
func testsOf(folder string) string {
	var all strings.Builder
	files, _ := filepath.Glob(filepath.Join("../../..", folder, "*_test.go")) // the pattern is valid
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			return ""
		}
		all.Write(text)
	}
	return all.String()
}

// at returns the node at a path with slashes. In a sequence, a part selects the one element that
// contains it as a string, as an IAM statement contains its action, or else by index.
func at(t *testing.T, root *yaml.Node, path string) *yaml.Node {
	t.Helper()
	n := root
	for part := range strings.SplitSeq(path, "/") {
		if n != nil && n.Kind == yaml.SequenceNode {
			if i := element(t, n, part); i >= 0 {
				n = n.Content[i]
				continue
			}
			n = nil
			break
		}
		n = find(n, strings.ReplaceAll(part, "|", "/"))
	}
	if n == nil {
		t.Fatalf("the template has no %s", path)
	}
	return n
}

// element returns the index of the element that a part of a path selects; -1 if there is none.
func element(t *testing.T, sequence *yaml.Node, part string) int {
	t.Helper()
	if i, err := strconv.Atoi(part); err == nil && i < len(sequence.Content) {
		return i
	}
	found := -1
	for i, one := range sequence.Content {
		has := false
		walk(one, func(n *yaml.Node) { has = has || ref(n) == strings.ReplaceAll(part, "|", "/") })
		if has && found >= 0 {
			t.Fatalf("%s is in elements %d and %d", part, found, i)
		}
		if has {
			found = i
		}
	}
	return found
}

// edit is one way to break the template: it removes the node at path, or sets it.
type edit struct {
	path  string // below the root; | stands for a slash in a key
	value string // YAML; "" removes the node
	check string // check that must report it
	says  string // part of its report
}

func (e *edit) apply(t *testing.T, root *yaml.Node) {
	t.Helper()
	parentPath, last := filepath.Split(e.path)
	parent := root
	if parentPath != "" {
		parent = at(t, root, strings.TrimSuffix(parentPath, "/"))
	}
	if e.value == "" {
		if parent.Kind == yaml.SequenceNode {
			at(t, root, e.path)
			i := element(t, parent, last)
			parent.Content = slices.Delete(parent.Content, i, i+1)
			return
		}
		key := strings.ReplaceAll(last, "|", "/")
		at(t, root, e.path)
		i := slices.IndexFunc(parent.Content, func(n *yaml.Node) bool { return n.Value == key })
		parent.Content = slices.Delete(parent.Content, i, i+2)
		return
	}
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(e.value), &doc); err != nil {
		t.Fatal(err)
	}
	if n := find(parent, strings.ReplaceAll(last, "|", "/")); n != nil || parent.Kind == yaml.SequenceNode {
		*at(t, root, e.path) = *doc.Content[0]
		return
	}
	parent.Content = append(parent.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: last}, doc.Content[0])
}

const (
	webhookRole = "Resources/WebhookRole/Properties/Policies/0/PolicyDocument/Statement/"
	sendRole    = "Resources/SendRole/Properties/Policies/0/PolicyDocument/Statement/"
	webhookVars = "Resources/WebhookFunction/Properties/Environment/Variables/"
	sendVars    = "Resources/SendFunction/Properties/Environment/Variables/"
	sendEvents  = "Resources/SendFunction/Properties/Events/"
	endpointOff = "Resources/HttpApi/Properties/DisableExecuteApiEndpoint"
	apiPaths    = "Resources/HttpApi/Properties/DefinitionBody/paths/"
	pipe        = "Resources/EventPipe/Properties/"
	pipeRole    = "Resources/PipeRole/Properties/Policies/0/PolicyDocument/Statement/"
)

// edits lists ways to break the template.
var edits = []edit{
	// Permissions: each one removed, and one added.
	{webhookRole + "secretsmanager:GetSecretValue", "", "grants", "secretsmanager:GetSecretValue on ${WebhookSecret} is not granted"},
	{webhookRole + "dynamodb:PutItem/Action/dynamodb:PutItem", "", "grants", "dynamodb:PutItem on ${EventsTable.Arn} is not granted"},
	{webhookRole + "dynamodb:PutItem/Action/dynamodb:BatchWriteItem", "", "grants", "dynamodb:BatchWriteItem on ${EventsTable.Arn} is not granted"},
	{webhookRole + "dynamodb:PutItem/Action/dynamodb:ConditionCheckItem", "", "grants", "dynamodb:ConditionCheckItem on ${EventsTable.Arn} is not granted: the code calls dynamodb.TransactWriteItems"},
	{webhookRole + "sqs:SendMessage", "", "grants", "sqs:SendMessage on ${OverflowQueue.Arn} is not granted"},
	{webhookRole + "sqs:ReceiveMessage/Action/sqs:DeleteMessage", "", "grants", "sqs:DeleteMessage on ${OverflowQueue.Arn} is not granted"},
	{webhookRole + "logs:PutLogEvents", "", "grants", "logs:PutLogEvents on ${WebhookLogs.Arn} is not granted"},
	{sendRole + "secretsmanager:GetSecretValue/Resource/${ClientKeysSecret}", "", "grants", "GetSecretValue on ${ClientKeysSecret} is not granted"},
	{sendRole + "dynamodb:UpdateItem/Action/dynamodb:UpdateItem", "", "grants", "dynamodb:UpdateItem on ${EventsTable.Arn} is not granted"},
	{sendRole + "${EventsTable.Arn}|index|sent_wamid", "", "grants", "dynamodb:Query on ${EventsTable.Arn}/index/sent_wamid is not granted"},
	{sendRole + "4/Action/sqs:ChangeMessageVisibility", "", "grants", "sqs:ChangeMessageVisibility on ${OutboundQueue.Arn} is not granted"},
	{sendRole + "8/Action/sqs:ReceiveMessage", "", "grants", "sqs:ReceiveMessage on ${OutboundQueue.Arn} is not granted: Lambda's poller"},
	{sendRole + "${FailedInvocations.Arn}", "", "grants", "sqs:SendMessage on ${FailedInvocations.Arn} is not granted: Lambda sends failed"},
	{sendRole + "dynamodb:UpdateItem/Action/dynamodb:PutItem", "dynamodb:DeleteItem", "grants", "dynamodb:DeleteItem on ${EventsTable.Arn} is granted and not used"},
	{sendRole + "dynamodb:PartiQLSelect", "", "grants", "dynamodb:PartiQLSelect on ${EventsTable.Arn} is not granted"},
	{sendRole + "dynamodb:PartiQLSelect/Condition", "", "grants", "dynamodb:PartiQLSelect may scan the table"},
	{sendRole + "dynamodb:UpdateItem/Resource", "'*'", "grants", "is a wildcard"},
	{sendRole + "secretsmanager:GetSecretValue/Resource/${GatewayKeySecret}", "!Ref WebhookSecret", "grants", "GetSecretValue on ${WebhookSecret} is granted and not used"},
	{sendRole + "scheduler:CreateSchedule/Action/scheduler:DeleteSchedule", "", "grants", "scheduler:DeleteSchedule on arn:${AWS::Partition}:scheduler"},
	{sendRole + "scheduler:CreateSchedule/Resource", "'*'", "grants", "is a wildcard"},
	{sendRole + "iam:PassRole", "", "grants", "iam:PassRole on ${ScheduleRole.Arn} is not granted"},
	{sendRole + "iam:PassRole/Condition", "", "grants", "hands a role to any service"},
	{"Resources/ScheduleRole/Properties/AssumeRolePolicyDocument/Statement/0/Condition/StringEquals/aws:SourceArn", "", "schedules", "aws:SourceArn"},
	{"Resources/ScheduleRole/Properties/Policies/0/PolicyDocument/Statement/0/Resource", "'*'", "schedules", "sqs:SendMessage on *"},
	{"Resources/ScheduleGroup/Properties/Name", "fixed", "schedules", "Properties/Name"},
	{"Resources/WebhookFunction/Properties/Role", "", "grants", "its role is not in this template"},
	{"Resources/WebhookFunction/Properties/Policies", "[AmazonDynamoDBFullAccess]", "grants", "besides those of its role's own"},
	{"Resources/SendRole/Properties/AssumeRolePolicyDocument/Statement/0/Principal", "{AWS: '*'}", "grants", "by Lambda alone"},
	{sendRole + "5/1/Action/sqs:ChangeMessageVisibility", "", "grants", "sqs:ChangeMessageVisibility on ${BulkQueue.Arn} is not granted"},
	{sendRole + "5/1/Action/sqs:ReceiveMessage", "", "grants", "sqs:ReceiveMessage on ${BulkQueue.Arn} is not granted: Lambda's poller"},
	{"Resources/BulkMapping/Properties/ScalingConfig/MaximumConcurrency", "5", "times", "divides a queue's pace among ${QueueConcurrency}"},
	{"Resources/BulkMapping/Condition", "", "queues", "BulkMapping: Condition"},
	{"Parameters/BulkLane/Default", "'yes'", "queues", "BulkLane: Default"},
	{"Resources/BulkQueue/Properties/RedriveAllowPolicy", "", "queues", "BulkQueue: Properties/RedriveAllowPolicy"},
	// Variables.
	{webhookVars + "WEBHOOK_SECRET_ID", "", "variables", "WebhookFunction reads WEBHOOK_SECRET_ID, which is not set"},
	{webhookVars + "PREVIOUS_SECRET_GRACE_HOURS", "", "variables", "reads PREVIOUS_SECRET_GRACE_HOURS"},
	{sendVars + "QUEUE_URL", "", "variables", "SendFunction reads QUEUE_URL, which is not set"},
	{sendVars + "RETENTION_DAY", "5", "variables", "SendFunction does not read RETENTION_DAY"},
	{"Resources/WebhookFunction", "", "variables", "the template has no WebhookFunction"},
	// Routes.
	{"Resources/WebhookFunction/Properties/Events/Webhook", "", "routes", "its code knows \"POST /webhook\""},
	{sendEvents + "LookUp", "", "routes", "its code knows \"DELETE /v1/wa/message/{id} GET /v1/wa/conversation/group/{id} GET /v1/wa/conversation/{contact} GET /v1/wa/event GET /v1/wa/message GET /v1/wa/message/{id} POST"},
	{sendEvents + "Send/Properties/Method", "PUT", "routes", "PUT /v1/wa/message"},
	{"Resources/HttpApi/Properties/RouteSettings/POST |webhook", "", "api", "a route has no ThrottlingRateLimit"},
	{"Resources/HttpApi/Properties/RouteSettings/POST |v1|wa|message", "", "api", "a route has no ThrottlingRateLimit"},
	{"Resources/WebhookServerErrors/Properties/FilterPattern", `'{ $.routeKey = "POST /hook" }'`, "routes", "names \"POST /hook\", which is not a route"},
	{"Outputs/WebhookUrl/Value", `!Sub "${HttpApi.ApiEndpoint}/hook"`, "routes", "which is not a route"},
	{"Resources/HttpApi/Properties/AccessLogSettings/Format", "$context.path", "api", "the access log has path"},
	// Times and batches.
	{"Resources/SendFunction/Properties/Timeout", "31", "times", "is not below API Gateway's"},
	{"Resources/SendFunction/Properties/Timeout", "20", "times", "leaves no time for the Gateway's call"},
	{"Resources/WebhookFunction/Properties/Timeout", "", "times", "budget"},
	{"Resources/OutboundQueue/Properties/VisibilityTimeout", "120", "times", "less than six times"},
	{"Resources/OutboundQueue/Properties/MessageRetentionPeriod", "345600", "times", "longest validity"},
	{"Resources/OutboundQueue/Properties/RedrivePolicy/maxReceiveCount", "5", "times", "days of 429"},
	{"Resources/SendFunctionQueued/Properties/BatchSize", "100", "times", "a batch has 100"},
	{"Resources/SendFunctionQueued/Properties/FunctionResponseTypes", "", "times", "returns the whole batch"},
	{"Resources/SendFunctionQueued/Properties/ScalingConfig", "", "times", "MaximumConcurrency"},
	{sendVars + "QUEUE_CONCURRENCY", "2", "times", "divides a queue's pace among 2"},
	{"Parameters/QueueConcurrency/MinValue", "1", "times", "must be at least 2"},
	{"Parameters/QueueConcurrency/MaxValue", "1001", "times", "must be at most 1000"},
	{"Resources/SendFunctionQueued/Properties/ScalingConfig/MaximumConcurrency", "3", "times", "divides a queue's pace among ${QueueConcurrency}"},
	// Functions, queues and the table.
	{"Resources/SendFunction/Metadata/BuildMethod", "go1.x", "functions", "Metadata/BuildMethod"},
	{"Resources/SendFunction/Properties/LoggingConfig", "", "functions", "its logs never expire"},
	{"Resources/SendFunction/Properties/ReservedConcurrentExecutions", "!Ref SendReservedConcurrency", "functions", "does not follow its parameter"},
	{"Resources/SendLogs/Properties/RetentionInDays", "", "functions", "RetentionInDays"},
	{"Resources/OutboundDeadLetters/Properties/SqsManagedSseEnabled", "", "queues", "SqsManagedSseEnabled"},
	{"Resources/OutboundDeadLetters/Properties/MessageRetentionPeriod", "", "queues", "OutboundDeadLetters keeps messages for 0s"},
	{"Resources/OutboundQueuePolicy/Properties/PolicyDocument/Statement/Deny", "", "queues", "OutboundQueue accepts requests without TLS"},
	{"Resources/OutboundQueuePolicy/Properties/PolicyDocument/Statement/Allow/Condition", "", "queues", "allows more"},
	{"Resources/OutboundQueue/Properties/RedrivePolicy", "", "queues", "deadLetterTargetArn"},
	{"Resources/EventsTable/DeletionPolicy", "", "table", "DeletionPolicy"},
	{"Resources/EventsTable/Properties/DeletionProtectionEnabled", "", "table", "DeletionProtectionEnabled"},
	{"Resources/EventsTable/Properties/BillingMode", "PROVISIONED", "table", "BillingMode"},
	{"Resources/EventsTable/Properties/SSESpecification", "{SSEEnabled: true}", "table", "SSEEnabled"},
	// Alarms, the dashboard and queries.
	{"Resources/WebhookSlow/Properties/Dimensions/FunctionName/Name", "Function", "metrics", "WebhookSlow: Connexease Duration: Function="},
	{"Resources/SendErrors/Properties/Dimensions", "", "metrics", "AWS has no such metric"},
	{"Resources/WebhookSlow/Properties/Dimensions/0/Value", "!Ref SendFunction", "alarms", "no alarm covers: near the Gateway's 5 s"},
	{"Resources/RequestSpike/Properties/MetricName", "5XXError", "metrics", "AWS has no such metric"},
	{"Resources/RequestSpike/Properties/Dimensions/0/Name", "ApiName", "metrics", "ApiName="},
	{"Resources/DeadLetters/Properties/Dimensions/0/Value", "!Ref OutboundDeadLetters", "metrics", "does not exist"},
	{"Resources/SendSpike/Properties/MetricName", "Sends", "metrics", "the code of SendFunction does not write it"},
	{"Resources/SendSpike/Properties/Dimensions/0/Value", "!Ref WebhookFunction", "metrics", "the code of WebhookFunction does not write it"},
	{"Resources/TableStrained/Properties/Metrics/timeline/MetricStat/Metric/Dimensions/GlobalSecondaryIndexName/Value", "by_time", "metrics", "by_time does not exist"},
	{"Resources/TableStrained/Properties/Metrics/put/MetricStat/Metric/Dimensions/Operation/Value", "GetItem", "metrics", "GetItem does not exist"},
	{"Resources/WebhookThrottles", "", "metrics", "neither code nor metric filter writes it"},
	{"Resources/HttpApi/Properties/AccessLogSettings/Format", `'{"routeKey":"$context.routeKey","status":"$context.status"}'`, "metrics", "neither code nor metric filter writes it"},
	{"Resources/EventsQuarantined", "", "alarms", "no alarm covers: quarantine"},
	{"Resources/OutcomesUnknown/Properties/Metrics/all/Expression", "unknown + held", "alarms", "unwritten is not in the expression"},
	{"Resources/TableStrained/Properties/DatapointsToAlarm", "", "alarms", "only what FILL adds"},
	{"Resources/TableStrained/Properties/Metrics/all/Expression", "table + timeline + put + batch + update", "alarms", "it would never end"},
	{"Resources/SendErrors/Properties/TreatMissingData", "", "alarms", "missing data"},
	{"Resources/SendErrors/Properties/AlarmActions", "", "alarms", "does not notify AlarmTopic"},
	{"Resources/SendErrors/Properties/AlarmDescription", "Something failed.", "alarms", "the first command"},
	{"Resources/SendErrors/Properties/Period", "90", "alarms", "are not allowed"},
	{"Resources/EventsQuarantined/Properties/AlarmDescription", "!Sub \"A. Lost: b. First: aws logs tail ${SendLogs} --filter-pattern '{ $.Quarantined > 0 }'\"", "alarms", "has Quarantined"},
	{"Resources/Dashboard/Properties/DashboardBody", `!Sub '{"widgets": []}'`, "dashboard", "does not show SendErrors"},
	{"Resources/Dashboard/Properties/DashboardBody", `!Sub '{"widgets": [{"properties": {"metrics": [["Connexease", "Message", "FunctionName", "${WebhookFunction}"]]}}]}'`, "metrics", "does not write it"},
	{"Resources/Dashboard/Properties/DashboardBody", `!Sub '{"widgets": '`, "dashboard", "is not JSON"},
	{"Resources/QueryUsage", "", "queries", "there is no query QueryUsage"},
	{"Resources/QueryUnknownSends/Properties/Name", "!Sub \"${AWS::StackName}/Unknown\"", "readme", "unknown saved query: unknown sends"},
	{"Resources/AlarmTopicPolicy", "", "topic", "CloudWatch may not publish"},
	{"Resources/AlarmMail", "", "topic", "AlarmMail: Type"},
	{"Resources/SendFunction/Properties/EventInvokeConfig/MaximumRetryAttempts", "", "redriven", "MaximumRetryAttempts"},
	{"Resources/InvocationsFailed/Properties/AlarmDescription", "requestPayload is the event, to be put on ${OutboundQueue}.", "redriven", "must not go"},
	{"Resources/HttpApi/Properties/RouteSettings/POST |webhook/ThrottlingRateLimit", "900", "readme", "the route's throttle of 900 a second"},
	{"Resources/HttpApi/Properties/DefaultRouteSettings/ThrottlingRateLimit", "50", "readme", "or 50 to the other routes"},
	{"Parameters/SendRequestsPerSecond/Default", "300", "readme", "(300) requests a second"},
	{"Resources/InvocationsFailed", "", "readme", "unknown alarm: InvocationsFailed"},
	{"Parameters/QueueAgeMinutes", "", "readme", "unknown parameter: QueueAgeMinutes"},
	{"Parameters/RetentionDays/Default", "30", "readme", "the default of RetentionDays is \"30\""},
	{"Outputs/PutGatewayKey/Value", "aws secretsmanager put-secret-value --secret-string sk_live", "readme", "a secret is on the command line"},
	{"Resources/OverflowQueue/Properties/RedriveAllowPolicy", "", "queues", "OverflowQueue: Properties/RedriveAllowPolicy"},
	{"Resources/QuerySlow/Properties/QueryString", "filter Durations > 1", "queries", "has Durations"},
	{"Resources/QueryQuarantined/Properties/LogGroupNames/0", "!Ref SendLogs", "queries", "no line of [SendLogs] has Quarantined"},
	// Secrets, names, parameters, outputs.
	{"Resources/WebhookSecret/Properties/GenerateSecretString/PasswordLength", "64", "secrets", "AWS would generate a new value"},
	{"Resources/ClientKeysSecret/Properties/GenerateSecretString/GenerateStringKey", "", "secrets", "was added or removed"},
	{"Resources/GatewayKeySecret/Properties/SecretString", "sk_live", "secrets", "has its value in the template"},
	{"Parameters/ApiKey", "{Type: String, NoEcho: true}", "secrets", "parameter ApiKey looks like a secret"},
	{sendVars + "GATEWAY_API_KEY", "abc", "secrets", "GATEWAY_API_KEY may hold a secret"},
	{sendVars + "QUEUE_URL", "'{{resolve:secretsmanager:x}}'", "secrets", "resolves a secret"},
	{"Resources/EventsTable/Properties/TableName", "events", "names", "has the fixed TableName"},
	{"Resources/WebhookSecret/Properties/Name", "webhook", "names", "has the fixed Name"},
	{"Resources/Dashboard/Properties/DashboardName", "connexease", "names", "has the fixed DashboardName"},
	{"Parameters/RetentionDays/Default", "-1", "parameters", "its default is too small"},
	{"Parameters/AlarmEmail/AllowedPattern", "", "parameters", "AlarmEmail accepts anything"},
	{"Metadata/AWS::CloudFormation::Interface/ParameterGroups/1", "", "parameters", "GatewayUrl is in 0 groups"},
	{"Conditions/ProtectsTable", "!Equals [a, a]", "parameters", "TableProtection is not used"},
	{"Outputs/PutGatewayKey", "", "outputs", "there is no output PutGatewayKey"},
	{"Outputs/PutGatewayKey/Value", "aws sts get-caller-identity", "outputs", "the region of the user's CLI"},
	{"Resources/EventsTable/Metadata/checkov/skip/0/comment", "no", "packs", "EventsTable: CKV_AWS_119 is suppressed without a reason"},
	// Events out.
	{pipe + "SourceParameters/FilterCriteria/Filters/0", "", "events", "INSERT of kind \"message\""},
	{pipe + "SourceParameters/FilterCriteria/Filters/1", "", "events", "MODIFY of kind \"send\""},
	{pipe + "SourceParameters/FilterCriteria", "", "events", "REMOVE of kind"},
	{pipe + "SourceParameters/FilterCriteria/Filters/0/Pattern", `'{"eventName": ["INSERT", "MODIFY"], "dynamodb": {"NewImage": {"detail_type": {"S": [{"prefix": "WhatsApp "}]}}}}'`, "events", "MODIFY of kind \"status\""},
	{pipe + "SourceParameters/FilterCriteria/Filters/1/Pattern", `'{"eventName": ["INSERT", "MODIFY"], "dynamodb": {"NewImage": {"kind": {"S": ["send"]}}}}'`, "events", "with detail type \"\": it is accepted: true"},
	{pipe + "SourceParameters/DynamoDBStreamParameters/MaximumRecordAgeInSeconds", "", "events", "without bounds"},
	{pipe + "SourceParameters/DynamoDBStreamParameters/MaximumRetryAttempts", "0", "events", "given up too soon"},
	{pipe + "SourceParameters/DynamoDBStreamParameters/MaximumRecordAgeInSeconds", "86400", "events", "until the stream drops it"},
	{pipe + "SourceParameters/DynamoDBStreamParameters/DeadLetterConfig", "", "events", "there is no Arn"},
	{pipe + "SourceParameters/DynamoDBStreamParameters/StartingPosition", "LATEST", "events", "StartingPosition is"},
	{pipe + "SourceParameters/DynamoDBStreamParameters/OnPartialBatchItemFailure", "", "events", "OnPartialBatchItemFailure is"},
	{pipe + "SourceParameters/DynamoDBStreamParameters/BatchSize", "100", "events", "PutEvents accepts 10"},
	{pipe + "TargetParameters/EventBridgeEventBusParameters/DetailType", "WhatsApp", "events", "is named"},
	{pipe + "TargetParameters/InputTemplate", `'{"pk": <$.dynamodb.NewImage.pk.S>}'`, "events", "is not a JSON object of strings"},
	{pipe + "TargetParameters/InputTemplate", `'{"pk": "<$.dynamodb.NewImage.payload.S>"}'`, "events", "payload must not leave the table"},
	{pipe + "TargetParameters/InputTemplate", `'{"pk": "<aws.pipes.event.json>"}'`, "events", "is not a single attribute"},
	{pipe + "TargetParameters/InputTemplate", `'{"pk": "<$.dynamodb.NewImage.pk.S>"}'`, "events", "the schema"},
	{pipe + "DesiredState", "", "events", "does not follow EventsOut"},
	{pipe + "DesiredState", "STOPPED", "events", "instead of one"},
	{"Resources/EventPipe/Condition", "", "events", "does not follow EventsOut"},
	{pipe + "SourceParameters/DynamoDBStreamParameters/ParallelizationFactor", "", "events", "move 100 events a second of a shard"},
	{"Resources/EventsTable/DeletionPolicy", "Retain", "table", "DeletionPolicy"},
	{"Parameters/TableProtection/Default", "'no'", "table", "yes by default"},
	{"Resources/EventsStuck/Properties/Metrics/moved/MetricStat/Metric/Dimensions/PipeName/Value", "!Ref EventBus", "metrics", "PipeName=${EventBus} does not exist"},
	{"Resources/QueueOld/Properties/Metrics/own/MetricStat/Metric/MetricName", "Duration", "alarms", "no alarm covers: queue age"},
	{"Resources/SendsNotGoingOut/Properties/Metrics/all/Expression", "FILL(released, 0) - limited + FILL(table, 0) + FILL(queue, 0) + FILL(late, 0) + FILL(throttled, 0)", "alarms", "limited is missing where it has no data point"},
	{"Resources/Dashboard/Properties/DashboardBody/1/BulkWaiting", "''", "metrics", "does not show what waits in BulkDeadLetters"},
	{"Resources/Dashboard/Properties/DashboardBody/1/BulkWaiting", "''", "metrics", "does not show BulkRecordAge"},
	{"Resources/Dashboard/Properties/DashboardBody/1/PipeAlarms", "''", "dashboard", "does not show EventsStuck"},
	{pipe + "Source", "!GetAtt EventsTable.Arn", "events", "StreamArn"},
	{"Resources/PipeTwo", "{Type: AWS::Pipes::Pipe, Properties: {}}", "events", "instead of one"},
	{pipeRole + "dynamodb:ListStreams/Action/dynamodb:ListStreams", "", "events", "dynamodb:ListStreams on ${EventsTable.StreamArn} is not granted"},
	{pipeRole + "events:PutEvents", "", "events", "events:PutEvents on ${EventBus.Arn} is not granted"},
	{pipeRole + "sqs:SendMessage", "", "events", "sqs:SendMessage on ${EventDeadLetters.Arn} is not granted"},
	{pipeRole + "events:PutEvents/Action", "events:*", "events", "events:* on ${EventBus.Arn} is granted and not used"},
	{"Resources/PipeRole/Properties/AssumeRolePolicyDocument/Statement/0/Condition", "", "events", "by this account's pipes alone"},
	{"Resources/EventArchive", "", "events", "archives instead of one"},
	{"Resources/EventArchive/Properties/RetentionDays", "", "events", "RetentionDays is"},
	{"Resources/EventArchive/Condition", "", "events", "Condition is"},
	{"Resources/EventBus/Properties/Name", "connexease", "names", "has the fixed Name"},
	{"Resources/EventDeadLetters/Properties/MessageRetentionPeriod", "", "queues", "EventDeadLetters keeps messages"},
	{"Resources/EventsUndelivered", "", "alarms", "no alarm covers: events given up"},
	{"Resources/EventsNotGoingOut", "", "alarms", "no alarm covers: pipe fails"},
	{"Resources/EventsNotGoingOut/Properties/Dimensions/0/Value", "!Ref EventBus", "metrics", "PipeName=${EventBus} does not exist"},
	{"Outputs/EventBusName", "", "outputs", "there is no output EventBusName"},
	// Gradual deploys.
	{"Resources/SendFunctionQueued/Properties/FunctionName", "!Ref SendFunction", "gradual", "SendFunctionQueued does not invoke an alias"},
	{"Resources/BulkMapping/Properties/FunctionName", "!If [Gradual, !Ref WebhookAlias, !Ref SendFunction]", "gradual", "BulkMapping does not invoke an alias"},
	{apiPaths + "|webhook/post/x-amazon-apigateway-integration/uri", `!Sub "arn:functions/${WebhookFunction.Arn}/invocations"`, "gradual", "HttpApi: its paths invoke"},
	{apiPaths + "|v1|wa|message/get", "", "gradual", "HttpApi: its paths invoke"},
	{sendEvents + "Cancel", "", "gradual", "HttpApi: its paths invoke"},
	{"Outputs/SendFunctionArn/Value", "!GetAtt SendFunction.Arn", "gradual", "SendFunctionArn is not the alias"},
	{"Resources/SendVersion/Properties/Description", `!Sub "${Release} ${RetentionDays} ${QueueSendsPerSecond}"`, "gradual", "a new BulkLane does not make a new version"},
	{"Resources/WebhookVersion/Properties/Description", "x", "gradual", "a new release does not make"},
	{"Resources/Release/Properties/LicenseInfo", "", "gradual", "a new OptOutWords does not make a new version"},
	{"Resources/WebhookFunction/Properties/Description", "x", "gradual", "WebhookVersion: a new release does not make"},
	{"Resources/Release/Properties/RetentionPolicy", "", "gradual", "Release: Properties/RetentionPolicy"},
	{"Resources/HttpApi/Properties/DefinitionBody/info/description/1", `!Sub "${WebhookAliasPermission}"`, "gradual", "it invokes SendAlias before it may"},
	{"Resources/WebhookAliasPermission/Properties/SourceArn", `!Sub "arn:execute-api:${HttpApi}/*/POST/webhook"`, "gradual", "it invokes WebhookAlias before it may"},
	{"Resources/SendAlias/Condition", "", "gradual", "SendAlias: Condition"},
	{"Resources/SendAlias/UpdatePolicy", "", "gradual", "SendAlias: UpdatePolicy"},
	{"Resources/WebhookDeploys/Properties/AlarmConfiguration/Alarms/${WebhookSlow}", "", "gradual", "WebhookDeploys: its alarms are [WebhookFailing]"},
	{"Resources/WebhookFailing/Properties/AlarmName", "", "gradual", "WebhookDeploys: its alarms are [AWS::StackName}-WebhookFailing"},
	{"Resources/SendDeploys/Properties/AutoRollbackConfiguration/Events/DEPLOYMENT_STOP_ON_ALARM", "", "gradual", "an alarm does not undo"},
	{"Resources/DeployRole/Properties/Policies/0/PolicyDocument/Statement/lambda:UpdateAlias/Resource", "'*'", "gradual", "DeployRole grants"},
	{"Resources/DeployRole/Properties/AssumeRolePolicyDocument/Statement/0/Condition", "", "gradual", "by this account's CodeDeploy alone"},
	{"Parameters/GradualDeploys/Default", "AllAtOnce", "gradual", "GradualDeploys: Default"},
	{"Resources/Release/Properties/LayerName", "release", "names", "has the fixed LayerName"},
	// Tracing.
	{webhookRole + "xray:PutTraceSegments/1/Action/xray:PutTraceSegments", "", "grants", "xray:PutTraceSegments on * is not granted: Lambda sends"},
	{sendRole + "xray:PutTraceSegments/1/Action/xray:PutTraceSegments", "xray:GetTraceSummaries", "grants", "xray:GetTraceSummaries on * is a wildcard"},
	{sendRole + "xray:PutTraceSegments/0", "Monitored", "grants", "does not depend on Tracing"},
	{"Resources/SendFunction/Properties/Tracing", "Active", "functions", "Tracing does not follow its parameter"},
	{"Resources/WebhookVersion/Properties/Description", `!Sub "${Release} ${RetentionDays} ${PreviousSecretGraceHours}"`, "gradual", "a new Tracing does not make a new version"},
	// A key of the customer's.
	{"Resources/EventArchive/Properties/KmsKeyIdentifier", "", "keyed", "EventArchive: KmsKeyIdentifier does not follow"},
	{"Resources/EventsTable/Properties/SSESpecification/0", "Monitored", "keyed", "EventsTable: SSESpecification does not follow"},
	{"Resources/BulkDeadLetters/Properties/KmsMasterKeyId", "!Ref KmsKeyArn", "keyed", "BulkDeadLetters: KmsMasterKeyId does not follow"},
	{"Resources/SendLogs/Properties/KmsKeyId", "", "keyed", "SendLogs: KmsKeyId does not follow"},
	{pipeRole + "kms:Decrypt/1/Resource", "'*'", "keyed", "PipeRole: kms:Decrypt kms:GenerateDataKey on * does not follow"},
	{webhookRole + "kms:Decrypt/1/Action/kms:Decrypt", "", "grants", "kms:Decrypt on ${KmsKeyArn} is not granted"},
	{webhookRole + "kms:Decrypt", "", "keyed", "WebhookRole: it may not use the key"},
	{"Parameters/KmsKeyArn/Default", "arn:aws:kms:x", "keyed", "KmsKeyArn: Default"},
	// A domain, and parameters that need others.
	{"Resources/ApiRecord/Condition", "HasDomain", "domain", "ApiRecord: Condition"},
	{"Resources/ApiDomain/Condition", "", "domain", "ApiDomain: Condition"},
	{"Resources/ApiMapping/Properties/Stage", "dev", "domain", "ApiMapping: Properties/Stage"},
	{endpointOff, "", "domain", "does not turn the default endpoint off"},
	{endpointOff + "/0", "HasDomain", "domain", "does not turn the default endpoint off"},
	{endpointOff + "/2", "!Ref AWS::NoValue", "domain", "does not turn the default endpoint off, and no domain on"},
	{"Outputs/SendUrl/Value", `!Sub "${HttpApi.ApiEndpoint}/v1/wa/message"`, "domain", "SendUrl is not an address of the domain"},
	{"Outputs/WebhookUrl/Value/1", `!Sub "https://${DomainName}/hook"`, "routes", "which is not a route"},
	{"Outputs/DomainTarget", "", "outputs", "there is no output DomainTarget"},
	{"Rules/DomainNeedsCertificate", "", "rules", "DomainName without CertificateArn is accepted"},
	{"Rules/RecordNeedsDomain/Assertions/0/Assert", `!Equals [!Ref DomainName, ""]`, "rules", "HostedZoneId with DomainName is refused"},
	{"Rules/CertificateNeedsDomain/RuleCondition", "", "rules", "CertificateNeedsDomain refuses the defaults"},
	{"Rules/Another", "{Assertions: []}", "rules", "Another is not tried"},
	{"Rules/GradualDeploysNeedAlarms/Assertions/0/AssertDescription", "", "rules", "does not say why"},
	// Overrides in samconfig.toml of parameters that do not exist.
	{"Parameters/LogRetentionDays", "", "samconfig", "unknown parameter LogRetentionDays"},
}

func TestEveryEditOfTheTemplateIsReported(t *testing.T) {
	for _, e := range edits {
		t.Run(e.check+" "+e.path, func(t *testing.T) {
			p := project(t, func(root *yaml.Node) { e.apply(t, root) })
			faults := checks[e.check](p)
			if !slices.ContainsFunc(faults, func(fault string) bool { return strings.Contains(fault, e.says) }) {
				t.Errorf("%s says %q, want …%s…", e.check, faults, e.says)
			}
		})
	}
}

func TestAnIncompleteEnvironmentIsReported(t *testing.T) {
	for _, c := range []struct{ old, new, says string }{
		{"stack_name = \"connexease-prod\"\n", "", "default: deploy has other settings than prod"},
		{"connexease-staging", "connexease-prod", "is missing or a different environment's"},
		{"RetentionDays=90 ", "Retention=90 ", "unknown parameter Retention"},
		{"LogRetentionDays=14", "LogRetentionDays=15", "is not an allowed value"},
		{"RetentionDays=365", "RetentionDays=-1", "is too small"},
		{"[staging.build.parameters]\ncached = false", "[staging.build.parameters]\ncached = true", "staging: build is"},
		{"[prod.deploy.parameters]", "[prod.deploy.parameters]\nregion = \"eu-west-1\"", "pins a region"},
		{"capabilities = \"CAPABILITY_IAM\"", "capabilities = \"CAPABILITY_NAMED_IAM\"", "capabilities is"},
		{"[default.build.parameters]", "default", "cannot be read"},
		{"[default.sync.parameters]\nstack_name = \"connexease-dev\"", "[default.sync.parameters]\nstack_name = \"connexease-prod\"", "default.sync.parameters: stack_name is"},
		{"[default.sync.parameters]", "[prod.sync.parameters]", "for the development stack alone"},
		{"[default.logs.parameters]", "[default.log.parameters]", "there is no default.logs.parameters"},
	} {
		p := project(t, nil)
		if !strings.Contains(p.samconfig, c.old) {
			t.Fatalf("samconfig.toml has no %q", c.old)
		}
		p.samconfig = strings.Replace(p.samconfig, c.old, c.new, 1)
		if faults := samconfigIsComplete(p); !slices.ContainsFunc(faults, func(f string) bool { return strings.Contains(f, c.says) }) {
			t.Errorf("%q: says %q, want …%s…", c.new, faults, c.says)
		}
	}
}

// clone copies a tree. copies holds what is copied already, so that an alias keeps its anchor.
func clone(n *yaml.Node, copies map[*yaml.Node]*yaml.Node) *yaml.Node {
	if n == nil {
		return nil
	}
	if done, ok := copies[n]; ok {
		return done
	}
	c := *n
	copies[n] = &c
	c.Alias = clone(n.Alias, copies)
	c.Content = make([]*yaml.Node, len(n.Content))
	for i, part := range n.Content {
		c.Content[i] = clone(part, copies)
	}
	return &c
}
