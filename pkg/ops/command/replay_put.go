package command

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	bus "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"connexease-functions/pkg/events"
	"connexease-functions/pkg/local/pause"
	"connexease-functions/pkg/local/sim/pipes"
	"connexease-functions/pkg/table"
)

const (
	// perCall is how many entries PutEvents accepts (AWS API reference: PutEvents).
	perCall = 10
	// tries of entries that the bus did not accept, a second apart and then two, three, …
	tries = 5
)

// stored is an event of the table.
type stored struct {
	at     int64
	pk, sk string
	entry  pipes.Entry
}

// position is saved by an unfinished replay, so that the same command resumes where it stopped,
// under the same id.
type position struct {
	ID     string `json:"id"`
	Asked  string `json:"asked"`
	Choice choice `json:"choice"`
	PK     string `json:"pk"` // of the last event that was put on the bus
	SK     string `json:"sk"`
	At     int64  `json:"at"`
	Done   int    `json:"done"`
}

func (r *replay) run(ctx context.Context) error {
	at := position{ID: newMark(), Asked: r.asked, Choice: r.choice}
	if saved, err := os.ReadFile(r.saved()); err == nil {
		var before position
		if json.Unmarshal(saved, &before) == nil && before.Asked == r.asked {
			at = before
		}
	}
	if err := r.find(ctx); err != nil {
		return err
	}
	all, known, err := r.choose(ctx, at.Choice)
	if err != nil {
		return err
	}
	r.printf("%d events of the table %s are selected.\n", len(all), r.table.Name())
	r.says(known)
	if !r.apply {
		r.printf("Nothing was put on the bus %s: APPLY=1 does it.\n", r.bus)
		return nil
	}
	total := len(all)
	if at.Done > 0 {
		all = slices.DeleteFunc(all, func(s stored) bool { return compare(s, stored{at: at.At, pk: at.PK, sk: at.SK}) <= 0 })
		r.printf("Resuming after %d.\n", at.Done)
		total = at.Done + len(all)
	}
	r.printf("Their mark is detail.replay = %q.\n", at.ID)
	shown := r.progress("Putting events on the bus", int64(total))
	defer shown.end()
	tick := time.NewTicker(time.Second * perCall / time.Duration(r.rate))
	defer tick.Stop()
	for chunk := range slices.Chunk(all, perCall) {
		if err := r.put(ctx, chunk, at.ID); err != nil {
			return errors.Join(fmt.Errorf("after %d of %d: %w. The same command resumes from there", at.Done, total, why(err)), at.save(r.saved()))
		}
		last := chunk[len(chunk)-1]
		at.Done, at.At, at.PK, at.SK = at.Done+len(chunk), last.at, last.pk, last.sk
		if err := at.save(r.saved()); err != nil {
			return err
		}
		shown.set(int64(at.Done))
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("after %d of %d: %w. The same command resumes from there", at.Done, total, ctx.Err())
		}
	}
	r.printf("%d events are on the bus %s.\n", at.Done, r.bus)
	if err := os.Remove(r.saved()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

func (p position) save(path string) error {
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o600)
}

// compare orders events by the time of the updates.
func compare(a, b stored) int {
	return cmp.Or(cmp.Compare(a.at, b.at), strings.Compare(a.pk, b.pk), strings.Compare(a.sk, b.sk))
}

// choose reads the table and turns each chosen item into the event that the pipe makes.
func (r *replay) choose(ctx context.Context, c choice) (all []stored, known *arrivals, err error) {
	known = &arrivals{}
	bounded := c.Since != 0 || c.Until != 0
	if bounded {
		if known, err = r.readArrivals(ctx); err != nil {
			return nil, nil, err
		}
	}
	var since, until time.Time
	if c.Since != 0 {
		since = time.Unix(c.Since, 0)
	}
	if c.Until != 0 {
		until = time.Unix(c.Until, 0)
	}
	var failed error
	err = r.scan(ctx, r.table, table.Selection{}, func(it table.Item) {
		if failed != nil || !c.takes(it) {
			return
		}
		entry, err := r.event(it)
		if err != nil {
			failed = err
			return
		}
		if entry == nil || bounded && !known.takes(it, since, until) {
			return
		}
		pk, sk := it.Key()
		all = append(all, stored{it.Number("timestamp"), pk, sk, *entry})
	})
	slices.SortFunc(all, compare)
	return all, known, errors.Join(err, failed)
}

// event returns the event that the pipe makes of an item; nil for parts, sends without an outcome
// and items of earlier versions.
func (r *replay) event(it table.Item) (*pipes.Entry, error) {
	record, err := inserted(it)
	if err != nil || !r.pipe.Matches(record) {
		return nil, err
	}
	entry, err := r.pipe.Entry(record)
	if err != nil {
		pk, sk := it.Key()
		return nil, fmt.Errorf("%s %s: %w", pk, sk, err)
	}
	return &entry, nil
}

// newMark returns the mark of a replay.
func newMark() string { return "replay-" + strings.ToLower(rand.Text()[:12]) }

// inserted returns the stream record of an item's insertion, as far as the pipe reads it.
func inserted(item table.Item) ([]byte, error) {
	if item.Text("kind") == "send" && item["outcome"] != nil && item["detail_type"] == nil { // it was upgraded since
		item = maps.Clone(item)
		item["detail_type"] = &types.AttributeValueMemberS{Value: events.Outcome}
	}
	image, err := attributevalue.MarshalMapJSON(item)
	if err != nil {
		return nil, err
	}
	return json.Marshal(map[string]any{"eventName": "INSERT", "dynamodb": map[string]any{"NewImage": json.RawMessage(image)}})
}

func (c choice) takes(it table.Item) bool {
	for name, want := range map[string]string{"pk": c.Key, "kind": c.Kind, "contact": c.Contact, "phone_number_id": c.Number} {
		if want != "" && it.Text(name) != want {
			return false
		}
	}
	return true
}

// put puts events on the bus, and retries those that it did not accept.
func (r *replay) put(ctx context.Context, chunk []stored, id string) error {
	var entries []bus.PutEventsRequestEntry
	for _, s := range chunk {
		entries = append(entries, bus.PutEventsRequestEntry{
			EventBusName: &r.bus, Source: aws.String(s.entry.Source), DetailType: aws.String(s.entry.DetailType),
			Detail: aws.String(`{"replay":"` + id + `",` + strings.TrimPrefix(s.entry.Detail, "{")),
		})
	}
	client := r.target.events()
	for try := 1; ; try++ {
		out, err := client.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: entries})
		if err == nil {
			var left []bus.PutEventsRequestEntry
			for i, result := range out.Entries {
				if result.ErrorCode != nil {
					left, err = append(left, entries[i]), fmt.Errorf("the bus returned %s", *result.ErrorCode)
				}
			}
			if err == nil {
				return nil
			}
			entries = left
		}
		if try == tries {
			return err
		}
		if err := pause.For(ctx, time.Duration(try)*time.Second); err != nil {
			return err
		}
	}
}
