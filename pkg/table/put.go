package table

import (
	"context"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"connexease-functions/pkg/bounded"
	"connexease-functions/pkg/whatsapp"
)

// Table writes to one DynamoDB table.
type Table struct {
	client        *dynamodb.Client
	name          string
	retentionDays int
	aliases       aliasMemory
	wamids        wamidMemory
}

// New returns the table with a name. retentionDays is how long events are kept, in days; 0 means
// forever. The client must not retry calls on its own: the table does, within the caller's
// deadline.
func New(client *dynamodb.Client, name string, retentionDays int) *Table {
	return &Table{client: client, name: name, retentionDays: retentionDays}
}

// Result counts what became of the events of one Put.
type Result struct {
	Merged      int              // events that had the key of a different one of the same Put
	Quarantined int              // events that DynamoDB refused, kept as quarantine items
	Retries     int              // calls beyond the first of each batch
	Unsaved     []whatsapp.Event // events of which not every item is known to be written
	Err         error            // the last error that caused Unsaved, for its code
}

const (
	batchSize = 25 // AWS: BatchWriteItem
	// batchBytes bounds the size of one call; DynamoDB accepts 16 MB, but a call that large takes
	// most of the time that a delivery has.
	batchBytes = 1 << 20
	// parallel bounds the concurrent calls: enough to hide the network's latency, few enough that
	// their items fit in memory together.
	parallel = 8
)

// Put writes events. The day of their receipt decides when they expire. When it returns, each event
// is either durable or in Unsaved. Events with equal keys are merged, and the facts of the last one
// win. ctx bounds the whole call.
func (t *Table) Put(ctx context.Context, events []whatsapp.Event, received time.Time) Result {
	var res Result
	w := writer{table: t, events: events, lost: make(map[int]bool), today: dayOf(received)}

	byKey := make(map[[2]string]int, len(events))
	var kept []row
	for i := range events {
		for _, r := range rows(i, &events[i]) {
			key := [2]string{r.pk, r.sk}
			if at, ok := byKey[key]; ok {
				// Facts that only one of them has are kept.
				if events[i].ContactPayload != nil || events[kept[at].event].ContactPayload == nil {
					kept[at].event = i
				}
				if r.part == 0 {
					res.Merged++
				}
				continue
			}
			byKey[key] = len(kept)
			kept = append(kept, r)
		}
	}
	pairs := map[whatsapp.Pair]int{} // and which event proves them
	for i := range events {
		for _, p := range t.aliases.unwritten(w.today, events[i].Aliases) {
			if _, there := pairs[p]; !there {
				pairs[p] = i
				kept = append(kept, aliasRows(i, p)...)
			}
		}
	}
	// A stored head promises all its parts, so heads are written after them.
	var plain, heads []row
	for _, r := range kept {
		if r.parts > 0 && r.part == 0 {
			heads = append(heads, r)
		} else {
			plain = append(plain, r)
		}
	}
	w.write(ctx, plain)
	var whole []row
	for _, h := range heads {
		if !w.lost[h.event] {
			whole = append(whole, h)
		}
	}
	w.write(ctx, whole)
	w.consents(ctx)
	for p, i := range pairs {
		if !w.lost[i] {
			t.aliases.wrote(w.today, p)
		}
	}

	res.Quarantined, res.Retries, res.Err = w.quarantined, w.retries, w.err
	for i := range events {
		if w.lost[i] {
			res.Unsaved = append(res.Unsaved, events[i])
		}
	}
	return res
}

func dayOf(at time.Time) time.Time { return at.UTC().Truncate(24 * time.Hour) }

// writer is the state of one Put.
type writer struct {
	table  *Table
	events []whatsapp.Event
	today  time.Time

	mu                   sync.Mutex
	lost                 map[int]bool // by the event's index
	quarantined, retries int
	err                  error
}

// write writes rows in batches, a bounded number of them at a time.
func (w *writer) write(ctx context.Context, all []row) {
	var batches [][]row
	for len(all) > 0 {
		n, bytes := 0, 0
		for n < len(all) && n < batchSize {
			bytes += w.size(all[n])
			if n > 0 && bytes > batchBytes {
				break
			}
			n++
		}
		batches, all = append(batches, all[:n]), all[n:]
	}
	bounded.Each(len(batches), parallel, func(i int) { w.batch(ctx, batches[i]) })
}

// size is about how large a row's item will be, in bytes.
func (w *writer) size(r row) int {
	const others = 600
	if r.alias {
		return others
	}
	if r.parts > 0 && r.part == 0 {
		return others
	}
	return others + min(len(w.events[r.event].Payload), maxPayload)
}

func (w *writer) item(r row) item { return w.table.item(r, &w.events[r.event], w.today) }

func (w *writer) lose(err error, rows ...row) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err = err
	for _, r := range rows {
		w.lost[r.event] = true
	}
}

func (w *writer) retried() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.retries++
}
