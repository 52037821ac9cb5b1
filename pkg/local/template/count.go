package template

import "go.yaml.in/yaml/v3"

// Count returns the number of resources of a type.
func (t *Template) Count(kind string) (n int) {
	_ = t.resources(kind, func(string, *yaml.Node) error { n++; return nil }) // visit never fails
	return n
}

// AlarmMetrics returns the number of metrics of all alarms, for each of which CloudWatch charges
// (Amazon CloudWatch pricing).
func (t *Template) AlarmMetrics() (n int) {
	_ = t.resources("AWS::CloudWatch::Alarm", func(_ string, alarm *yaml.Node) error {
		if Find(alarm, "Properties", "MetricName") != nil {
			n++
		}
		if several := Find(alarm, "Properties", "Metrics"); several != nil {
			for _, m := range several.Content {
				if Find(m, "MetricStat") != nil {
					n++
				}
			}
		}
		return nil
	})
	return n
}
