package console

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
)

func init() {
	register(page{path: "/{$}", title: "Overview", place: 10, template: "overview", show: showOverview, actions: map[string]action{
		"/count": {do: count, reads: true},
	}})
}

// overviewOperator is what the overview needs of an operator.
type overviewOperator interface {
	// Queues returns the template's queues, as the stack has them.
	Queues(context.Context) ([]Queue, error)
	// Secrets returns when each secret got its present value.
	Secrets(context.Context) ([]Secret, error)
	// Count reads the whole table, and calls read with the number of items of each page.
	Count(ctx context.Context, read func(int)) (Counts, error)
}

// overviewLaptop is what the overview shows of the laptop alone.
type overviewLaptop interface {
	// Rates returns how many requests of the last minute count for each number's rate limit.
	Rates() []Rate
}

// Queue is one queue's content.
type Queue struct {
	Name, About                string
	Dead                       bool // what is there needs an operator
	Paused                     bool // a lane whose mapping is disabled
	Waiting, InFlight, Delayed int
	Err                        error // it could not be read
}

// Secret says how old a secret's value is, and never the value.
type Secret struct {
	Name string
	Set  time.Time // zero: it has no value
	Fix  string    // what to do about a missing one
}

// Counts is what only reading the whole table can count.
type Counts struct {
	Items       int64
	Sends       []StateCount // in the order of a message's life
	Quarantined int
}

// StateCount is how many sends are in a state, in look-up's words.
type StateCount struct {
	State string
	Count int
}

// Rate is the simulated Gateway's memory of one number.
type Rate struct {
	Number                string
	LastSecond, PerSecond int
	LastMinute, PerMinute int
}

type overview struct {
	Lines    []row
	Place    string // in the feed, from which lines are live
	Live     string // what is live, in words
	Trouble  error
	Plots    []plot
	PlotsErr error
	Queues   []Queue
	QueueErr error
	Dead     int
	Secrets  []Secret
	SecretEr error
	Rates    []Rate
	Cost     string
	CostErr  error
	Count    *jobState
}

const liveLines = 40

func showOverview(v *visit) (any, error) {
	o := &overview{Count: v.job("count")}
	var lines []Line
	lines, o.Place = v.Feed.until(liveLines, func(Line) bool { return true })
	o.Lines = v.rows(lines)
	o.Live = "Requests and events appear as they happen; queues and plots are read every 5 seconds."
	if v.Deployed() {
		o.Live = "Events appear as the table's stream has them, within seconds, from when a page is open; single requests are in the functions' logs. " +
			"Queues are read every 15 seconds; plots are CloudWatch's, which are minutes late. Together that costs about a cent an hour."
		o.Trouble = v.recently()
	} else {
		o.Rates = v.Laptop.Rates()
	}
	var all errgroup.Group // each part shows its own failure
	for part, read := range map[string]func(){
		"plots":   func() { o.Plots, o.PlotsErr = v.plots(overviewPlots) },
		"waits":   func() { o.Queues, o.QueueErr = v.Operator.Queues(v.ctx) },
		"secrets": func() { o.Secrets, o.SecretEr = v.Operator.Secrets(v.ctx) },
		"counts":  func() { o.Cost, _, o.CostErr = v.scanCost() },
	} {
		if v.due(part) {
			all.Go(func() error { read(); return nil })
		}
	}
	_ = all.Wait()
	for _, q := range o.Queues {
		if q.Dead {
			o.Dead += q.Waiting + q.InFlight
		}
	}
	return o, nil
}

// Refresh is how often the parts that are not live are read again, in seconds.
func (o *overview) Refresh() int {
	if o.Rates == nil {
		return 15
	}
	return 5
}

const (
	// readUnit is what one unit of strongly consistent reading covers, in bytes (Amazon DynamoDB:
	// "Read consistency").
	readUnit = 4 << 10
	// dollarsPerRead is the price of such a unit of an on-demand table in us-east-1.
	dollarsPerRead = 0.125 / 1e6
)

// scanCost says what it costs to read the whole table, before anybody does.
func (v *visit) scanCost() (words string, items int64, err error) {
	items, bytes, err := v.Operator.Table().Size(v.ctx)
	if err != nil {
		return "", 0, err
	}
	words = fmt.Sprintf("reads the whole table: about %s, %s", plural(int(items), "item"), size(bytes))
	if v.Deployed() {
		units := (bytes + readUnit - 1) / readUnit
		price := fmt.Sprintf("about $%.2f", float64(units)*dollarsPerRead)
		if float64(units)*dollarsPerRead < 0.01 {
			price = "less than a cent"
		}
		words += fmt.Sprintf(", %s, %s", plural(int(units), "read unit"), price)
	}
	return words, items, nil
}

func size(bytes int64) string {
	if bytes < 1e6 {
		return number((bytes+999)/1000) + " kB"
	}
	return fmt.Sprintf("%.1f MB", float64(bytes)/1e6)
}

func count(v *visit) (string, error) {
	_, items, err := v.scanCost()
	if err != nil {
		return "", err
	}
	return "", v.start("count", items, func(ctx context.Context, read func(int)) (any, error) {
		counts, err := v.Operator.Count(ctx, read)
		return counts, err
	})
}
