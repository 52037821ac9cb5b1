package command

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"connexease-functions/pkg/auth"
	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/table"
	"connexease-functions/pkg/whatsapp"
)

func init() { register(campaignCommand) }

func campaignCommand(p *program) *cobra.Command {
	c := &campaign{program: p}
	all := &cobra.Command{
		Use:   "campaign -stack NAME|local -name CAMPAIGN show|pause|resume|cancel",
		Short: "Show, pause, resume or cancel the messages of a campaign",
		Long: "Show, pause, resume or cancel the messages that were sent with the envelope's member campaign.\n" +
			"A message has it from when its row is in the table: at once with Prefer: respond-async and sendAt,\n" +
			"from its first attempt on where it was put straight on the queue. --help of each says more.",
		RunE: func(*cobra.Command, []string) error {
			return errors.New("say what to do: show, pause, resume or cancel (DO= for make)")
		},
	}
	all.PersistentFlags().StringVar(&c.name, "name", "", "name of the campaign")
	all.PersistentFlags().StringVar(&c.queue, "queue", "", "logical name of the queue to pause or resume, such as "+outboundQueue)
	const reads = "dynamodb:DescribeTable dynamodb:Scan dynamodb:Query"
	const switches = "lambda:ListEventSourceMappings lambda:UpdateEventSourceMapping"
	var actions []string
	for _, one := range []struct {
		use, short, long, needs string
		run                     func(context.Context, *target) error
	}{
		{"show", "Count a campaign's messages by what became of them",
			"Count a campaign's messages by what became of them, as look-up does: each message's row and\n" +
				"statuses. It reads the whole table, and then each message.", reads, c.show},
		{"pause", "Stop sending what waits in the campaign's queue, of this campaign and of all others",
			"Disable the mapping between a queue and the send function, after asking for the campaign's name to be\n" +
				"typed: of the bulk lane where the stack has one, else of OutboundQueue, or as -queue says. A queue has\n" +
				"one mapping: everything that waits in it stops, of this campaign or not. Other queues go on, and so\n" +
				"does what is sent over HTTP or by direct invocation without waiting. Records wait for up to 14 days,\n" +
				"and messages whose validity ends meanwhile expire.", switches, func(ctx context.Context, t *target) error { return c.flow(ctx, t, false) }},
		{"resume", "Send again what waits in the campaign's queue",
			"Enable the mapping that pause has disabled.", switches, func(ctx context.Context, t *target) error { return c.flow(ctx, t, true) }},
		{"cancel", "Cancel what has not been sent of a campaign",
			"Cancel a campaign's messages that are scheduled, queued or were definitely not sent, after saying how\n" +
				"many there are and asking for the campaign's name to be typed. What is being sent or has an outcome\n" +
				"stays as it is. It reads the whole table. Records that were put straight on the queue and that the\n" +
				"send function has not read yet have no row: they are not found. Interrupted, run it again.",
			reads + " dynamodb:UpdateItem scheduler:DeleteSchedule", c.cancel},
	} {
		actions = append(actions, strings.Fields(one.needs)...)
		all.AddCommand(needs(&cobra.Command{Use: one.use, Short: one.short, Long: one.long, RunE: func(cmd *cobra.Command, _ []string) error {
			if !auth.ValidClient(c.name) {
				return errors.New("name a campaign: -name (NAME= for make) with 1 to 64 letters, digits, dots, hyphens and underscores")
			}
			t, err := p.find(cmd.Context())
			if err != nil {
				return err
			}
			return one.run(cmd.Context(), t)
		}}, one.needs))
	}
	slices.Sort(actions)
	return needs(all, strings.Join(slices.Compact(actions), " "))
}

// campaign is one run of the command.
type campaign struct {
	*program
	name  string
	queue string // to pause or resume; empty: that of campaigns
}

