package template

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"connexease-functions/pkg/local/template"
)

// needs lists the failures that alarms cover, each with its metric. An alarm that lacks one is a
// fault.
var watched = map[string]string{
	"webhook returns 5xx":                 "WebhookServerErrors",
	"webhook ends without a response":     "Errors ${WebhookFunction}",
	"route throttled":                     "WebhookThrottled",
	"no concurrency for the webhook":      "Throttles ${WebhookFunction}",
	"concurrency runs short":              "ClaimedAccountConcurrency",
	"near the Gateway's 5 s":              "Duration ${WebhookFunction}",
	"webhook's token wrong":               "RefusedWrongToken ${WebhookFunction}",
	"quarantine":                          "Quarantined ${WebhookFunction}",
	"events overflow":                     "Overflowed ${WebhookFunction}",
	"overflow cannot be written":          "DrainsFailed ${WebhookFunction}",
	"overflow's dead-letter queue":        "ApproximateNumberOfMessagesVisible ${OverflowDeadLetters.QueueName}",
	"previous secret in use":              "PreviousSecretUsed ${WebhookFunction}",
	"webhook's secret stale":              "SecretStaleness ${WebhookFunction}",
	"webhook's secret unavailable":        "SecretUnavailable ${WebhookFunction}",
	"send's secrets stale":                "SecretStaleness ${SendFunction}",
	"send's secrets unavailable":          "SecretUnavailable ${SendFunction}",
	"outcome unknown":                     "OutcomeUnknown ${SendFunction}",
	"outcome known and not written":       "OutcomeLost ${SendFunction}",
	"send crashed, so its outcome is too": "Errors ${SendFunction}",
	"nothing goes out":                    "NotSent ${SendFunction}",
	"table away for sends":                "TableUnavailable ${SendFunction}",
	"API key refused":                     "GatewayRefusedKey ${SendFunction}",
	"balance too low":                     "PaymentRequired ${SendFunction}",
	"caller's key wrong":                  "RefusedWrongToken ${SendFunction}",
	"record expired":                      "RecordsExpired ${SendFunction}",
	"record refused":                      "RecordsRefused ${SendFunction}",
	"queue age":                           "RecordAge ${SendFunction}",
	"queue not received":                  "ApproximateAgeOfOldestMessage ${OutboundQueue.QueueName}",
	"dead-letter queue":                   "ApproximateNumberOfMessagesVisible ${OutboundDeadLetters.QueueName}",
	"bulk lane's age":                     "BulkRecordAge ${SendFunction}",
	"bulk lane not received":              "ApproximateAgeOfOldestMessage ${BulkQueue.QueueName}",
	"bulk lane's dead-letter queue":       "ApproximateNumberOfMessagesVisible ${BulkDeadLetters.QueueName}",
	"failed invocations":                  "ApproximateNumberOfMessagesVisible ${FailedInvocations.QueueName}",
	"schedules not delivered":             "ApproximateNumberOfMessagesVisible ${ScheduleDeadLetters.QueueName}",
	"table throttled":                     "WriteThrottleEvents ${EventsTable}",
	"table failed":                        "SystemErrors ${EventsTable}",
	"pipe fails":                          "ExecutionFailed ${EventPipe}",
	"pipe is stuck, or falls behind":      "EventCount ${EventPipe}",
	"events given up":                     "ApproximateNumberOfMessagesVisible ${EventDeadLetters.QueueName}",
	"requests cost":                       "Count ${HttpApi}",
	"sends cost":                          "Sent ${SendFunction}",
}

// alarms: each can fire, notifies the topic, and says what to do; together they cover all needs.
func alarms(p *proof) (faults []string) {
	var seen []string
	for _, m := range p.alarmMetrics() {
		seen = append(seen, m.name)
		for _, value := range m.dimensions {
			seen = append(seen, m.name+" "+value)
		}
	}
	for need, how := range watched {
		if !slices.Contains(seen, how) {
			faults = append(faults, fmt.Sprintf("no alarm covers: %s (%s)", need, how))
		}
	}
	for id, n := range p.every("AWS::CloudWatch::Alarm") {
		for _, fault := range append(p.fires(find(n, "Properties")), p.tells(find(n, "Properties"))...) {
			faults = append(faults, id+": "+fault)
		}
	}
	return faults
}

