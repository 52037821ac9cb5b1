package console

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"connexease-functions/pkg/conversation"
	"connexease-functions/pkg/gateway"
	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/order"
	"connexease-functions/pkg/table"
)

func init() {
	register(page{path: "/sends/item", title: "Send", template: "send", show: showSend, actions: map[string]action{
		"/sends/cancel": {do: cancelSend}, "/sends/repeat": {do: repeatSend, sends: true},
	}})
}

// sendSK is the sort key of a send's row.
const sendSK = "send"

// sendOperator is what the page of a send needs of an operator.
type sendOperator interface {
	// Cancel withdraws a message; an error says why that is not so.
	Cancel(ctx context.Context, id string) error
	// Send posts a request to the send endpoint as a client, and returns the response.
	Send(ctx context.Context, client, body string, async bool) (status int, response string, err error)
}

// moment is one thing that happened to a message, or is to happen.
type moment struct {
	At     time.Time // zero: before the others
	What   string
	Tag    string
	Detail string
	Body   []byte // JSON, as it came
	Bad    bool
}

type sendPage struct {
	*table.Found
	Row       sendRow
	Progress  conversation.Progress
	Wamid     string
	Moments   []moment
	Ledger    []fact
	Attempts  []attemptRow
	Payload   []byte
	Fallback  []byte
	Ref       string // of its row among the events
	Key       string // that it was found by
	Refresh   int    // seconds between two readings
	ByHTTP    bool   // its request can be repeated
	MayCancel bool
}

type attemptRow struct {
	Token, State, Reason, Posted, Seen string
	HTTP                               int
	Lease, At                          time.Time
}

// ledgerFacts are the row's attributes that are not in other parts of the page, or personal.
var ledgerFacts = []string{
	"v", "fingerprint", "client", "sender", "campaign", "valid_until", "on_unknown", "not_before", "after", "timeline_sk", "sent_wamid",
	"unsettled_client", "unsettled_from", "is_fake", "mmlite", "outcome", "reason", "error_code", "expires_at",
}

func showSend(v *visit) (any, error) {
	id := v.query("id")
	if !ledger.ValidID(id) {
		return nil, wrongf("%q is not the id of a message, such as msg_…", id)
	}
	db := v.Operator.Table()
	now := time.Now()
	f, err := db.Find(v.ctx, now, id, table.Any)
	if err == nil && f == nil {
		return nil, wrongf("the table has no message %s: it expired, or was never there", id)
	}
	var it table.Item
	if err == nil {
		it, err = db.Get(v.ctx, id, sendSK)
	}
	if err != nil {
		return nil, fmt.Errorf("the table cannot be read: %w. Try again", err)
	}
	p := &sendPage{
		Found: f, Row: rowOf(f), Progress: conversation.Of(f), Moments: moments(now, f), Payload: f.Row.Payload, Fallback: f.Row.Fallback,
		Ref: v.Ref(id, sendSK), ByHTTP: f.Row.Client != "",
		MayCancel: f.State == ledger.Queued || f.State == ledger.Scheduled || f.State == ledger.Released,
	}
	p.Key, _, _ = v.key(v.query("key")) // it has none where it was not found by one
	if p.Refresh = 2; v.Deployed() {
		p.Refresh = 10
	}
	if len(f.Wamids) > 0 {
		p.Wamid = f.Wamids[0]
	}
	facts := factsOf(it)
	for _, name := range ledgerFacts {
		if value := facts[name]; value != "" {
			p.Ledger = append(p.Ledger, fact{name, value})
		}
	}
	for _, token := range byTime(f.Row) {
		a := f.Row.Attempts[token]
		row := attemptRow{Token: token, State: "open", Lease: a.Lease, Seen: seen(a.Seen), Posted: "the message"}
		if a.Instead != "" {
			row.Posted = "the fallback"
		}
		if o := a.Outcome; o != nil {
			row.State, row.Reason, row.HTTP, row.At = ledger.Word(o.State), string(o.Reason), o.HTTP, o.At
		}
		p.Attempts = append(p.Attempts, row)
	}
	return p, nil
}

// byTime returns the tokens of a row's attempts, the oldest first.
func byTime(s *ledger.Send) (tokens []string) {
	for token := range s.Attempts {
		tokens = append(tokens, token)
	}
	slices.SortFunc(tokens, func(a, b string) int {
		return cmp.Or(s.Attempts[a].Lease.Compare(s.Attempts[b].Lease), strings.Compare(a, b))
	})
	return tokens
}

