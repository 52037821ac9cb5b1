package api_test

import (
	"encoding/json"
	"testing"

	"connexease-functions/pkg/api"
	"connexease-functions/pkg/gateway"
)

func TestASuccessIsTheUnifiedResponse(t *testing.T) {
	a := api.Succeed(202, map[string]string{"id": "<msg>"})
	out, err := json.Marshal(a)
	if want := `{"statusCode":202,"headers":{"cache-control":"no-store","content-type":"application/json"},"body":"{\"isSuccess\":true,\"data\":{\"id\":\"\u003cmsg\u003e\"}}"}`; err != nil || string(out) != want {
		t.Errorf("%s, want %s, %v", out, want, err)
	}
	if a.Body != `{"isSuccess":true,"data":{"id":"<msg>"}}` { // commands in responses are copied
		t.Errorf("%s", a.Body)
	}
	if a := api.Success(nil); a.Status != 200 || a.Code != "" || a.Failure != "" || a.Foreign {
		t.Errorf("%+v", a)
	}
}

func TestEachFailureHasItsStatusItsNameAndItsHeaders(t *testing.T) {
	for code, want := range map[api.Code]struct {
		status              int
		failure             api.Failure
		authenticate, retry string
	}{
		api.WrongToken: {401, api.InvalidMessage, "Bearer", ""}, api.NoToken: {401, api.InvalidMessage, "Bearer", ""}, api.MalformedToken: {401, api.InvalidMessage, "Bearer", ""},
		api.MalformedRequest: {400, api.InvalidMessage, "", ""}, api.RequestTooLarge: {413, api.InvalidMessage, "", ""}, api.NoSuchMessage: {404, api.InvalidMessage, "", ""},
		api.BrokenLimits: {400, api.InvalidMessage, "", ""}, api.KeyInFlight: {409, api.InFlight, "", ""}, api.KeyReused: {422, api.InvalidMessage, "", ""}, api.MalformedKey: {400, api.InvalidMessage, "", ""},
		api.Uncertain: {504, api.OutcomeUnknown, "", ""}, api.NotReached: {503, api.GatewayUnavailable, "", "5"}, api.RefusedUnread: {502, api.Rejected, "", ""}, api.Expired: {410, api.Rejected, "", ""},
		api.SecretMissing: {503, api.ServiceUnavailable, "", "5"}, api.TableUnavailable: {503, api.ServiceUnavailable, "", "5"}, api.APIKeyRefused: {503, api.ServiceUnavailable, "", "5"}, api.QueueUnconfirmed: {503, api.ServiceUnavailable, "", "5"},
	} {
		a := api.Fail(code, "", map[string]any{"id": "1"})
		var body struct {
			IsSuccess bool
			Errors    struct {
				Code, Group, Description string
				Params                   map[string]string
			}
		}
		if err := json.Unmarshal([]byte(a.Body), &body); err != nil {
			t.Fatal(err)
		}
		if a.Status != want.status || a.Failure != want.failure || a.Code != string(code) || a.Foreign || a.Headers["www-authenticate"] != want.authenticate || a.Headers["retry-after"] != want.retry || a.Headers["cache-control"] != "no-store" {
			t.Errorf("%s: %+v", code, a)
		}
		if e := body.Errors; body.IsSuccess || e.Code != string(code) || e.Group == "" || e.Description == "" || e.Params["id"] != "1" {
			t.Errorf("%s: %s", code, a.Body)
		}
		if a := api.Fail(code, "Other words.", nil); json.Unmarshal([]byte(a.Body), &body) != nil || body.Errors.Description != "Other words." {
			t.Errorf("%s: %s", code, a.Body)
		}
	}
}

func TestTheGatewaysResponsePassesAsItCame(t *testing.T) {
	const body = `{"a":1.0, "b":"<"}`
	if a := api.Pass(gateway.Rejected, 418, []byte(body), ""); a.Status != 418 || a.Body != body || !a.Foreign || a.Headers["content-type"] != "application/json" {
		t.Errorf("%+v", a)
	}
}
