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
	err := t.resources("AWS::SQS::Queue", func(id string, n *yaml.Node) error {
		if fifo := Find(n, "Properties", "FifoQueue"); fifo != nil && fifo.Value != "false" {
			return t.at(fifo, "FIFO queues are not supported on a laptop")
		}
		q := simsqs.QueueConfig{Name: id}
		for _, p := range []struct {
			name string
			into *time.Duration
		}{
			{"VisibilityTimeout", &q.VisibilityTimeout}, {"DelaySeconds", &q.Delay}, {"MessageRetentionPeriod", &q.Retention},
		} {
			seconds, err := t.whole(Find(n, "Properties", p.name), p.name, 0)
			if err != nil {
				return err
			}
			*p.into = time.Duration(seconds) * time.Second
		}
		redrive := Find(n, "Properties", "RedrivePolicy")
		if redrive != nil {
			var err error
			if q.DeadLetter, err = t.target(redrive, "deadLetterTargetArn", "AWS::SQS::Queue"); err != nil {
				return err
			}
			if q.MaxReceiveCount, err = t.whole(Find(redrive, "maxReceiveCount"), "maxReceiveCount", 0); err != nil {
				return err
			}
		}
		all = append(all, q)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return deadLettersFirst(all), nil
}

// ScheduleGroups returns the logical ids of EventBridge Scheduler's groups.
func (t *Template) ScheduleGroups() (all []string, err error) {
	err = t.resources("AWS::Scheduler::ScheduleGroup", func(id string, _ *yaml.Node) error {
		all = append(all, id)
		return nil
	})
	return all, err
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
func (t *Template) target(n *yaml.Node, name, kind string) (string, error) {
	return t.attributeOf(n, name, "Arn", kind)
}

// mapping reads a function's SQS event, or a mapping on its own; queue names its property.
func (t *Template) mapping(e *yaml.Node, queue string) (m simsqs.Mapping, enabled bool, err error) {
	p := Find(e, "Properties")
	if p == nil {
		return m, false, t.at(e, "the SQS event has no Properties")
	}
	if on := Find(p, "Enabled"); on != nil && on.Value == "false" {
		return m, false, nil
	}
	if filter := Find(p, "FilterCriteria"); filter != nil {
		return m, false, t.at(filter, "FilterCriteria is not supported on a laptop")
	}
	if m.Queue, err = t.target(p, queue, "AWS::SQS::Queue"); err != nil {
		return m, false, err
	}
	if m.BatchSize, err = t.whole(Find(p, "BatchSize"), "BatchSize", 0); err != nil {
		return m, false, err
	}
	if m.MaxConcurrency, err = t.whole(Find(p, "ScalingConfig", "MaximumConcurrency"), "MaximumConcurrency", 0); err != nil {
		return m, false, err
	}
	m.WholeBatch = true
	if types := Find(p, "FunctionResponseTypes"); types != nil {
		for _, one := range types.Content {
			if one.Value == "ReportBatchItemFailures" {
				m.WholeBatch = false
			}
		}
	}
	return m, true, nil
}
