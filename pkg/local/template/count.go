package template

import "go.yaml.in/yaml/v3"

// Count returns how many resources of a type there are.
func (t *Template) Count(kind string) (n int) {
	_ = t.resources(kind, func(string, *yaml.Node) error { n++; return nil }) // counting cannot fail
	return n
}

// AlarmMetrics counts the metrics of all alarms: CloudWatch charges for each (Amazon
// CloudWatch pricing).
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
