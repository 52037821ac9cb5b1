package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"golang.org/x/sync/errgroup"

	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/ops/console"
	"connexease-functions/pkg/table"
)

// operator implements console.Operator by what the commands do.
type operator struct {
	*program
	target *target
	table  *table.Table

	reading sync.Mutex
	wanted  []console.Metric // of CloudWatch, that were read last
	since   time.Time
	values  [][]float64
}

// Operate returns what the console of a running laptop stack reads and does. state is the folder
// with its environment file, and template the path of template.yaml.
func Operate(ctx context.Context, state, template string) (console.Operator, error) {
	p := &program{terminal: newTerminal(strings.NewReader(""), io.Discard, io.Discard), stack: local, state: state, template: template, yes: true}
	return p.operate(ctx)
}

func (p *program) operate(ctx context.Context) (*operator, error) {
	t, err := p.find(ctx)
	if err != nil {
		return nil, err
	}
	db, err := t.table()
	return &operator{program: p, target: t, table: db}, err
}

// Name implements console.Operator.
func (o *operator) Name() string { return o.target.name }

// Table implements console.Operator.
func (o *operator) Table() *table.Table { return o.table }

// aboutQueue says what waits in the template's queues.
var aboutQueue = map[string]string{
	outboundQueue: "messages to be sent", bulkQueue: "the lane of campaigns",
	"OverflowQueue": "events that the table could not take yet", "OverflowDeadLetters": "events that it never took",
	"OutboundDeadLetters": "messages that were given up", "BulkDeadLetters": "messages of campaigns that were given up",
	"EventDeadLetters": "events that the bus did not take", scheduleDead: "schedules that could not fire", "FailedInvocations": "asynchronous calls that failed",
}

// Queues implements console.Operator.
func (o *operator) Queues(ctx context.Context) ([]console.Queue, error) {
	queues, err := o.target.tpl.Queues()
	if err != nil {
		return nil, err
	}
	var all []console.Queue
	for _, q := range queues {
		if o.target.local() || o.target.resources[q.Name] != "" {
			all = append(all, console.Queue{Name: q.Name, About: aboutQueue[q.Name], Dead: strings.HasSuffix(q.Name, "DeadLetters") || q.Name == "FailedInvocations"})
		}
	}
	var group errgroup.Group // each queue shows its own failure
	for i := range all {
		group.Go(func() error { o.fill(ctx, &all[i]); return nil })
	}
	_ = group.Wait()
	slices.SortStableFunc(all, func(a, b console.Queue) int { // what flows, and then what was given up
		return cmp.Compare(rank(a), rank(b))
	})
	return all, nil
}

func rank(q console.Queue) int {
	i := slices.Index([]string{outboundQueue, bulkQueue, "OverflowQueue"}, q.Name)
	if i < 0 {
		return 9
	}
	return i
}

// fill reads a queue's content, and whether its lane is paused.
func (o *operator) fill(ctx context.Context, q *console.Queue) {
	url, err := o.target.queue(ctx, q.Name)
	if err != nil {
		q.Err = err
		return
	}
	delayed := sqstypes.QueueAttributeNameApproximateNumberOfMessagesDelayed
	out, err := o.target.sqs().GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: append([]sqstypes.QueueAttributeName{delayed}, depths...)})
	if err != nil {
		q.Err = why(err)
		return
	}
	count := func(name sqstypes.QueueAttributeName) int {
		n, _ := strconv.Atoi(out.Attributes[string(name)])
		return n
	}
	q.Waiting, q.InFlight, q.Delayed = count(depths[0]), count(depths[1]), count(delayed)
	if q.Name == outboundQueue || q.Name == bulkQueue {
		m, err := o.target.mapping(ctx, q.Name)
		q.Paused = err == nil && aws.ToString(m.State) == mappingDisabled
	}
}

