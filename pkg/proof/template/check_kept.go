package template

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// must compares properties, given as paths with slashes, with their expected values; "" means that
// a property must be absent.
func must(where string, n *yaml.Node, want map[string]string) (faults []string) {
	for path, value := range want {
		if got := ref(find(n, strings.Split(path, "/")...)); got != value {
			faults = append(faults, fmt.Sprintf("%s: %s is %q, not %q", where, path, got, value))
		}
	}
	return faults
}

// tableIsKept: the table's contents survive any change to the stack. Retain would also keep the
// table of a failed deployment, and so would deletion protection, which a parameter turns off.
func tableIsKept(p *proof) (faults []string) {
	protected := list(find(p.Root(), "Resources", "EventsTable", "Properties", "DeletionProtectionEnabled"))
	if len(protected) != 3 || protected[0].Value != "ProtectsTable" || protected[1].Value != "true" || protected[2].Value != "false" ||
		ref(find(p.Root(), "Parameters", "TableProtection", "Default")) != "yes" {
		faults = append(faults, "EventsTable: Properties/DeletionProtectionEnabled does not follow TableProtection, or that is not yes by default")
	}
	return append(faults, must("EventsTable", find(p.Root(), "Resources", "EventsTable"), map[string]string{
		"DeletionPolicy": "RetainExceptOnCreate", "UpdateReplacePolicy": "Retain",
		"Properties/BillingMode":                                                 "PAY_PER_REQUEST",
		"Properties/TimeToLiveSpecification/AttributeName":                       "expires_at",
		"Properties/TimeToLiveSpecification/Enabled":                             "true",
		"Properties/StreamSpecification/StreamViewType":                          "NEW_IMAGE",
		"Properties/PointInTimeRecoverySpecification/PointInTimeRecoveryEnabled": "true",
		"Properties/SSESpecification/SSEEnabled":                                 "", // DynamoDB's own key
	})...)
}

// functionsAreBuiltAndLogged: the Makefile builds each function for the processor it runs on, and
// its logs expire.
func functionsAreBuiltAndLogged(p *proof) (faults []string) {
	faults = must("Globals", find(p.Root(), "Globals", "Function"), map[string]string{
		"Runtime": "provided.al2023", "Handler": "bootstrap", "CodeUri": ".", "LoggingConfig/LogFormat": "JSON",
	})
	if machines := list(find(p.Root(), "Globals", "Function", "Architectures")); len(machines) != 1 || machines[0].Value != "arm64" {
		faults = append(faults, "Globals: Architectures is not [arm64]")
	}
	for id, n := range p.every("AWS::Serverless::Function") {
		faults = append(faults, must(id, n, map[string]string{"Metadata/BuildMethod": "makefile", "Properties/Runtime": "", "Properties/CodeUri": ""})...)
		if _, ok := p.refersTo(ref(find(n, "Properties", "LoggingConfig", "LogGroup")), "", "AWS::Logs::LogGroup"); !ok {
			faults = append(faults, id+" logs into no group of this template, so its logs never expire")
		}
		// The default of -1 reserves nothing: AWS refuses it as a value.
		name := strings.TrimSuffix(id, "Function")
		if reserved := list(find(n, "Properties", "ReservedConcurrentExecutions")); len(reserved) != 3 ||
			reserved[0].Value != "Reserves"+name || ref(reserved[1]) != "${"+name+"ReservedConcurrency}" || ref(reserved[2]) != "${AWS::NoValue}" {
			faults = append(faults, id+": ReservedConcurrentExecutions does not follow its parameter")
		}
		if traced := list(find(n, "Properties", "Tracing")); len(traced) != 3 || traced[0].Value != "Traced" || ref(traced[1]) != "Active" || ref(traced[2]) != "PassThrough" {
			faults = append(faults, id+": Tracing does not follow its parameter")
		}
	}
	for id, n := range p.every("AWS::Logs::LogGroup") {
		faults = append(faults, must(id, n, map[string]string{"Properties/RetentionInDays": "${LogRetentionDays}", "DeletionPolicy": ""})...)
	}
	return faults
}

// apiIsBounded: each route has a throttle, and the access log holds no personal data.
func apiIsBounded(p *proof) (faults []string) {
	settings := find(p.Root(), "Resources", "HttpApi", "Properties")
	for _, n := range []*yaml.Node{find(settings, "DefaultRouteSettings"), find(settings, "RouteSettings", webhookRoute), find(settings, "RouteSettings", "POST /v1/wa/message")} {
		for _, name := range []string{"ThrottlingRateLimit", "ThrottlingBurstLimit"} {
			limit := ref(find(n, name))
			if parameter, is := strings.CutPrefix(limit, "${"); is {
				limit = ref(find(p.Root(), "Parameters", strings.TrimSuffix(parameter, "}"), "MinValue"))
			}
			if number, _ := strconv.Atoi(limit); number < 1 {
				faults = append(faults, "HttpApi: a route has no "+name)
			}
		}
	}
	allowed := strings.Fields("requestId apiId routeKey status responseLatency integrationErrorMessage")
	for _, v := range regexp.MustCompile(`\$context\.([A-Za-z.]+)`).FindAllStringSubmatch(ref(find(settings, "AccessLogSettings", "Format")), -1) {
		if !slices.Contains(allowed, v[1]) {
			faults = append(faults, "HttpApi: the access log has "+v[1])
		}
	}
	if _, ok := p.refersTo(ref(find(settings, "AccessLogSettings", "DestinationArn")), "Arn", "AWS::Logs::LogGroup"); !ok {
		faults = append(faults, "HttpApi: there is no access log")
	}
	return faults
}

