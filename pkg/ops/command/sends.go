package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"connexease-functions/pkg/auth"
	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/ops/sends"
	"connexease-functions/pkg/table"
)

func init() { register(sendsCommand) }

func sendsCommand(p *program) *cobra.Command {
	var want sends.Want
	var state string
	c := &cobra.Command{
		Use:   "sends -stack NAME|local [-is unknown|queued|scheduled] [-client NAME]",
		Short: "List the messages that are unknown, queued or scheduled",
		Long: "List the messages of all clients, or of one, that are unknown, queued or scheduled: every one of\n" +
			"them, those of earlier versions and those whose process ended before it could write included. It\n" +
			"reads the whole table, and then each message. What was put straight on the queue has no row before\n" +
			"its first attempt. A client lists its own for less, with GET /v1/wa/message?state=.",
		RunE: func(c *cobra.Command, _ []string) error {
			if want.State = ledger.State(state); !slices.Contains([]ledger.State{ledger.Unknown, ledger.Queued, ledger.Scheduled}, want.State) {
				return errors.New("name a state: -is (IS= for make) with unknown, queued or scheduled")
			}
			if want.Client != "" && !auth.ValidClient(want.Client) {
				return errors.New("name a client: -client (CLIENT= for make) with 1 to 64 letters, digits, dots, hyphens and underscores")
			}
			t, err := p.find(c.Context())
			if err != nil {
				return err
			}
			db, err := t.table()
			if err != nil {
				return err
			}
			return p.sends(c.Context(), db, want)
		},
	}
	c.Flags().StringVar(&state, "is", string(ledger.Unknown), "unknown, queued or scheduled")
	c.Flags().StringVar(&want.Client, "client", "", "of this client only; empty: of all, and of none")
	return needs(c, "dynamodb:DescribeTable dynamodb:Scan dynamodb:Query")
}

func (p *program) sends(ctx context.Context, db *table.Table, want sends.Want) error {
	shown := p.progress("Reading the table", p.saysCost(ctx, db))
	ids, err := want.Candidates(ctx, db, shown.add)
	shown.end()
	if err != nil {
		return why(err)
	}
	var mu sync.Mutex
	var all []*table.Found
	if err := inParallel(ctx, p, "Reading messages", ids, func(ctx context.Context, id string) error {
		ctx, cancel := context.WithTimeout(ctx, lookUpLimit)
		defer cancel()
		found, err := want.Look(ctx, db, id)
		if found != nil {
			mu.Lock()
			defer mu.Unlock()
			all = append(all, found)
		}
		return err
	}); err != nil {
		return fmt.Errorf("the table %s cannot be read: %w", db.Name(), why(err))
	}
	slices.SortFunc(all, func(a, b *table.Found) int {
		return cmp.Or(sends.Since(a).Compare(sends.Since(b)), cmp.Compare(a.Row.ID, b.Row.ID))
	})
	p.printf("%d messages are %s.\n", len(all), ledger.Word(want.State))
	for _, f := range all {
		p.printf("  %s  %-10s  %s  %s%s\n", f.Row.ID, cmp.Or(f.Row.Client, "-"), sends.Since(f).Format(time.RFC3339), word(f.About.Type), reason(f.Row, f.Folded))
	}
	return nil
}
