package template

import (
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
	err := t.resources("AWS::Pipes::Pipe", func(id string, n *yaml.Node) (err error) {
		p := Pipe{Config: pipes.Config{Name: id}}
		properties := Find(n, "Properties")
		state, err := t.pick(Find(properties, "DesiredState"))
		if err != nil || state != nil && state.Value == "STOPPED" {
			return err
		}
		source := Find(properties, "SourceParameters", "DynamoDBStreamParameters")
		into := Find(properties, "TargetParameters")
		bus := Find(into, "EventBridgeEventBusParameters")
		if source == nil || bus == nil {
			return t.at(n, "pipe %s: only one from a DynamoDB stream to an event bus is supported on a laptop", id)
		}
		for _, one := range []struct {
			from                  *yaml.Node
			name, attribute, kind string
			to                    *string
		}{
			{properties, "Source", "StreamArn", "AWS::DynamoDB::Table", &p.Table},
			{properties, "Target", "Arn", "AWS::Events::EventBus", &p.Bus},
			{Find(source, "DeadLetterConfig"), "Arn", "Arn", "AWS::SQS::Queue", &p.DeadLetterQueue},
		} {
			if *one.to, err = t.attributeOf(one.from, one.name, one.attribute, one.kind); err != nil {
				return err
			}
		}
		seconds := 0
		for _, one := range []struct {
			name     string
			standard int
			to       *int
		}{{"BatchSize", 1, &p.BatchSize}, {"ParallelizationFactor", 1, &p.Parallel}, {"MaximumRetryAttempts", -1, &p.MaxRetries}, {"MaximumRecordAgeInSeconds", -1, &seconds}} {
			if *one.to, err = t.whole(Find(source, one.name), one.name, one.standard); err != nil {
				return err
			}
		}
		if p.MaxRetries < 0 || seconds <= 0 {
			return t.at(source, "pipe %s: without bounds one record can block its shard for a day", id)
		}
		if p.Parallel < 1 || p.Parallel > mostParallel {
			return t.at(source, "pipe %s: ParallelizationFactor must be 1 to %d", id, mostParallel)
		}
		p.MaxAge = time.Duration(seconds) * time.Second
		for _, f := range sequence(Find(properties, "SourceParameters", "FilterCriteria", "Filters")) {
			pattern := Find(f, "Pattern")
			if pattern == nil {
				return t.at(f, "a filter has no Pattern")
			}
			p.Filters = append(p.Filters, pattern.Value)
		}
		for name, to := range map[string]*string{"Source": &p.Source, "DetailType": &p.DetailType} {
			if v := Find(bus, name); v != nil {
				*to = v.Value
			}
		}
		if v := Find(into, "InputTemplate"); v != nil {
			p.InputTemplate = v.Value
		}
		all = append(all, p)
		return nil
	})
	return all, err
}

func sequence(n *yaml.Node) []*yaml.Node {
	if n == nil || n.Kind != yaml.SequenceNode {
		return nil
	}
	return n.Content
}

// attributeOf returns the logical id of a resource to which a property refers by !GetAtt
// <resource>.<attribute>.
func (t *Template) attributeOf(n *yaml.Node, name, attribute, kind string) (string, error) {
	arn, err := t.pick(Find(n, name))
	if err != nil {
		return "", err
	}
	if arn == nil {
		if n == nil {
			n = t.root
		}
		return "", t.at(n, "there is no %s", name)
	}
	id, is := strings.CutSuffix(arn.Value, "."+attribute)
	if arn.Tag != "!GetAtt" || !is {
		return "", t.at(arn, "%s must be !GetAtt <resource>.%s", name, attribute)
	}
	if k := Find(t.root, "Resources", id, "Type"); k == nil || k.Value != kind {
		return "", t.at(arn, "%s is not an %s of this template", id, kind)
	}
	return id, nil
}
