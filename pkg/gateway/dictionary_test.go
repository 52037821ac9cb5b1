package gateway

import "testing"

func TestTheStatusDecidesAndAmongFailuresOfTheGatewayTheCode(t *testing.T) {
	for _, c := range []struct {
		status int
		code   string
		hasID  bool
		state  State
		reason Reason
	}{
		{200, "", true, Accepted, ReasonAccepted},
		{202, "", true, Accepted, ReasonAccepted},
		{200, "", false, Unknown, ReasonUnreadable},
		{200, "GW_001", false, Unknown, ReasonUnreadable},
		{204, "", false, Unknown, ReasonUnreadable},
		{101, "", false, Unknown, ReasonUnexpected},
		{301, "", false, Unknown, ReasonRedirect},
		{307, "", true, Unknown, ReasonRedirect},
		{400, "", false, Rejected, ReasonInvalid},
		{401, "AUTH_001", false, Released, ReasonUnauthorized},
		{401, "WABA_001", false, Released, ReasonUnauthorized},
		{401, "", false, Released, ReasonUnauthorized},
		{402, "BILL_001", false, Released, ReasonPaymentRequired},
		{403, "", false, Released, ReasonForbidden},
		{404, "NOT_FOUND", false, Rejected, ReasonInvalid},
		{404, "", false, Released, ReasonNoGateway},
		{408, "", false, Unknown, ReasonRequestTimeout},
		{408, "GW_001", false, Unknown, ReasonRequestTimeout},
		{413, "", false, Rejected, ReasonInvalid},
		{422, "GW_001", false, Rejected, ReasonInvalid},
		{429, "RATE_001", false, Released, ReasonRateLimited},
		{429, "", false, Released, ReasonRateLimited},
		{499, "", false, Rejected, ReasonInvalid},
		{500, "AUTH_004", false, Released, ReasonAuthService},
		{500, "AUTH_005", false, Released, ReasonAuthService},
		{503, "AUTH_004", false, Released, ReasonAuthService},
		{500, "AUTH_001", false, Unknown, ReasonServerError},
		{500, "BILL_001", false, Unknown, ReasonServerError},
		{500, "RATE_001", false, Unknown, ReasonServerError},
		{500, "", false, Unknown, ReasonServerError},
		{500, "", true, Unknown, ReasonServerError},
		{502, "GW_001", false, Rejected, ReasonUpstream},
		{502, "GW_002", false, Unknown, ReasonServerError},
		{503, "", false, Unknown, ReasonServerError},
		{504, "", false, Unknown, ReasonServerError},
		{600, "", false, Unknown, ReasonUnexpected},
		{0, "", false, Unknown, ReasonUnexpected},
	} {
		if kind, reason := Classify(c.status, Facts{Code: c.code, Unified: c.code != "", HasID: c.hasID}); kind != c.state || reason != c.reason {
			t.Errorf("%d %q id %t: %s %s, want %s %s", c.status, c.code, c.hasID, kind, reason, c.state, c.reason)
		}
	}
}

func TestAReceiptNeedsNoIDButOtherwiseReadsAsAMessage(t *testing.T) {
	for status := 200; status < 600; status++ {
		kind, reason := Classify(status, Facts{Receipt: true})
		if status < 300 {
			if kind != Accepted {
				t.Errorf("%d: %s", status, kind)
			}
			continue
		}
		if k, r := Classify(status, Facts{}); k != kind || r != reason {
			t.Errorf("%d: receipt %s %s, message %s %s", status, kind, reason, k, r)
		}
	}
}

func TestAServerThatIsNotTheGatewayHasRefusedNoMessage(t *testing.T) {
	for status, want := range map[int]State{404: Released, 405: Released, 410: Released, 421: Released, 400: Rejected, 422: Rejected, 413: Rejected} {
		if kind, _ := Classify(status, Facts{}); kind != want {
			t.Errorf("%d in another shape is %s, want %s", status, kind, want)
		}
		if kind, _ := Classify(status, Facts{Code: "X_001", Unified: true}); kind != Rejected {
			t.Errorf("%d in the unified shape is %s", status, kind)
		}
	}
	for _, code := range []string{"AUTH_004", "AUTH_005"} {
		if kind, _ := Classify(500, Facts{Code: code}); kind != Unknown {
			t.Errorf("%s in another shape is %s: nobody knows who said it", code, kind)
		}
	}
}
