package command

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"connexease-functions/pkg/local/sim/pipes"
	"connexease-functions/pkg/table"
)

func init() { register(replayCommand) }

// choice selects events; empty fields select all.
type choice struct {
	Key          string `json:"key,omitempty"` // pk of an item
	Since, Until int64  // epoch seconds of the arrival; 0: without bound
	Kind         string `json:"kind,omitempty"` // message, status, event, quarantine, send, consent
	Contact      string `json:"contact,omitempty"`
	Number       string `json:"number,omitempty"` // phone_number_id
}

// mostRate, per second, is far below a bus's quota in any region (Amazon EventBridge quotas).
const mostRate = 400

func replayCommand(p *program) *cobra.Command {
	r := &replay{program: p}
	var since, until string
	c := &cobra.Command{
		Use:   "replay -stack NAME|local",
		Short: "Put stored events on the event bus again, marked as replays",
		Long: `Put stored events on the event bus again, oldest first, each marked with detail.replay. Without
-apply it only counts them. It reads the whole table.

-since and -until refer to an event's arrival. The table's stream knows it for the last
24 hours, to the minute. An older item knows the day only, so a day is selected whole or not at all. With
RetentionDays=0 not even the day is stored, and the time of the update counts; the output says so.
An interrupted replay resumes where it stopped when the same command is run again.`,
		RunE: func(c *cobra.Command, _ []string) error {
			r.asked = strings.Join([]string{r.choice.Key, since, until, r.choice.Kind, r.choice.Contact, r.choice.Number, p.stack}, "\n")
			var err error
			if r.choice.Since, err = parseTime(since); err != nil {
				return fmt.Errorf("-since (SINCE for make): %w", err)
			}
			if r.choice.Until, err = parseTime(until); err != nil {
				return fmt.Errorf("-until (UNTIL for make): %w", err)
			}
			if r.rate < 1 || r.rate > mostRate {
				return fmt.Errorf("-rate (RATE for make) must be between 1 and %d", mostRate)
			}
			return r.run(c.Context())
		},
	}
	flags := c.Flags()
	flags.StringVar(&r.choice.Key, "key", "", "pk of an item: its event alone")
	flags.StringVar(&since, "since", "", "when the first event arrived, such as 2026-01-31T12:00:00Z, 2026-01-31 (UTC), 1h (ago) or epoch seconds")
	flags.StringVar(&until, "until", "", "when the last one arrived")
	flags.StringVar(&r.choice.Kind, "kind", "", "message, status, event, quarantine, send or consent")
	flags.StringVar(&r.choice.Contact, "contact", "", "contact of the events")
	flags.StringVar(&r.choice.Number, "number", "", "phone number id of the events")
	flags.IntVar(&r.rate, "rate", 50, "events a second, 1 to "+strconv.Itoa(mostRate))
	flags.BoolVar(&r.apply, "apply", set("APPLY"), "put them on the bus; without it, only count them (or APPLY=1)")
	return needs(c, "dynamodb:DescribeTable dynamodb:Scan dynamodb:ListStreams dynamodb:DescribeStream dynamodb:GetShardIterator dynamodb:GetRecords events:PutEvents")
}

// replay is one run of the command.
type replay struct {
	*program
	choice choice
	rate   int // events a second
	apply  bool
	asked  string // the choice as given: an age means a different time in each run

	target *target
	table  *table.Table
	bus    string
	pipe   *pipes.Pipe // template.yaml's: a replay is the event that the pipe made
}

// saved returns the file with the position of an unfinished replay.
func (r *replay) saved() string { return filepath.Join(r.state, "replay.json") }

func (r *replay) find(ctx context.Context) error {
	t, err := r.program.find(ctx)
	if err != nil {
		return err
	}
	return r.use(t)
}

// use sets the stack whose events are replayed.
func (r *replay) use(t *target) (err error) {
	r.target = t
	if r.table, err = r.target.table(); err != nil {
		return err
	}
	if r.bus = r.target.named("EVENT_BUS_NAME", "EventBusName"); r.bus == "" {
		return fmt.Errorf("the stack %s has no event bus", r.target.name)
	}
	found, err := r.target.tpl.Pipes()
	if err == nil && len(found) != 1 {
		err = fmt.Errorf("%s has %d pipes", r.template, len(found))
	}
	if err != nil {
		return err
	}
	r.pipe, err = pipes.New(found[0].Config)
	return err
}

// parseTime parses a time, a day, an age or epoch seconds; 0 for an empty string.
func parseTime(text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n, nil
	}
	if age, err := time.ParseDuration(text); err == nil {
		return time.Now().Add(-age).Unix(), nil
	}
	if day, err := time.Parse(time.DateOnly, text); err == nil {
		return day.Unix(), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return 0, errors.New("a time such as 2026-01-31T12:00:00Z, a day such as 2026-01-31 (UTC), an age such as 24h, or epoch seconds")
	}
	return at.Unix(), nil
}
