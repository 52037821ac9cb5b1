package usage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"connexease-functions/pkg/ledger"
)

// Report brings sends and statuses together, once all is read. First those of one id of this
// product: the ledger says which attempts became messages. Then those of one id of WhatsApp, under
// which the statuses of a message lie whose caller used biz_opaque_callback_data, or which lack it.
// progress is called with the number of records so far. Once ctx has ended it, a later run may call
// it again.
func (r *Reading) Report(ctx context.Context, progress func(records int64)) (*Report, error) {
	t := totals{Report: Report{Query: r.query, ReadAt: r.at.Began}, groups: map[string]*Group{}}
	var done int64
	t.saw = func() error {
		done++
		progress(done)
		return ctx.Err()
	}
	known, err := openSpill(filepath.Join(r.folder, "known"), 0, nil)
	if err != nil {
		return nil, err
	}
	err = leaves([]*spill{r.messages}, func(records func(func(record) error) error) error { return t.sends(records, known) })
	if err == nil {
		err = leaves([]*spill{r.others, known}, t.messages)
	}
	if err := errors.Join(err, known.close()); err != nil {
		return nil, err
	}
	for _, g := range t.groups {
		t.Groups = append(t.Groups, *g)
		t.Total.add(&g.Figures)
	}
	slices.SortFunc(t.Groups, func(a, b Group) int { return slices.Compare(a.Values, b.Values) })
	return &t.Report, nil
}

// totals is a report that is not complete yet.
type totals struct {
	Report
	groups map[string]*Group
	saw    func() error // is called with each record; its error ends the report
}

// group returns the figures of a message's group.
func (t *totals) group(values []string, category string) (*Figures, error) {
	if at := slices.Index(t.By, Category); at >= 0 {
		values[at] = category
	}
	key := fmt.Sprintf("%q", values)
	if t.groups[key] == nil {
		if len(t.groups) == mostGroups {
			return nil, ErrGroups
		}
		t.groups[key] = &Group{Values: slices.Clone(values)}
	}
	return &t.groups[key].Figures, nil
}

// sends turns the attempts of sends into messages, and passes these and the statuses on, by
// WhatsApp's id.
func (t *totals) sends(records func(func(record) error) error, known *spill) error {
	type row struct {
		send *sent
		said map[[2]string]*said // by attempt and WhatsApp's id
	}
	all := map[string]*row{}
	if err := records(func(r record) error {
		if err := t.saw(); err != nil {
			return err
		}
		one := all[r.Key]
		if one == nil {
			one = &row{said: map[[2]string]*said{}}
			all[r.Key] = one
		}
		if r.Send != nil {
			one.send = r.Send
			return nil
		}
		key := [2]string{r.Said.Token, r.Said.Wamid}
		if one.said[key] == nil {
			one.said[key] = r.Said
		} else {
			one.said[key].merge(r.Said)
		}
		return nil
	}); err != nil {
		return err
	}
	for id, one := range all {
		if one.send != nil {
			if err := t.send(id, one.send, one.said, known); err != nil {
				return err
			}
		}
		for _, s := range one.said {
			if err := known.add(record{Key: s.Wamid, Said: s}); err != nil {
				return err
			}
		}
	}
	return nil
}

// send does so for one row, given its statuses.
func (t *totals) send(id string, row *sent, all map[[2]string]*said, known *spill) error {
	s := &ledger.Send{Attempts: map[string]ledger.Attempt{}}
	for _, a := range row.Attempts {
		one := ledger.Attempt{Lease: time.UnixMilli(a.Lease)}
		if a.State != "" {
			one.Outcome = &ledger.Outcome{State: a.State, Wamid: a.Wamid}
		}
		s.Attempts[a.Token] = one
	}
	var statuses []ledger.Status
	for _, one := range all {
		statuses = append(statuses, ledger.Status{Token: one.Token, Wamid: one.Wamid, Time: time.Unix(one.At, 0)})
	}
	receipts := map[string]string{} // WhatsApp's id, by attempt
	for _, r := range ledger.Fold(t.ReadAt, s, statuses).Receipts {
		receipts[r.Token] = r.Wamid
	}
	for _, a := range row.Attempts {
		receipt := receipts[a.Token]
		switch open := a.State == "" && !t.ReadAt.Before(time.UnixMilli(a.Lease)); {
		case a.State == ledger.Accepted || receipt != "":
			m := &sent{Counts: row.Counts, Group: row.Group, Sandbox: row.Sandbox}
			if err := known.add(record{Key: cmp.Or(a.Wamid, receipt, hashed(id+a.Token)), Send: m}); err != nil {
				return err
			}
		case row.Counts && (open || a.State == ledger.Unknown):
			f, err := t.group(row.Group, "")
			if err != nil {
				return err
			}
			f.Unknown++
		}
	}
	return nil
}

// messages counts messages with all that is said of them.
func (t *totals) messages(records func(func(record) error) error) error {
	type message struct {
		sends []*sent
		said  said
	}
	all := map[string]*message{}
	if err := records(func(r record) error {
		if err := t.saw(); err != nil {
			return err
		}
		m := all[r.Key]
		if m == nil {
			m = &message{}
			all[r.Key] = m
		}
		if r.Send != nil {
			m.sends = append(m.sends, r.Send)
		} else {
			m.said.merge(r.Said)
		}
		return nil
	}); err != nil {
		return err
	}
	for _, m := range all {
		if len(m.sends) == 0 && t.covers(m.said.At) {
			t.WithoutSend.Sent++
			m.said.count(&t.WithoutSend)
		}
		for _, s := range m.sends {
			if !s.Counts {
				continue
			}
			f, err := t.group(s.Group, m.said.category())
			if err != nil {
				return err
			}
			f.Sent++
			if s.Sandbox {
				f.Sandbox++
			}
			m.said.count(f)
		}
	}
	return nil
}

func day(at int64) string { return time.Unix(at, 0).UTC().Format(time.DateOnly) }
