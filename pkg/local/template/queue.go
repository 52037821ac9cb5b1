package template

import (
	"slices"
	"time"

	"go.yaml.in/yaml/v3"

	simsqs "connexease-functions/pkg/local/sim/sqs"
)

// Queues returns the queues, named by their logical ids; a dead-letter queue precedes the queues
// that use it.
func (t *Template) Queues() ([]simsqs.QueueConfig, error) {
	var all []simsqs.QueueConfig
	r := t.read()
	for id, n := range r.resources("AWS::SQS::Queue") {
		p := Find(n, "Properties")
		if fifo := Find(p, "FifoQueue"); fifo != nil && fifo.Value != "false" {
			r.fault(fifo, "FIFO queues are not supported on a laptop")
		}
		seconds := func(name string) time.Duration { return time.Duration(r.whole(p, name, 0)) * time.Second }
		q := simsqs.QueueConfig{
			Name: id, VisibilityTimeout: seconds("VisibilityTimeout"), Delay: seconds("DelaySeconds"), Retention: seconds("MessageRetentionPeriod"),
		}
		if redrive := Find(p, "RedrivePolicy"); redrive != nil {
			q.DeadLetter = r.target(redrive, "deadLetterTargetArn", "AWS::SQS::Queue")
			q.MaxReceiveCount = r.whole(redrive, "maxReceiveCount", 0)
		}
		all = append(all, q)
	}
	return deadLettersFirst(all), r.err
}

// ScheduleGroups returns the logical ids of EventBridge Scheduler's groups.
func (t *Template) ScheduleGroups() (all []string, err error) {
	r := t.read()
	for id := range r.resources("AWS::Scheduler::ScheduleGroup") {
		all = append(all, id)
	}
	return all, r.err
}

// deadLettersFirst puts dead-letter queues first and keeps the order otherwise. Queues in a cycle
// stay at the end, and are refused by name when they are added.
func deadLettersFirst(all []simsqs.QueueConfig) []simsqs.QueueConfig {
	var ordered []simsqs.QueueConfig
	for len(all) > 0 {
		ready := slices.IndexFunc(all, func(q simsqs.QueueConfig) bool {
			return !slices.ContainsFunc(all, func(other simsqs.QueueConfig) bool { return other.Name == q.DeadLetter })
		})
		if ready < 0 {
			return append(ordered, all...)
		}
		ordered = append(ordered, all[ready])
		all = slices.Delete(all, ready, ready+1)
	}
	return ordered
}

// target returns the logical id of a resource to which a property refers by !GetAtt X.Arn.
func (r *reading) target(n *yaml.Node, name, kind string) string {
	return r.attributeOf(n, name, "Arn", kind)
}

// mapping reads a function's SQS event, or a mapping on its own; queue names its property.
func (r *reading) mapping(e *yaml.Node, queue string) (m simsqs.Mapping, enabled bool) {
	p := Find(e, "Properties")
	if p == nil {
		r.fault(e, "the SQS event has no Properties")
		return m, false
	}
	if text(p, "Enabled") == "false" {
		return m, false
	}
	if filter := Find(p, "FilterCriteria"); filter != nil {
		r.fault(filter, "FilterCriteria is not supported on a laptop")
	}
	m.Queue = r.target(p, queue, "AWS::SQS::Queue")
	m.BatchSize = r.whole(p, "BatchSize", 0)
	m.MaxConcurrency = r.whole(Find(p, "ScalingConfig"), "MaximumConcurrency", 0)
	m.WholeBatch = !slices.ContainsFunc(sequence(Find(p, "FunctionResponseTypes")), func(n *yaml.Node) bool {
		return n.Value == "ReportBatchItemFailures"
	})
	return m, true
}