// fires says why an alarm would never fire, or never end.
func (p *proof) fires(n *yaml.Node) (faults []string) {
	number := func(name string) int { i, _ := strconv.Atoi(ref(find(n, name))); return i }
	periods := number("EvaluationPeriods")
	points := cmp.Or(number("DatapointsToAlarm"), periods)
	period := number("Period")
	expression := ""
	if metrics := list(find(n, "Metrics")); metrics != nil {
		results := 0
		for _, m := range metrics {
			if ref(find(m, "ReturnData")) != "false" {
				results++
			}
			expression += " " + ref(find(m, "Expression"))
			if stat := find(m, "MetricStat"); stat != nil {
				period, _ = strconv.Atoi(ref(find(stat, "Period")))
			}
		}
		for _, m := range metrics {
			id := ref(find(m, "Id"))
			used := len(regexp.MustCompile(`\b`+id+`\b`).FindAllString(expression, -1))
			switch filled := strings.Count(expression, "FILL("+id+", 0)"); {
			case find(m, "MetricStat") == nil:
			case used == 0:
				faults = append(faults, id+" is not in the expression")
			case used != filled:
				faults = append(faults, id+" is missing where it has no data point: it is not filled")
			}
		}
		if results != 1 {
			faults = append(faults, fmt.Sprintf("it has %d results instead of one", results))
		}
	}
	// PutMetricAlarm: up to a day; longer with periods of at least an hour.
	if period < 60 || period%60 != 0 || periods < 1 || points > periods || periods*period > 24*60*60 {
		faults = append(faults, fmt.Sprintf("%d of %d periods of %d s are not allowed", points, periods, period))
	}
	dynamo := slices.ContainsFunc(list(find(n, "Metrics")), func(m *yaml.Node) bool {
		return ref(find(m, "MetricStat", "Metric", "Namespace")) == "AWS/DynamoDB"
	}) || ref(find(n, "Namespace")) == "AWS/DynamoDB"
	if dynamo && !strings.Contains(expression, "FILL(") {
		faults = append(faults, "it would never end: alarms on DynamoDB metrics keep their state while data is missing")
	}
	if strings.Contains(expression, "FILL(") && points == periods {
		faults = append(faults, "the newest period may hold only what FILL adds: it needs fewer data points than periods")
	}
	if ref(find(n, "TreatMissingData")) != "notBreaching" || ref(find(n, "Threshold")) == "" || ref(find(n, "ComparisonOperator")) == "" {
		faults = append(faults, "it has no threshold, or treats missing data as a failure")
	}
	return faults
}

// described is the maximum length of a name or address that replaces ${…}.
const described = 110

// tells reports what is missing in an alarm's description, and a wrong topic.
func (p *proof) tells(n *yaml.Node) (faults []string) {
	if to := list(find(n, "AlarmActions")); len(to) != 1 || ref(to[0]) != "${AlarmTopic}" {
		faults = append(faults, "it does not notify AlarmTopic")
	}
	text := ref(find(n, "AlarmDescription"))
	if !regexp.MustCompile(`^\S.*\. Lost: .*\. First: .*\baws \S`).MatchString(strings.TrimSpace(text)) &&
		!regexp.MustCompile(`^\S.*\. Lost: .*\. First: aws `).MatchString(text) {
		faults = append(faults, "it does not say what happened, what is lost, and the first command")
	}
	long := template.Placeholder.ReplaceAllString(text, strings.Repeat("x", described))
	if len(long) > 1024 {
		faults = append(faults, fmt.Sprintf("its description may have %d characters, CloudWatch accepts 1,024", len(long)))
	}
	// The members that commands filter by exist in the logs.
	for _, member := range regexp.MustCompile(`\$\.([A-Za-z_]+)`).FindAllStringSubmatch(text, -1) {
		if !p.logged(groups(text), member[1]) {
			faults = append(faults, fmt.Sprintf("no line of %v has %s", groups(text), member[1]))
		}
	}
	return faults
}

func groups(text string) (all []string) {
	for _, g := range regexp.MustCompile(`\$\{(\w+Logs)\}`).FindAllStringSubmatch(text, -1) {
		all = append(all, g[1])
	}
	return all
}

// logged reports whether lines of one of these log groups may have a member.
func (p *proof) logged(groups []string, member string) bool {
	if p.source.logKeys[member] {
		return true
	}
	found := false
	for id, n := range p.every("AWS::Serverless::Function") {
		group, _ := p.refersTo(ref(find(n, "Properties", "LoggingConfig", "LogGroup")), "", "AWS::Logs::LogGroup")
		if c := p.source.functions[id]; c != nil && slices.Contains(groups, group) && c.metrics[member] {
			found = true
		}
	}
	return found
}

