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
	// windowPages bounds what one check reads of one timeline, 1 MB each: more than that between
	// two messages of a person is a stream of notices, of which nothing certain is said.
	windowPages = 4
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
// than phoneNumberID does not count; where that is empty, all of it does.
func (t *Table) Window(ctx context.Context, name, phoneNumberID string, now time.Time) (Window, error) {
	names, err := t.Names(ctx, name)
	if err != nil {
		return Window{}, err
	}
	w := Window{State: WindowUnknown}
	entered := false
	for _, n := range names {
		in := &dynamodb.QueryInput{
			TableName: &t.name, IndexName: aws.String("timeline"), ScanIndexForward: aws.Bool(false),
			KeyConditionExpression:   aws.String("timeline_pk = :pk"),
			FilterExpression:         aws.String("direction = :in AND (kind = :message OR #field = :calls)"),
			ProjectionExpression:     aws.String("#timestamp, referral"),
			ExpressionAttributeNames: map[string]string{"#field": "field", "#timestamp": "timestamp"},
			ExpressionAttributeValues: item{
				":pk": str(contactPrefix + n), ":in": str(string(whatsapp.In)), ":message": str(string(whatsapp.KindMessage)), ":calls": str("calls"),
			},
		}
		if phoneNumberID != "" {
			*in.FilterExpression += " AND (phone_number_id = :number OR attribute_not_exists(phone_number_id))"
			in.ExpressionAttributeValues[":number"] = str(phoneNumberID)
		}
		for page := range windowPages {
			var out *dynamodb.QueryOutput
			err := attempts(ctx, func() {}, func(ctx context.Context) (again bool, err error) {
				out, err = t.client.Query(ctx, in)
				return err != nil, err
			})
			if err != nil {
				return Window{}, err
			}
			older := false
			for _, it := range out.Items {
				at := time.Unix(integer(it["timestamp"]), 0).UTC()
				if at.After(w.LastInbound) {
					w.LastInbound = at
				}
				older = now.Sub(at) >= entryLife
				entered = entered || !older && text(it["referral"]) != ""
			}
			if older || out.LastEvaluatedKey == nil {
				break
			}
			if page == windowPages-1 && len(out.Items) == 0 { // what is further back is not known
				entered = true
			}
			in.ExclusiveStartKey = out.LastEvaluatedKey
		}
	}
	switch {
	case entered:
		w.State = WindowOpen
	case w.LastInbound.IsZero():
	case now.Sub(w.LastInbound) < windowLife:
		w.State = WindowOpen
	default:
		w.State = WindowClosed
	}
	return w, nil
}
