package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"connexease-functions/pkg/local/sim/connexease"
)

// values returns a metric's values in the log since an earlier length of it, as CloudWatch reads
// them: from lines whose directive names it.
func (w *world) values(metric string, since int) (all []float64) {
	w.t.Helper()
	for text := range strings.Lines(w.logs.String()[since:]) {
		var line map[string]json.RawMessage
		var directive struct {
			CloudWatchMetrics []struct{ Metrics []struct{ Name, Unit string } }
		}
		if json.Unmarshal([]byte(text), &line) != nil || json.Unmarshal(line["_aws"], &directive) != nil {
			continue
		}
		for _, m := range directive.CloudWatchMetrics[0].Metrics {
			var value float64
			if m.Name == metric && json.Unmarshal(line[metric], &value) == nil {
				all = append(all, value)
			}
		}
	}
	return all
}

// SQS itself says nothing of a message's age once it was received three times.
func TestEachReceiveSaysHowOldTheRecordIs(t *testing.T) {
	w := newWorld(t)
	w.enqueue(keyed)
	w.spoil(connexease.Fault{Kind: connexease.RateLimit, RetryAfter: "60s", LimitType: "min"})
	const receives = 6
	for n := range receives {
		since := len(w.logs.String())
		if came, again := w.poll(); len(came) != 1 || len(again) != 1 {
			t.Fatalf("receive %d: %d came, %v retried", n, len(came), again)
		}
		least := float64(n) * (20 * time.Minute).Seconds()
		if ages := w.values("RecordAge", since); len(ages) != 1 || ages[0] < least || ages[0] > least+60 {
			t.Errorf("receive %d: its age is %v s, want %v", n, ages, least)
		}
		w.pass(20 * time.Minute)
	}
	since := len(w.logs.String())
	w.post(hello)
	if ages := w.values("RecordAge", since); ages != nil {
		t.Errorf("a request has the age %v", ages)
	}
	// A clock that is slower than the queue's makes no age below zero, which the metric's maximum hides.
	since = len(w.logs.String())
	w.batch([]any{w.record("r-ahead", hello, w.now().Add(time.Hour))})
	if ages := w.values("RecordAge", since); ages != nil {
		t.Errorf("a record of the future has the age %v", ages)
	}
}
