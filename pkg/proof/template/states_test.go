package template

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"testing"

	"go.yaml.in/yaml/v3"
)

// gap is a period without a data point.
var gap = math.NaN()

// one is a state: what an alarm's metrics showed in the last periods, the newest last. Metrics that
// are not named had no data points. Alarms on a single metric call it "value".
type one struct {
	rings  bool
	series map[string]points
}

func rings(series map[string]points) one { return one{true, series} }
func quiet(series map[string]points) one { return one{false, series} }

type of = map[string]points

// states lists, for each alarm, states in which it must fire and in which it must not. Missing data
// is tried for all of them.
var states = map[string][]one{
	"WebhookFailing":    {rings(of{"answered": {1}}), rings(of{"ended": {1}}), quiet(of{"ended": {0, 0}})},
	"WebhookThrottled":  {rings(of{"route": {1}}), rings(of{"concurrency": {1}}), quiet(of{"concurrency": {0, 0}})},
	"ConcurrencyShort":  {rings(of{"value": {800}}), quiet(of{"value": {799}})},
	"WebhookSlow":       {rings(of{"value": {3001, 3001}}), quiet(of{"value": {40, 40, 9000}}), quiet(of{"value": {3000, 3000, 3000}})},
	"WebhookRefused":    {rings(of{"wrong": {10}}), rings(of{"wrong": {4}, "malformed": {3}, "none": {3}}), quiet(of{"wrong": {9, 9}})},
	"EventsQuarantined": {rings(of{"value": {1}})},
	"EventsOverflowed":  {rings(of{"overflowed": {1}}), rings(of{"again": {1}})},
	"OverflowDead":      {rings(of{"value": {1}}), quiet(of{"value": {0}})},
	"PreviousSecretInUse": {
		rings(of{"value": {5, gap, 1, gap, gap, 1}}), quiet(of{"value": {9, 9, gap, gap, gap, gap}}),
	},
	"OutcomesUnknown": {rings(of{"unknown": {1}}), rings(of{"unwritten": {1}}), rings(of{"held": {1}})},
	"SendErrors":      {rings(of{"value": {1}}), quiet(of{"value": {0}})},
	"SendsNotGoingOut": {
		// Usually there is no rate limiting, and limited has no data point then.
		rings(of{"released": {10}}), rings(of{"released": {12}, "limited": {2}}), rings(of{"table": {10}}), rings(of{"queue": {10}}),
		rings(of{"late": {10}}), rings(of{"throttled": {10}}), rings(of{"late": {4}, "table": {3}, "throttled": {3}}),
		quiet(of{"released": {500, 500}, "limited": {500, 500}}), quiet(of{"released": {9, 509}, "limited": {gap, 500}}), quiet(of{"throttled": {0, 0}}),
	},
	"GatewayRefusesKey": {rings(of{"value": {1}})},
	"PaymentRequired":   {rings(of{"value": {1}})},
	"CallersRefused":    {rings(of{"value": {20}}), quiet(of{"value": {19}})},
	"RecordsGivenUp":    {rings(of{"expired": {1}}), rings(of{"refused": {1}}), rings(of{"rowless": {1}})},
	"QueueOld": {
		rings(of{"own": {900}}), rings(of{"oldest": {900}}),
		// Received repeatedly: SQS's age is missing, or a newer message's.
		rings(of{"own": {4000}, "oldest": {2}}),
		// Between two receives of a record with the longest delay.
		rings(of{"own": {4000, gap, gap, gap, gap, gap, gap, gap, gap}}),
		// The mapping is disabled just after fresh records were sent.
		rings(of{"own": {1, gap, gap}, "oldest": {300, 600, 900}}),
		quiet(of{"own": {1, 2, 899}, "oldest": {1, 1, 899}}),
	},
	// As QueueOld, whose math it has.
	"BulkOld": {
		rings(of{"own": {43200}}), rings(of{"oldest": {43200}}), rings(of{"own": {50000, gap, gap, gap, gap, gap, gap, gap, gap}}),
		rings(of{"own": {1, gap, gap}, "oldest": {300, 600, 43200}}), quiet(of{"own": {1, 2, 43199}, "oldest": {1, 1, 43199}}),
	},
	"BulkDead":          {rings(of{"value": {1}}), quiet(of{"value": {0}})},
	"DeadLetters":       {rings(of{"value": {1}}), quiet(of{"value": {0}})},
	"InvocationsFailed": {rings(of{"value": {1}}), quiet(of{"value": {0}})},
	"SchedulesFailed":   {rings(of{"value": {1}}), quiet(of{"value": {0}})},
	"SecretsUnreadable": {
		rings(of{"webhook": {1}}), rings(of{"send": {1}}), rings(of{"webhookstale": {901}}), rings(of{"sendstale": {901}}),
		quiet(of{"webhookstale": {900, 900}, "sendstale": {600, 600}}),
	},
	"TableStrained": {
		rings(of{"table": {1, 1}}), rings(of{"timeline": {1, 1}}), rings(of{"put": {1, 1}}), rings(of{"batch": {1, 1}}), rings(of{"update": {1, 1}}),
		rings(of{"table": {1, gap}, "update": {gap, 1}}), quiet(of{"table": {9, gap, gap}}),
	},
	"EventsNotGoingOut": {rings(of{"value": {1, 1}}), quiet(of{"value": {0, 1, 0}})},
	"EventsStuck": {
		rings(of{"messages": {5, 5}}), rings(of{"statuses": {1, 1}}), rings(of{"messages": {1, 1}, "moved": {gap, 0}}),
		quiet(of{"messages": {5, 5, 5}, "statuses": {9, 9, 9}, "moved": {14, 14, 14}}),
		// Stored as a period ended, published in the next.
		quiet(of{"messages": {gap, 1, gap}, "moved": {gap, gap, 1}}),
		quiet(of{"moved": {1, 1, 1}}),
	},
	"EventsLate": {
		rings(of{"messages": {3000, 3000, 3000}, "moved": {1000, 1000, 1000}}), rings(of{"messages": {20, 20, 20}}), rings(of{"statuses": {20, 20, 20}}),
		rings(of{"others": {20, 20, 20}}), rings(of{"sent": {20, 20, 20}}),
		quiet(of{"messages": {1000, 1000, 1000, 1000}, "statuses": {3000, 3000, 3000, 3000}, "sent": {50, 50, 50, 50}, "moved": {4050, 4000, 4100, 4050}}),
		// A burst with which the pipe catches up.
		quiet(of{"messages": {10, 9000, 9000, 10}, "moved": {10, 4000, 7000, 7020}}),
		quiet(of{"messages": {19, 19, 19, 19}}),
	},
	"EventsUndelivered": {rings(of{"value": {1}}), quiet(of{"value": {0}})},
	"RequestSpike":      {rings(of{"value": {100000}}), quiet(of{"value": {99999}})},
	"SendSpike":         {rings(of{"value": {10000}}), quiet(of{"value": {9999}})},
}

