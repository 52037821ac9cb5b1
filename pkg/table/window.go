package table

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"connexease-functions/pkg/whatsapp"
)

const (
	// windowLife is how long WhatsApp delivers free text after a person's last message or call
	// (WhatsApp Cloud API: Customer service windows).
	windowLife = 24 * time.Hour
	// entryLife is the same after a message that came from an advertisement or a page's button
	// (WhatsApp Cloud API: Pricing, "Free entry point windows").
	entryLife = 72 * time.Hour
	// windowFirst is how many items of a timeline are read at first, about 4 kB: where the window is
	// open, a message of the person is mostly among them. Each further page has ten times as many.
	windowFirst = 10
	// windowPages bounds what one check reads of one timeline, 1 MB a page at most: more than that
	// between two messages of a person is a stream of notices, of which nothing certain is said.
	windowPages = 5
)

// WindowState says whether WhatsApp delivers free text to a person.
type WindowState string

const (
	WindowOpen    WindowState = "open"    // a message or call of theirs is recent enough, or may be
	WindowClosed  WindowState = "closed"  // the last one that is stored is too old
	WindowUnknown WindowState = "unknown" // none is stored
)

// Window is what the table knows of a person's customer service window.
type Window struct {
	State       WindowState
	LastInbound time.Time // their last message or call; zero where none is stored
}

// ClosedAt is when the window of the last message ended; zero where there is none.
func (w Window) ClosedAt() time.Time {
	if w.LastInbound.IsZero() {
		return time.Time{}
	}
	return w.LastInbound.Add(windowLife)
}

// Window looks a person up under all of their names, in the timeline's index: eventually
// consistent, so a message of this second may be missing. A window is one of a person and a number
// of the business (WhatsApp Cloud API: Customer service windows), so what came to a different one
// than phoneNumberID does not count; where that is empty, all of it does. A recent message under the
// first known name decides at once; only without one are the other names looked for.
func (t *Table) Window(ctx context.Context, phoneNumberID string, now time.Time, name string, others ...string) (Window, error) {
	name = whatsapp.Canonical(name)
	w := Window{State: WindowUnknown}
	if err := t.look(ctx, &w, name, phoneNumberID, now); err != nil || w.State == WindowOpen {
		return w, err
	}
	names, err := t.Names(ctx, append([]string{name}, others...)...)
	if err != nil {
		return w, err
	}
	for _, n := range names {
		if err == nil && w.State != WindowOpen && n != name {
			err = t.look(ctx, &w, n, phoneNumberID, now)
		}
	}
	return w, err
}

// Newest are the newest items of the timeline of a person's name, newest first.
type Newest struct {
	Name  string
	Items []Item
	All   bool // there are no older ones
}

// WindowUnder is Window where all of the person's names are known. It reads the timelines of which
// the newest items do not say enough.
func (t *Table) WindowUnder(ctx context.Context, phoneNumberID string, now time.Time, names []Newest) (Window, error) {
	w := Window{State: WindowUnknown}
	for _, n := range names {
		if w.State == WindowOpen {
			break
		}
		enough := n.All
		for _, it := range n.Items {
			number := it.Text("phone_number_id")
			came := it.Text("direction") == string(whatsapp.In) && (it.Text("kind") == string(whatsapp.KindMessage) || it.Text("field") == "calls")
			if came && (phoneNumberID == "" || number == "" || number == phoneNumberID) && w.add(it, now) {
				enough = true
				break
			}
		}
		if !enough {
			if err := t.look(ctx, &w, n.Name, phoneNumberID, now); err != nil {
				return w, err
			}
		}
	}
	return w, nil
}

// add adds a message or call of the person, the newest first, and reports whether nothing older
// matters.
func (w *Window) add(it Item, now time.Time) (enough bool) {
	at := time.Unix(it.Number("timestamp"), 0).UTC()
	age := now.Sub(at)
	if at.After(w.LastInbound) {
		w.LastInbound = at
	}
	switch {
	case age < windowLife, age < entryLife && it.Text("referral") != "":
		w.State = WindowOpen
		return true
	case w.State == WindowUnknown:
		w.State = WindowClosed
	}
	return age >= entryLife
}

// look adds what the timeline of one name says, newest first, up to where nothing older matters.
func (t *Table) look(ctx context.Context, w *Window, name, phoneNumberID string, now time.Time) error {
	in := &dynamodb.QueryInput{
		TableName: &t.name, IndexName: aws.String("timeline"), ScanIndexForward: aws.Bool(false), Limit: aws.Int32(windowFirst),
		KeyConditionExpression:   aws.String("timeline_pk = :pk"),
		FilterExpression:         aws.String("direction = :in AND (kind = :message OR #field = :calls)"),
		ProjectionExpression:     aws.String("#timestamp, referral"),
		ExpressionAttributeNames: map[string]string{"#field": "field", "#timestamp": "timestamp"},
		ExpressionAttributeValues: item{
			":pk": str(contactPrefix + name), ":in": str(string(whatsapp.In)), ":message": str(string(whatsapp.KindMessage)), ":calls": str("calls"),
		},
	}
	if phoneNumberID != "" {
		*in.FilterExpression += " AND (phone_number_id = :number OR attribute_not_exists(phone_number_id))"
		in.ExpressionAttributeValues[":number"] = str(phoneNumberID)
	}
	for page := range windowPages {
		out, err := t.page(ctx, in)
		if err != nil {
			return err
		}
		for _, it := range out.Items {
			if w.add(it, now) {
				return nil
			}
		}
		if out.LastEvaluatedKey == nil {
			return nil
		}
		in.ExclusiveStartKey = out.LastEvaluatedKey
		*in.Limit *= 10
		if page == windowPages-1 && len(out.Items) == 0 { // what is further back is not known
			w.State = WindowOpen
		}
	}
	return nil
}