// Secrets implements console.Operator.
func (o *operator) Secrets(ctx context.Context) ([]console.Secret, error) {
	secrets, err := o.target.tpl.Secrets()
	if err != nil {
		return nil, err
	}
	var all []console.Secret
	for _, s := range secrets {
		id := s.Name
		if !o.target.local() {
			id = o.target.resources[s.Name]
		}
		out, err := o.target.secrets().ListSecretVersionIds(ctx, &secretsmanager.ListSecretVersionIdsInput{SecretId: &id})
		if err != nil {
			return nil, fmt.Errorf("the secret %s cannot be read: %w", s.Name, why(err))
		}
		found := console.Secret{Name: s.Name}
		for _, v := range out.Versions {
			if slices.Contains(v.VersionStages, "AWSCURRENT") {
				found.Set = aws.ToTime(v.CreatedDate)
			}
		}
		if found.Set.IsZero() {
			found.Fix = "Put it in: " + cmp.Or(o.target.outputs["Put"+strings.TrimSuffix(s.Name, "Secret")], "pkg/ops/README.md, Secrets")
		}
		all = append(all, found)
	}
	return all, nil
}

// Count implements console.Operator.
func (o *operator) Count(ctx context.Context, read func(int)) (c console.Counts, err error) {
	all := found{states: map[ledger.State]int{}, statuses: map[string]int{}}
	var open []string
	err = o.table.Scan(ctx, table.Selection{
		Where: "begins_with(pk, :quarantine) OR kind = :send", Values: map[string]string{":quarantine": quarantineKey, ":send": "send"},
		Attributes: "pk, sk, kind, attempts, cancelled, valid_until, not_before",
		Page:       func(n int) { c.Items += int64(n); read(n) },
	}, func(it table.Item) {
		_, sk := it.Key()
		switch s := it.Send(); {
		case s == nil && sk == headKey:
			c.Quarantined++
		case s == nil: // a part
		case s.Has(ledger.Accepted):
			all.states[ledger.Accepted]++
		default:
			open = append(open, s.ID)
		}
	})
	if err == nil {
		err = inParallel(ctx, o.program, "Reading messages", open, func(ctx context.Context, id string) error { return all.add(ctx, o.table, id) })
	}
	if err != nil {
		return c, fmt.Errorf("the table %s cannot be read: %w", o.table.Name(), why(err))
	}
	for _, state := range lifetime {
		if n := all.states[state]; n > 0 {
			c.Sends = append(c.Sends, console.StateCount{State: ledger.Word(state), Count: n})
		}
	}
	return c, nil
}

// replayer returns a replay of the operator's stack.
func (o *operator) replayer() (*replay, error) {
	r := &replay{program: o.program}
	return r, r.use(o.target)
}

// Published implements console.Operator.
func (o *operator) Published(it table.Item) (detailType string, detail []byte, err error) {
	r, err := o.replayer()
	if err != nil {
		return "", nil, err
	}
	entry, err := r.event(it)
	if entry == nil {
		return "", nil, err
	}
	return entry.DetailType, []byte(entry.Detail), nil
}

// Replay implements console.Operator.
func (o *operator) Replay(ctx context.Context, pk, sk string) (mark string, err error) {
	r, err := o.replayer()
	if err != nil {
		return "", err
	}
	it, err := o.table.Get(ctx, pk, sk)
	if err != nil {
		return "", fmt.Errorf("the item cannot be read: %w", why(err))
	}
	entry, err := r.event(it)
	if err == nil && entry == nil {
		err = errors.New("nothing goes out for this item, so there is nothing to replay")
	}
	if err != nil {
		return "", err
	}
	mark = newMark()
	if err := r.put(ctx, []stored{{entry: *entry}}, mark); err != nil {
		return "", fmt.Errorf("the event is not on the bus: %w", why(err))
	}
	return mark, nil
}

// Troubles implements console.Operator.
func (o *operator) Troubles(ctx context.Context, read func(int)) (found console.Troubles, err error) {
	r, err := o.redriveOf(ctx, o.target)
	if err != nil {
		return found, err
	}
	var sends []string
	if found.Quarantined, sends, err = r.bodies(ctx, read); err == nil {
		found.Sends, err = r.failed(ctx, sends)
	}
	return found, err
}

// Redrive implements console.Operator.
func (o *operator) Redrive(ctx context.Context, pick string, apply bool) (said string, err error) {
	var out strings.Builder
	p := *o.program
	p.terminal = newTerminal(strings.NewReader(""), &out, io.Discard)
	r, err := p.redriveOf(ctx, o.target)
	if err == nil {
		err = r.run(ctx, pick, apply)
	}
	return out.String(), err
}
