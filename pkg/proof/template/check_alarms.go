package template

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"connexease-functions/pkg/local/template"
)

// The needs that alarms answer, and the metric that tells each. Taking one out is a fault.
var watched = map[string]string{
	"webhook answers 5xx":                 "WebhookServerErrors",
	"webhook ends without an answer":      "Errors ${WebhookFunction}",
	"route throttled":                     "WebhookThrottled",
	"no concurrency for the webhook":      "Throttles ${WebhookFunction}",
	"near the Gateway's 5 s":              "Duration ${WebhookFunction}",
	"webhook's token wrong":               "RefusedWrongToken ${WebhookFunction}",
	"quarantine":                          "Quarantined ${WebhookFunction}",
	"events overflow":                     "Overflowed ${WebhookFunction}",
	"overflow cannot be written":          "DrainsFailed ${WebhookFunction}",
	"overflow's dead letters":             "ApproximateNumberOfMessagesVisible ${OverflowDeadLetters.QueueName}",
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
	"dead letters":                        "ApproximateNumberOfMessagesVisible ${OutboundDeadLetters.QueueName}",
	"failed invocations":                  "ApproximateNumberOfMessagesVisible ${FailedInvocations.QueueName}",
	"table throttled":                     "WriteThrottleEvents ${EventsTable}",
	"table failed":                        "SystemErrors ${EventsTable}",
	"pipe fails":                          "ExecutionFailed ${EventPipe}",
	"pipe stands still, or falls behind":  "EventCount ${EventPipe}",
	"events given up":                     "ApproximateNumberOfMessagesVisible ${EventDeadLetters.QueueName}",
	"requests cost":                       "Count ${HttpApi}",
	"sends cost":                          "Sent ${SendFunction}",
}

// alarms: each can fire, goes to the topic, and says what to do; together they watch all
// that is to be watched.
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
			faults = append(faults, fmt.Sprintf("no alarm tells: %s (%s)", need, how))
		}
	}
	p.every("AWS::CloudWatch::Alarm", func(id string, n *yaml.Node) {
		for _, fault := range append(p.fires(find(n, "Properties")), p.tells(find(n, "Properties"))...) {
			faults = append(faults, id+": "+fault)
		}
	})
	return faults
}

// fires says why an alarm would never fire, or never end.
func (p *proof) fires(n *yaml.Node) (faults []string) {
	number := func(name string) int { i, _ := strconv.Atoi(ref(find(n, name))); return i }
	periods, points := number("EvaluationPeriods"), number("DatapointsToAlarm")
	if points == 0 {
		points = periods
	}
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
				faults = append(faults, id+" is missing where it has no point: it is not filled")
			}
		}
		if results != 1 {
			faults = append(faults, fmt.Sprintf("it has %d results instead of one", results))
		}
	}
	// PutMetricAlarm: up to a day; longer ones only with periods of an hour.
	if period < 60 || period%60 != 0 || periods < 1 || points > periods || periods*period > 24*60*60 {
		faults = append(faults, fmt.Sprintf("%d of %d periods of %d s cannot be", points, periods, period))
	}
	dynamo := slices.ContainsFunc(list(find(n, "Metrics")), func(m *yaml.Node) bool {
		return ref(find(m, "MetricStat", "Metric", "Namespace")) == "AWS/DynamoDB"
	}) || ref(find(n, "Namespace")) == "AWS/DynamoDB"
	if dynamo && !strings.Contains(expression, "FILL(") {
		faults = append(faults, "it would never end: missing numbers of DynamoDB keep an alarm's state")
	}
	if strings.Contains(expression, "FILL(") && points == periods {
		faults = append(faults, "FILL may be all there is of the newest period: it needs fewer points than periods")
	}
	if ref(find(n, "TreatMissingData")) != "notBreaching" || ref(find(n, "Threshold")) == "" || ref(find(n, "ComparisonOperator")) == "" {
		faults = append(faults, "it has no threshold, or takes missing data for a fault")
	}
	return faults
}

// described is how long a name or address may be that takes the place of ${…}.
const described = 110

