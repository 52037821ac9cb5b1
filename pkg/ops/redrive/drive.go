package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"connexease-functions/pkg/whatsapp"
)

const (
	// putLimit bounds the writes of one body. Nobody waits for an answer here.
	putLimit = time.Minute
	// maxParts is far more than the largest body has: 4 MiB in parts of 350 kB.
	maxParts = 100
)

// pick runs the chosen bodies through today's code, and without apply only says what
// that would write.
func (p *place) pick(ctx context.Context, which string, apply bool) error {
	all, _, err := p.bodies(ctx)
	if err != nil {
		return err
	}
	chosen := slices.DeleteFunc(all, func(q quarantined) bool {
		reason, byReason := strings.CutPrefix(which, "reason=")
		return which != "all" && which != q.key && (!byReason || reason != q.reason)
	})
	if len(chosen) == 0 && strings.HasPrefix(which, quarantineKey) {
		return fmt.Errorf("nothing is quarantined under %s", which)
	}
	if len(chosen) == 0 && which != "all" && !strings.HasPrefix(which, "reason=") {
		return fmt.Errorf("%q is no key of the list, nor all, nor reason=<reason>", which)
	}
	moved := 0
	for _, q := range chosen {
		ok, err := p.drive(ctx, q, apply)
		if err != nil {
			return fmt.Errorf("%s: %w. It is still quarantined; run this again", q.key, err)
		}
		if ok {
			moved++
		}
	}
	switch {
	case apply:
		p.printf("%d of %d quarantined bodies were written and are quarantined no longer.\n", moved, len(chosen))
	case moved > 0:
		p.printf("%d of %d quarantined bodies would be written. Nothing was changed; APPLY=1 writes them.\n", moved, len(chosen))
	default:
		p.printf("None of %d quarantined bodies would be written.\n", len(chosen))
	}
	return nil
}

// drive runs one body again; ok says that today's code can store it, and with apply that
// it has.
func (p *place) drive(ctx context.Context, q quarantined, apply bool) (ok bool, err error) {
	head, payload, err := p.read(ctx, q.key, headKey)
	if err != nil {
		return false, err
	}
	events, stays := again(head, payload)
	if stays != "" {
		p.printf("%s stays: %s\n", q.key, stays)
		return false, nil
	}
	if !apply {
		p.printf("%s would be written as %s\n", q.key, describe(events))
		return true, nil
	}
	received := p.received(head)
	if received.IsZero() {
		received = time.Now()
	}
	putting, cancel := context.WithTimeout(ctx, putLimit)
	defer cancel()
	result := p.items.Put(putting, events, received)
	switch {
	case len(result.Unsaved) > 0:
		return false, fmt.Errorf("%d of its %d events could not be written: %w", len(result.Unsaved), len(events), result.Err)
	case result.Quarantined > 0:
		// An update that was refused again is kept under the very key that it has already.
		p.printf("%s stays: DynamoDB refuses %d of its %d events\n", q.key, result.Quarantined, len(events))
		return false, nil
	}
	if err := p.remove(ctx, head); err != nil {
		return false, fmt.Errorf("its events are written, but it cannot be removed: %w", err)
	}
	p.printf("%s was written as %s\n", q.key, describe(events))
	return true, nil
}

// again is what today's code makes of a quarantined payload; stays says why it makes
// nothing of it.
func again(head item, payload []byte) (events []whatsapp.Event, stays string) {
	if head.text("reason") == whatsapp.ReasonRefused {
		if e, ok := rebuild(head, payload); ok {
			return []whatsapp.Event{e}, ""
		}
		return nil, "what belongs beside it is not known well enough to store it as a delivery would"
	}
	events = whatsapp.Split(payload)
	if len(events) == 1 && events[0].Kind == whatsapp.KindQuarantine {
		return nil, "today's code quarantines it as well: " + events[0].Reason
	}
	return events, ""
}

// describe counts events by kind and type. What a stranger could have named is no word.
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

// read returns an item and its payload, whose parts are put together and compared with
// what they were.
func (p *place) read(ctx context.Context, pk, sk string) (head item, payload []byte, err error) {
	if head, err = p.get(ctx, pk, sk); err != nil {
		return nil, nil, err
	}
	n := head.number("parts")
	if n == 0 {
		return head, []byte(head.text("payload")), nil
	}
	if n > maxParts {
		return nil, nil, fmt.Errorf("it has %d parts", n)
	}
	for i := range n {
		part, err := p.get(ctx, pk, partKey(sk, i+1))
		if err != nil {
			return nil, nil, fmt.Errorf("part %d of its payload: %w", i+1, err)
		}
		payload = append(payload, part.text("payload")...)
	}
	if sum := sha256.Sum256(payload); hex.EncodeToString(sum[:]) != head.text("payload_sha256") {
		return nil, nil, errors.New("the parts of its payload are not what its SHA-256 says")
	}
	return head, payload, nil
}

func partKey(sk string, n int64) string { return fmt.Sprintf("%s#part%d", sk, n) }

func (p *place) get(ctx context.Context, pk, sk string) (item, error) {
	out, err := p.db.GetItem(ctx, &dynamodb.GetItemInput{TableName: &p.name, ConsistentRead: aws.Bool(true), Key: item{"pk": str(pk), "sk": str(sk)}})
	if err != nil {
		return nil, err
	}
	if len(out.Item) == 0 {
		return nil, errors.New("it is not there")
	}
	return out.Item, nil
}

// remove deletes a quarantine item, its head first: a head without all of its parts would
// be one that cannot be read, while parts without a head are what their expiry removes.
func (p *place) remove(ctx context.Context, head item) error {
	keys := []string{headKey}
	for i := range head.number("parts") {
		keys = append(keys, partKey(headKey, i+1))
	}
	for _, sk := range keys {
		if _, err := p.db.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: &p.name, Key: item{"pk": head["pk"], "sk": str(sk)}}); err != nil {
			return err
		}
	}
	return nil
}