// alarm holds what decides an alarm's state.
type alarm struct {
	ids             []string // of its metrics
	helpers         [][2]string
	result          string // expression; "" means the metric alone
	periods, needed int
	threshold       float64
	orEqual, dynamo bool
}

func (p *proof) alarm(t *testing.T, n *yaml.Node) (a alarm) {
	t.Helper()
	number := func(n *yaml.Node) float64 {
		text := ref(n)
		if n != nil && n.Tag == "!Ref" {
			text = ref(find(p.Root(), "Parameters", n.Value, "Default"))
		}
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			t.Fatalf("%q is not a number", text)
		}
		return v
	}
	a.periods = int(number(find(n, "EvaluationPeriods")))
	if a.needed = a.periods; find(n, "DatapointsToAlarm") != nil {
		a.needed = int(number(find(n, "DatapointsToAlarm")))
	}
	a.threshold = number(find(n, "Threshold"))
	switch operator := ref(find(n, "ComparisonOperator")); operator {
	case "GreaterThanOrEqualToThreshold", "GreaterThanThreshold":
		a.orEqual = operator == "GreaterThanOrEqualToThreshold"
	default:
		t.Fatalf("operator %q", operator)
	}
	if find(n, "MetricName") != nil {
		a.ids = []string{"value"}
		a.dynamo = ref(find(n, "Namespace")) == "AWS/DynamoDB"
	}
	for _, m := range list(find(n, "Metrics")) {
		id, expression := ref(find(m, "Id")), ref(find(m, "Expression"))
		a.dynamo = a.dynamo || ref(find(m, "MetricStat", "Metric", "Namespace")) == "AWS/DynamoDB"
		switch {
		case find(m, "MetricStat") != nil:
			a.ids = append(a.ids, id)
		case ref(find(m, "ReturnData")) == "false":
			a.helpers = append(a.helpers, [2]string{id, expression})
		default:
			a.result = expression
		}
	}
	return a
}

// rings evaluates the alarm over series whose last points belong to the newest periods. Alarms
// treat a missing point as not breaching; those on DynamoDB metrics keep their state.
func (a *alarm) rings(series map[string]points, was, strict bool) (bool, error) {
	all := map[string]points{}
	for _, id := range a.ids {
		all[id] = slices.Repeat(points{gap}, a.periods)
		for i, v := range series[id] {
			if at := a.periods - len(series[id]) + i; at >= 0 {
				all[id][at] = v
			}
		}
	}
	m := &mathOf{series: all, length: a.periods, strict: strict}
	result := all["value"]
	for _, h := range a.helpers {
		var err error
		if all[h[0]], err = m.evaluate(h[1]); err != nil {
			return false, err
		}
	}
	if a.result != "" {
		var err error
		if result, err = m.evaluate(a.result); err != nil {
			return false, err
		}
	}
	breaching := 0
	for _, v := range result {
		if isMissing(v) && a.dynamo {
			return was, nil
		}
		if v > a.threshold || a.orEqual && v == a.threshold {
			breaching++
		}
	}
	return breaching >= a.needed, nil
}

