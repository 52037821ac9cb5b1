package command

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"connexease-functions/pkg/ops/console"
	"connexease-functions/pkg/table"
	"connexease-functions/pkg/whatsapp"
)

// putLimit bounds the writes of one body; no caller waits for it.
const putLimit = time.Minute

// pick runs the chosen bodies through today's code; without apply it only says what that would
// write.
func (r *redrive) pick(ctx context.Context, which string, apply bool) error {
	all, _, err := r.bodies(ctx, nil)
	if err != nil {
		return err
	}
	chosen := slices.DeleteFunc(all, func(q console.Quarantined) bool {
		reason, byReason := strings.CutPrefix(which, "reason=")
		return which != "all" && which != q.Key && (!byReason || reason != q.Reason)
	})
	if len(chosen) == 0 && strings.HasPrefix(which, quarantineKey) {
		return fmt.Errorf("nothing is quarantined under %s", which)
	}
	if len(chosen) == 0 && which != "all" && !strings.HasPrefix(which, "reason=") {
		return fmt.Errorf("%q is not a key of the list, all, reason=<reason> or the name of a queue of the list", which)
	}
	moved := 0
	shown := r.progress("Running bodies again", int64(len(chosen)))
	defer shown.end()
	for _, q := range chosen {
		shown.add(1)
		ok, err := r.drive(ctx, q, apply)
		if err != nil {
			return fmt.Errorf("%s: %w. It is still quarantined; run this again", q.Key, err)
		}
		if ok {
			moved++
		}
	}
	switch {
	case apply:
		r.printf("%d of %d quarantined bodies were written and are no longer quarantined.\n", moved, len(chosen))
	case moved > 0:
		r.printf("%d of %d quarantined bodies would be written. Nothing was changed; APPLY=1 writes them.\n", moved, len(chosen))
	default:
		r.printf("None of %d quarantined bodies would be written.\n", len(chosen))
	}
	return nil
}

// drive runs one body again; ok reports that today's code can store it or, with apply, has stored
// it.
func (r *redrive) drive(ctx context.Context, q console.Quarantined, apply bool) (ok bool, err error) {
	head, payload, err := r.read(ctx, q.Key, headKey)
	if err != nil {
		return false, err
	}
	events, stays := rewritten(head, payload)
	if stays != "" {
		r.printf("%s stays: %s\n", q.Key, stays)
		return false, nil
	}
	if !apply {
		r.printf("%s would be written as %s\n", q.Key, describe(events))
		return true, nil
	}
	r.words.Mark(events)
	received := r.table.Received(head)
	if received.IsZero() {
		received = time.Now()
	}
	putting, cancel := context.WithTimeout(ctx, putLimit)
	defer cancel()
	result := r.items.Put(putting, events, received)
	switch {
	case len(result.Unsaved) > 0:
		return false, fmt.Errorf("%d of its %d events could not be written: %w", len(result.Unsaved), len(events), result.Err)
	case result.Quarantined > 0:
		// An update that was refused again stays under the key that it already has.
		r.printf("%s stays: DynamoDB refuses %d of its %d events\n", q.Key, result.Quarantined, len(events))
		return false, nil
	}
	if err := r.table.Remove(ctx, head); err != nil {
		return false, fmt.Errorf("its events are written, but it cannot be removed: %w", err)
	}
	r.printf("%s was written as %s\n", q.Key, describe(events))
	return true, nil
}

// rewritten returns the events that today's code makes of a quarantined payload; stays says why
// there are none.
func rewritten(head table.Item, payload []byte) (events []whatsapp.Event, stays string) {
	if head.Text("reason") == whatsapp.ReasonRefused {
		if e, ok := rebuild(head, payload); ok {
			return []whatsapp.Event{e}, ""
		}
		return nil, "its surroundings are not known well enough to store it like a delivery"
	}
	events = whatsapp.Split(payload)
	if len(events) == 1 && events[0].Kind == whatsapp.KindQuarantine {
		return nil, "today's code quarantines it as well: " + events[0].Reason
	}
	return events, ""
}

// describe counts events by kind and type, leaving out anything that a stranger could have named.
func describe(events []whatsapp.Event) string {
	counts := map[string]int{}
	for _, e := range events {
		name := string(e.Kind)
		switch {
		case e.Kind == whatsapp.KindStatus:
			name += " " + word(e.Status)
		case e.Type != "":
			name += " " + word(e.Type)
		}
		counts[name]++
	}
	var all []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		all = append(all, fmt.Sprintf("%d x %s", counts[name], name))
	}
	return strings.Join(all, ", ")
}

// read returns an item and its whole payload.
func (r *redrive) read(ctx context.Context, pk, sk string) (head table.Item, payload []byte, err error) {
	if head, err = r.table.Get(ctx, pk, sk); err != nil {
		return nil, nil, err
	}
	payload, err = r.table.Payload(ctx, head)
	return head, payload, err
}
