package command

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"connexease-functions/pkg/consent"
	"connexease-functions/pkg/local/template"
	"connexease-functions/pkg/table"
)

func init() { register(redriveCommand) }

func redriveCommand(p *program) *cobra.Command {
	var show, pick string
	var apply bool
	c := &cobra.Command{
		Use:   "redrive -stack NAME|local",
		Short: "List, show and run again what could not be stored or sent",
		Long: `List what could not be stored or sent, without any customer's content. It reads the
whole table.

  -show KEY      shows one quarantined body (event#quarantine#...) or send (msg_...) whole
  -pick KEY      runs a quarantined body through the code of this folder; so do
  -pick all      all of them, and
  -pick reason=R those that were quarantined for a reason
  -pick QUEUE    runs the messages of a dead-letter queue again:
    FailedInvocations    direct invocations are invoked again with their payload; only
                         EventBridge events are put on the outbound queue
    OutboundDeadLetters  records return to the outbound queue under their original keys
    BulkDeadLetters      the same, in the bulk lane
    OverflowDeadLetters  events return to the overflow queue
    ScheduleDeadLetters  scheduled records go on the outbound queue

Without -apply, -pick only says what it would do. None of it sends a message a second time: what
was sent is recognised by its key.`,
		RunE: func(c *cobra.Command, _ []string) error {
			switch {
			case show != "" && pick != "":
				return errors.New("-show and -pick (SHOW and PICK for make) exclude each other")
			case apply && pick == "":
				return errors.New("-apply (APPLY=1 for make) needs -pick (PICK): a key, all, reason=<reason>, or a queue")
			}
			r, err := p.redrive(c.Context())
			if err != nil {
				return err
			}
			switch {
			case show != "":
				return r.show(c.Context(), show)
			case pick != "":
				return r.run(c.Context(), pick, apply)
			}
			return r.list(c.Context())
		},
	}
	c.Flags().StringVar(&show, "show", "", "key of a quarantined body or a send: prints it whole")
	c.Flags().StringVar(&pick, "pick", "", "what to run again: a key, all, reason=<reason>, or a queue's name")
	c.Flags().BoolVar(&apply, "apply", set("APPLY"), "apply the changes; without it, only say what would be done (or APPLY=1)")
	return needs(c, "dynamodb:DescribeTable dynamodb:Scan dynamodb:Query dynamodb:GetItem dynamodb:PutItem dynamodb:BatchWriteItem dynamodb:DeleteItem "+
		"sqs:GetQueueAttributes sqs:ReceiveMessage sqs:ChangeMessageVisibility sqs:DeleteMessage sqs:SendMessage lambda:InvokeFunction")
}

// redrive is one run of the command.
type redrive struct {
	*program
	target *target
	table  *table.Table
	items  *table.Table // configured as in the webhook function
	words  consent.Words
	dead   []deadQueue
}

// scheduleDead is the dead-letter queue of EventBridge Scheduler, which no queue names as its own.
const scheduleDead = "ScheduleDeadLetters"

// deadQueue is a dead-letter queue, or the queue of failed invocations.
type deadQueue struct {
	name, url string
	of        string // its source queue; empty: it has failed invocations
}

func (p *program) redrive(ctx context.Context) (*redrive, error) {
	t, err := p.find(ctx)
	if err != nil {
		return nil, err
	}
	return p.redriveOf(ctx, t)
}

func (p *program) redriveOf(ctx context.Context, t *target) (r *redrive, err error) {
	r = &redrive{program: p, target: t}
	if r.table, err = t.table(); err != nil {
		return nil, err
	}
	if r.items, err = t.writer(); err != nil {
		return nil, err
	}
	if r.words, err = t.words(); err != nil {
		return nil, err
	}
	if r.dead, err = deadQueues(t.tpl); err != nil {
		return nil, err
	}
	for i := range r.dead {
		if r.dead[i].url, err = t.queue(ctx, r.dead[i].name); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// run runs again what pick names.
func (r *redrive) run(ctx context.Context, pick string, apply bool) error {
	if q := r.queue(pick); q != nil {
		return r.again(ctx, *q, apply)
	}
	return r.pick(ctx, pick, apply)
}

func (r *redrive) queue(name string) *deadQueue {
	i := slices.IndexFunc(r.dead, func(q deadQueue) bool { return q.name == name })
	if i < 0 {
		return nil
	}
	return &r.dead[i]
}

// deadQueues returns the template's dead-letter queues and the queue of failed invocations.
func deadQueues(tpl *template.Template) (all []deadQueue, err error) {
	queues, err := tpl.Queues()
	if err != nil {
		return nil, err
	}
	functions, err := tpl.Functions()
	if err != nil {
		return nil, err
	}
	for _, q := range queues {
		if q.DeadLetter != "" {
			all = append(all, deadQueue{name: q.DeadLetter, of: q.Name})
		}
		if q.Name == scheduleDead {
			all = append(all, deadQueue{name: q.Name, of: outboundQueue})
		}
	}
	for _, f := range functions {
		if f.OnFailure != "" {
			all = append(all, deadQueue{name: f.OnFailure})
		}
	}
	slices.SortFunc(all, func(a, b deadQueue) int { return strings.Compare(a.name, b.name) })
	return all, nil
}
