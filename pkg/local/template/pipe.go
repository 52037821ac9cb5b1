package template

import (
	"cmp"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"connexease-functions/pkg/local/sim/pipes"
)

// Pipe is an AWS::Pipes::Pipe from a table's stream to an event bus.
type Pipe struct {
	Table, Bus, DeadLetterQueue string // logical ids
	BatchSize                   int
	Parallel                    int // batches of one shard that AWS moves at once; the laptop moves one at a time
	pipes.Config
}

// mostParallel is the highest ParallelizationFactor (AWS API reference:
// PipeSourceDynamoDBStreamParameters).
const mostParallel = 10

// Pipes returns the pipes to run, without the runtime parts of their configuration.
func (t *Template) Pipes() ([]Pipe, error) {
	var all []Pipe
	r := t.read()
	for id, n := range r.resources("AWS::Pipes::Pipe") {
		properties := Find(n, "Properties")
		if state := r.pick(Find(properties, "DesiredState")); state != nil && state.Value == "STOPPED" {
			continue
		}
		source := Find(properties, "SourceParameters", "DynamoDBStreamParameters")
		into := Find(properties, "TargetParameters")
		bus := Find(into, "EventBridgeEventBusParameters")
		if source == nil || bus == nil {
			r.fault(n, "pipe %s: only one from a DynamoDB stream to an event bus is supported on a laptop", id)
			break
		}
		p := Pipe{
			Table:           r.attributeOf(properties, "Source", "StreamArn", "AWS::DynamoDB::Table"),
			Bus:             r.target(properties, "Target", "AWS::Events::EventBus"),
			DeadLetterQueue: r.target(Find(source, "DeadLetterConfig"), "Arn", "AWS::SQS::Queue"),
			BatchSize:       r.whole(source, "BatchSize", 1),
			Parallel:        r.whole(source, "ParallelizationFactor", 1),
			Config: pipes.Config{
				Name: id, Source: text(bus, "Source"), DetailType: text(bus, "DetailType"), InputTemplate: text(into, "InputTemplate"),
				MaxRetries: r.whole(source, "MaximumRetryAttempts", -1),
				MaxAge:     time.Duration(r.whole(source, "MaximumRecordAgeInSeconds", -1)) * time.Second,
			},
		}
		if p.MaxRetries < 0 || p.MaxAge <= 0 {
			r.fault(source, "pipe %s: without bounds one record can block its shard for a day", id)
		}
		if p.Parallel < 1 || p.Parallel > mostParallel {
			r.fault(source, "pipe %s: ParallelizationFactor must be 1 to %d", id, mostParallel)
		}
		for _, f := range sequence(Find(properties, "SourceParameters", "FilterCriteria", "Filters")) {
			pattern := Find(f, "Pattern")
			if pattern == nil {
				r.fault(f, "a filter has no Pattern")
				break
			}
			p.Filters = append(p.Filters, pattern.Value)
		}
		all = append(all, p)
	}
	return all, r.err
}

func sequence(n *yaml.Node) []*yaml.Node {
	if n == nil || n.Kind != yaml.SequenceNode {
		return nil
	}
	return n.Content
}

// attributeOf returns the logical id of a resource to which a property refers by !GetAtt
// <resource>.<attribute>.
func (r *reading) attributeOf(n *yaml.Node, name, attribute, kind string) string {
	arn := r.pick(Find(n, name))
	if arn == nil {
		r.fault(cmp.Or(n, r.root), "there is no %s", name)
		return ""
	}
	id, is := strings.CutSuffix(arn.Value, "."+attribute)
	switch {
	case arn.Tag != "!GetAtt" || !is:
		r.fault(arn, "%s must be !GetAtt <resource>.%s", name, attribute)
	case text(r.root, "Resources", id, "Type") != kind:
		r.fault(arn, "%s is not an %s of this template", id, kind)
	}
	return id
}
