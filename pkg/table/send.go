package table

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"connexease-functions/pkg/ledger"
)

const (
	// sendKey is the sort key of a send's row.
	sendKey = "send"
	// maxIndexed is the longest identifier, in bytes, that becomes an index key; as
	// for events.
	maxIndexed = 512
	// MaxSend is the largest body of a send, in bytes. It must fit in one item (400 KB) with the
	// responses to its attempts.
	MaxSend = 256 << 10
)

// About holds the attributes by which people search for a send.
type About struct {
	Type    string // message type
	Contact string // the customer, as in events: canonical
	UserID  string // if Contact is a number and both were given
	GroupID string // the recipient group, instead of a customer
	Text    string // at most 512 bytes
	ReplyTo string
	MediaID string
	// Campaign is what the message is sent for: a name as auth.ValidClient. The write that makes a
	// row fixes it.
	Campaign string
}

// WriteSend carries out one write of the ledger, and retries it until it gets a response or ctx
// ends. A failed condition is a Result, not an error; the error says why a write is Lost, or Missed
// if DynamoDB refused every try.
func (t *Table) WriteSend(ctx context.Context, w ledger.Write, about About) (ledger.Result, error) {
	var refused *types.ConditionalCheckFailedException
	var image item
	uncertain := false
	err := attempts(ctx, func() {}, func(ctx context.Context) (again bool, err error) {
		image, err = t.writeSend(ctx, w, about)
		uncertain = uncertain || err != nil && !turnedAway(err)
		return err != nil && !errors.As(err, &refused), err
	})
	switch {
	case refused != nil:
		return ledger.Result{Refused: true, Image: readSend(refused.Item)}, nil
	case err != nil:
		return ledger.Result{Lost: uncertain, Missed: !uncertain}, err
	}
	if w.Set.Wamid != "" {
		t.wamids.remember(w.ID, []string{w.Set.Wamid})
	}
	return ledger.Result{Image: readSend(image)}, nil
}

// Unfit reports whether a write failed because DynamoDB can never accept it.
func Unfit(err error) bool { return invalid(err) }

// turnedAway reports whether DynamoDB definitely refused a call (AWS: Error handling with DynamoDB,
// HTTP status 400). Any other call may have been carried out.
func turnedAway(err error) bool {
	var response *http.ResponseError
	return errors.As(err, &response) && response.HTTPStatusCode() == 400
}

func (t *Table) writeSend(ctx context.Context, w ledger.Write, about About) (image item, err error) {
	e := expression{names: map[string]string{}, values: item{}}
	condition := e.conditions(w.If)
	if w.Put != nil {
		_, err := t.client.PutItem(ctx, &dynamodb.PutItemInput{
			TableName: &t.name, Item: sendItem(w.Put, about), ConditionExpression: &condition,
			ExpressionAttributeNames: e.names, ExpressionAttributeValues: e.used(),
			ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
		})
		return nil, err
	}
	update := e.update(w.ID, w.Set, about)
	in := &dynamodb.UpdateItemInput{
		TableName: &t.name, Key: item{"pk": str(w.ID), "sk": str(sendKey)},
		ConditionExpression: &condition, UpdateExpression: &update,
		ExpressionAttributeNames: e.names, ExpressionAttributeValues: e.used(),
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}
	if w.Step == ledger.Claim1 {
		in.ReturnValues = types.ReturnValueAllNew // the payload, without a read
	}
	out, err := t.client.UpdateItem(ctx, in)
	if err != nil {
		return nil, err
	}
	return out.Attributes, nil
}

// expression collects the placeholders of one write's expressions.
type expression struct {
	names  map[string]string
	values item
}

// used returns nil instead of an empty map, which DynamoDB refuses.
func (e *expression) used() item {
	if len(e.values) == 0 {
		return nil
	}
	return e.values
}

// path returns a document path in placeholders.
func (e *expression) path(parts ...string) string {
	for i, p := range parts {
		parts[i] = "#" + p // tokens are letters and digits
		e.names[parts[i]] = p
	}
	return strings.Join(parts, ".")
}

func (e *expression) value(name string, v types.AttributeValue) string {
	e.values[":"+name] = v
	return ":" + name
}

