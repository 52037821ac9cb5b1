// Command redrive lists what could not be stored or sent, shows one of it, and runs
// quarantined bodies through today's code again, on the laptop or in AWS: make redrive.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
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
	show     string // key of one item
	pick     string // a key, all, or reason=<reason>
	apply    bool
	template string
}

// run does what the arguments say. What it was asked for and could not do is its error.
func run(ctx context.Context, arguments []string, out io.Writer) error {
	var o options
	flags := flag.NewFlagSet("redrive", flag.ContinueOnError)
	flags.StringVar(&o.stack, "stack", local, "name of a deployed stack, or local")
	flags.StringVar(&o.show, "show", "", "key of a quarantined body or a send: prints it whole")
	flags.StringVar(&o.pick, "pick", "", "key of a quarantined body, all, or reason=<reason>: what is run again")
	flags.BoolVar(&o.apply, "apply", false, "write it; without, only say what would be written")
	flags.StringVar(&o.template, "template", "template.yaml", "path of template.yaml")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	switch {
	case flags.NArg() > 0:
		return fmt.Errorf("%q is no argument; see -h", flags.Arg(0))
	case o.show != "" && o.pick != "":
		return errors.New("SHOW and PICK exclude each other")
	case o.apply && o.pick == "":
		return errors.New("APPLY needs PICK: a key, all, or reason=<reason>")
	}
	p, err := find(ctx, o)
	if err != nil {
		return err
	}
	p.out = out
	switch {
	case o.show != "":
		return p.show(ctx, o.show)
	case o.pick != "":
		return p.pick(ctx, o.pick, o.apply)
	}
	return p.list(ctx)
}
