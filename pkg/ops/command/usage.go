package command

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"connexease-functions/pkg/ops/usage"
	"connexease-functions/pkg/table"
)

func init() { register(usageCommand) }

// readMillion is the price of a million read units in us-east-1, in US dollars (Amazon DynamoDB
// pricing, on-demand).
const readMillion = 0.125

func usageCommand(p *program) *cobra.Command {
	u := &usageRun{program: p}
	c := &cobra.Command{
		Use:   "usage -stack NAME|local -since 2026-10-01",
		Short: "Count what was sent, delivered, read and billed, and the Gateway's fee",
		Long: `Count the messages that a stack has sent, by its table, and the Gateway's fee for them.

  sent       the Gateway accepted it, by its response or by a receipt; an attempt each
  delivered  a status delivered, read or played
  read       a status read or played
  failed     a status failed, whatever other statuses say
  billable   a status says pricing.billable: true, whatever became of the message
  sandbox    of those sent, with is_fake
  unknown    attempts that may have sent one more, nobody can tell; in no other figure
  fee        $0.001 for each sent, the sandbox too; WhatsApp's own fee is not in it

A message counts at the time of the first attempt of its row, in UTC, with all that became of it
until now. -until is the first moment that does not count. Statuses count once however often they
came. "Without a send" are messages that have statuses and no row: echoes, and what others sent by
the same number. What is written while it reads may be missed.

It reads the whole table, says beforehand what that costs, and needs memory for a page of it at a
time: the rest is on disk, as hashes of ids with client, campaign, country and time. Interrupted, the
same command goes on from where it was.`,
		RunE: func(c *cobra.Command, _ []string) error { return u.run(c.Context()) },
	}
	flags := c.Flags()
	flags.StringVar(&u.since, "since", "", "from when, such as 2026-10-01 (UTC), 2026-10-01T12:00:00Z, 720h (ago) or epoch seconds")
	flags.StringVar(&u.until, "until", "", "until before when (default: now)")
	flags.StringVar(&u.by, "by", usage.Day, "what to group by, several with commas: "+strings.Join(usage.All, ", "))
	flags.StringVar(&u.format, "format", usage.Formats[0], strings.Join(usage.Formats, ", "))
	flags.StringVar(&u.out, "out", "", "file for it, instead of the terminal")
	flags.StringVar(&u.html, "html", "", "file for a page with plots, which loads nothing")
	flags.StringVar(&u.folder, "resume", "", "folder of an unfinished reading (default: usage in that of -state)")
	return needs(c, "dynamodb:DescribeTable dynamodb:Scan")
}

// usageRun is one run of the command.
type usageRun struct {
	*program
	since, until, by  string
	format, out, html string
	folder            string
}

// query reads the flags.
func (u *usageRun) query() (q usage.Query, err error) {
	times := [2]int64{}
	for i, one := range []struct{ name, text string }{{"since", u.since}, {"until", u.until}} {
		if times[i], err = parseTime(one.text); err != nil {
			return q, fmt.Errorf("-%s (%s for make): %w", one.name, strings.ToUpper(one.name), err)
		}
	}
	if times[0] == 0 {
		return q, errors.New("say from when: -since (SINCE for make), such as 2026-10-01")
	}
	q = usage.Query{Stack: u.stack, Since: time.Unix(times[0], 0).UTC(), Until: time.Unix(cmp.Or(times[1], time.Now().Unix()), 0).UTC()}
	if !q.Since.Before(q.Until) {
		return q, fmt.Errorf("-since is %s, and -until %s is not after it", q.Since.Format(time.RFC3339), q.Until.Format(time.RFC3339))
	}
	if q.By, err = usage.Grouping(u.by); err != nil {
		return q, fmt.Errorf("-by (BY for make): %w", err)
	}
	if !slices.Contains(usage.Formats, u.format) {
		return q, fmt.Errorf("-format (FORMAT for make): %q is none of %s", u.format, strings.Join(usage.Formats, ", "))
	}
	return q, nil
}

func (u *usageRun) run(ctx context.Context) error {
	q, err := u.query()
	if err != nil {
		return err
	}
	t, err := u.find(ctx)
	if err != nil {
		return err
	}
	db, err := t.table()
	if err != nil {
		return err
	}
	q.Table = db.Name()
	folder := cmp.Or(u.folder, filepath.Join(u.state, "usage"))
	r, err := usage.Open(folder, u.since+" "+u.until, q)
	if err != nil {
		return fmt.Errorf("%s: %w. Remove that folder to begin anew, or name a different one with -resume (RESUME for make)", folder, err)
	}
	report, err := u.read(ctx, t, db, r, folder)
	if errors.Is(err, usage.ErrGroups) || errors.Is(err, errRefused) {
		return errors.Join(err, r.Remove())
	}
	if err != nil {
		return errors.Join(err, r.Close())
	}
	if err := u.write(report); err != nil {
		return errors.Join(err, r.Close())
	}
	return r.Remove()
}

var errRefused = errors.New("nothing was read")

// read reads the table, after saying what that costs.
func (u *usageRun) read(ctx context.Context, t *target, db *table.Table, r *usage.Reading, folder string) (*usage.Report, error) {
	const recordBytes = 150 // about, on disk
	items, size, err := db.Size(ctx)
	if err != nil {
		return nil, why(err)
	}
	units := (size + readUnit - 1) / readUnit
	_, _ = fmt.Fprintf(u.messages, "This reads the whole table %s: about %d items, %d read units, $%.2f in us-east-1, and up to %d MB in %s meanwhile.\n",
		db.Name(), items, units, float64(units)*readMillion/1e6, (items*recordBytes+1e6-1)/1e6, folder)
	if n := r.Items(); n > 0 {
		_, _ = fmt.Fprintf(u.messages, "Resuming after %d items.\n", n)
	} else if !t.local() && !u.confirm("Type "+u.stack+" to read it: ", u.stack) {
		return nil, errRefused
	}
	shown := u.progress("Reading the table", items)
	err = r.Read(ctx, db, shown.set)
	shown.end()
	if err != nil {
		return nil, fmt.Errorf("after %d items: %w. The same command resumes from there", r.Items(), why(err))
	}
	shown = u.progress("Counting sends and statuses", 0)
	defer shown.end()
	report, err := r.Report(ctx, shown.set)
	if err != nil && ctx.Err() != nil {
		err = errors.New("interrupted while counting. The same command counts again, without reading")
	}
	return report, err
}

// write writes the report where it was asked for.
func (u *usageRun) write(report *usage.Report) error {
	var text bytes.Buffer
	if err := report.Write(&text, u.format); err != nil {
		return err
	}
	if u.html != "" {
		var page bytes.Buffer
		if err := report.Page(&page); err != nil {
			return err
		}
		if err := os.WriteFile(u.html, page.Bytes(), 0o600); err != nil {
			return err
		}
		_, _ = fmt.Fprintf(u.messages, "%s is the page.\n", u.html)
	}
	if u.out != "" {
		return os.WriteFile(u.out, text.Bytes(), 0o600)
	}
	u.printf("%s", text.String())
	return nil
}
