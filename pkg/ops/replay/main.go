// Command replay puts stored events on the event bus again, marked as replays, on the
// laptop or in AWS: make replay.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// options are the command line's.
type options struct {
	stack    string // local, or the name of a deployed one
	choice   choice
	rate     int // events a second
	apply    bool
	asked    string // the choice as it was given: an age is another time in each run
	state    string // file that says how far an unfinished replay came
	template string
}

// choice says which events; what is empty chooses all.
type choice struct {
	Key          string `json:"key,omitempty"` // pk of an item
	Since, Until int64  // epoch seconds of the update; 0: without bound
	Kind         string `json:"kind,omitempty"` // message, status, event, quarantine, send
	Contact      string `json:"contact,omitempty"`
	Number       string `json:"number,omitempty"` // phone_number_id
}

// mostRate is far below what a bus takes in any region (Amazon EventBridge quotas).
const mostRate = 400

func run(ctx context.Context, arguments []string, out io.Writer) error {
	o := options{}
	flags := flag.NewFlagSet("replay", flag.ContinueOnError)
	flags.StringVar(&o.stack, "stack", local, "name of a deployed stack, or local")
	flags.StringVar(&o.choice.Key, "key", "", "pk of an item: its event alone")
	since := flags.String("since", "", "time of the first update, such as 2026-01-31T12:00:00Z, 1h (ago) or epoch seconds")
	until := flags.String("until", "", "time of the last one")
	flags.StringVar(&o.choice.Kind, "kind", "", "message, status, event, quarantine or send")
	flags.StringVar(&o.choice.Contact, "contact", "", "contact of the events")
	flags.StringVar(&o.choice.Number, "number", "", "phone number id of the events")
	flags.IntVar(&o.rate, "rate", 50, "events a second, 1 to "+strconv.Itoa(mostRate))
	flags.BoolVar(&o.apply, "apply", false, "put them on the bus; without, only count them")
	flags.StringVar(&o.state, "state", ".local/replay.json", "file that remembers an unfinished replay")
	flags.StringVar(&o.template, "template", "template.yaml", "path of template.yaml")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	o.asked = strings.Join([]string{o.choice.Key, *since, *until, o.choice.Kind, o.choice.Contact, o.choice.Number, o.stack}, "\n")
	var err error
	if o.choice.Since, err = parseTime(*since); err != nil {
		return fmt.Errorf("SINCE: %w", err)
	}
	if o.choice.Until, err = parseTime(*until); err != nil {
		return fmt.Errorf("UNTIL: %w", err)
	}
	switch {
	case flags.NArg() > 0:
		return fmt.Errorf("%q is no argument; see -h", flags.Arg(0))
	case o.rate < 1 || o.rate > mostRate:
		return fmt.Errorf("RATE must be between 1 and %d", mostRate)
	}
	p, err := find(ctx, o)
	if err != nil {
		return err
	}
	return p.replay(ctx, o, out)
}

// parseTime reads a time, an age or epoch seconds; 0 for nothing.
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
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return 0, errors.New("a time such as 2026-01-31T12:00:00Z, an age such as 24h, or epoch seconds")
	}
	return at.Unix(), nil
}