// later returns what the alarm sees some periods later without new data.
func (a *alarm) later(series map[string]points, periods int) map[string]points {
	out := map[string]points{}
	for id, values := range series {
		out[id] = append(slices.Clone(values), slices.Repeat(points{gap}, periods)...)
	}
	return out
}

func TestEachAlarmIsInTheRightState(t *testing.T) {
	p := project(t, nil)
	tried := map[string]bool{}
	for id, n := range p.every("AWS::CloudWatch::Alarm") {
		tried[id] = true
		t.Run(id, func(t *testing.T) {
			for _, fault := range p.judged(t, id, find(n, "Properties")) {
				t.Error(fault)
			}
		})
	}
	for id := range states {
		if !tried[id] {
			t.Errorf("there is no alarm %s", id)
		}
	}
}

// judged returns a sentence for each state that the alarm gets wrong.
func (p *proof) judged(t *testing.T, id string, n *yaml.Node) (faults []string) {
	t.Helper()
	a := p.alarm(t, n)
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	decides := map[string]bool{}
	for _, strict := range []bool{false, true} {
		state := func(series map[string]points, was bool) bool {
			is, err := a.rings(series, was, strict)
			if err != nil {
				t.Fatal(err)
			}
			return is
		}
		if state(nil, false) {
			fault("it rings while nothing happens (strictly: %t)", strict)
		}
		for _, s := range states[id] {
			for metric := range s.series {
				if !slices.Contains(a.ids, metric) {
					fault("it has no metric %s", metric)
				}
				without := maps.Clone(s.series)
				delete(without, metric)
				if state(without, false) != s.rings {
					decides[metric] = true
				}
			}
			if state(s.series, false) != s.rings {
				fault("%v: it rings: %t (strictly: %t)", s.series, !s.rings, strict)
			}
			if !s.rings {
				continue
			}
			// The newest period's data arrives late, and FILL yields zero until then.
			if a.result != "" && id != "QueueOld" && id != "BulkOld" && !state(a.later(s.series, 1), false) {
				fault("%v: it is over before the period is", s.series)
			}
			if !a.dynamo && state(a.later(s.series, a.periods), true) {
				fault("%v: it never ends", s.series)
			}
		}
	}
	if a.dynamo {
		if is, err := a.rings(nil, true, false); is || err != nil {
			fault("it never ends, %v", err)
		}
	}
	for _, metric := range a.ids {
		if !decides[metric] {
			fault("no state turns on %s", metric)
		}
	}
	return faults
}

// Earlier versions of the alarms, and other ways to blind them, are all noticed.
func TestABlindAlarmIsNoticed(t *testing.T) {
	for _, c := range []struct{ path, value, alarm string }{
		{"Resources/SendsNotGoingOut/Properties/Metrics/all/Expression", "IF(released > limited, released - limited, 0) + table + queue + late + throttled", "SendsNotGoingOut"},
		{"Resources/SecretsUnreadable/Properties/Metrics/all/Expression", "webhook + send + IF(webhookstale > 900, 1, 0) + IF(sendstale - 900 > 0, 0, 0)", "SecretsUnreadable"},
		{"Resources/QueueOld/Properties/Metrics/all/Expression", "oldest / 60", "QueueOld"},
		{"Resources/QueueOld/Properties/EvaluationPeriods", "7", "QueueOld"},
		{"Resources/WebhookFailing/Properties/EvaluationPeriods", "1", "WebhookFailing"},
		{"Resources/WebhookFailing/Properties/Metrics/all/Expression", "FILL(answered, 0)", "WebhookFailing"},
		{"Resources/TableStrained/Properties/Metrics/all/Expression", "table + timeline + put + batch + update", "TableStrained"},
		{"Resources/EventsStuck/Properties/Metrics/all/Expression", "IF(messages + statuses > 0, IF(moved < 1, 1, 0), 0)", "EventsStuck"},
		{"Resources/EventsStuck/Properties/DatapointsToAlarm", "1", "EventsStuck"},
		{"Resources/EventsLate/Properties/Metrics/all/Expression", "IF(FILL(moved, 0) < stored * 0.8, 1, 0)", "EventsLate"},
		{"Resources/SendSpike/Properties/ComparisonOperator", "GreaterThanThreshold", "SendSpike"},
	} {
		e := edit{path: c.path, value: c.value}
		p := project(t, func(root *yaml.Node) { e.apply(t, root) })
		if faults := p.judged(t, c.alarm, find(p.Root(), "Resources", c.alarm, "Properties")); faults == nil {
			t.Errorf("%s: %s is not seen", c.path, c.value)
		}
	}
}