func (e *expression) conditions(clauses []ledger.Clause) string {
	all := make([]string, len(clauses))
	for i, c := range clauses {
		switch c.Kind {
		case ledger.RowAbsent:
			all[i] = "attribute_not_exists(" + e.path("pk") + ")"
		case ledger.VersionIs:
			all[i] = e.path("v") + " = " + e.value("seen", num(c.V))
		case ledger.ValidAfter:
			all[i] = e.path("valid_until") + " > " + e.value("now", num(c.Time.UnixMilli()))
		case ledger.DueBy:
			path := e.path("not_before")
			all[i] = "(attribute_not_exists(" + path + ") OR " + path + " <= " + e.value("due", num(c.Time.UnixMilli())) + ")"
		case ledger.AfterAbsent:
			all[i] = "attribute_not_exists(" + e.path("after") + ")"
		case ledger.Ungated:
			all[i] = "attribute_not_exists(" + e.path("gate") + ")"
		case ledger.AttemptOpen:
			all[i] = "attribute_exists(" + e.path("attempts", c.Token) + ") AND attribute_not_exists(" + e.path("attempts", c.Token, "outcome") + ")"
		default:
			panic("table: unknown clause " + string(c.Kind))
		}
	}
	return strings.Join(all, " AND ")
}

func (e *expression) update(id string, u ledger.Update, about About) string {
	set := []string{e.path("v") + " = " + e.path("v") + " + " + e.value("one", num(1))}
	var remove []string
	assign := func(name string, v types.AttributeValue) {
		set = append(set, e.path(name)+" = "+e.value(name, v))
	}
	// Each write removes what an earlier outcome set for the pipe, so that no later write of the
	// row publishes it again.
	told := settled(u.Outcome, u.Cancelled)
	for _, name := range slices.Sorted(maps.Keys(told)) {
		assign(name, str(told[name]))
	}
	for _, name := range ofOutcome {
		if told[name] == "" {
			remove = append(remove, e.path(name))
		}
	}
	switch {
	case u.Outcome != nil && !u.Lease.IsZero(): // an attempt that is over from the start
		set = append(set, e.path("attempts", u.Token)+" = "+e.value("attempt", attemptValue(ledger.Attempt{Lease: u.Lease, Outcome: u.Outcome, Seen: u.Seen})))
	case u.Outcome != nil:
		set = append(set, e.path("attempts", u.Token, "outcome")+" = "+e.value("came", outcomeValue(u.Outcome)))
	case u.Token != "":
		if len(u.Seen) > 0 { // what the timeline shows is what this attempt posts
			assign("type", str(line(about.Type)))
			assign("text", str(about.Text))
		}
		set = append(set, e.path("attempts", u.Token)+" = "+e.value("attempt", attemptValue(ledger.Attempt{Lease: u.Lease, Instead: u.Instead, Seen: u.Seen})))
	}
	if indexed(u.Wamid) && plain(u.Wamid) { // any other stays in the attempt
		set = append(set, e.path("sent_wamid")+" = if_not_exists("+e.path("sent_wamid")+", "+e.value("wamid", str(u.Wamid))+")")
	}
	for _, token := range u.Drop {
		remove = append(remove, e.path("attempts", token))
	}
	if !u.ValidUntil.IsZero() {
		assign("valid_until", num(u.ValidUntil.UnixMilli()))
		assign("on_unknown", str(string(u.OnUnknown)))
		if u.NotBefore.IsZero() {
			remove = append(remove, e.path("not_before"))
		} else {
			assign("not_before", num(u.NotBefore.UnixMilli()))
		}
		if len(u.Gate) > 0 {
			assign("gate", wordsValue(u.Gate))
		} else {
			remove = append(remove, e.path("gate"))
		}
	}
	if u.After != "" {
		assign("after", str(u.After))
	}
	if u.Cancelled != nil {
		assign("cancelled", cancelledValue(u.Cancelled))
	}
	switch {
	case u.Settled:
		remove = append(remove, e.path("unsettled_client"), e.path("unsettled_from"))
	case !u.Unsettled.IsZero() && indexed(u.Client):
		assign("unsettled_client", str(u.Client))
		assign("unsettled_from", str(timelineKey(u.Unsettled, id)))
	}
	if !u.ClaimedAt.IsZero() {
		assign("timeline_sk", str(timelineKey(u.ClaimedAt, id)))
		assign("timestamp", num(u.ClaimedAt.Unix()))
	}
	switch {
	case u.Renew && u.ExpiresAt.IsZero():
		remove = append(remove, e.path("expires_at"))
	case u.Renew:
		assign("expires_at", num(u.ExpiresAt.Unix()))
	}
	text := "SET " + strings.Join(set, ", ")
	if len(remove) > 0 {
		text += " REMOVE " + strings.Join(remove, ", ")
	}
	return text
}

func indexed(id string) bool { return id != "" && len(id) <= maxIndexed }

