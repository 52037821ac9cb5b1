package control

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"connexease-functions/pkg/local/sim/httpapi"
	simlambda "connexease-functions/pkg/local/sim/lambda"
	"connexease-functions/pkg/local/stack"
	"connexease-functions/pkg/ops/console"
	"connexease-functions/pkg/table"
	"connexease-functions/pkg/whatsapp"
)

const (
	// remembered is how long metrics are kept: as long as plots look back, and a minute more.
	remembered = 16 * time.Minute
	// maxSamples bounds the memory under load; the oldest go first.
	maxSamples = 200_000
	// mostItems bounds what is remembered of a delivery.
	mostItems = 20
)

// Recorder remembers what the console shows of the functions' log, and passes the log on.
type Recorder struct {
	Feed *console.Feed
	next io.Writer

	mu      sync.Mutex
	samples []sample
}

// sample is a metric's value of one line.
type sample struct {
	at             time.Time
	function, name string
	value          float64
}

// NewRecorder returns a Recorder that passes the log on to next.
func NewRecorder(next io.Writer) *Recorder { return &Recorder{Feed: console.NewFeed(), next: next} }

// Write implements io.Writer for the functions' log: whole lines.
func (r *Recorder) Write(b []byte) (int, error) {
	for line := range bytes.Lines(b) {
		r.measure(line)
	}
	return r.next.Write(b)
}

// measure remembers the metrics of a line (Amazon CloudWatch: "Embedded metric format").
func (r *Recorder) measure(text []byte) {
	var line struct {
		FunctionName string
		AWS          struct {
			Timestamp         int64
			CloudWatchMetrics []struct{ Metrics []struct{ Name string } }
		} `json:"_aws"`
	}
	var values map[string]any
	if json.Unmarshal(text, &line) != nil || len(line.AWS.CloudWatchMetrics) == 0 || json.Unmarshal(text, &values) != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range line.AWS.CloudWatchMetrics[0].Metrics {
		if value, ok := values[m.Name].(float64); ok {
			r.samples = append(r.samples, sample{time.UnixMilli(line.AWS.Timestamp), line.FunctionName, m.Name, value})
		}
	}
	if len(r.samples) > maxSamples || len(r.samples) > 0 && time.Since(r.samples[0].at) > remembered {
		old := time.Now().Add(-remembered)
		r.samples = slices.DeleteFunc(r.samples, func(s sample) bool { return s.at.Before(old) })
		r.samples = r.samples[max(0, len(r.samples)-maxSamples/2):]
	}
}

// Exchange adds a request to the feed, with what it contained.
func (r *Recorder) Exchange(x httpapi.Exchange, route, note string) {
	l := console.Line{
		At: x.Time, Kind: console.Request, What: route, Status: x.Status, Took: x.Duration, Note: note, Failed: x.Status >= http.StatusBadRequest,
		RequestID: x.RequestID, RunID: x.FunctionRequestID, Send: x.ResponseHeaders.Get("Message-Id"),
	}
	if strings.HasSuffix(x.RouteKey, " /webhook") && !l.Failed {
		events := whatsapp.Split(x.Body)
		l.More = max(0, len(events)-mostItems)
		for _, e := range events[:len(events)-l.More] {
			pk, sk := table.KeyOf(&e)
			l.Items = append(l.Items, console.Item{What: strings.Join(strings.Fields(fmt.Sprint(e.Direction, " ", e.Kind, " ", e.Type, " ", e.Status)), " "), PK: pk, SK: sk})
		}
	}
	r.Feed.Add(l)
}

// Batch adds a queue's batch.
func (r *Recorder) Batch(b stack.Batch, note string) {
	r.Feed.Add(console.Line{At: b.Time, Kind: console.Records, What: b.Queue, Took: b.Duration, Note: note, Failed: b.Failed > 0 || b.Err != nil, RunID: b.RequestID})
}

// Invocation adds a run that the Lambda endpoint caused.
func (r *Recorder) Invocation(i simlambda.Invocation, note string) {
	r.Feed.Add(console.Line{At: i.Time, Kind: console.Invoked, What: i.Function, Took: i.Duration, Note: note, Failed: i.Result.FunctionError != "", RunID: i.Result.RequestID})
}

// series returns values by minutes, as CloudWatch would.
func (r *Recorder) series(_ context.Context, wanted []console.Metric, since time.Time, minutes int) ([][]float64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all [][]float64
	for _, m := range wanted {
		found := make([][]float64, minutes)
		for _, s := range r.samples {
			if n := int(s.at.Sub(since) / time.Minute); s.function == m.Function && s.name == m.Name && !s.at.Before(since) && n < minutes {
				found[n] = append(found[n], s.value)
			}
		}
		values := make([]float64, minutes)
		for n, minute := range found {
			values[n] = statistic(m.Stat, minute)
		}
		all = append(all, values)
	}
	return all, nil
}

// statistic returns NaN for no values.
func statistic(name string, values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	slices.Sort(values)
	switch name {
	case "p50":
		return values[(len(values)-1)/2]
	case "p99":
		return values[(len(values)-1)*99/100]
	}
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum
}
