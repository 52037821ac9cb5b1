package table_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/table"
)

var (
	at     = time.Date(2026, 3, 4, 5, 6, 7, 89e6, time.UTC)
	id     = "msg_" + strings.Repeat("a", 26)
	about  = table.About{Type: "text", Contact: "15550100001", Text: "Hello"}
	claims = ledger.Write{
		Step: ledger.Claim0, ID: id, If: []ledger.Clause{{Kind: ledger.RowAbsent}},
		Put: &ledger.Send{ID: id, V: 1, Payload: []byte("{}"), Fingerprint: "f", ClaimedAt: at, Attempts: map[string]ledger.Attempt{"T": {Lease: at}}},
	}
	settles = ledger.Write{
		Step: ledger.Settle, ID: id, If: []ledger.Clause{{Kind: ledger.AttemptOpen, Token: "T"}},
		Set: ledger.Update{Token: "T", Wamid: "wamid.1", Outcome: &ledger.Outcome{State: ledger.Accepted, HTTP: 200, Wamid: "wamid.1", At: at}},
	}
)

// written is a conditional write with its placeholders resolved.
type written struct {
	action, condition, update, returns, onFailure string
	values                                        stored
}

func (c call) written(t testing.TB) written {
	t.Helper()
	var in struct {
		ConditionExpression, UpdateExpression, ReturnValues, ReturnValuesOnConditionCheckFailure string
		ExpressionAttributeNames                                                                 map[string]string
		ExpressionAttributeValues                                                                stored
	}
	c.in(t, &in)
	resolve := func(expression string) string {
		// The longest first: #v begins #valid_until.
		for _, name := range slices.SortedFunc(maps.Keys(in.ExpressionAttributeNames), func(a, b string) int { return len(b) - len(a) }) {
			expression = strings.ReplaceAll(expression, name, in.ExpressionAttributeNames[name])
		}
		return expression
	}
	return written{c.action, resolve(in.ConditionExpression), resolve(in.UpdateExpression), in.ReturnValues, in.ReturnValuesOnConditionCheckFailure, in.ExpressionAttributeValues}
}

