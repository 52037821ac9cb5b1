package console

import (
	"context"
	"strings"
	"time"
)

func init() {
	register(page{path: "/trouble", title: "Trouble", place: 60, template: "trouble", show: showTrouble, actions: map[string]action{
		"/trouble/list":    {do: listTroubles, reads: true},
		"/trouble/preview": {do: preview, reads: true},
		"/trouble/redrive": {do: redrive},
	}})
}

// troubleOperator is what the page needs of an operator.
type troubleOperator interface {
	// Troubles reads the whole table, and calls read with the number of items of each page.
	Troubles(ctx context.Context, read func(int)) (Troubles, error)
	// Redrive runs again what pick names: a quarantined body's key, all, reason=<reason>, or a
	// dead-letter queue. Without apply it changes nothing. It returns what it did, or would do, in
	// lines without a customer's content, also where it fails halfway.
	Redrive(ctx context.Context, pick string, apply bool) (said string, err error)
}

// Troubles is what could not be stored or sent.
type Troubles struct {
	Quarantined []Quarantined // the oldest first
	Sends       []FailedSend
}

// Quarantined is a body that is kept because it could not be read or stored as events.
type Quarantined struct {
	Key, Reason string
	Received    time.Time // day of receipt; zero if the item does not say
	Bytes       int
}

// FailedSend is a message that was refused, expired, or has an unknown outcome.
type FailedSend struct {
	ID, State, Type string
	Tried           time.Time // zero: never
	Reason          string    // the Gateway's code, or a stable word of ours
}

// advice says of each queue what a message there means, and what to do first. The runbook,
// pkg/ops/README.md, has the whole.
var advice = map[string]string{
	"FailedInvocations":   "Asynchronous calls of the send function that failed, each after two retries. See the function's log for why, and then run them again.",
	"OutboundDeadLetters": "Messages that were given up after 1,000 tries. The Gateway or a secret was away for long: once it works again, run them again.",
	"BulkDeadLetters":     "Messages of campaigns that were given up. As in the outbound lane: once sending works again, run them again.",
	"OverflowDeadLetters": "Events that the table did not take while it was away. Once it takes writes, run them again: nothing is lost until then.",
	"ScheduleDeadLetters": "Schedules that could not put their message on its queue. Run them again; what is expired by then is not sent.",
	"EventDeadLetters":    "Events that the bus did not take. They are in the table: replay them with make replay.",
}

type deadQueue struct {
	Queue
	Advice string
	Again  bool // a redrive can run its messages again
}

type troublePage struct {
	Queues   []deadQueue
	QueueErr error
	List     *jobState
	Rows     []quarantinedRow
	Reasons  []string
	Sends    []FailedSend
	// Bodies and Failed count them all; at most mostFound of each are shown.
	Bodies, Failed int
	Run            *jobState
	Cost           string
	CostErr        error
}

type quarantinedRow struct {
	Quarantined
	Ref string
}

// redriven is the result of a preview or a redrive.
type redriven struct {
	Pick, Said string
	Applied    bool
}

// redriving is the name of the job that previews or redrives.
const redriving = "redrive"

func showTrouble(v *visit) (any, error) {
	p := &troublePage{List: v.job("trouble"), Run: v.job(redriving)}
	var queues []Queue
	if v.due("dead") {
		queues, p.QueueErr = v.Operator.Queues(v.ctx)
	}
	for _, q := range queues {
		if q.Dead {
			p.Queues = append(p.Queues, deadQueue{q, advice[q.Name], q.Name != "EventDeadLetters"})
		}
	}
	if v.due("kept") {
		p.Cost, _, p.CostErr = v.scanCost()
	}
	if p.List != nil && p.List.Err == nil && !p.List.Running() {
		found, _ := p.List.Result.(Troubles)
		seen := map[string]bool{}
		p.Bodies, p.Failed = len(found.Quarantined), len(found.Sends)
		for _, q := range found.Quarantined[:min(mostFound, p.Bodies)] {
			p.Rows = append(p.Rows, quarantinedRow{q, v.Ref(q.Key, "event")})
			if !seen[q.Reason] {
				seen[q.Reason] = true
				p.Reasons = append(p.Reasons, q.Reason)
			}
		}
		p.Sends = found.Sends[:min(mostFound, p.Failed)]
	}
	return p, nil
}

func listTroubles(v *visit) (string, error) {
	_, items, err := v.scanCost()
	if err != nil {
		return "", err
	}
	return "", v.start("trouble", items, func(ctx context.Context, read func(int)) (any, error) {
		return v.Operator.Troubles(ctx, read)
	})
}

func preview(v *visit) (string, error) { return "", v.redrive(false) }

func redrive(v *visit) (string, error) { return "", v.redrive(true) }

func (v *visit) redrive(apply bool) error {
	pick := strings.TrimSpace(v.form("pick"))
	if pick == "" {
		return wrongf("nothing is picked")
	}
	v.lead("/trouble#run")
	return v.start(redriving, 0, func(ctx context.Context, _ func(int)) (any, error) {
		said, err := v.Operator.Redrive(ctx, pick, apply)
		return redriven{pick, said, apply}, err
	})
}
