package connexease

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"connexease-functions/pkg/gateway"
	"connexease-functions/pkg/proof/await"
)

func TestEachFaultOccursAndItsMessageIsAcceptedOrNot(t *testing.T) {
	for _, c := range []struct {
		fault  Fault
		kind   gateway.State
		reason gateway.Reason
		taken  int
	}{
		{Fault{Kind: Answer, Status: 500, Body: `{"oops":1}`}, gateway.Unknown, gateway.ReasonServerError, 0},
		{Fault{Kind: Answer, Status: 503, Taken: true}, gateway.Unknown, gateway.ReasonServerError, 1},
		{Fault{Kind: Answer, Status: 307, Body: `x`, ContentType: "text/plain"}, gateway.Unknown, gateway.ReasonRedirect, 0},
		{Fault{Kind: RateLimit, RetryAfter: "60s", LimitType: "min"}, gateway.Released, gateway.ReasonRateLimited, 0},
		{Fault{Kind: MetaLimit}, gateway.Released, gateway.ReasonMetaLimited, 0},
		{Fault{Kind: MetaLimit, MetaCode: 131056, InParams: true}, gateway.Released, gateway.ReasonPairLimited, 0},
		{Fault{Kind: MetaLimit, MetaCode: 131048}, gateway.Rejected, gateway.ReasonUpstream, 0},
		{Fault{Kind: Slow, DelayMS: 1}, gateway.Accepted, gateway.ReasonAccepted, 1},
		{Fault{Kind: ResetBefore}, gateway.Unknown, gateway.ReasonBroken, 0},
		{Fault{Kind: ResetDuring}, gateway.Unknown, gateway.ReasonBroken, 0},
		{Fault{Kind: ResetAfter}, gateway.Unknown, gateway.ReasonBroken, 1},
		{Fault{Kind: Cut}, gateway.Unknown, gateway.ReasonBroken, 1},
		{Fault{Kind: InvalidJSON}, gateway.Unknown, gateway.ReasonUnreadable, 1},
		{Fault{Kind: ContentType}, gateway.Accepted, gateway.ReasonAccepted, 1},
	} {
		t.Run(c.fault.Kind, func(t *testing.T) {
			r := start(t, nil)
			c.fault.Times = 1
			if err := r.SetFaults(Faults{c.fault}); err != nil {
				t.Fatal(err)
			}
			result := r.send(text1)
			if result.State != c.kind || result.Reason != c.reason || len(r.Messages()) != c.taken {
				t.Errorf("%+v, %d accepted", result, len(r.Messages()))
			}
			if c.fault.Kind == RateLimit && result.RetryAfter != time.Minute {
				t.Errorf("retry after %s", result.RetryAfter)
			}
			if next := r.send(text1); next.State != gateway.Accepted || len(r.Faults()) != 0 {
				t.Errorf("the next request: %+v", next)
			}
		})
	}
}

func TestAMessageWithALostResponseStillHasCallbacks(t *testing.T) {
	r := start(t, nil)
	if err := r.SetFaults(Faults{{Kind: ResetAfter}}); err != nil {
		t.Fatal(err)
	}
	if result := r.send(text1); result.State != gateway.Unknown {
		t.Fatalf("%+v", result)
	}
	await.Until(t, "callbacks", r.called(3))
}

func TestAMessageWithASlowResponseIsAcceptedAtOnce(t *testing.T) {
	r := start(t, nil)
	if err := r.SetFaults(Faults{{Kind: Slow, DelayMS: 600_000}}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if result := r.client.Send(ctx, key, []byte(text1), false, false); result.Reason != gateway.ReasonTimeout || len(r.Messages()) != 1 {
		t.Errorf("%+v, %d accepted", result, len(r.Messages()))
	}
}

func TestConnectionsAreRefusedUntilTheFaultEnds(t *testing.T) {
	r := start(t, nil)
	if result := r.send(text1); result.State != gateway.Accepted { // leaves a kept connection behind
		t.Fatalf("%+v", result)
	}
	if err := r.SetFaults(Faults{{Kind: Refuse}}); err != nil {
		t.Fatal(err)
	}
	r.client.Close()
	if result := r.send(text1); !result.NotConnected || result.State != gateway.Released {
		t.Errorf("%+v", result)
	}
	if err := r.SetFaults(nil); err != nil {
		t.Fatal(err)
	}
	if result := r.send(text1); result.State != gateway.Accepted {
		t.Errorf("%+v", result)
	}
	if err := r.SetFaults(Faults{{Kind: Refuse, DelayMS: 20}, {Kind: Cut, Times: 1}}); err != nil {
		t.Fatal(err)
	}
	r.client.Close()
	await.Until(t, "the end of the refusal", func() bool { return !r.send(text1).NotConnected })
	if n := len(r.Messages()); n != 3 { // the one whose response was cut was accepted too
		t.Errorf("%d accepted", n)
	}
}

func TestAShareOfRequestsMeetsTheFault(t *testing.T) {
	r := start(t, func(c *Config) { c.Limits = Limits{PerSecond: 10_000, PerMinute: 10_000}; c.WebhookURL = "" })
	if err := r.SetFaults(Faults{{Kind: Answer, Status: 500, Share: 0.5}}); err != nil {
		t.Fatal(err)
	}
	for range 200 {
		r.send(text1)
	}
	if n := len(r.Messages()); n < 60 || n > 140 {
		t.Errorf("%d of 200 accepted", n)
	}
}

func TestFaultsAreReadFromJSONAndInvalidOnesAreNamed(t *testing.T) {
	var faults Faults
	if err := json.Unmarshal([]byte(`[{"kind":"answer","status":503,"times":2},{"kind":"rate_limit","share":0.1,"retry_after":"1 seconds"}]`), &faults); err != nil || faults.Validate() != nil {
		t.Errorf("%v %v", err, faults.Validate())
	}
	s := New(Config{})
	defer s.Close()
	for _, f := range []Fault{
		{}, {Kind: "else"}, {Kind: Cut, Times: -1}, {Kind: Cut, Share: 1.1}, {Kind: Cut, Times: 1, Share: 0.1},
		{Kind: Refuse, Times: 1}, {Kind: Answer}, {Kind: Answer, Status: 101}, {Kind: Slow}, {Kind: Cut, DelayMS: 1e9},
	} {
		if s.SetFaults(Faults{f}) == nil || len(s.Faults()) != 0 {
			t.Errorf("%+v was accepted", f)
		}
	}
}

func TestOnlyLoopbackAddressesAreAccepted(t *testing.T) {
	s := New(Config{})
	defer s.Close()
	for _, address := range []string{":0", "0.0.0.0:0", "example.com:0", "127.0.0.1"} {
		if _, err := s.Listen(address); err == nil {
			t.Errorf("%q was accepted", address)
		}
	}
	url, err := s.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.Get(url + "/else")
	if err != nil || response.StatusCode != 404 {
		t.Errorf("%v %v", response, err)
	}
}
