package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"connexease-functions/pkg/proof/harness"
)

// requests are one request of each described route, by a client that may read.
func (w *world) requests() map[string]map[string]any {
	all := map[string]map[string]any{}
	for path, item := range harness.Description().Document.Paths.Map() {
		for method, o := range item.Operations() {
			if !slices.Contains(o.Tags, "send") {
				continue
			}
			route := method + " " + path
			e := harness.Event(route, "Bearer "+readerKey, hello)
			e["pathParameters"] = map[string]string{"id": "msg_" + strings.Repeat("a", 26), "contact": "15550100001"}
			if route == routeLookUp {
				e["queryStringParameters"] = map[string]string{"wamid": "wamid.A"}
			}
			if route == routeEvent {
				e["queryStringParameters"] = map[string]string{"pk": "wa#wamid.A", "sk": "message"}
			}
			all[route] = e
		}
	}
	return all
}

func TestEachRouteRefusesStrangers(t *testing.T) {
	w := newWorld(t).withReader()
	for route, e := range w.requests() {
		for token, code := range map[string]string{"Bearer wrong": "AUTH_001", "": "AUTH_002", "Basic " + readerKey: "AUTH_003"} {
			header := e["headers"].(map[string]string)
			if header["authorization"] = token; token == "" {
				delete(header, "authorization")
			}
			responds(t, route+" as "+token, w.request(e), http.StatusUnauthorized, code)
		}
	}
}

func TestEachRouteSaysWhatIsNotAvailable(t *testing.T) {
	w := newWorld(t).withReader()
	w.database.Set(func(rw http.ResponseWriter, _ string, _ []byte) bool {
		harness.Refuse(rw, http.StatusBadRequest, "AccessDeniedException")
		return true
	})
	for route, e := range w.requests() {
		responds(t, route, w.request(e), http.StatusServiceUnavailable, "SVC_002")
	}
	w.env["CLIENT_KEYS_SECRET_ID"] = harness.Name("none")
	w.start()
	for route, e := range w.requests() {
		responds(t, route, w.request(e), http.StatusServiceUnavailable, "SVC_001")
	}
}

func TestAFaultyPageOfAGroupIsRefused(t *testing.T) {
	w := newWorld(t).withReader()
	responds(t, "a page of none", w.ask(readerKey, routeGroup, "G1", map[string]string{"limit": "0"}), http.StatusBadRequest, "MSG_001")
}

func TestACancellationThatAlwaysLosesIsToRepeat(t *testing.T) {
	w := newWorld(t)
	cancel := harness.Event(routeCancel, "Bearer "+clientKey, "")
	cancel["pathParameters"] = map[string]string{"id": w.post(hello, "prefer", "respond-async").Headers["message-id"]}
	// Each time the row, as it is, was written by another.
	w.database.Set(func(rw http.ResponseWriter, action string, body []byte) bool {
		if action != "UpdateItem" {
			return false
		}
		var write struct{ TableName, Key json.RawMessage }
		_ = json.Unmarshal(body, &write)
		read, _ := json.Marshal(write)
		_, row := harness.Forward(harness.Backends.DynamoDBURL, "GetItem", read)
		rw.Header().Set("Content-Type", "application/x-amz-json-1.0")
		rw.WriteHeader(http.StatusBadRequest)
		_, _ = rw.Write(append([]byte(`{"__type":"com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException",`), bytes.TrimPrefix(row, []byte("{"))...))
		return true
	})
	a := w.request(cancel)
	responds(t, "a cancellation", a, http.StatusConflict, "IDEM_001")
	if a.Headers["retry-after"] == "" || !strings.Contains(a.Body, "Repeat it after Retry-After seconds.") {
		t.Errorf("returned %+v", a)
	}
}
