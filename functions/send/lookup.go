package main

import (
	"cmp"
	"context"
	"time"

	"connexease-functions/pkg/api"
	"connexease-functions/pkg/conversation"
	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/order"
	"connexease-functions/pkg/table"
)

// lookup names a message: by its id, by WhatsApp's, by its key in a scope (the client's
// own where none is given), or by the id that SQS gave the record that it came in.
type lookup struct{ id, wamid, record, key, scope string }

// view is what a client sees of a message.
type view struct {
	ID string `json:"id"`
	conversation.Progress
	Wamid       string     `json:"wamid,omitempty"`
	Type        string     `json:"type,omitempty"`
	Sender      string     `json:"sender,omitempty"` // where several are named
	Campaign    string     `json:"campaign,omitempty"`
	IsFake      bool       `json:"is_fake,omitempty"`
	Window      string     `json:"window,omitempty"`       // open, closed or unknown, as the newest attempt saw it
	LastInbound string     `json:"last_inbound,omitempty"` // the person's newest message then
	SentAt      *time.Time `json:"first_attempt_at,omitempty"`
	ValidUntil  *time.Time `json:"valid_until,omitempty"`
	SendAt      *time.Time `json:"send_at,omitempty"`
	After       string     `json:"after,omitempty"` // id of the message that it waits for
	CancelledAt *time.Time `json:"cancelled_at,omitempty"`
	CancelledBy string     `json:"cancelled_by,omitempty"` // a client, or operator
	Attempts    int        `json:"attempts"`
}

// lookUp returns all that is known of a message. Another client's message is
// reported as one that does not exist.
func (h *handler) lookUp(ctx context.Context, client string, by lookup, l *line) api.Response {
	reading, cancel := context.WithTimeout(ctx, lookUpLimit)
	defer cancel()
	l.add(outcomeLookedUp)
	id := by.id
	switch {
	case id != "":
	case by.wamid != "":
		var err error
		if id, err = h.table.FindSend(reading, by.wamid); err != nil {
			return h.tableFailed(err, l)
		}
	case by.key != "":
		id = ledger.ID(cmp.Or(by.scope, order.ClientScope(client)), by.key)
	case by.record != "":
		id = ledger.ID(order.ScopeSQS, by.record)
	default:
		return api.Fail(api.BrokenLimits, "Say which message: /v1/wa/message/{id}, ?wamid=, ?idempotency_key= or ?sqs_message_id=; or which ones: ?state=.", map[string]any{"id": "a message id such as msg_…"})
	}
	if !ledger.ValidID(id) {
		return h.noSuch(l)
	}
	v, err := h.view(reading, client, id)
	if err != nil {
		return h.tableFailed(err, l)
	}
	if v == nil {
		return h.noSuch(l)
	}
	l.id = id
	return api.Success(v)
}

// view reads what a client sees of a message; nil where there is none, or it is another client's.
func (h *handler) view(ctx context.Context, client, id string) (*view, error) {
	f, err := h.table.Find(ctx, h.now(), id, func(s *ledger.Send) bool { return s.Client == client })
	if err != nil || f == nil {
		return nil, err
	}
	v := describe(f)
	return &v, nil
}

func (h *handler) noSuch(l *line) api.Response {
	l.reason = reasonNoSuchMessage
	return api.Fail(api.NoSuchMessage, "", nil)
}

func (h *handler) tableFailed(err error, l *line) api.Response {
	l.err = err
	return api.Fail(api.TableUnavailable, "", nil)
}

func describe(f *table.Found) view {
	row, about := f.Row, f.About
	v := view{
		ID: row.ID, Progress: conversation.Of(f), Type: about.Type, Sender: row.Sender, Campaign: about.Campaign, IsFake: row.IsFake,
		Attempts: len(row.Attempts), SentAt: timeOf(row.ClaimedAt), ValidUntil: timeOf(row.ValidUntil),
		SendAt: timeOf(row.NotBefore), After: row.After,
	}
	if c := row.Cancelled; c != nil && f.State == ledger.Cancelled {
		v.CancelledAt, v.CancelledBy = timeOf(c.At), c.By
	}
	if len(f.Wamids) > 0 {
		v.Wamid = f.Wamids[0]
	}
	last := row.Attempts[row.Last()]
	v.Window, v.LastInbound = last.Seen[seenWindow], last.Seen[seenLastInbound]
	return v
}

func timeOf(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