func timelineKey(at time.Time, id string) string {
	return at.UTC().Format(timelineTime) + "#" + id
}

// timelineAt is the time in a key; zero without one.
func timelineAt(key types.AttributeValue) (at time.Time) {
	if day, _, ok := strings.Cut(text(key), "#"); ok {
		at, _ = time.Parse(timelineTime, day)
	}
	return at
}

// sendItem builds a send's row. The WhatsApp id is in sent_wamid alone: as wamid it would be in the
// timeline too, and each outcome would pay for a write there.
func sendItem(s *ledger.Send, about About) item {
	it := item{
		"pk": str(s.ID), "sk": str(sendKey), "kind": str("send"), "direction": str("out"), "message_id": str(s.ID),
		"v": num(s.V), "payload": payload(s.Payload, utf8.Valid(s.Payload)), "fingerprint": str(s.Fingerprint),
		"attempts": attemptsValue(s.Attempts),
	}
	set := func(name, value string) {
		if value != "" {
			it[name] = str(value)
		}
	}
	set("type", line(about.Type))
	set("text", about.Text)
	set("client", s.Client)
	set("request_id", s.RequestID)
	set("sender", s.Sender)
	set("campaign", about.Campaign)
	for name, value := range map[string]string{
		"contact": about.Contact, "user_id": about.UserID, "group_id": about.GroupID, "reply_to": about.ReplyTo, "media_id": about.MediaID,
	} {
		if indexed(value) {
			set(name, line(value))
		}
	}
	// Without timeline_sk, which the first claim sets, the row is in no timeline.
	switch {
	case indexed(about.GroupID):
		set("timeline_pk", groupPrefix+about.GroupID)
	case indexed(about.Contact):
		set("timeline_pk", contactPrefix+about.Contact)
	}
	for _, a := range s.Attempts { // a refused record is settled from the start
		for name, value := range settled(a.Outcome, nil) {
			it[name] = str(value)
		}
	}
	if s.IsFake {
		it["is_fake"] = &types.AttributeValueMemberBOOL{Value: true}
	}
	if s.MMLite {
		it["mmlite"] = &types.AttributeValueMemberBOOL{Value: true}
	}
	if !s.ValidUntil.IsZero() {
		it["valid_until"], it["on_unknown"] = num(s.ValidUntil.UnixMilli()), str(string(s.OnUnknown))
	}
	if len(s.Gate) > 0 {
		it["gate"] = wordsValue(s.Gate)
	}
	if s.Fallback != nil {
		it["fallback"] = payload(s.Fallback, utf8.Valid(s.Fallback))
	}
	if !s.NotBefore.IsZero() {
		it["not_before"] = num(s.NotBefore.UnixMilli())
	}
	set("after", s.After)
	if s.Cancelled != nil {
		it["cancelled"] = cancelledValue(s.Cancelled)
	}
	if !s.ClaimedAt.IsZero() {
		it["timeline_sk"], it["timestamp"] = str(timelineKey(s.ClaimedAt, s.ID)), num(s.ClaimedAt.Unix())
	}
	if !s.Unsettled.IsZero() && indexed(s.Client) {
		it["unsettled_client"], it["unsettled_from"] = str(s.Client), str(timelineKey(s.Unsettled, s.ID))
	}
	if !s.ExpiresAt.IsZero() {
		it["expires_at"] = num(s.ExpiresAt.Unix())
	}
	gate(it)
	return it
}

func attemptsValue(attempts map[string]ledger.Attempt) types.AttributeValue {
	m := item{}
	for token, a := range attempts {
		m[token] = attemptValue(a)
	}
	return &types.AttributeValueMemberM{Value: m}
}

func attemptValue(a ledger.Attempt) types.AttributeValue {
	m := item{"lease": num(a.Lease.UnixMilli())}
	if a.Outcome != nil {
		m["outcome"] = outcomeValue(a.Outcome)
	}
	if a.Instead != "" {
		m["instead"] = str(string(a.Instead))
	}
	if len(a.Seen) > 0 {
		m["seen"] = wordsValue(a.Seen)
	}
	return &types.AttributeValueMemberM{Value: m}
}

func wordsValue(words map[string]string) types.AttributeValue {
	m := item{}
	for name, word := range words {
		m[name] = str(word)
	}
	return &types.AttributeValueMemberM{Value: m}
}

// readWords returns nil where there are none.
func readWords(v types.AttributeValue) (words map[string]string) {
	for name, word := range members(v) {
		if words == nil {
			words = map[string]string{}
		}
		words[name] = text(word)
	}
	return words
}

