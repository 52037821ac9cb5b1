package awsjson

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestCallsAndFaultsFollowTheServicesProtocol(t *testing.T) {
	plain := Service{Target: "Plain.", Version: "1.1", MaxRequest: 100, TooLarge: &Fault{Status: 413, Type: "TooLarge", Message: "m"}}
	query := Service{Target: "Query.", Version: "1.0", MaxRequest: 100, Namespace: "coral#", Queries: true}
	for name, c := range map[string]struct {
		service                      Service
		method, media, target, body  string
		status                       int
		errorType, queryError, shape string
	}{
		"right":              {plain, "POST", "application/x-amz-json-1.1; charset=utf-8", "Plain.Echo", `{"A":"x"}`, 200, "", "", ""},
		"a fault of its own": {query, "POST", "application/x-amz-json-1.0", "Query.Fail", `{}`, 409, "Own", "OldOwn;Sender", "space#Own"},
		"no query protocol":  {plain, "POST", "application/x-amz-json-1.1", "Plain.Fail", `{}`, 409, "Own", "", "space#Own"},
		"unknown action":     {query, "POST", "application/x-amz-json-1.0", "Query.Other", `{}`, 400, "UnknownOperationException", "InvalidAction;Sender", "coral#UnknownOperationException"},
		"another service's":  {plain, "POST", "application/x-amz-json-1.1", "Query.Echo", `{}`, 400, "UnknownOperationException", "", "UnknownOperationException"},
		"another version":    {plain, "POST", "application/x-amz-json-1.0", "Plain.Echo", `{}`, 400, "UnknownOperationException", "", "UnknownOperationException"},
		"a form of a page":   {plain, "POST", "text/plain", "Plain.Echo", `{}`, 400, "UnknownOperationException", "", "UnknownOperationException"},
		"no action":          {plain, "POST", "application/x-amz-json-1.1", "", `{}`, 400, "UnknownOperationException", "", "UnknownOperationException"},
		"a link":             {plain, "GET", "application/x-amz-json-1.1", "Plain.Echo", `{}`, 400, "UnknownOperationException", "", "UnknownOperationException"},
		"not JSON":           {query, "POST", "application/x-amz-json-1.0", "Query.Echo", `{`, 400, "SerializationException", "MalformedInput;Sender", "coral#SerializationException"},
		"another shape":      {plain, "POST", "application/x-amz-json-1.1", "Plain.Echo", `{"A":1}`, 400, "SerializationException", "", "SerializationException"},
		"too large":          {plain, "POST", "application/x-amz-json-1.1", "Plain.Echo", `{"A":"` + strings.Repeat("x", 100) + `"}`, 413, "TooLarge", "", "TooLarge"},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(c.method, "/", strings.NewReader(c.body))
			r.Header.Set("Content-Type", c.media)
			r.Header.Set("X-Amz-Target", c.target)
			w := httptest.NewRecorder()
			Serve(w, r, c.service, func(action string, in struct{ A string }) (any, *Fault) {
				switch action {
				case "Echo":
					return map[string]string{"A": in.A}, nil
				case "Fail":
					return nil, &Fault{Status: http.StatusConflict, Type: "space#Own", Query: "OldOwn", Message: "m"}
				}
				return nil, c.service.UnknownOperation(action)
			})
			var got map[string]string
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
			h := w.Header()
			if w.Code != c.status || h.Get("X-Amzn-Errortype") != c.errorType || h.Get("X-Amzn-Query-Error") != c.queryError || got["__type"] != c.shape ||
				h.Get("Content-Type") != "application/x-amz-json-"+c.service.Version || len(h.Get("X-Amzn-Requestid")) != 36 {
				t.Errorf("%d %v %s", w.Code, h, w.Body)
			}
			if (got["A"] == "x") != (c.status == 200) || (got["message"] != "") != (c.status != 200) {
				t.Errorf("%s", w.Body)
			}
		})
	}
}
