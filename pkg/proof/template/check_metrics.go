package template

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"connexease-functions/pkg/telemetry"
)

// ofAWS lists the AWS metrics that alarms and dashboard use, with their dimensions, by the AWS page
// that lists them.
var ofAWS = map[string][]string{
	// Amazon API Gateway: "Monitor CloudWatch metrics for HTTP APIs". Those of REST APIs have other
	// names, and those per route require paid detailed metrics.
	"AWS/ApiGateway Count": {"ApiId Stage"},
	// AWS Lambda: "Types of metrics for Lambda functions".
	"AWS/Lambda Invocations": {"FunctionName"},
	"AWS/Lambda Errors":      {"FunctionName"},
	"AWS/Lambda Throttles":   {"FunctionName"},
	"AWS/Lambda Duration":    {"FunctionName"},
	// The same guide: "Monitoring concurrency". It is of the account and region.
	"AWS/Lambda ClaimedAccountConcurrency": {""},
	// Amazon SQS: "Available CloudWatch metrics for Amazon SQS".
	"AWS/SQS ApproximateAgeOfOldestMessage":         {"QueueName"},
	"AWS/SQS ApproximateNumberOfMessagesVisible":    {"QueueName"},
	"AWS/SQS ApproximateNumberOfMessagesNotVisible": {"QueueName"},
	// Amazon DynamoDB: "DynamoDB metrics and dimensions".
	"AWS/DynamoDB WriteThrottleEvents":        {"TableName", "GlobalSecondaryIndexName TableName"},
	"AWS/DynamoDB SystemErrors":               {"Operation TableName"},
	"AWS/DynamoDB ConsumedWriteCapacityUnits": {"TableName", "GlobalSecondaryIndexName TableName"},
	"AWS/DynamoDB ConsumedReadCapacityUnits":  {"TableName", "GlobalSecondaryIndexName TableName"},
	// Amazon EventBridge: "Logging and monitoring Amazon EventBridge Pipes using Amazon CloudWatch
	// Logs". It lists no iterator age.
	"AWS/EventBridge/Pipes ExecutionFailed": {"PipeName"},
	"AWS/EventBridge/Pipes EventCount":      {"PipeName"},
	// Amazon CloudWatch Logs: "Monitoring with CloudWatch metrics".
	"AWS/Logs IncomingBytes": {"LogGroupName"},
}

// metric is a metric named by an alarm or a widget.
type metric struct {
	where, namespace, name string
	dimensions             map[string]string
}

func (m *metric) String() string { return fmt.Sprintf("%s: %s %s", m.where, m.namespace, m.name) }

// metrics: every metric of an alarm or the dashboard is written, by a service or by our code, with
// these dimensions. The dashboard shows what waits in every queue, and for how long in each lane.
func metrics(p *proof) (faults []string) {
	all := p.alarmMetrics()
	shown, _, err := p.widgets()
	if err != nil {
		faults = append(faults, err.Error())
	}
	on := map[string]bool{}
	for _, m := range shown {
		on[m.name+" "+m.dimensions["QueueName"]] = true
	}
	for id := range p.every("AWS::SQS::Queue") {
		if !on["ApproximateNumberOfMessagesVisible ${"+id+".QueueName}"] {
			faults = append(faults, "the dashboard does not show what waits in "+id)
		}
	}
	for _, m := range all {
		if strings.HasSuffix(m.name, "RecordAge") && !on[m.name+" "] {
			faults = append(faults, "the dashboard does not show "+m.name)
		}
	}
	for _, m := range append(all, shown...) {
		faults = append(faults, p.written(&m)...)
	}
	return faults
}

func (p *proof) written(m *metric) (faults []string) {
	names := map[string]bool{}
	for name, value := range m.dimensions {
		names[name] = true
		if !p.dimension(name, value) {
			faults = append(faults, fmt.Sprintf("%s: %s=%s does not exist", m, name, value))
		}
	}
	under := joined(names)
	if m.namespace != telemetry.Namespace {
		if !slices.Contains(ofAWS[m.namespace+" "+m.name], under) {
			faults = append(faults, fmt.Sprintf("%s by %q: AWS has no such metric", m, under))
		}
		return faults
	}
	if under == "FunctionName" {
		function, _ := p.refersTo(m.dimensions["FunctionName"], "", "AWS::Serverless::Function")
		if c := p.source.functions[function]; c == nil || !c.metrics[m.name] {
			faults = append(faults, fmt.Sprintf("%s: the code of %s does not write it", m, function))
		}
		return faults
	}
	if !p.filtered(m.name, under) {
		faults = append(faults, fmt.Sprintf("%s by %q: neither code nor metric filter writes it", m, under))
	}
	return faults
}

