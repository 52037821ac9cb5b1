// Package conversation reads what was said with a person or in a group, and says in words what became
// of each message that went out.
package conversation

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"connexease-functions/pkg/bounded"
	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/table"
	"connexease-functions/pkg/whatsapp"
)

const (
	// Most and Usual are how many messages a page may have, and has where nothing is said.
	Most, Usual = 100, 25
	// longestName is the longest name, in bytes, that the table has; as for any identifier.
	longestName = 512
	// parallel bounds the reads under way: the AWS SDK keeps that many connections to a host open.
	parallel = 10
	// withPayload is how many messages with payloads, of up to 4 MiB each, are in memory at once
	// before the page's size is looked at.
	withPayload = parallel
	// largest bounds the JSON of a page's messages, or of one item. A response of Lambda has 6 MB
	// (AWS Lambda quotas), which are 4.5 MiB where it is base64.
	largest = 4<<20 + 256<<10
	// longestText bounds a text in bytes. WhatsApp's longest has 4,096 characters (WhatsApp Cloud API:
	// Text messages).
	longestText = 64 << 10
	// mayBeCut is the length in bytes from which the table may have only the start of a text.
	mayBeCut = 512 - utf8.UTFMax
)

// Ask says which page of which conversation to read.
type Ask struct {
	Contact string // a phone number in any form that Meta documents, or a business-scoped user id
	GroupID string // instead of a contact
	// Before and After are Page.Before or Page.After of a different page: what is older, or newer.
	// Without both, the page has the newest messages.
	Before, After string
	Limit         int    // 1 to Most; 0: Usual
	Payload       bool   // with the stored updates
	PhoneNumberID string // of the business, whose service window is looked at; empty: of any
}

// KindSend is the kind of a message that this product sent.
const KindSend whatsapp.Kind = "send"

// Invalid says what is wrong with an Ask, by parameter.
type Invalid map[string]string

func (Invalid) Error() string { return "the request for a conversation is not valid" }

// Page is a part of a conversation. One that is empty is not an error: nothing of it is stored.
type Page struct {
	Contact string   `json:"contact,omitempty"` // canonical
	GroupID string   `json:"group_id,omitempty"`
	Names   []string `json:"names,omitempty"` // of the person: contact, and those that are proven to be theirs
	// Window is open, closed or unknown; empty for a group.
	Window      table.WindowState `json:"window,omitempty"`
	LastInbound *time.Time        `json:"last_inbound,omitempty"` // the person's last message or call
	ClosedAt    *time.Time        `json:"closed_at,omitempty"`    // where the window is closed
	Consent     *Consent          `json:"consent,omitempty"`      // nil: the person said nothing
	Messages    []Message         `json:"messages"`               // the oldest first
	// Before and After lead to what is older and newer. Before is empty where nothing is older. After
	// leads to what will come, where nothing is newer yet; it is empty only where nothing is stored.
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}

// Consent is what the person last said about marketing messages.
type Consent struct {
	Status  string    `json:"status"` // stop or resume
	Since   time.Time `json:"since"`
	By      string    `json:"by"` // preference, word or operator
	Contact string    `json:"contact"`
}

// Message is one that came or went out, or an event that concerns the person: a call, a change of
// their number, a preference. Its names are those of the table's attributes.
type Message struct {
	PK        string             `json:"pk"`
	SK        string             `json:"sk"`
	ID        string             `json:"id,omitempty"`        // of a send: msg_…
	Kind      whatsapp.Kind      `json:"kind"`                // message, send or event
	Direction whatsapp.Direction `json:"direction,omitempty"` // in, out; most events have none
	At        time.Time          `json:"at"`
	Type      string             `json:"type,omitempty"`
	Field     string             `json:"field,omitempty"`
	Text      string             `json:"text,omitempty"` // what a person would read, whole
	Contact   string             `json:"contact,omitempty"`
	UserID    string             `json:"user_id,omitempty"`
	GroupID   string             `json:"group_id,omitempty"`
	// PhoneNumberID is the business's number.
	PhoneNumberID string `json:"phone_number_id,omitempty"`
	Wamid         string `json:"wamid,omitempty"`
	// ReplyTo is the wamid of the message that this one answers; that a reaction, an edit or a revoke
	// is about.
	ReplyTo  string `json:"reply_to,omitempty"`
	MediaID  string `json:"media_id,omitempty"`
	Referral string `json:"referral,omitempty"` // ad, post, …
	Client   string `json:"client,omitempty"`   // who sent it
	Sender   string `json:"sender,omitempty"`
	Campaign string `json:"campaign,omitempty"`
	IsFake   bool   `json:"is_fake,omitempty"`
	*Progress
	*Stored
}

