package table

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"connexease-functions/pkg/bounded"
	"connexease-functions/pkg/events"
	"connexease-functions/pkg/whatsapp"
)

// What a person says about marketing messages is one item under the name that said it. The newest
// word wins and stop wins a tie, so words may arrive in any order, and any number of times. It does
// not expire: silence takes no stop back.

const (
	consentKey  = "consent"
	kindConsent = "consent"
)

// What a Consent is known by.
const (
	ByPreference = "preference" // the switch in WhatsApp
	ByWord       = "word"       // a message that is one of the stack's words
	ByOperator   = "operator"
)

// Consent is what a person last said about marketing messages.
type Consent struct {
	Contact  string    // the name under which it is stored, canonical
	Says     string    // whatsapp.Stop or whatsapp.Resume
	At       time.Time // to the millisecond
	By       string
	Wamid    string // of the message with the word
	Who, Why string // of an operator
}

// consentItem returns an item that is later in the order of its rank the newer it is. Of two of one
// instant, stop is; else their bytes decide, so that any order of writes leaves the same item.
func consentItem(at time.Time, says string, attributes map[string]string) item {
	it := item{}
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		if value := attributes[name]; value != "" {
			it[name] = str(value)
			_, _ = fmt.Fprintf(h, "%s=%q\n", name, value)
		}
	}
	maps.Copy(it, item{
		"pk": str(contactPrefix + attributes["contact"]), "sk": str(consentKey), "kind": str(kindConsent), "detail_type": str(events.ConsentChanged),
		"status": str(says), "timestamp": num(at.Unix()), "rank": str(at.UTC().Format(timelineTime) + "#" + says + "#" + hex.EncodeToString(h.Sum(nil))[:16]),
	})
	gate(it)
	return it
}

// saidBy returns the item of what an event says; nil where it says nothing, or nobody.
func saidBy(e *whatsapp.Event, today time.Time) item {
	if e.Consent == "" || e.Contact == "" {
		return nil
	}
	by := ByPreference
	if e.Kind == whatsapp.KindMessage {
		by = ByWord
	}
	return consentItem(time.UnixMilli(happened(e, today)), e.Consent, map[string]string{
		"field": e.Field, "contact": e.Contact, "user_id": e.UserID, "phone_number_id": e.PhoneNumberID, "display_phone_number": e.DisplayPhoneNumber,
		"waba_id": e.WABAID, "wamid": e.WAMID, "reason": by,
	})
}

// putConsent writes an item, unless the table has a newer one, and retries until ctx ends.
func (t *Table) putConsent(ctx context.Context, it item, retried func()) error {
	var refused *types.ConditionalCheckFailedException
	err := attempts(ctx, retried, func(ctx context.Context) (again bool, err error) {
		_, err = t.client.PutItem(ctx, &dynamodb.PutItemInput{
			TableName: &t.name, Item: it, ConditionExpression: aws.String("attribute_not_exists(pk) OR #rank < :rank"),
			ExpressionAttributeNames: map[string]string{"#rank": "rank"}, ExpressionAttributeValues: item{":rank": it["rank"]},
		})
		return err != nil && !errors.As(err, &refused), err
	})
	return unlessRefused(err)
}

// consents writes what stored events say: of each person the newest.
func (w *writer) consents(ctx context.Context) {
	type said struct {
		event int
		item  item
	}
	newest := map[string]said{}
	for i := range w.events {
		if it := saidBy(&w.events[i], w.today); it != nil && !w.lost[i] {
			if before, there := newest[text(it["pk"])]; !there || text(before.item["rank"]) < text(it["rank"]) {
				newest[text(it["pk"])] = said{i, it}
			}
		}
	}
	all := slices.Collect(maps.Values(newest))
	bounded.Each(len(all), parallel, func(i int) {
		// A name that the table cannot store is in no send either.
		if err := w.table.putConsent(ctx, all[i].item, w.retried); err != nil && !invalid(err) {
			w.lose(err, row{event: all[i].event})
		}
	})
}

// Said returns the item of what an event says about marketing messages, for AddConsent; nil where it
// says nothing. No event comes of it.
func Said(e *whatsapp.Event, received time.Time) Item {
	it := saidBy(e, dayOf(received))
	delete(it, "detail_type")
	return it
}

// AddConsent stores an item of Said, unless the table has a newer one.
func (t *Table) AddConsent(ctx context.Context, it Item) error {
	return t.putConsent(ctx, it, func() {})
}

// Before reports whether a different word is newer; nil is before any.
func (c *Consent) Before(other *Consent) bool {
	return c == nil || c.At.Before(other.At) || c.At.Equal(other.At) && c.Says < other.Says
}

// SetConsent stores an operator's word, now. The result is what is valid after it: what the person
// said still is, where that is newer.
func (t *Table) SetConsent(ctx context.Context, c Consent) (*Consent, error) {
	it := consentItem(c.At, c.Says, map[string]string{"contact": c.Contact, "reason": ByOperator, "client": c.Who, "text": c.Why, "line": line(c.Why)})
	if err := t.putConsent(ctx, it, func() {}); err != nil {
		return nil, err
	}
	return t.Consent(ctx, c.Contact)
}

// Consent returns what a person last said under any of their names, of which some are known; nil
// where they said nothing. It is strongly consistent: what the webhook has stored counts at once.
func (t *Table) Consent(ctx context.Context, known ...string) (*Consent, error) {
	_, said, err := t.person(ctx, known, true)
	return Item(said).Consent(), err
}

// Consent returns what an item says about marketing messages; nil for any other item.
func (i Item) Consent() *Consent {
	if i.Text("kind") != kindConsent {
		return nil
	}
	since, _, _ := strings.Cut(i.Text("rank"), "#")
	at, _ := time.Parse(timelineTime, since)
	return &Consent{
		Contact: i.Text("contact"), Says: i.Text("status"), At: at, By: i.Text("reason"), Wamid: i.Text("wamid"), Who: i.Text("client"), Why: i.Text("text"),
	}
}