// filtered reports whether a metric filter writes a metric with these dimensions, from members of
// the access log.
func (p *proof) filtered(name, under string) (is bool) {
	format := ref(find(p.Root(), "Resources", "HttpApi", "Properties", "AccessLogSettings", "Format"))
	for _, n := range p.every("AWS::Logs::MetricFilter") {
		for _, t := range list(find(n, "Properties", "MetricTransformations")) {
			names := map[string]bool{}
			for _, d := range list(find(t, "Dimensions")) {
				if member := strings.TrimPrefix(ref(find(d, "Value")), "$."); strings.Contains(format, `"`+member+`":"$context.`+member+`"`) {
					names[ref(find(d, "Key"))] = true
				}
			}
			if ref(find(t, "MetricName")) == name && ref(find(t, "MetricNamespace")) == telemetry.Namespace && joined(names) == under {
				is = true
			}
		}
	}
	return is
}

// dimensions lists those whose value is a resource, or an attribute of one, by the resource's type.
var dimensions = map[string]struct{ attribute, kind string }{
	"ApiId":        {"", "AWS::Serverless::HttpApi"},
	"FunctionName": {"", "AWS::Serverless::Function"},
	"QueueName":    {"QueueName", "AWS::SQS::Queue"},
	"PipeName":     {"", "AWS::Pipes::Pipe"},
	"TableName":    {"", "AWS::DynamoDB::Table"},
	"LogGroupName": {"", "AWS::Logs::LogGroup"},
}

// dimension reports whether a value is one that AWS uses.
func (p *proof) dimension(name, value string) bool {
	switch of, is := dimensions[name]; {
	case is:
		_, refers := p.refersTo(value, of.attribute, of.kind)
		return refers
	case name == "Stage":
		return value == "$default"
	case name == "Operation":
		for _, c := range p.source.functions {
			if c.operations["dynamodb."+value] {
				return true
			}
		}
	case name == "GlobalSecondaryIndexName":
		for _, index := range list(find(p.Root(), "Resources", "EventsTable", "Properties", "GlobalSecondaryIndexes")) {
			if ref(find(index, "IndexName")) == value {
				return true
			}
		}
	}
	return false
}

// alarmMetrics returns every metric of every alarm.
func (p *proof) alarmMetrics() (all []metric) {
	for id, n := range p.every("AWS::CloudWatch::Alarm") {
		properties := find(n, "Properties")
		if find(properties, "MetricName") != nil {
			all = append(all, metricOf(id, properties))
		}
		for _, one := range list(find(properties, "Metrics")) {
			if m := find(one, "MetricStat", "Metric"); m != nil {
				all = append(all, metricOf(id, m))
			}
		}
	}
	return all
}

func metricOf(where string, n *yaml.Node) metric {
	m := metric{where, ref(find(n, "Namespace")), ref(find(n, "MetricName")), map[string]string{}}
	for _, d := range list(find(n, "Dimensions")) {
		m.dimensions[ref(find(d, "Name"))] = ref(find(d, "Value"))
	}
	return m
}

// substituted returns the string of a !Sub, with the values of its own names where their conditions
// hold.
func substituted(n *yaml.Node) string {
	if n == nil || n.Tag != "!Sub" || n.Kind != yaml.SequenceNode || len(n.Content) != 2 {
		return ref(n)
	}
	text := n.Content[0].Value
	for name, v := range each(n.Content[1]) {
		if v.Tag == "!If" && len(v.Content) == 3 {
			v = v.Content[1]
		}
		text = strings.ReplaceAll(text, "${"+name+"}", ref(v))
	}
	return text
}

// widgets returns the metrics of the dashboard, and the alarms that it shows.
func (p *proof) widgets() (all []metric, alarms []string, err error) {
	var body struct {
		Widgets []struct {
			Properties struct {
				Title   string
				Alarms  []string
				Metrics [][]any
			}
		}
	}
	text := substituted(find(p.Root(), "Resources", "Dashboard", "Properties", "DashboardBody"))
	if err := json.Unmarshal([]byte(text), &body); err != nil {
		return nil, nil, fmt.Errorf("the dashboard's body is not JSON: %w", err)
	}
	for _, w := range body.Widgets {
		alarms = append(alarms, w.Properties.Alarms...)
		for _, row := range w.Properties.Metrics {
			m := metric{where: "dashboard, " + w.Properties.Title, dimensions: map[string]string{}}
			var words []string
			for _, cell := range row {
				if word, ok := cell.(string); ok {
					words = append(words, word)
				}
			}
			if len(words) < 2 || len(words)%2 != 0 {
				return nil, nil, fmt.Errorf("%s: %v is not a metric", m.where, row)
			}
			m.namespace, m.name = words[0], words[1]
			for i := 2; i < len(words); i += 2 {
				m.dimensions[words[i]] = words[i+1]
			}
			all = append(all, m)
		}
	}
	return all, alarms, nil
}
