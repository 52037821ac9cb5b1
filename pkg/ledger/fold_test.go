package ledger

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"connexease-functions/pkg/gateway"
)

var lease = at(10)

func attempt(state State) Attempt {
	a := Attempt{Lease: lease}
	if state != "" {
		a.Outcome = &Outcome{State: state, HTTP: 418, Wamid: map[State]string{Accepted: "wamid.a"}[state], At: start}
	}
	return a
}

// row makes an image with one attempt of each state, "" being one without outcome.
func row(states ...State) *Send {
	s := &Send{ID: modelID, V: 7, Fingerprint: "same", Attempts: map[string]Attempt{}}
	for i, state := range states {
		s.Attempts[tokens[i]] = attempt(state)
	}
	return s
}

func until(s *Send, t time.Time) *Send {
	s.ValidUntil, s.OnUnknown = t, Hold
	return s
}

func notBefore(s *Send, t time.Time) *Send {
	s.NotBefore = t
	return s
}

func cancelled(s *Send) *Send {
	s.Cancelled = &Cancellation{By: "crm", At: start}
	return s
}

// What waits for a message goes once that one has left, or never will.
func TestWhichMessagesHaveEnded(t *testing.T) {
	resend := func(s *Send, valid time.Time) *Send {
		s.OnUnknown, s.ValidUntil = Resend, valid
		return s
	}
	now := lease
	for name, c := range map[string]struct {
		row  *Send
		want bool
	}{
		"accepted":                      {row(Accepted), true},
		"rejected":                      {row(Rejected), true},
		"cancelled":                     {cancelled(row()), true},
		"expired":                       {until(row(), start), true},
		"unknown in hold":               {row(Unknown), true},
		"unknown, may be resent":        {resend(row(Unknown), now.Add(time.Hour)), false},
		"unknown, its validity is over": {resend(row(Unknown), now), true},
		"unknown, was resent":           {resend(row(Unknown, Unknown, Unknown), now.Add(time.Hour)), true},
		"no row":                        {nil, false},
		"queued":                        {until(row(), now.Add(time.Hour)), false},
		"scheduled":                     {notBefore(until(row(), now.Add(time.Hour)), now.Add(time.Minute)), false},
		"released":                      {row(Released), false},
		"in flight":                     {&Send{Attempts: map[string]Attempt{"a": {Lease: now.Add(1)}}}, false},
		"in flight, an earlier one may have left": {&Send{Attempts: map[string]Attempt{"a": {Lease: now.Add(1)}, "b": attempt(Unknown)}}, false},
	} {
		f := Fold(now, c.row, nil)
		if got := f.ended(now, c.row); got != c.want {
			t.Errorf("%s has ended: %t", name, got)
		}
	}
}