// ids reads the whole table for the ids of the campaign's messages that want accepts. Nothing is in
// an index for it, because every message would pay for that.
func (c *campaign) ids(ctx context.Context, db *table.Table, want func(*ledger.Send) bool) (ids []string, err error) {
	c.saysCost(ctx, db)
	err = c.scan(ctx, db, table.Selection{
		Where: "campaign = :name", Values: map[string]string{":name": c.name},
		Attributes: "pk, kind, attempts, cancelled, valid_until, not_before",
	}, func(it table.Item) {
		if s := it.Send(); s != nil && want(s) {
			ids = append(ids, s.ID)
		}
	})
	return ids, err
}

// found is what became of a campaign's messages.
type found struct {
	mu       sync.Mutex
	states   map[ledger.State]int
	statuses map[string]int // of those accepted: the highest status
	failed   int            // of those accepted
}

func (c *campaign) show(ctx context.Context, t *target) error {
	db, err := t.table()
	if err != nil {
		return err
	}
	ids, err := c.ids(ctx, db, func(*ledger.Send) bool { return true })
	if err != nil {
		return err
	}
	if len(ids) == 0 {
		return fmt.Errorf("the table %s has no messages of campaign %s", db.Name(), c.name)
	}
	all := found{states: map[ledger.State]int{}, statuses: map[string]int{}}
	if err := inParallel(ctx, c.program, "Reading messages", ids, func(ctx context.Context, id string) error { return all.add(ctx, db, id) }); err != nil {
		return fmt.Errorf("the table %s cannot be read: %w", db.Name(), why(err))
	}
	c.printf("%s", all.report(c.name))
	return nil
}

// add counts a message as a look-up shows it.
func (f *found) add(ctx context.Context, db *table.Table, id string) error {
	ctx, cancel := context.WithTimeout(ctx, lookUpLimit)
	defer cancel()
	folded, err := db.Find(ctx, time.Now(), id, table.Any)
	if err != nil || folded == nil { // it expired meanwhile
		return err
	}
	var reported []whatsapp.Event
	for _, r := range folded.Statuses {
		reported = append(reported, whatsapp.Event{Status: r.Status})
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.states[folded.State]++
	if folded.State == ledger.Accepted {
		seen := whatsapp.Fold(reported)
		f.statuses[seen.State]++
		if seen.Failed {
			f.failed++
		}
	}
	return nil
}

// barWidth is that of a campaign's bar, in characters.
const barWidth = 40

// lifetime lists all states in the order of a message's life.
var lifetime = []ledger.State{
	ledger.Scheduled, ledger.Queued, ledger.InFlight, ledger.Released, ledger.Accepted, ledger.Unknown, ledger.Rejected, ledger.Cancelled, ledger.Expired,
}

// report has a line for each state that occurs, in the order of a message's life and in look-up's
// words.
func (f *found) report(name string) string {
	total, ended := 0, 0
	for state, n := range f.states {
		total += n
		if !waiting(state) {
			ended += n
		}
	}
	var b strings.Builder
	share := func(of int) int { return of * ended / max(total, 1) }
	fmt.Fprintf(&b, "Campaign %s: %d messages\n[%s%s] %d%% have left or ended\n",
		name, total, strings.Repeat("#", share(barWidth)), strings.Repeat("-", barWidth-share(barWidth)), share(100))
	for _, state := range lifetime {
		if n := f.states[state]; n > 0 {
			fmt.Fprintf(&b, "  %-10s %7d%s\n", ledger.Word(state), n, f.detail(state))
		}
	}
	return b.String()
}

// detail says how far the accepted ones came.
func (f *found) detail(state ledger.State) string {
	if state != ledger.Accepted {
		return ""
	}
	var all []string
	for _, status := range []string{"sent", "delivered", "read", "played"} {
		if n := f.statuses[status]; n > 0 {
			all = append(all, fmt.Sprintf("%s %d", status, n))
		}
	}
	if f.failed > 0 {
		all = append(all, fmt.Sprintf("failed %d", f.failed))
	}
	if len(all) == 0 {
		return ""
	}
	return "  (" + strings.Join(all, ", ") + ")"
}

// waiting reports whether a message may leave yet.
func waiting(state ledger.State) bool {
	return state == ledger.Scheduled || state == ledger.Queued || state == ledger.InFlight || state == ledger.Released
}