// Requests are compared whole, because a missing condition would show only in a rare race.
func TestEachWriteOfTheLedgerHasItsCondition(t *testing.T) {
	const open, none = "attribute_exists(attempts.T) AND attribute_not_exists(attempts.T.outcome)", "attribute_not_exists(pk)"
	for what, c := range map[string]struct {
		write                              ledger.Write
		action, condition, update, returns string
		values                             map[string]string // numbers and texts
	}{
		"claim0": {claims, "PutItem", none, "", "", nil},
		"queue0": {ledger.Write{Step: ledger.Queue0, ID: id, If: claims.If, Put: claims.Put}, "PutItem", none, "", "", nil},
		"claim1": {
			ledger.Write{Step: ledger.Claim1, ID: id, If: []ledger.Clause{{Kind: ledger.VersionIs, V: 0}, {Kind: ledger.ValidAfter, Time: at}, {Kind: ledger.DueBy, Time: at}, {Kind: ledger.AfterAbsent}},
				Set: ledger.Update{Token: "T", Lease: at, ClaimedAt: at, Renew: true, ExpiresAt: at}},
			"UpdateItem", "v = :seen AND valid_until > :now AND (attribute_not_exists(not_before) OR not_before <= :due) AND attribute_not_exists(after)",
			"SET v = v + :one, attempts.T = :attempt, timeline_sk = :timeline_sk, timestamp = :timestamp, expires_at = :expires_at REMOVE detail_type, outcome, reason",
			"ALL_NEW", map[string]string{":seen": "0", ":now": "1772600767089", ":due": "1772600767089", ":one": "1", ":timeline_sk": "2026-03-04T05:06:07.089Z#" + id, ":timestamp": "1772600767", ":expires_at": "1772600767"},
		},
		"claimN": {
			ledger.Write{Step: ledger.ClaimN, ID: id, If: []ledger.Clause{{Kind: ledger.VersionIs, V: 7}},
				Set: ledger.Update{Token: "T", Lease: at, Drop: []string{"A", "B"}, Renew: true}},
			"UpdateItem", "v = :seen", "SET v = v + :one, attempts.T = :attempt REMOVE detail_type, outcome, reason, attempts.A, attempts.B, expires_at",
			"", map[string]string{":seen": "7", ":one": "1"},
		},
		"queueN": {
			ledger.Write{Step: ledger.QueueN, ID: id, If: []ledger.Clause{{Kind: ledger.VersionIs, V: 7}},
				Set: ledger.Update{ValidUntil: at, OnUnknown: ledger.Resend, Renew: true, ExpiresAt: at}},
			"UpdateItem", "v = :seen", "SET v = v + :one, valid_until = :valid_until, on_unknown = :on_unknown, expires_at = :expires_at REMOVE detail_type, outcome, reason, not_before, gate",
			"", map[string]string{":seen": "7", ":one": "1", ":valid_until": "1772600767089", ":on_unknown": "resend", ":expires_at": "1772600767"},
		},
		"queueN with a time, after another message": {
			ledger.Write{Step: ledger.QueueN, ID: id, If: []ledger.Clause{{Kind: ledger.VersionIs, V: 7}},
				Set: ledger.Update{ValidUntil: at, OnUnknown: ledger.Resend, NotBefore: at, After: "msg_b"}},
			"UpdateItem", "v = :seen", "SET v = v + :one, valid_until = :valid_until, on_unknown = :on_unknown, not_before = :not_before, after = :after REMOVE detail_type, outcome, reason, gate",
			"", map[string]string{":not_before": "1772600767089", ":after": "msg_b"},
		},
		"cancel": {
			ledger.Write{Step: ledger.CancelSeen, ID: id, If: []ledger.Clause{{Kind: ledger.VersionIs, V: 7}},
				Set: ledger.Update{Cancelled: &ledger.Cancellation{By: "crm", At: at}, Renew: true, ExpiresAt: at}},
			"UpdateItem", "v = :seen",
			"SET v = v + :one, detail_type = :detail_type, outcome = :outcome, cancelled = :cancelled, expires_at = :expires_at REMOVE reason",
			"", map[string]string{":seen": "7", ":one": "1", ":detail_type": "WhatsApp Message Outcome", ":outcome": "cancelled", ":expires_at": "1772600767"},
		},
		"end0": {ledger.Write{Step: ledger.EndNew, ID: id, If: claims.If, Put: claims.Put}, "PutItem", none, "", "", nil},
		"endN": {
			ledger.Write{Step: ledger.EndSeen, ID: id, If: []ledger.Clause{{Kind: ledger.VersionIs, V: 7}},
				Set: ledger.Update{Token: "T", Lease: at, Outcome: &ledger.Outcome{State: ledger.Rejected, Reason: "WINDOW_001", At: at}, Renew: true, ExpiresAt: at}},
			"UpdateItem", "v = :seen",
			"SET v = v + :one, detail_type = :detail_type, outcome = :outcome, attempts.T = :attempt, expires_at = :expires_at REMOVE reason",
			"", map[string]string{":seen": "7", ":one": "1", ":detail_type": "WhatsApp Message Outcome", ":outcome": "rejected", ":expires_at": "1772600767"},
		},
		"accepted": {
			settles, "UpdateItem", open,
			"SET v = v + :one, detail_type = :detail_type, outcome = :outcome, attempts.T.outcome = :came, sent_wamid = if_not_exists(sent_wamid, :wamid) REMOVE reason",
			"", map[string]string{":one": "1", ":detail_type": "WhatsApp Message Outcome", ":outcome": "accepted", ":wamid": "wamid.1"},
		},
		"unknown": {
			ledger.Write{Step: ledger.Settle, ID: id, If: settles.If, Set: ledger.Update{Token: "T", Outcome: &ledger.Outcome{State: ledger.Unknown, Reason: "timeout", At: at}}},
			"UpdateItem", open, "SET v = v + :one, detail_type = :detail_type, outcome = :outcome, reason = :reason, attempts.T.outcome = :came",
			"", map[string]string{":one": "1", ":detail_type": "WhatsApp Message Outcome", ":outcome": "unknown", ":reason": "timeout"},
		},
		"void": {
			ledger.Write{Step: ledger.VoidOwn, ID: id, If: settles.If, Set: ledger.Update{Token: "T", Outcome: &ledger.Outcome{State: ledger.Released, Reason: "claim_lost", At: at}}},
			"UpdateItem", open, "SET v = v + :one, attempts.T.outcome = :came REMOVE detail_type, outcome, reason", "", map[string]string{":one": "1"},
		},
	} {
		t.Run(what, func(t *testing.T) {
			tbl, d := serve(replies())
			if r, err := tbl.WriteSend(t.Context(), c.write, about); err != nil || r.Lost || r.Missed || r.Refused {
				t.Fatalf("%+v, %v", r, err)
			}
			w := d.seen()[0].written(t)
			if w.action != c.action || w.condition != c.condition || w.update != c.update || w.returns != c.returns || w.onFailure != "ALL_OLD" {
				t.Errorf("requested\n%+v, want\n%+v", w, c)
			}
			for name, want := range c.values {
				if got := w.values[name].S + w.values[name].N; got != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
		})
	}
}

// conditionFailed returns DynamoDB's reply for a failed condition, with the present row.
func conditionFailed(row map[string]any) reply {
	body, _ := json.Marshal(map[string]any{"__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException", "message": "no", "Item": row})
	return reply{status: 400, body: string(body)}
}

func TestAWriteMayHaveLandedUnlessDynamoDBRefusedEveryTry(t *testing.T) {
	for what, c := range map[string]struct {
		replies []reply
		lost    bool
	}{
		"denied":                              {[]reply{denied}, false},
		"throttled, denied":                   {[]reply{throttled, denied}, false},
		"invalid":                             {[]reply{invalid}, false},
		"connection lost, denied":             {[]reply{lost, denied}, true},
		"silence, denied":                     {[]reply{silent, denied}, true},
		"server error, denied":                {[]reply{broken, denied}, true},
		"connection lost, throttled, denied":  {[]reply{lost, throttled, denied}, true},
		"throttled, connection lost, denied":  {[]reply{throttled, lost, denied}, true},
		"server error, throttled, throttled…": {[]reply{broken, throttled}, true},
		"throttled…":                          {[]reply{throttled}, false},
		"connection lost…":                    {[]reply{lost}, true},
		"silence…":                            {[]reply{silent}, true},
	} {
		for _, w := range []ledger.Write{claims, settles} {
			synctest.Test(t, func(t *testing.T) {
				tbl, d := serve(replies(c.replies...))
				ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
				defer cancel()
				r, err := tbl.WriteSend(ctx, w, about)
				if r.Lost != c.lost || r.Missed == c.lost || r.Refused || err == nil || len(d.seen()) < len(c.replies) {
					t.Errorf("%s, %s: %+v, %v after %d calls", w.Step, what, r, err, len(d.seen()))
				}
			})
		}
	}
}

// An error that did not come from DynamoDB proves nothing.
func TestAWriteThatFailsBeforeDynamoDBMayHaveLanded(t *testing.T) {
	tbl := table.New(dynamodb.New(dynamodb.Options{
		Region: "eu-west-1", BaseEndpoint: aws.String("http://dynamodb.test"), Retryer: aws.NopRetryer{},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return aws.Credentials{}, errors.New("none") }),
	}), name, retention)
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if r, err := tbl.WriteSend(ctx, claims, about); !r.Lost || r.Missed || err == nil {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

func TestARepeatedWriteThatMeetsItsOwnTokenReturnsTheRow(t *testing.T) {
	row := map[string]any{
		"pk": map[string]string{"S": id}, "v": map[string]string{"N": "1"},
		"attempts": map[string]any{"M": map[string]any{"T": map[string]any{"M": map[string]any{"lease": map[string]string{"N": "1772600767089"}}}}},
	}
	for _, first := range []reply{lost, silent, broken} {
		synctest.Test(t, func(t *testing.T) {
			tbl, d := serve(replies(first, conditionFailed(row)))
			ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
			defer cancel()
			r, err := tbl.WriteSend(ctx, claims, about)
			if err != nil || !r.Refused || r.Lost || r.Image == nil || !r.Image.Attempts["T"].Lease.Equal(at) || len(d.seen()) != 2 {
				t.Errorf("%+v, %v", r, err)
			}
		})
	}
	tbl, _ := serve(replies(conditionFailed(nil)))
	if r, err := tbl.WriteSend(t.Context(), settles, about); err != nil || !r.Refused || r.Image != nil {
		t.Errorf("no row: %+v, %v", r, err)
	}
}

func TestUnfitMeansThatDynamoDBCanNeverAcceptAWrite(t *testing.T) {
	for what, c := range map[string]struct {
		reply reply
		unfit bool
	}{"invalid": {invalid, true}, "denied": {denied, false}} {
		tbl, _ := serve(replies(c.reply))
		if _, err := tbl.WriteSend(t.Context(), claims, about); table.Unfit(err) != c.unfit || err == nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	if table.Unfit(errors.New("other")) || table.Unfit(nil) {
		t.Error("any error is unfit")
	}
}

// A row is written as JSON here and read back as the image of a later write: nothing on which the
// ledger decides may be lost.
func TestARowIsReadAsItWasWritten(t *testing.T) {
	expires := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	row := &ledger.Send{
		ID: id, V: 3, Fingerprint: "v1:f", Client: "crm", Payload: []byte(`{"a":"é"}`), IsFake: true, MMLite: true,
		ValidUntil: at, OnUnknown: ledger.Resend, ClaimedAt: at, ExpiresAt: expires,
		NotBefore: at, After: "msg_b", Cancelled: &ledger.Cancellation{By: "crm", At: at},
		Attempts: map[string]ledger.Attempt{
			"A": {Lease: at, Outcome: &ledger.Outcome{State: ledger.Unknown, Reason: "timeout", At: at}},
			"B": {Lease: at.Add(time.Minute), Outcome: &ledger.Outcome{State: ledger.Rejected, HTTP: 400, Body: []byte("no"), Reason: "invalid", At: at}},
			"C": {Lease: at.Add(time.Hour)},
		},
	}
	tbl, d := serve(replies())
	if _, err := tbl.WriteSend(t.Context(), ledger.Write{Step: ledger.Claim0, ID: id, If: claims.If, Put: row}, about); err != nil {
		t.Fatal(err)
	}
	var in struct{ Item map[string]any }
	d.seen()[0].in(t, &in)
	again, _ := serve(replies(conditionFailed(in.Item)))
	r, err := again.WriteSend(t.Context(), claims, about)
	got, _ := json.Marshal(r.Image)
	want, _ := json.Marshal(row)
	if err != nil || string(got) != string(want) {
		t.Errorf("read\n%s, want\n%s, %v", got, want, err)
	}
}
