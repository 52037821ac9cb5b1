package console

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// Metric names values that the functions count: the laptop has them from their log lines, a
// deployed stack from CloudWatch.
type Metric struct {
	Function string // logical name
	Name     string
	Stat     string // Sum, p50 or p99, of each minute
}

const sum = "Sum"

// late is how many minutes may pass until CloudWatch has a value: until then its absence says
// nothing, and after that it is a sum of 0.
const late = 3

// minutes is how far plots look back.
const minutes = 15

// Size of a plot, in SVG's units.
const (
	plotLeft, plotRight = 3, 297
	plotTop, plotBottom = 8, 82
)

// plotted says which metrics a plot shows, and under which names.
type plotted struct {
	title, unit string
	lines       []string
	metrics     []Metric
}

const (
	webhook = "WebhookFunction"
	send    = "SendFunction"
)

// The plots of the overview.
var overviewPlots = []plotted{
	{"Received", "a minute", []string{"messages", "statuses", "other"}, []Metric{{webhook, "Messages", sum}, {webhook, "Statuses", sum}, {webhook, "OtherEvents", sum}}},
	{"Webhook's latency", "ms", []string{"median", "p99"}, []Metric{{webhook, "Duration", "p50"}, {webhook, "Duration", "p99"}}},
	{"Sends by outcome", "a minute", []string{"accepted", "queued", "not sent", "rejected", "unknown"}, []Metric{
		{send, "Sent", sum}, {send, "Queued", sum}, {send, "NotSent", sum}, {send, "Rejected", sum}, {send, "OutcomeUnknown", sum}}},
}

// plot is a small picture, with the same in words for those who do not see it.
type plot struct {
	Title, Unit string
	Most        float64
	Lines       []plotLine
	From, To    time.Time
	Words       string
}

type plotLine struct {
	Name, Points string
	Value        float64 // the sum, or of a percentile the last
	Class        int
}

// draw draws the values of one plot; NaN is a gap.
func draw(p plotted, values [][]float64, since time.Time) plot {
	drawn := plot{Title: p.title, Unit: p.unit, From: since, To: since.Add(minutes * time.Minute)}
	for _, line := range values {
		for _, v := range line {
			if !math.IsNaN(v) {
				drawn.Most = max(drawn.Most, v)
			}
		}
	}
	var words []string
	for i, line := range values {
		l := plotLine{Name: p.lines[i], Class: i + 1, Value: math.NaN()}
		var path strings.Builder
		for n, v := range line {
			if math.IsNaN(v) {
				continue
			}
			x, y := plotLeft+float64(n)*(plotRight-plotLeft)/(minutes-1), plotBottom-v/max(drawn.Most, 1)*(plotBottom-plotTop)
			before, after := n > 0 && !math.IsNaN(line[n-1]), n+1 < len(line) && !math.IsNaN(line[n+1])
			switch {
			case before:
				fmt.Fprintf(&path, "L%.1f %.1f", x, y)
			case after:
				fmt.Fprintf(&path, "M%.1f %.1f", x, y)
			default: // a dash
				fmt.Fprintf(&path, "M%.1f %.1fh%d", x-plotLeft, y, 2*plotLeft)
			}
			if p.metrics[i].Stat == sum && !math.IsNaN(l.Value) {
				v += l.Value
			}
			l.Value = v
		}
		l.Points = path.String()
		drawn.Lines = append(drawn.Lines, l)
		words = append(words, l.Name+" "+number(l.Value))
	}
	drawn.Words = fmt.Sprintf("%s in the last %d minutes: %s; most %s %s", p.title, minutes, strings.Join(words, ", "), number(drawn.Most), p.unit)
	return drawn
}

// plots draws all plots of one look at the metrics.
func (v *visit) plots(all []plotted) ([]plot, error) {
	var wanted []Metric
	for _, p := range all {
		wanted = append(wanted, p.metrics...)
	}
	since := time.Now().Truncate(time.Minute).Add(-(minutes - 1) * time.Minute)
	values, err := v.Series(v.ctx, wanted, since, minutes)
	if err != nil {
		return nil, err
	}
	known := minutes
	if v.Deployed() {
		known -= late
	}
	for i, m := range wanted {
		for n := range known {
			if m.Stat == sum && math.IsNaN(values[i][n]) {
				values[i][n] = 0
			}
		}
	}
	var drawn []plot
	for _, p := range all {
		drawn = append(drawn, draw(p, values[:len(p.metrics)], since))
		values = values[len(p.metrics):]
	}
	return drawn, nil
}
