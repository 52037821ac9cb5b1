package template

// Count returns the number of resources of a type.
func (t *Template) Count(kind string) (n int) {
	for range t.read().resources(kind) {
		n++
	}
	return n
}

// AlarmMetrics returns the number of metrics of all alarms, for each of which CloudWatch charges
// (Amazon CloudWatch pricing).
func (t *Template) AlarmMetrics() (n int) {
	for _, alarm := range t.read().resources("AWS::CloudWatch::Alarm") {
		if Find(alarm, "Properties", "MetricName") != nil {
			n++
		}
		for _, m := range sequence(Find(alarm, "Properties", "Metrics")) {
			if Find(m, "MetricStat") != nil {
				n++
			}
		}
	}
	return n
}
