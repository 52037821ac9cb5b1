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

// minutes is how far plots look back.
const minutes = 15

// Size of a plot, in SVG's units.
const (
	plotWidth, plotHeight = 300, 90
	plotTop, plotBottom   = 8, 82
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
	{"Received", "a minute", []string{"messages", "statuses", "other"}, []Metric{{webhook, "Messages", "Sum"}, {webhook, "Statuses", "Sum"}, {webhook, "OtherEvents", "Sum"}}},
	{"Webhook's latency", "ms", []string{"median", "p99"}, []Metric{{webhook, "Duration", "p50"}, {webhook, "Duration", "p99"}}},
	{"Sends by outcome", "a minute", []string{"accepted", "queued", "not sent", "rejected", "unknown"}, []Metric{
		{send, "Sent", "Sum"}, {send, "Queued", "Sum"}, {send, "NotSent", "Sum"}, {send, "Rejected", "Sum"}, {send, "OutcomeUnknown", "Sum"}}},
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
	Dots         [][2]string // of values without neighbours
	Last, Total  float64
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
		l := plotLine{Name: p.lines[i], Class: i + 1, Last: math.NaN()}
		var path strings.Builder
		for n, v := range line {
			if math.IsNaN(v) {
				continue
			}
			x := float64(n) * plotWidth / (minutes - 1)
			y := plotBottom - v/max(drawn.Most, 1)*(plotBottom-plotTop)
			before, after := n > 0 && !math.IsNaN(line[n-1]), n+1 < len(line) && !math.IsNaN(line[n+1])
			if !before && !after {
				l.Dots = append(l.Dots, [2]string{fmt.Sprintf("%.1f", x), fmt.Sprintf("%.1f", y)})
			}
			fmt.Fprintf(&path, "%s%.1f %.1f", map[bool]string{true: "L", false: "M"}[before], x, y)
			l.Last = v
			l.Total += v
		}
		l.Points = path.String()
		drawn.Lines = append(drawn.Lines, l)
		if math.IsNaN(l.Last) {
			words = append(words, l.Name+" none")
		} else {
			words = append(words, fmt.Sprintf("%s last %s", l.Name, number(l.Last)))
		}
	}
	drawn.Words = fmt.Sprintf("%s, %s, of the last %d minutes: %s; most %s", p.title, p.unit, minutes, strings.Join(words, ", "), number(drawn.Most))
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
	var drawn []plot
	for _, p := range all {
		drawn = append(drawn, draw(p, values[:len(p.metrics)], since))
		values = values[len(p.metrics):]
	}
	return drawn, nil
}
