package telemetry

import "log/slog"

// Outcome is what became of a request or record: its word in the log, the least level of its line,
// and what it counts. A function keeps its outcomes in one table of variables, so that a misspelt
// one does not compile.
type Outcome struct {
	Word    string
	Level   slog.Level
	Metrics []Metric
}

// Reason is why: its word in the log, and what it counts.
type Reason struct {
	Word    string
	Metrics []Metric
}

// One is a metric of something that happened once.
func One(name string) Metric { return Metric{Name: name, Unit: Count, Value: 1} }

// NewOutcome returns an outcome by its word, the least level of its line, and what it counts.
func NewOutcome(word string, level slog.Level, metrics ...Metric) Outcome {
	return Outcome{Word: word, Level: level, Metrics: metrics}
}

// NewReason returns a reason by its word and what it counts.
func NewReason(word string, metrics ...Metric) Reason { return Reason{Word: word, Metrics: metrics} }
