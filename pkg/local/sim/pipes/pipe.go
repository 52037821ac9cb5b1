// Package pipes simulates an EventBridge pipe on a laptop: from a DynamoDB stream to an event bus,
// with the filter and the input template of template.yaml.
package pipes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"connexease-functions/pkg/local/pause"
	"connexease-functions/pkg/local/sim/eventpattern"
)

// Entry is an event as put on a bus (AWS API reference: PutEventsRequestEntry).
type Entry struct {
	Source, DetailType, Detail string
	EventBusName               string
	Time                       time.Time // zero: the time of the call
	Resources                  []string
}

// Config describes a pipe as template.yaml does.
type Config struct {
	Name          string
	Filters       []string      // patterns, one of which must match; without any, every record matches
	MaxRetries    int           // of a record that its target refuses
	MaxAge        time.Duration // maximum age of a record that is tried
	Source        string        // of the events
	DetailType    string        // or the path of it in the record
	InputTemplate string

	// Put hands entries to the bus. Entries for which it returns an error were not accepted.
	Put func(ctx context.Context, entries []Entry) []error
	// DeadLetter receives the report of a record that was given up.
	DeadLetter func(body []byte)
	// Trouble receives errors that keep the pipe from working; may be nil.
	Trouble func(error)
	Now     func() time.Time // nil: time.Now
}

// Record is one of the stream.
type Record struct {
	Body     []byte // as a pipe sees it: JSON
	Shard    string
	Sequence string
	Stream   string // its ARN
	Created  time.Time
}

// Pipe moves records. It is not safe for concurrent use.
type Pipe struct {
	config   Config
	filters  []*eventpattern.Pattern
	template *Template
}

// How long a record waits before it is tried again: doubled each time.
const (
	firstWait   = 100 * time.Millisecond
	longestWait = 10 * time.Second
)

const account = "000000000000"

// ARN returns a pipe's ARN.
func ARN(name string) string { return "arn:aws:pipes:us-east-1:" + account + ":pipe/" + name }

// New checks what AWS checks, and also that every path exists.
func New(c Config) (*Pipe, error) {
	p := &Pipe{config: c}
	if c.Now == nil {
		p.config.Now = time.Now
	}
	if c.Trouble == nil {
		p.config.Trouble = func(error) {}
	}
	for _, text := range c.Filters {
		pattern, err := eventpattern.ParsePattern(text)
		if err != nil {
			return nil, fmt.Errorf("pipe %s: %w", c.Name, err)
		}
		p.filters = append(p.filters, pattern)
	}
	var err error
	if p.template, err = ParseTemplate(c.InputTemplate, known); err != nil {
		return nil, fmt.Errorf("pipe %s: %w", c.Name, err)
	}
	if isDynamic(c.DetailType) && (!IsPath(c.DetailType) || HasWildcard(c.DetailType)) || c.DetailType == "" || c.Source == "" {
		return nil, fmt.Errorf("pipe %s: it needs a source, and a detail type or its path", c.Name)
	}
	return p, nil
}

func isDynamic(text string) bool { return len(text) > 1 && text[0] == '$' }

func known(variable string) bool {
	return IsPath(variable) || slices.Contains([]string{"aws.pipes.pipe-arn", "aws.pipes.pipe-name", "aws.pipes.event.json", "aws.pipes.event.ingestion-time"}, variable)
}

// Matches reports whether a record passes the filter.
func (p *Pipe) Matches(record []byte) bool {
	return len(p.filters) == 0 || slices.ContainsFunc(p.filters, func(f *eventpattern.Pattern) bool { return f.Match(record) })
}

// Entry returns a record's entry for the bus.
func (p *Pipe) Entry(record []byte) (Entry, error) {
	v, err := eventpattern.Decode(record)
	if err != nil {
		return Entry{}, err
	}
	e := Entry{Source: p.config.Source, DetailType: p.config.DetailType}
	if isDynamic(e.DetailType) {
		text, _ := At(e.DetailType, v)
		if e.DetailType, _ = text.(string); e.DetailType == "" {
			return e, fmt.Errorf("the record has no detail type at %s", p.config.DetailType)
		}
	}
	detail, err := p.template.Render(func(name string) (any, bool) {
		switch name {
		case "aws.pipes.pipe-arn":
			return ARN(p.config.Name), true
		case "aws.pipes.pipe-name":
			return p.config.Name, true
		case "aws.pipes.event.json":
			return v, true
		case "aws.pipes.event.ingestion-time":
			return p.config.Now().UTC().Format(time.RFC3339), true
		}
		return At(name, v)
	})
	if err != nil {
		return e, err
	}
	if !json.Valid(detail) {
		return e, errors.New("the input template makes lines of text, which cannot be an event's detail")
	}
	e.Detail = string(detail)
	return e, nil
}

// Move moves records through the pipe, one after the other, and returns when each is on the bus or
// dead-lettered. Only the end of ctx leaves records unmoved. AWS hands over whole batches, so there
// a record may overtake an earlier one that was refused.
func (p *Pipe) Move(ctx context.Context, records []Record) error {
	for _, r := range records {
		if !p.Matches(r.Body) {
			continue
		}
		err := p.put(ctx, r)
		if err != nil {
			err = p.again(ctx, r, err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *Pipe) put(ctx context.Context, r Record) error {
	e, err := p.Entry(r.Body)
	if err != nil {
		return &unfit{err}
	}
	return errors.Join(p.config.Put(ctx, []Entry{e})...)
}

// unfit means that a record can never become an event: unlike AWS, the pipe does not retry it.
type unfit struct{ error }

// again retries one record until the bus accepts it or its tries are used up.
func (p *Pipe) again(ctx context.Context, r Record, err error) error {
	wait := firstWait
	for n := 0; ; n++ {
		old := p.config.MaxAge > 0 && p.config.Now().Sub(r.Created) > p.config.MaxAge
		var never *unfit
		if n >= p.config.MaxRetries || old || errors.As(err, &never) {
			p.giveUp(r, old, err)
			return nil
		}
		p.config.Trouble(fmt.Errorf("an event is retried in %v: %w", wait, err))
		if err := pause.For(ctx, wait); err != nil {
			return err
		}
		wait = min(2*wait, longestWait)
		if err = p.put(ctx, r); err == nil {
			return nil
		}
	}
}

// giveUp sends the record's position to the dead-letter queue: like AWS, it does not send the
// record itself (Amazon EventBridge: "Amazon EventBridge Pipes error handling and
// troubleshooting").
func (p *Pipe) giveUp(r Record, old bool, err error) {
	condition := "RetryAttemptsExhausted"
	if old {
		condition = "RecordAgeExceeded"
	}
	created := r.Created.UTC().Format(time.RFC3339)
	body, _ := json.Marshal(map[string]any{
		"context": map[string]string{"partnerResourceArn": ARN(p.config.Name), "condition": condition},
		"version": "1.0", "timestamp": p.config.Now().UTC().Format(time.RFC3339Nano),
		"DDBStreamBatchInfo": map[string]any{
			"shardId": r.Shard, "startSequenceNumber": r.Sequence, "endSequenceNumber": r.Sequence, "batchSize": 1, "streamArn": r.Stream,
			"approximateArrivalOfFirstRecord": created, "approximateArrivalOfLastRecord": created,
		},
	})
	p.config.Trouble(fmt.Errorf("an event is given up: %w", err))
	p.config.DeadLetter(body)
}