// Stored is what the table has of an update, as it came.
type Stored struct {
	Payload       json.RawMessage `json:"payload,omitempty"`        // where it is JSON
	PayloadBase64 string          `json:"payload_base64,omitempty"` // where it is not
	// PayloadOmitted: a response has no room for it, or the table has only a part of it.
	PayloadOmitted bool            `json:"payload_omitted,omitempty"`
	ContactPayload json.RawMessage `json:"contact_payload,omitempty"`
}

func (s *Stored) set(payload []byte) {
	switch {
	case len(payload) > largest:
		s.PayloadOmitted = true
	case json.Valid(payload):
		s.Payload = payload
	case base64.StdEncoding.EncodedLen(len(payload)) > largest:
		s.PayloadOmitted = true
	default:
		s.PayloadBase64 = base64.StdEncoding.EncodeToString(payload)
	}
}

// Read returns a page. What comes meanwhile, and what comes late with an older time, moves nothing:
// pages that follow each other have each message once that was there when the first was read. It
// returns Invalid for a request that cannot be carried out.
func Read(ctx context.Context, db *table.Table, now time.Time, ask Ask) (*Page, error) {
	r, err := begin(db, now, ask)
	if err != nil {
		return nil, err
	}
	found, err := r.find(ctx)
	if err != nil {
		return nil, err
	}
	var window table.Window
	err = bounded.Try(ctx, 2, parallel, func(ctx context.Context, n int) (err error) {
		if n == 0 {
			return r.fill(ctx, found)
		}
		if ask.GroupID == "" {
			window, err = db.WindowUnder(ctx, ask.PhoneNumberID, now, r.timelines)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if ask.GroupID == "" {
		r.page.Window, r.page.LastInbound = window.State, timeOf(window.LastInbound)
		if window.State == table.WindowClosed {
			r.page.ClosedAt = timeOf(window.ClosedAt())
		}
	}
	return &r.page, nil
}

// reader reads one page.
type reader struct {
	db    *table.Table
	now   time.Time
	ask   Ask
	older bool // the page is read from its newest message to its oldest
	// timelines has the person's names, in every form in which timelines may have them. Their items are
	// read only where the page is the newest.
	timelines []table.Newest
	from      table.Position
	page      Page
}

func begin(db *table.Table, now time.Time, ask Ask) (*reader, error) {
	wrong := Invalid{}
	r := &reader{db: db, now: now, ask: ask, older: ask.After == "", page: Page{Messages: []Message{}}}
	if r.ask.Limit == 0 {
		r.ask.Limit = Usual
	}
	if r.ask.Limit < 1 || r.ask.Limit > Most {
		wrong["limit"] = fmt.Sprintf("1 to %d", Most)
	}
	for name, cursor := range map[string]string{"before": ask.Before, "after": ask.After} {
		if cursor == "" {
			continue
		}
		var ok bool
		if r.from, ok = readCursor(cursor); !ok {
			wrong[name] = "the value of before or after in an earlier page"
		}
	}
	if ask.Before != "" && ask.After != "" {
		wrong["after"] = "not together with before"
	}
	if name := ask.Contact + ask.GroupID; name == "" || len(name) > longestName {
		wrong["contact"] = fmt.Sprintf("a phone number, a business-scoped user id, or a group: 1 to %d bytes", longestName)
	}
	if len(wrong) > 0 {
		return nil, wrong
	}
	return r, nil
}

// A cursor is a position as text. It holds no secret, and is not signed: made up, it leads to a
// different place of the same conversation.
func cursor(p table.Position) string {
	text, _ := json.Marshal([]string{p.At, p.PK, p.SK}) // strings marshal
	return base64.RawURLEncoding.EncodeToString(text)
}

func readCursor(text string) (p table.Position, ok bool) {
	const longest = 1024 // of a sort key, in bytes; two of them, and a partition key of twice that
	decoded, err := base64.RawURLEncoding.DecodeString(text)
	var parts []string
	if err != nil || json.Unmarshal(decoded, &parts) != nil || len(parts) != 3 || !utf8.Valid(decoded) {
		return p, false
	}
	p = table.Position{At: parts[0], PK: parts[1], SK: parts[2]}
	return p, p.At != "" && len(p.At) <= longest && len(p.PK) <= 2*longest && len(p.SK) <= longest
}

// find returns the items of the page, and one more where there is one, the nearest first.
func (r *reader) find(ctx context.Context) ([]table.Item, error) {
	if r.ask.GroupID != "" {
		r.page.GroupID = r.ask.GroupID
		return r.db.Timeline(ctx, table.GroupTimeline(r.ask.GroupID), r.from, r.older, r.ask.Limit+1)
	}
	r.page.Contact = whatsapp.Canonical(r.ask.Contact)
	lists := make([][]table.Item, 1)
	timeline := func(ctx context.Context, n int, name string) (err error) {
		lists[n], err = r.db.Timeline(ctx, table.ContactTimeline(name), r.from, r.older, r.ask.Limit+1)
		return err
	}
	var names []string
	err := bounded.Try(ctx, 2, parallel, func(ctx context.Context, n int) (err error) {
		if n == 0 {
			return timeline(ctx, 0, r.page.Contact)
		}
		var said *table.Consent
		if names, said, err = r.db.Person(ctx, r.ask.Contact); said != nil {
			r.page.Consent = &Consent{said.Says, said.At, said.By, said.Contact}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	lists = append(lists, make([][]table.Item, len(names)-1)...)
	err = bounded.Try(ctx, len(lists)-1, parallel, func(ctx context.Context, n int) error { return timeline(ctx, n+1, names[n+1]) })
	for n, name := range names {
		if whatsapp.Canonical(name) == name {
			r.page.Names = append(r.page.Names, name)
		}
		r.timelines = append(r.timelines, table.Newest{Name: name})
		if r.older && r.from == (table.Position{}) {
			r.timelines[n].Items, r.timelines[n].All = lists[n], len(lists[n]) <= r.ask.Limit
		}
	}
	found := slices.Concat(lists...)
	slices.SortFunc(found, func(a, b table.Item) int {
		if r.older {
			a, b = b, a
		}
		return a.Position().Compare(b.Position())
	})
	return found[:min(len(found), r.ask.Limit+1)], err
}

// fill reads what the index does not have, and makes the page of as many items as fit.
func (r *reader) fill(ctx context.Context, found []table.Item) error {
	further := len(found) > r.ask.Limit
	found = found[:min(len(found), r.ask.Limit)]
	chunk := len(found)
	if r.ask.Payload {
		chunk = withPayload
	}
	shown := map[table.Position]Message{}
	size, done := 0, 0
	for done < len(found) && size <= largest {
		next := found[done:min(done+chunk, len(found))]
		messages, err := r.messages(ctx, next)
		if err != nil {
			return err
		}
		for n := range messages {
			if m := &messages[n]; m.PK != "" {
				bytes := m.fit()
				if size += bytes; size > largest && len(shown) > 0 {
					break
				}
				shown[next[n].Position()] = *m
			}
			done++
		}
	}
	r.finish(found[:done], shown, further || done < len(found))
	return nil
}

// fit returns the size of a message in JSON. One that alone is too large loses its payload, the
// errors of its statuses and the end of its explanation.
func (m *Message) fit() int {
	if n := size(m); n <= largest {
		return n
	}
	if m.Stored != nil {
		m.Stored = &Stored{PayloadOmitted: true}
	}
	if m.Progress != nil && size(m) > largest {
		m.Explanation = start(m.Explanation)
		for n := range m.Statuses {
			m.Statuses[n].Errors = nil
		}
	}
	return size(m)
}

// size counts the bytes of a value in JSON as responses have it.
func size(v any) int {
	var n counter
	e := json.NewEncoder(&n)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // values of ours marshal: what is raw in them is valid
	return int(n)
}

type counter int

func (c *counter) Write(b []byte) (int, error) {
	*c += counter(len(b))
	return len(b), nil
}

// finish sorts the messages of the page, and sets where the next pages begin.
func (r *reader) finish(found []table.Item, shown map[table.Position]Message, further bool) {
	if r.older {
		slices.Reverse(found)
	}
	if len(found) == 0 {
		r.page.After = r.ask.After
		return
	}
	r.page.After = cursor(found[len(found)-1].Position())
	if !r.older || further {
		r.page.Before = cursor(found[0].Position())
	}
	table.Order(found)
	for _, it := range found {
		if m, there := shown[it.Position()]; there {
			r.page.Messages = append(r.page.Messages, m)
		}
	}
}

// messages reads all of items of a timeline. One that has just been erased has no key.
func (r *reader) messages(ctx context.Context, items []table.Item) ([]Message, error) {
	all := make([]Message, len(items))
	var out []*Message
	var reads []func(context.Context) error
	for n, it := range items {
		pk, sk := it.Key()
		m := &all[n]
		*m = Message{
			PK: pk, SK: sk, Kind: whatsapp.Kind(it.Text("kind")), Direction: whatsapp.Direction(it.Text("direction")), At: it.Happened(),
			Type: it.Text("type"), Field: it.Text("field"), Text: it.Text("text"), Contact: it.Text("contact"), UserID: it.Text("user_id"), GroupID: it.Text("group_id"),
			PhoneNumberID: it.Text("phone_number_id"), Wamid: it.Text("wamid"), ReplyTo: it.Text("reply_to"), MediaID: it.Text("media_id"), Referral: it.Text("referral"),
			Client: it.Text("client"),
		}
		switch {
		case m.Kind == KindSend, m.Direction == whatsapp.Out && m.Kind == whatsapp.KindMessage:
			out = append(out, m)
		case r.isMore(m):
			reads = append(reads, func(ctx context.Context) error { return r.whole(ctx, m) })
		}
	}
	// As few as may be, and even: the page waits for the longest.
	groups := max(1, (len(out)+table.Together-1)/table.Together)
	for some := range slices.Chunk(out, max(1, (len(out)+groups-1)/groups)) {
		reads = append(reads, func(ctx context.Context) error { return r.became(ctx, some) })
	}
	return all, bounded.Try(ctx, len(reads), parallel, func(ctx context.Context, n int) error { return reads[n](ctx) })
}

// isMore reports whether the page shows more of a message than the index has.
func (r *reader) isMore(m *Message) bool { return len(m.Text) >= mayBeCut || r.ask.Payload }

// became adds what became of messages that went out.
func (r *reader) became(ctx context.Context, out []*Message) error {
	var ids, wamids []string
	for _, m := range out {
		if m.Kind == KindSend {
			ids = append(ids, m.PK)
		} else {
			wamids = append(wamids, m.Wamid)
		}
	}
	sends, others, err := r.db.FindTogether(ctx, r.now, ids, wamids)
	for _, m := range out {
		switch f := sends[m.PK]; {
		case err != nil:
			return err
		case f != nil:
			r.sent(m, f)
		case m.Kind == KindSend:
			*m = Message{}
		default:
			p := Reported(others[m.Wamid])
			if m.Progress = &p; r.isMore(m) {
				err = r.whole(ctx, m)
			}
		}
	}
	return err
}

// whole reads an item with its payload.
func (r *reader) whole(ctx context.Context, m *Message) error {
	it, err := r.db.Joined(ctx, m.PK, m.SK)
	switch {
	case errors.Is(err, table.ErrNotThere):
		*m = Message{}
		return nil
	case err != nil:
		return err
	}
	payload := []byte(it.Text("payload"))
	if m.read(payload); r.ask.Payload {
		m.Stored = storedOf(it, payload)
	}
	return nil
}

// read sets the whole text from the update, where the table may have only its start.
func (m *Message) read(payload []byte) {
	if len(m.Text) < mayBeCut {
		return
	}
	if text := whatsapp.Readable(payload); strings.HasPrefix(text, m.Text) {
		m.Text = start(text)
	}
}

// start is what remains of a text that is too long.
func start(text string) string { return strings.ToValidUTF8(text[:min(len(text), longestText)], "") }

func storedOf(it table.Item, payload []byte) *Stored {
	s := &Stored{PayloadOmitted: len(payload) == 0}
	if len(payload) > 0 {
		s.set(payload)
	}
	if beside := []byte(it.Text("contact_payload")); json.Valid(beside) {
		s.ContactPayload = beside
	}
	return s
}

// sent adds what the ledger and the statuses say of a send.
func (r *reader) sent(m *Message, f *table.Found) {
	row, p := f.Row, Of(f)
	if f.State == ledger.Accepted { // it says no more than wamid does
		p.Answer = nil
	}
	m.Progress, m.ID, m.Client, m.Sender, m.Campaign, m.IsFake = &p, row.ID, row.Client, row.Sender, f.About.Campaign, row.IsFake
	if len(f.Wamids) > 0 {
		m.Wamid = f.Wamids[0]
	}
	posted := row.Payload
	if p.SentInstead != "" {
		posted = row.Fallback
	}
	m.read(posted)
	if r.ask.Payload {
		m.Stored = &Stored{}
		m.set(posted)
	}
}