// queuesAreKept: queues are encrypted, accept TLS only, allow only their intended senders, and
// dead-letter queues keep messages as long as possible.
func queuesAreKept(p *proof) (faults []string) {
	sealed := map[string]bool{}
	for id, n := range p.every("AWS::SQS::QueuePolicy") {
		tls := map[string]bool{}
		for _, s := range list(find(n, "Properties", "PolicyDocument", "Statement")) {
			effect, principal := ref(find(s, "Effect")), find(s, "Principal")
			switch {
			case effect == "Deny" && ref(principal) == "*" && ref(find(s, "Action")) == "sqs:*" && ref(find(s, "Condition", "Bool", "aws:SecureTransport")) == "false":
				for _, r := range list(find(s, "Resource")) {
					tls[ref(r)] = true
				}
			case effect == "Allow" && ref(find(principal, "Service")) == "events.amazonaws.com" && ref(find(s, "Action")) == "sqs:SendMessage" &&
				slices.Contains([]string{"${OutboundQueue.Arn}", "${BulkQueue.Arn}"}, ref(find(s, "Resource"))) &&
				ref(find(s, "Condition", "ArnLike", "aws:SourceArn")) == "arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:rule/*":
			default:
				faults = append(faults, id+": a statement allows more than rules of this account, or something else")
			}
		}
		for _, q := range list(find(n, "Properties", "Queues")) {
			queue, _ := p.refersTo(ref(q), "", "AWS::SQS::Queue")
			if tls["${"+queue+".Arn}"] || tls["*"] {
				sealed[queue] = true
			}
		}
	}
	for id, n := range p.every("AWS::SQS::Queue") {
		if own := list(find(n, "Properties", "SqsManagedSseEnabled")); len(own) != 3 || own[0].Value != "Keyed" || ref(own[2]) != "true" {
			faults = append(faults, id+": SqsManagedSseEnabled is not what encrypts it without KmsKeyArn")
		}
		if kept := seconds(find(n, "Properties", "MessageRetentionPeriod")); kept != longestKept {
			faults = append(faults, fmt.Sprintf("%s keeps messages for %v instead of %v", id, kept, longestKept))
		}
		if !sealed[id] {
			faults = append(faults, id+" accepts requests without TLS")
		}
	}
	for _, id := range []string{"OverflowQueue", "OutboundQueue", "FailedInvocations", "EventDeadLetters", "ScheduleDeadLetters", "BulkQueue"} { // dead-letter queue of no queue
		faults = append(faults, must(id, find(p.Root(), "Resources", id), map[string]string{"Properties/RedriveAllowPolicy/redrivePermission": "denyAll"})...)
	}
	for _, lane := range []string{"Outbound", "Bulk"} {
		faults = append(faults, must(lane+"Queue", find(p.Root(), "Resources", lane+"Queue"), map[string]string{
			"Properties/RedrivePolicy/deadLetterTargetArn": "${" + lane + "DeadLetters.Arn}",
		})...)
	}
	for _, id := range []string{"BulkQueue", "BulkDeadLetters", "BulkQueuePolicy", "BulkDeadLettersPolicy", "BulkMapping"} { // off: no resource, no cost
		faults = append(faults, must(id, find(p.Root(), "Resources", id), map[string]string{"Condition": "HasBulkLane"})...)
	}
	return append(faults, must("BulkLane", find(p.Root(), "Parameters", "BulkLane"), map[string]string{"Default": "no"})...)
}

// schedules: EventBridge Scheduler may put records into the outbound queue, and what it cannot
// deliver into its dead-letter queue, for schedules of this stack's group only.
func schedules(p *proof) (faults []string) {
	role := find(p.Root(), "Resources", "ScheduleRole", "Properties")
	trust := list(find(role, "AssumeRolePolicyDocument", "Statement"))
	if len(trust) != 1 {
		return []string{"ScheduleRole: it has no single trust"}
	}
	faults = must("ScheduleRole", trust[0], map[string]string{
		"Effect": "Allow", "Action": "sts:AssumeRole", "Principal/Service": "scheduler.amazonaws.com",
		"Condition/StringEquals/aws:SourceAccount": "${AWS::AccountId}", "Condition/StringEquals/aws:SourceArn": "${ScheduleGroup.Arn}",
	})
	granted := grantedBy(role)
	want := map[string]bool{"sqs:SendMessage on ${OutboundQueue.Arn}": true, "sqs:SendMessage on ${BulkQueue.Arn}": true, "sqs:SendMessage on ${ScheduleDeadLetters.Arn}": true,
		"kms:Decrypt on ${KmsKeyArn}": true, "kms:GenerateDataKey on ${KmsKeyArn}": true, // of the queues: see keyed
	}
	if !maps.Equal(granted, want) {
		faults = append(faults, fmt.Sprintf("ScheduleRole grants %q, not %q", joined(granted), joined(want)))
	}
	return append(faults, must("ScheduleGroup", find(p.Root(), "Resources", "ScheduleGroup"), map[string]string{"Type": "AWS::Scheduler::ScheduleGroup", "Properties/Name": ""})...)
}

// suppressionsHaveReasons: each suppressed rule is listed once, with a reason.
func suppressionsHaveReasons(p *proof) (faults []string) {
	for id, n := range each(find(p.Root(), "Resources")) {
		seen := map[string]bool{}
		for _, skip := range list(find(n, "Metadata", "checkov", "skip")) {
			rule := ref(find(skip, "id"))
			if seen[rule] || len(strings.Fields(ref(find(skip, "comment")))) < 5 {
				faults = append(faults, fmt.Sprintf("%s: %s is suppressed without a reason, or twice", id, rule))
			}
			seen[rule] = true
		}
	}
	return faults
}