func seen(words map[string]string) string {
	var all []string
	for name, word := range words {
		all = append(all, strings.ReplaceAll(name, "_", " ")+" "+word)
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// moments is the story of a message.
func moments(now time.Time, f *table.Found) (all []moment) {
	s := f.Row
	add := func(m moment) { all = append(all, m) }
	if !s.ValidUntil.IsZero() {
		choice := "held, if nobody can tell whether it left"
		if s.OnUnknown == ledger.Resend {
			choice = "sent again, if nobody can tell whether it left"
		}
		m := moment{What: "Queued", Detail: "valid until " + clock(s.ValidUntil) + ", " + choice}
		if s.NotBefore.IsZero() {
			m.At = s.Unsettled
		}
		add(m)
	}
	if s.After != "" {
		add(moment{What: "Waits for " + s.After, Detail: "until that has left or ended"})
	}
	if !s.NotBefore.IsZero() {
		m := moment{At: s.NotBefore, What: "Its time comes", Tag: "scheduled"}
		if now.After(s.NotBefore) {
			m.What = "Its time came"
		}
		add(m)
	}
	if !s.ClaimedAt.IsZero() {
		add(moment{At: s.ClaimedAt, What: "First claimed", Detail: "from here on one process alone may post it"})
	}
	for n, token := range byTime(s) {
		a := s.Attempts[token]
		m := moment{At: a.Lease, What: fmt.Sprintf("Attempt %d", n+1), Detail: seen(a.Seen)}
		switch o := a.Outcome; {
		case o != nil:
			m.At, m.Tag, m.Body, m.Bad = o.At, ledger.Word(o.State), o.Body, o.State != ledger.Accepted
			m.Detail = strings.Trim(strings.Join([]string{strings.ReplaceAll(string(o.Reason), "_", " "), m.Detail}, ", "), ", ")
			if o.HTTP != 0 {
				m.Detail = strings.TrimSuffix(fmt.Sprintf("HTTP %d, %s", o.HTTP, m.Detail), ", ")
			}
		case now.Before(a.Lease):
			m.Tag, m.Detail = "in flight", "its process ends before this time"
		default:
			m.Tag, m.Detail, m.Bad = "unknown", "its process ended before it wrote an outcome", true
		}
		if a.Instead != "" {
			m.What += ", the fallback"
		}
		add(m)
	}
	for _, r := range f.Statuses {
		if r.Status != "" { // else a part of a payload
			add(moment{At: r.Time, What: "WhatsApp: " + r.Status, Tag: "callback", Body: r.Errors, Bad: r.Status == "failed"})
		}
	}
	if c := s.Cancelled; c != nil {
		add(moment{At: c.At, What: "Cancelled", Detail: "by " + c.By})
	}
	if f.State == ledger.Expired {
		add(moment{At: s.ValidUntil, What: "Expired", Detail: "its validity ended before it could be sent", Bad: true})
	}
	slices.SortStableFunc(all, func(a, b moment) int { // WhatsApp's times are whole seconds
		return a.At.Truncate(time.Second).Compare(b.At.Truncate(time.Second))
	})
	return all
}

func cancelSend(v *visit) (string, error) {
	if err := v.Operator.Cancel(v.ctx, v.form("id")); err != nil {
		return "", err
	}
	return v.form("id") + " is cancelled.", nil
}

// repeatSend makes a message's request again, by the send endpoint and under its own key: what it
// was settled with is returned, and what was definitely not sent is sent.
func repeatSend(v *visit) (string, error) {
	id, key := v.form("id"), v.form("key")
	f, err := v.Operator.Table().Find(v.ctx, time.Now(), id, table.Any)
	if err != nil {
		return "", fmt.Errorf("the table cannot be read: %w. Try again", err)
	}
	if f == nil {
		return "", wrongf("the table has no message %s", id)
	}
	if ledger.ID(order.ClientScope(f.Row.Client), key) != id {
		return "", wrongf("that is not the key under which %s sent this message over HTTP", cmp.Or(f.Row.Client, "a client"))
	}
	body, err := again(f, key)
	if err != nil {
		return "", err
	}
	// One that waited in the queue does so again: a caller that waits would have it sent at once.
	status, response, err := v.Operator.Send(v.ctx, f.Row.Client, body, !f.Row.ValidUntil.IsZero() && f.Row.NotBefore.IsZero())
	if err != nil {
		return "", err
	}
	v.lead("/sends/item?" + v.sendQuery(id, key))
	return "The send endpoint responds " + v.answer(status, response), nil
}

// answer is a response in words; whole only where persons' data is shown.
func (v *visit) answer(status int, response string) string {
	if !v.session.isMasked() {
		return fmt.Sprintf("%d: %s", status, short(300, response))
	}
	var said gateway.Response
	if json.Unmarshal([]byte(response), &said) == nil && said.Errors != nil && said.Errors.Code != "" {
		return fmt.Sprintf("%d %s", status, said.Errors.Code)
	}
	return strconv.Itoa(status)
}

// again is the request that a row was made of, as an envelope: the same one, by its fingerprint.
func again(f *table.Found, key string) (string, error) {
	s := f.Row
	senders := []string{"", s.Sender}
	i := slices.IndexFunc(senders, func(sender string) bool {
		return ledger.Fingerprint(s.IsFake, s.MMLite, sender, s.Payload, s.Fallback) == s.Fingerprint
	})
	if i < 0 {
		return "", wrongf("the request cannot be made again from the row, which an earlier version wrote. Repeat it where it came from")
	}
	envelope := map[string]any{"message": json.RawMessage(s.Payload), "idempotencyKey": key}
	for name, value := range map[string]string{"sender": senders[i], "after": s.After, "campaign": f.About.Campaign, "onUnknown": string(s.OnUnknown)} {
		if value != "" {
			envelope[name] = value
		}
	}
	for name, on := range map[string]bool{"isFake": s.IsFake, "mmlite": s.MMLite} {
		if on {
			envelope[name] = true
		}
	}
	if s.Fallback != nil {
		envelope["fallback"], envelope["onClosedWindow"] = json.RawMessage(s.Fallback), "fallback"
	}
	if !s.NotBefore.IsZero() {
		envelope["sendAt"] = s.NotBefore.Format(time.RFC3339Nano)
	}
	body, err := json.Marshal(envelope)
	return string(body), err
}