// topic: CloudWatch may publish this account's alarms to it, and it sends the mail.
func topic(p *proof) (faults []string) {
	publishes := false
	for _, n := range p.every("AWS::SNS::TopicPolicy") {
		for _, s := range list(find(n, "Properties", "PolicyDocument", "Statement")) {
			publishes = publishes || ref(find(s, "Effect")) == "Allow" && ref(find(s, "Principal", "Service")) == "cloudwatch.amazonaws.com" &&
				ref(find(s, "Action")) == "sns:Publish" && ref(find(s, "Resource")) == "${AlarmTopic}" &&
				ref(find(s, "Condition", "ArnLike", "aws:SourceArn")) == "arn:${AWS::Partition}:cloudwatch:${AWS::Region}:${AWS::AccountId}:alarm:*"
		}
	}
	if !publishes {
		faults = append(faults, "AlarmTopic: CloudWatch may not publish this account's alarms to it, or others may")
	}
	return append(faults, must("AlarmMail", find(p.Root(), "Resources", "AlarmMail"), map[string]string{
		"Type": "AWS::SNS::Subscription", "Condition": "Mailed", "Properties/TopicArn": "${AlarmTopic}", "Properties/Protocol": "email", "Properties/Endpoint": "${AlarmEmail}",
	})...)
}

// redriven: the commands of the alarm of failed invocations send nothing a second time. The key of
// a direct invocation counts in its own scope only, so on the outbound queue it would be sent a
// second time.
func redriven(p *proof) (faults []string) {
	n := find(p.Root(), "Resources", "InvocationsFailed", "Properties")
	text := ref(find(n, "AlarmDescription"))
	for _, words := range []string{
		"make redrive STACK=${AWS::StackName}", "A direct invocation is invoked again with the same payload, never put on a queue", "Only an EventBridge event goes on the outbound queue",
	} {
		if !strings.Contains(text, words) {
			faults = append(faults, fmt.Sprintf("InvocationsFailed does not say %q", words))
		}
	}
	if strings.Contains(text, "${OutboundQueue") {
		faults = append(faults, "InvocationsFailed names the outbound queue's address, where a direct invocation must not go")
	}
	return append(faults, must("SendFunction", find(p.Root(), "Resources", "SendFunction", "Properties", "EventInvokeConfig"), map[string]string{
		"MaximumRetryAttempts": "2", // "failed three times"
	})...)
}

// dashboard: it shows every alarm, and is free of charge alongside two others.
func dashboard(p *proof) (faults []string) {
	shown, alarms, err := p.widgets()
	if err != nil {
		return []string{err.Error()}
	}
	for id := range p.every("AWS::CloudWatch::Alarm") {
		if i := slices.Index(alarms, "${"+id+".Arn}"); i < 0 {
			faults = append(faults, "it does not show "+id)
		} else {
			alarms = slices.Delete(alarms, i, i+1)
		}
	}
	if len(alarms) > 0 {
		faults = append(faults, fmt.Sprintf("%v are not alarms", alarms))
	}
	// Amazon CloudWatch pricing, free tier: three dashboards of up to 50 metrics.
	if len(shown) > 50 {
		faults = append(faults, fmt.Sprintf("it has %d metrics", len(shown)))
	}
	return faults
}

var (
	quoted = regexp.MustCompile(`"[^"]*"`)
	word   = regexp.MustCompile(`@?[A-Za-z_][A-Za-z_.]*`)
	alias  = regexp.MustCompile(`\bas (\w+)`)
	// keywords of CloudWatch Logs Insights that the queries use.
	keywords = strings.Fields("fields filter sort stats limit by as asc desc and or in ispresent count sum max")
	// ofPlatform lists members of lines that Lambda and CloudWatch write (AWS Lambda: "Telemetry
	// API Event schema reference", platform.report).
	ofPlatform = strings.Fields("@timestamp type record.requestId record.status record.errorType record.metrics.durationMs")
)

// runbook lists the saved queries that alarms and READMEs refer to.
var runbook = strings.Fields("QueryUnknownSends QueryCrashes QueryRefusals QueryQuarantined QuerySlow QueryUsage")

// queries: they exist, and each filters by members that lines of its log groups have.
func queries(p *proof) (faults []string) {
	for _, id := range runbook {
		if ref(find(p.Root(), "Resources", id, "Type")) != "AWS::Logs::QueryDefinition" {
			faults = append(faults, "there is no query "+id)
		}
	}
	for id, n := range p.every("AWS::Logs::QueryDefinition") {
		var in []string
		for _, group := range list(find(n, "Properties", "LogGroupNames")) {
			name, ok := p.refersTo(ref(group), "", "AWS::Logs::LogGroup")
			if !ok {
				faults = append(faults, id+": "+ref(group)+" is not a log group")
			}
			in = append(in, name)
		}
		text := quoted.ReplaceAllString(ref(find(n, "Properties", "QueryString")), "")
		known := slices.Concat(keywords, ofPlatform)
		for _, a := range alias.FindAllStringSubmatch(text, -1) {
			known = append(known, a[1])
		}
		for _, w := range word.FindAllString(text, -1) {
			if !slices.Contains(known, w) && !p.logged(in, w) {
				faults = append(faults, fmt.Sprintf("%s: no line of %v has %s", id, in, w))
			}
		}
	}
	return faults
}