// tells says what is missing in an alarm's description, and where it goes.
func (p *proof) tells(n *yaml.Node) (faults []string) {
	if to := list(find(n, "AlarmActions")); len(to) != 1 || ref(to[0]) != "${AlarmTopic}" {
		faults = append(faults, "it does not go to AlarmTopic")
	}
	text := ref(find(n, "AlarmDescription"))
	if !regexp.MustCompile(`^\S.*\. Lost: .*\. First: .*\baws \S`).MatchString(strings.TrimSpace(text)) &&
		!regexp.MustCompile(`^\S.*\. Lost: .*\. First: aws `).MatchString(text) {
		faults = append(faults, "it does not say what happened, what is lost, and the first command")
	}
	long := template.Placeholder.ReplaceAllString(text, strings.Repeat("x", described))
	if len(long) > 1024 {
		faults = append(faults, fmt.Sprintf("its description may have %d characters, CloudWatch takes 1,024", len(long)))
	}
	// What commands look for in logs is there.
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

// logged tells whether lines of one of these log groups may have a member.
func (p *proof) logged(groups []string, member string) bool {
	if p.source.logKeys[member] {
		return true
	}
	found := false
	p.every("AWS::Serverless::Function", func(id string, n *yaml.Node) {
		group, _ := p.refersTo(ref(find(n, "Properties", "LoggingConfig", "LogGroup")), "", "AWS::Logs::LogGroup")
		if c := p.source.functions[id]; c != nil && slices.Contains(groups, group) && c.metrics[member] {
			found = true
		}
	})
	return found
}

// topic: CloudWatch may publish to it, of this account's alarms, and the mail comes from it.
func topic(p *proof) (faults []string) {
	publishes := false
	p.every("AWS::SNS::TopicPolicy", func(_ string, n *yaml.Node) {
		for _, s := range list(find(n, "Properties", "PolicyDocument", "Statement")) {
			publishes = publishes || ref(find(s, "Effect")) == "Allow" && ref(find(s, "Principal", "Service")) == "cloudwatch.amazonaws.com" &&
				ref(find(s, "Action")) == "sns:Publish" && ref(find(s, "Resource")) == "${AlarmTopic}" &&
				ref(find(s, "Condition", "ArnLike", "aws:SourceArn")) == "arn:${AWS::Partition}:cloudwatch:${AWS::Region}:${AWS::AccountId}:alarm:*"
		}
	})
	if !publishes {
		faults = append(faults, "AlarmTopic: CloudWatch may not publish this account's alarms to it, or others may")
	}
	return append(faults, must("AlarmMail", find(p.Root(), "Resources", "AlarmMail"), map[string]string{
		"Type": "AWS::SNS::Subscription", "Condition": "Mailed", "Properties/TopicArn": "${AlarmTopic}", "Properties/Protocol": "email", "Properties/Endpoint": "${AlarmEmail}",
	})...)
}

// redriven: what the alarm of failed invocations says to do sends nothing a second time. The key of
// a direct invocation counts in its own scope only, so on the outbound queue it would be sent anew.
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

// dashboard: it shows every alarm, and is one that costs nothing beside two others.
func dashboard(p *proof) (faults []string) {
	shown, alarms, err := p.widgets()
	if err != nil {
		return []string{err.Error()}
	}
	p.every("AWS::CloudWatch::Alarm", func(id string, _ *yaml.Node) {
		if i := slices.Index(alarms, "${"+id+".Arn}"); i < 0 {
			faults = append(faults, "it does not show "+id)
		} else {
			alarms = slices.Delete(alarms, i, i+1)
		}
	})
	if len(alarms) > 0 {
		faults = append(faults, fmt.Sprintf("%v are no alarms", alarms))
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
	// ofPlatform are members of lines that Lambda and CloudWatch write (AWS Lambda: "Telemetry API
	// Event schema reference", platform.report).
	ofPlatform = strings.Fields("@timestamp type record.requestId record.status record.errorType record.metrics.durationMs")
)

// runbook are the saved queries that alarms and READMEs count on.
var runbook = strings.Fields("QueryUnknownSends QueryCrashes QueryRefusals QueryQuarantined QuerySlow QueryUsage")

// queries: they are there, and each looks for what lines of its log groups have.
func queries(p *proof) (faults []string) {
	for _, id := range runbook {
		if ref(find(p.Root(), "Resources", id, "Type")) != "AWS::Logs::QueryDefinition" {
			faults = append(faults, "there is no query "+id)
		}
	}
	p.every("AWS::Logs::QueryDefinition", func(id string, n *yaml.Node) {
		var in []string
		for _, group := range list(find(n, "Properties", "LogGroupNames")) {
			name, ok := p.refersTo(ref(group), "", "AWS::Logs::LogGroup")
			if !ok {
				faults = append(faults, id+": "+ref(group)+" is no log group")
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
	})
	return faults
}