func TestTheFoldRowByRow(t *testing.T) {
	before, after := lease.Add(-1), lease
	vu := at(20)
	mine := []Status{{Token: "slot0", Status: "failed", Wamid: "wamid.r"}}
	forged := []Status{{Token: "forged", Status: "read", Wamid: "wamid.f"}, {Token: "", Status: "sent"}}
	for _, tt := range []struct {
		name     string
		now      time.Time
		row      *Send
		statuses []Status
		want     State
	}{
		{"1 an accepted attempt", after, row(Accepted), nil, Accepted},
		{"1 accepted wins over all", before, until(row(Accepted, "", Unknown, Rejected), start), nil, Accepted},
		{"1 any status of an attempt, failed too", after, row(Unknown), mine, Accepted},
		{"1 a status wins over in flight", before, row(""), mine, Accepted},
		{"1 a status wins over a rejection", after, row(Rejected), mine, Accepted},
		{"1 a status wins over a release", after, row(Released), mine, Accepted},
		{"a forged status proves nothing", after, row(Unknown), forged, Unknown},
		{"2 in flight until the lease ends", before, row(""), nil, InFlight},
		{"2 in flight wins over unknown and rejected", before, row("", Unknown, Rejected), nil, InFlight},
		{"3 unknown from the end of the lease on", after, row(""), nil, Unknown},
		{"3 an unknown outcome", before, row(Unknown), nil, Unknown},
		{"3 unknown wins over rejected and expired", vu.Add(time.Hour), until(row(Unknown, Rejected), vu), nil, Unknown},
		{"4 rejected", after, row(Rejected, Released), nil, Rejected},
		{"4 rejected wins over expired and queued", after, until(row(Rejected), vu), nil, Rejected},
		{"5 cancelled", start, cancelled(until(row(), vu)), nil, Cancelled},
		{"5 cancelled wins over scheduled", start, cancelled(notBefore(until(row(), vu), at(1))), nil, Cancelled},
		{"5 cancelled wins over expired", vu.Add(time.Hour), cancelled(until(row(), vu)), nil, Cancelled},
		{"5 cancelled wins over released", after, cancelled(row(Released)), nil, Cancelled},
		{"4 unknown wins over cancelled", after, cancelled(row(Unknown)), nil, Unknown},
		{"4 rejected wins over cancelled", after, cancelled(row(Rejected)), nil, Rejected},
		{"1 a status wins over cancelled", after, cancelled(row(Released)), mine, Accepted},
		{"6 scheduled until its time", at(1).Add(-1), notBefore(until(row(), vu), at(1)), nil, Scheduled},
		{"6 queued from its time on", at(1), notBefore(until(row(), vu), at(1)), nil, Queued},
		{"5 not expired until 60 s after", vu.Add(ExpiryMargin), until(row(), vu), nil, Queued},
		{"5 expired 60 s after", vu.Add(ExpiryMargin + 1), until(row(), vu), nil, Expired},
		{"5 expired wins over released", vu.Add(time.Hour), until(row(Released), vu), nil, Expired},
		{"6 queued", start, until(row(), vu), nil, Queued},
		{"6 queued although tried", after, until(row(Released, Released), vu), nil, Queued},
		{"7 released", after, row(Released, Released), nil, Released},
		{"8 none", after, nil, nil, None},
		{"8 statuses without a row", after, nil, mine, None},
	} {
		if got := Fold(tt.now, tt.row, tt.statuses).State; got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestAReceiptAloneIsAnsweredAsTheGatewayWouldHave(t *testing.T) {
	f := Fold(lease, row(""), []Status{
		{Token: "slot0", Status: "read", Wamid: "wamid.late", Time: at(3)},
		{Token: "forged", Status: "sent", Wamid: "wamid.forged", Time: at(0)},
		{Token: "slot0", Status: "sent", Wamid: "", Time: at(1)},
		{Token: "slot0", Status: "delivered", Wamid: "wamid.early", Time: at(2)},
	})
	if f.Outcome.HTTP != 200 || f.Outcome.Wamid != "wamid.early" {
		t.Errorf("response %+v", f.Outcome)
	}
	var response gateway.Response
	if err := json.Unmarshal(f.Outcome.Body, &response); err != nil || !response.IsSuccess {
		t.Errorf("%s: %v", f.Outcome.Body, err)
	}
	if want := `{"messaging_product":"whatsapp","messages":[{"id":"wamid.early"}]}`; string(response.Data) != want {
		t.Errorf("data %s, want %s", response.Data, want)
	}
	// One token is one message: the id that was reported first stays.
	if want := []string{"wamid.early"}; !slices.Equal(f.Wamids, want) {
		t.Errorf("wamids %q, want %q", f.Wamids, want)
	}
	if len(f.Receipts) != 2 || f.Receipts[0].Status != "sent" {
		t.Errorf("receipts %+v", f.Receipts)
	}
}

func TestAReceiptOfAnotherMessageCountsForNoneThatIsKnown(t *testing.T) {
	s := row(Accepted, Unknown)
	f := Fold(lease, s, []Status{
		{Token: "slot0", Status: "failed", Wamid: "wamid.other", Time: at(0)},
		{Token: "slot0", Status: "read", Wamid: "", Time: at(0)},
		{Token: "slot0", Status: "sent", Wamid: "wamid.a", Time: at(1)},
		{Token: "slot1", Status: "sent", Wamid: "wamid.b", Time: at(2)},
		{Token: "slot1", Status: "read", Wamid: "wamid.other", Time: at(3)},
		{Token: "slot1", Status: "read", Wamid: "wamid.a", Time: at(3)},
	})
	if want := []string{"wamid.a", "wamid.b"}; !slices.Equal(f.Wamids, want) || len(f.Receipts) != 2 || f.Receipts[0].Wamid != "wamid.a" || f.Receipts[1].Wamid != "wamid.b" {
		t.Errorf("wamids %q, receipts %+v", f.Wamids, f.Receipts)
	}
}

func TestTheAnswerThatWasWrittenFirstStays(t *testing.T) {
	s := row(Accepted, Accepted)
	s.Attempts["slot1"].Outcome.Wamid, s.Attempts["slot1"].Outcome.At = "wamid.b", at(-1)
	s.Wamid = "wamid.a"
	if f := Fold(lease, s, nil); f.Outcome.Wamid != "wamid.a" {
		t.Errorf("stored response %+v", f.Outcome)
	}
	s.Wamid = ""
	if f := Fold(lease, s, nil); f.Outcome.Wamid != "wamid.b" {
		t.Errorf("without a wamid on the row, not the oldest: %+v", f.Outcome)
	}
}

func TestTheLastReleaseSaysWhyItIsNotSent(t *testing.T) {
	s := row(Released, Released)
	s.Attempts["slot0"].Outcome.At, s.Attempts["slot0"].Outcome.Reason = at(2), "rate"
	if f := Fold(lease, s, nil); f.Outcome == nil || f.Outcome.Reason != "rate" {
		t.Errorf("last release %+v", f.Outcome)
	}
}

func TestResendingEnds(t *testing.T) {
	for _, tt := range []struct {
		row  *Send
		want bool
	}{
		{row(Unknown), true},
		{row(Unknown, "", Released, Released, Released), true},
		{row(Unknown, Unknown, ""), false},
		{row(Unknown, Accepted, Unknown), false},
		{row(Unknown, Rejected), false},
	} {
		if got := Fold(lease, tt.row, nil).MayResend; got != tt.want {
			t.Errorf("%s: may resend %t", states(tt.row), got)
		}
	}
}

func states(s *Send) string {
	text := ""
	for _, token := range s.tokens() {
		if o := s.Attempts[token].Outcome; o != nil {
			text += string(o.State) + " "
		} else {
			text += "open "
		}
	}
	return fmt.Sprintf("[%s]", text)
}
