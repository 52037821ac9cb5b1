package command

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"connexease-functions/pkg/table"
)

// merging counts what one run of merge does.
type merging struct {
	*restore
	quiet bool

	mu           sync.Mutex
	added, known map[string]int // by kind: items that were not there, and of which less was known
	conflicts    []string       // ids of sends that are different requests
	left         int            // left out
}

// mostKeys is how many items one call reads (AWS: BatchGetItem).
const mostKeys = 100

func (r *restore) mergeTables(ctx context.Context) error {
	m := &merging{restore: r, added: map[string]int{}, known: map[string]int{}}
	now, err := r.describe(ctx, r.dest)
	if err != nil {
		return fmt.Errorf("the table %s: %w", r.dest, why(err))
	}
	m.quiet = now.StreamSpecification != nil && now.StreamSpecification.StreamEnabled != nil && *now.StreamSpecification.StreamEnabled
	items, bytes, err := r.from.Size(ctx)
	if err != nil {
		return why(err)
	}
	r.printf("What %s knows more than %s is merged. Reading about %d items of both, %.1f GB each, costs about $%.2f; only what differs is written.\n",
		r.source, r.dest, items, float64(bytes)/gigabyte, 2*reading(items, bytes))
	if err := m.all(ctx); err != nil {
		return fmt.Errorf("not all was merged: %w. Run it again", why(err))
	}
	return m.report()
}

// all compares the tables, a page of the old one at a time, so that few items are in memory.
func (m *merging) all(ctx context.Context) error {
	group, working := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	var page []table.Item
	flush := func() {
		for chunk := range slices.Chunk(page, mostKeys) {
			group.Go(func() error { return m.some(working, chunk) })
		}
		page = nil
	}
	total, _, err := m.from.Size(ctx)
	if err != nil {
		total = 0 // it is only for the progress
	}
	shown := m.progress("Comparing the tables", total)
	defer shown.end()
	err = m.from.Scan(working, table.Selection{Page: func(scanned int) { flush(); shown.add(scanned) }}, func(it table.Item) {
		if slices.Contains(m.without, it.MergeKind()) || it[table.Upgraded] != nil && slices.Contains(m.without, "upgraded") {
			m.left++
			return
		}
		page = append(page, it)
	})
	if first := group.Wait(); first != nil {
		err = first // which ended the scan
	}
	return err
}

func (m *merging) some(ctx context.Context, items []table.Item) error {
	there, err := m.into.Counterparts(ctx, items)
	if err != nil {
		return err
	}
	for i, it := range items {
		what, n, err := m.into.Merge(ctx, m.from, it, there[i], m.quiet, m.apply)
		if err != nil {
			return err
		}
		m.mu.Lock()
		switch what {
		case table.Added:
			m.added[it.MergeKind()] += n
		case table.Changed:
			m.known[it.MergeKind()] += n
		case table.Conflicting:
			m.conflicts = append(m.conflicts, it.Text("pk"))
		}
		m.mu.Unlock()
	}
	return nil
}

func (m *merging) report() error {
	both := maps.Clone(m.added)
	for kind, n := range m.known {
		both[kind] += n
	}
	for _, kind := range kindsOf(both) {
		m.printf("  %-10s %d that it lacks, %d of which it knows less\n", kind, m.added[kind], m.known[kind])
	}
	if m.left > 0 {
		m.printf("%d items were left out: %s.\n", m.left, m.leaveOut)
	}
	switch {
	case len(both) == 0:
		m.printf("There is nothing to merge.\n")
	case m.apply:
		m.printf("All of that is in %s.\n", m.dest)
	default:
		m.printf("Nothing was changed: APPLY=1 merges it.\n")
	}
	if len(m.conflicts) > 0 {
		slices.Sort(m.conflicts)
		m.printf("%d sends are of another request in %s, and stay as they are there: %v\n", len(m.conflicts), m.dest, m.conflicts)
		return errors.New("look these messages up in both tables")
	}
	return nil
}

// kindsOf returns the kinds that were counted, in order.
func kindsOf(counts map[string]int) []string { return slices.Sorted(maps.Keys(counts)) }