func outcomeValue(o *ledger.Outcome) types.AttributeValue {
	m := item{"state": str(string(o.State)), "at": num(o.At.UnixMilli())}
	if o.HTTP != 0 {
		m["http"] = num(int64(o.HTTP))
	}
	if o.Body != nil {
		m["body"] = payload(o.Body, utf8.Valid(o.Body))
	}
	if o.Reason != "" {
		m["reason"] = str(string(o.Reason))
	}
	if o.Wamid != ledger.WamidIn(o.Body) { // once is enough: more than 1 kB would cost a further write unit
		m["wamid"] = str(o.Wamid)
	}
	return &types.AttributeValueMemberM{Value: m}
}

func cancelledValue(c *ledger.Cancellation) types.AttributeValue {
	return &types.AttributeValueMemberM{Value: item{"by": str(c.By), "at": num(c.At.UnixMilli())}}
}

// readSend reads a row; nil if there is no item.
func readSend(it item) *ledger.Send {
	if len(it) == 0 {
		return nil
	}
	s := &ledger.Send{
		ID: text(it["pk"]), V: integer(it["v"]), Fingerprint: text(it["fingerprint"]), Client: text(it["client"]), RequestID: text(it["request_id"]), Sender: text(it["sender"]),
		Payload: content(it["payload"]), Fallback: content(it["fallback"]), Gate: readWords(it["gate"]),
		IsFake: truth(it["is_fake"]), MMLite: truth(it["mmlite"]), Wamid: text(it["sent_wamid"]),
		ValidUntil: millis(it["valid_until"]), OnUnknown: ledger.Choice(text(it["on_unknown"])),
		NotBefore: millis(it["not_before"]), After: text(it["after"]),
		Attempts: map[string]ledger.Attempt{},
	}
	if c := members(it["cancelled"]); c != nil {
		s.Cancelled = &ledger.Cancellation{By: text(c["by"]), At: millis(c["at"])}
	}
	s.ClaimedAt, s.Unsettled = timelineAt(it["timeline_sk"]), timelineAt(it["unsettled_from"])
	if n := integer(it["expires_at"]); n != 0 {
		s.ExpiresAt = time.Unix(n, 0).UTC()
	}
	for token, v := range members(it["attempts"]) {
		m := members(v)
		a := ledger.Attempt{Lease: millis(m["lease"]), Instead: ledger.Reason(text(m["instead"])), Seen: readWords(m["seen"])}
		if o := members(m["outcome"]); o != nil {
			a.Outcome = &ledger.Outcome{
				State: ledger.State(text(o["state"])), HTTP: int(integer(o["http"])), Body: content(o["body"]),
				Reason: ledger.Reason(text(o["reason"])), Wamid: text(o["wamid"]), At: millis(o["at"]),
			}
			if o["wamid"] == nil {
				a.Outcome.Wamid = ledger.WamidIn(a.Outcome.Body)
			}
		}
		s.Attempts[token] = a
	}
	return s
}

func members(v types.AttributeValue) item {
	if m, ok := v.(*types.AttributeValueMemberM); ok {
		return m.Value
	}
	return nil
}

func truth(v types.AttributeValue) bool {
	b, ok := v.(*types.AttributeValueMemberBOOL)
	return ok && b.Value
}

func integer(v types.AttributeValue) int64 {
	if n, ok := v.(*types.AttributeValueMemberN); ok {
		i, _ := strconv.ParseInt(n.Value, 10, 64)
		return i
	}
	return 0
}

// millis reads a time in epoch milliseconds; zero if there is none.
func millis(v types.AttributeValue) time.Time {
	if n := integer(v); n != 0 {
		return time.UnixMilli(n).UTC()
	}
	return time.Time{}
}

func content(v types.AttributeValue) []byte {
	switch v := v.(type) {
	case *types.AttributeValueMemberS:
		return []byte(v.Value)
	case *types.AttributeValueMemberB:
		return v.Value
	}
	return nil
}

// FindSend returns the id of the send for which the Gateway returned this WhatsApp id; empty if
// there is none. The index lags behind the table by moments.
func (t *Table) FindSend(ctx context.Context, wamid string) (id string, err error) {
	if !indexed(wamid) {
		return "", nil
	}
	err = t.query(ctx, &dynamodb.QueryInput{
		IndexName: aws.String("sent_wamid"), KeyConditionExpression: aws.String("sent_wamid = :wamid"),
		ExpressionAttributeValues: item{":wamid": str(wamid)},
	}, func(it item) { id = text(it["pk"]) })
	return id, err
}
