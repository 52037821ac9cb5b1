package main

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"connexease-functions/pkg/api"
	"connexease-functions/pkg/gateway"
	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/order"
	"connexease-functions/pkg/table"
	"connexease-functions/pkg/whatsapp"
)

// lookup names a message: by its id, by WhatsApp's, by its key in a scope (the client's
// own where none is given), or by the id that SQS gave the record that it came in.
type lookup struct{ id, wamid, record, key, scope string }

// view is what a client sees of a message.
type view struct {
	ID          string      `json:"id"`
	State       string      `json:"state"`            // see states
	Status      string      `json:"status,omitempty"` // sent, delivered, read, played: the highest that was reported
	Failed      bool        `json:"failed,omitempty"` // WhatsApp reported a failure
	Explanation string      `json:"explanation"`
	Wamid       string      `json:"wamid,omitempty"`
	Type        string      `json:"type,omitempty"`
	Sender      string      `json:"sender,omitempty"` // where several are named
	Campaign    string      `json:"campaign,omitempty"`
	IsFake      bool        `json:"is_fake,omitempty"`
	SentInstead string      `json:"sent_instead,omitempty"` // fallback, where the newest attempt, or the one that was accepted, posted that
	Window      string      `json:"window,omitempty"`       // open, closed or unknown, as the newest attempt saw it
	LastInbound string      `json:"last_inbound,omitempty"` // the person's newest message then
	Reason      string      `json:"reason,omitempty"`       // why it was not sent, or its outcome is unknown
	SentAt      *time.Time  `json:"first_attempt_at,omitempty"`
	ValidUntil  *time.Time  `json:"valid_until,omitempty"`
	SendAt      *time.Time  `json:"send_at,omitempty"`
	After       string      `json:"after,omitempty"` // id of the message that it waits for
	CancelledAt *time.Time  `json:"cancelled_at,omitempty"`
	CancelledBy string      `json:"cancelled_by,omitempty"` // a client, or operator
	Answer      *viewAnswer `json:"answer,omitempty"`       // the Gateway's response, or what the message was refused with
	Statuses    []viewState `json:"statuses"`
	Attempts    int         `json:"attempts"`
	// Failures are Meta's error codes, of statuses and refusals, in words.
	Failures []whatsapp.Failure `json:"failures,omitempty"`
}

type viewAnswer struct {
	HTTP int             `json:"http"`
	Body json.RawMessage `json:"body,omitempty"`
}

type viewState struct {
	Status string          `json:"status"`
	At     *time.Time      `json:"at,omitempty"`
	Errors json.RawMessage `json:"errors,omitempty"`
}

// explanations say what the states of a message mean.
var explanations = map[ledger.State]string{
	ledger.Queued:    "It waits in the queue and has not been sent.",
	ledger.Scheduled: "Its time has not come. It can be cancelled.",
	ledger.Cancelled: "It was cancelled before it was sent. It is not sent any more.",
	ledger.InFlight:  "It is being sent.",
	ledger.Accepted:  "The Gateway accepted it.",
	ledger.Rejected:  "It was refused; answer says why.",
	ledger.Expired:   "Its validity ended before it could be sent. It was not sent.",
	ledger.Released:  "It definitely was not sent. Under an idempotency key the same request sends it.",
	ledger.Unknown:   "Nobody can tell yet whether it was sent. A status of WhatsApp settles it; unless resend was chosen, it is not sent again.",
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
	row, about, receipts := f.Row, f.About, f.Statuses
	v := view{
		ID: row.ID, State: ledger.Word(f.State), Explanation: explanations[f.State], Type: about.Type, Sender: row.Sender, Campaign: about.Campaign, IsFake: row.IsFake,
		Attempts: len(row.Attempts), Statuses: []viewState{}, SentAt: timeOf(row.ClaimedAt), ValidUntil: timeOf(row.ValidUntil),
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
	instead := last.Instead
	if f.State == ledger.Accepted {
		instead = f.Outcome.Instead
	}
	if instead != "" {
		v.SentInstead = sentFallback
	}
	if o := f.Outcome; o != nil {
		if o.HTTP != 0 {
			v.Answer = &viewAnswer{HTTP: o.HTTP}
			if json.Valid(o.Body) {
				v.Answer.Body = o.Body
			}
		}
		if f.State != ledger.Accepted {
			v.Reason = string(o.Reason)
			v.fail(gateway.MetaCodes(o.Body)...)
			v.Explanation = strings.Join(append([]string{v.Explanation}, v.advice()...), " ")
		}
	}
	if f.State == ledger.Unknown {
		v.Reason = string(row.UnknownReason())
	}
	slices.SortStableFunc(receipts, func(a, b ledger.Status) int {
		return cmp.Or(a.Time.Compare(b.Time), whatsapp.Rank(a.Status)-whatsapp.Rank(b.Status))
	})
	var reported []whatsapp.Event
	for _, r := range receipts {
		if r.Status == "" { // a part of a payload
			continue
		}
		reported = append(reported, whatsapp.Event{Status: r.Status})
		v.Statuses = append(v.Statuses, viewState{Status: r.Status, At: timeOf(r.Time), Errors: r.Errors})
	}
	if len(reported) > 0 {
		folded := whatsapp.Fold(reported)
		v.Status, v.Failed = folded.State, folded.Failed
		v.Explanation = strings.Join(v.explain(folded, receipts), " ")
	}
	if f.State == ledger.Accepted && instead != "" {
		v.Explanation += " The fallback left instead of the message: the person's 24-hour window was closed, or no message of theirs was stored."
	}
	return v
}

func timeOf(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
