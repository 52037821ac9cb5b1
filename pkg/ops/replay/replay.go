package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	bus "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"connexease-functions/pkg/local/sim/pipes"
)

const (
	// perCall is how many entries PutEvents takes (AWS API reference: PutEvents).
	perCall = 10
	// tries of entries that the bus did not take, a second apart and then two, three, …
	tries = 5
)

// stored is an event as it is in the table.
type stored struct {
	at     int64
	pk, sk string
	entry  pipes.Entry
}

// progress is what an unfinished replay leaves behind, so that the same command goes on
// where it ended, under the same id.
type progress struct {
	ID     string `json:"id"`
	Asked  string `json:"asked"`
	Choice choice `json:"choice"`
	PK     string `json:"pk"` // of the last event that the bus has
	SK     string `json:"sk"`
	At     int64  `json:"at"`
	Done   int    `json:"done"`
}

func (p *place) replay(ctx context.Context, o options, out io.Writer) error {
	at := progress{ID: "replay-" + strings.ToLower(rand.Text()[:12]), Asked: o.asked, Choice: o.choice}
	if saved, err := os.ReadFile(o.state); err == nil {
		var before progress
		if json.Unmarshal(saved, &before) == nil && before.Asked == o.asked {
			at = before
		}
	}
	all, err := p.choose(ctx, at.Choice)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(out, "%d events of the table %s are chosen.\n", len(all), p.table)
	if !o.apply {
		_, _ = fmt.Fprintf(out, "Nothing was put on the bus %s: say APPLY=1 for that.\n", p.bus)
		return nil
	}
	if at.Done > 0 {
		all = slices.DeleteFunc(all, func(s stored) bool { return compare(s, stored{at: at.At, pk: at.PK, sk: at.SK}) <= 0 })
		_, _ = fmt.Fprintf(out, "Going on after %d.\n", at.Done)
	}
	_, _ = fmt.Fprintf(out, "Their mark is detail.replay = %q.\n", at.ID)
	tick := time.NewTicker(time.Second * perCall / time.Duration(o.rate))
	defer tick.Stop()
	total, told := at.Done+len(all), time.Now()
	for chunk := range slices.Chunk(all, perCall) {
		if err := p.put(ctx, chunk, at.ID); err != nil {
			return errors.Join(fmt.Errorf("after %d of %d: %w. The same command goes on from there", at.Done, total, err), at.save(o.state))
		}
		last := chunk[len(chunk)-1]
		at.Done, at.At, at.PK, at.SK = at.Done+len(chunk), last.at, last.pk, last.sk
		if err := at.save(o.state); err != nil {
			return err
		}
		if time.Since(told) > time.Second {
			told = time.Now()
			_, _ = fmt.Fprintf(out, "%d of %d\n", at.Done, total)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("after %d of %d: %w. The same command goes on from there", at.Done, total, ctx.Err())
		}
	}
	_, _ = fmt.Fprintf(out, "%d events are on the bus %s.\n", at.Done, p.bus)
	if err := os.Remove(o.state); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

func (p progress) save(path string) error {
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o600)
}

// compare orders by the time of the updates.
func compare(a, b stored) int {
	return cmp.Or(cmp.Compare(a.at, b.at), strings.Compare(a.pk, b.pk), strings.Compare(a.sk, b.sk))
}

// choose reads the table and makes of each chosen item the event that the pipe makes.
func (p *place) choose(ctx context.Context, c choice) ([]stored, error) {
	var all []stored
	pages := dynamodb.NewScanPaginator(p.db, &dynamodb.ScanInput{TableName: &p.table})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("the table %s: %w", p.table, err)
		}
		for _, item := range page.Items {
			if !c.takes(item) {
				continue
			}
			record, err := inserted(item)
			if err != nil {
				return nil, err
			}
			if !p.pipe.Takes(record) { // parts, sends without an outcome, items of earlier versions
				continue
			}
			entry, err := p.pipe.Entry(record)
			if err != nil {
				return nil, fmt.Errorf("%s %s: %w", text(item, "pk"), text(item, "sk"), err)
			}
			all = append(all, stored{epoch(item), text(item, "pk"), text(item, "sk"), entry})
		}
	}
	slices.SortFunc(all, compare)
	return all, nil
}

// inserted is the record of the stream that said that an item was inserted: of its
// attributes those that the pipe reads, which are of these types.
func inserted(item map[string]types.AttributeValue) ([]byte, error) {
	image := map[string]any{}
	for name, v := range item {
		switch v := v.(type) {
		case *types.AttributeValueMemberS:
			image[name] = map[string]string{"S": v.Value}
		case *types.AttributeValueMemberN:
			image[name] = map[string]string{"N": v.Value}
		case *types.AttributeValueMemberBOOL:
			image[name] = map[string]bool{"BOOL": v.Value}
		}
	}
	return json.Marshal(map[string]any{"eventName": "INSERT", "dynamodb": map[string]any{"NewImage": image}})
}

func (c choice) takes(item map[string]types.AttributeValue) bool {
	for name, want := range map[string]string{"pk": c.Key, "kind": c.Kind, "contact": c.Contact, "phone_number_id": c.Number} {
		if want != "" && text(item, name) != want {
			return false
		}
	}
	at := epoch(item)
	return (c.Since == 0 || at >= c.Since) && (c.Until == 0 || at <= c.Until && at > 0)
}

func text(item map[string]types.AttributeValue, name string) string {
	if s, ok := item[name].(*types.AttributeValueMemberS); ok {
		return s.Value
	}
	return ""
}

func epoch(item map[string]types.AttributeValue) int64 {
	if n, ok := item["timestamp"].(*types.AttributeValueMemberN); ok {
		at, _ := strconv.ParseInt(n.Value, 10, 64)
		return at
	}
	return 0
}

// put hands events to the bus, and those again that it did not take.
func (p *place) put(ctx context.Context, chunk []stored, id string) error {
	var entries []bus.PutEventsRequestEntry
	for _, s := range chunk {
		entries = append(entries, bus.PutEventsRequestEntry{
			EventBusName: &p.bus, Source: aws.String(s.entry.Source), DetailType: aws.String(s.entry.DetailType),
			Detail: aws.String(`{"replay":"` + id + `",` + strings.TrimPrefix(s.entry.Detail, "{")),
		})
	}
	for try := 1; ; try++ {
		out, err := p.events.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: entries})
		if err == nil {
			var left []bus.PutEventsRequestEntry
			for i, result := range out.Entries {
				if result.ErrorCode != nil {
					left, err = append(left, entries[i]), fmt.Errorf("the bus answers %s", *result.ErrorCode)
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
		wait := time.NewTimer(time.Duration(try) * time.Second)
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return ctx.Err()
		}
	}
}
