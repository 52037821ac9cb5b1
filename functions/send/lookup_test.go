package main

import (
	"maps"
	"strings"
	"testing"
	"time"

	"connexease-functions/pkg/local/sim/connexease"
	"connexease-functions/pkg/proof/harness"
)

// find looks a message up as the client with this key, by its id or by a query.
func (w *world) find(key, id string, query map[string]string) harness.Answer {
	w.t.Helper()
	route := routeLookUp
	if id != "" {
		route = routeByID
	}
	e := harness.Event(route, "Bearer "+key, "")
	e["pathParameters"], e["queryStringParameters"] = map[string]string{"id": id}, query
	return w.request(e)
}

func TestAMessageIsFoundByEachOfItsIDs(t *testing.T) {
	w := newWorld(t)
	id := w.post(hello).Headers["message-id"]
	wamid := w.gateway.Messages()[0].Wamid
	byID, byWamid := w.find(clientKey, id, nil), w.find(clientKey, "", map[string]string{"wamid": wamid})
	responds(t, "by id", byID, 200, "")
	if byWamid.Status != 200 || byWamid.Body != byID.Body || !strings.Contains(byID.Body, id) || !strings.Contains(byID.Body, wamid) {
		t.Errorf("by id %+v, by WhatsApp's id %+v", byID, byWamid)
	}
	record := harness.Name("record")
	w.batch([]any{w.record(record, `{"message":`+hello+`,"reader":"crm"}`, w.now())})
	byRecord := w.find(clientKey, "", map[string]string{"sqs_message_id": record})
	responds(t, "by record", byRecord, 200, "")
	if !strings.Contains(byRecord.Body, w.gateway.Messages()[1].Wamid) {
		t.Errorf("by record %+v", byRecord)
	}
}

func TestAPlusOfWhatsAppsIDNeedsNoEscape(t *testing.T) {
	w := newWorld(t)
	w.spoil(connexease.Fault{Kind: connexease.Answer, Status: 200, Body: `{"isSuccess":true,"data":{"messages":[{"id":"wamid.A+B/C+D="}]}}`})
	id := w.post(hello).Headers["message-id"]
	for _, wamid := range []string{"wamid.A+B/C+D=", "wamid.A B/C D="} { // escaped by the caller, and not
		a := w.find(clientKey, "", map[string]string{"wamid": wamid})
		if responds(t, wamid, a, 200, ""); !strings.Contains(a.Body, id) {
			t.Errorf("%s: returned %+v", wamid, a)
		}
	}
}

func TestAnothersMessageIsAnsweredAsOneThatIsNotThere(t *testing.T) {
	w := newWorld(t)
	id := w.post(hello).Headers["message-id"]
	wamid := w.gateway.Messages()[0].Wamid
	record := harness.Name("record")
	w.batch([]any{w.record(record, `{"message":`+hello+`,"reader":"crm"}`, w.now())})
	want := w.find(otherKey, "msg_"+strings.Repeat("a", 26), nil)
	responds(t, "not there", want, 404, "REQ_003")
	for what, a := range map[string]harness.Answer{
		"another's":            w.find(otherKey, id, nil),
		"another's wamid":      w.find(otherKey, "", map[string]string{"wamid": wamid}),
		"another's record":     w.find(otherKey, "", map[string]string{"sqs_message_id": record}),
		"unknown wamid":        w.find(otherKey, "", map[string]string{"wamid": "wamid.none"}),
		"unknown record":       w.find(otherKey, "", map[string]string{"sqs_message_id": "none"}),
		"a long wamid":         w.find(otherKey, "", map[string]string{"wamid": strings.Repeat("w", 3000)}),
		"no id":                w.find(otherKey, "4711", nil),
		"a key of the table":   w.find(otherKey, "wa#"+wamid, nil),
		"an id in upper case":  w.find(otherKey, strings.ToUpper(id), nil),
		"an id, and its wamid": w.find(otherKey, "msg_none", map[string]string{"wamid": wamid}),
	} {
		if a.Status != want.Status || a.Body != want.Body || !maps.Equal(a.Headers, want.Headers) {
			t.Errorf("%s: returned %+v, want %+v", what, a, want)
		}
	}
}

func TestALookUpNamesAMessageAndItsClient(t *testing.T) {
	w := newWorld(t)
	for _, query := range []map[string]string{nil, {"wamid": ""}, {"other": "x"}} {
		responds(t, "no message named", w.find(clientKey, "", query), 400, "MSG_001")
	}
	responds(t, "nobody", w.find("wrong", "msg_"+strings.Repeat("a", 26), nil), 401, "AUTH_001")
	if n := w.database.Calls.Load(); n != 0 {
		t.Errorf("%d calls of DynamoDB", n)
	}
}

func TestEveryStateIsShownInWords(t *testing.T) {
	w := newWorld(t)
	send := func(fault connexease.Fault, headers ...string) (id string) {
		if fault.Kind != "" {
			w.spoil(fault)
		}
		id = w.post(hello, headers...).Headers["message-id"]
		w.spoil()
		return id
	}
	answer := func(status int, body string) connexease.Fault {
		return connexease.Fault{Kind: connexease.Answer, Status: status, Body: body}
	}
	w.database.Set(deny("UpdateItem"))
	inFlight := send(connexease.Fault{})
	w.database.Set(nil)
	type row struct {
		id, state, says, reason string
		attempts, answer        int
		later                   time.Duration // when it is looked up
	}
	rows := []row{
		{inFlight, "in_flight", "It is being sent.", "", 1, 0, 0},
		{inFlight, "unknown", "Nobody can tell yet whether it was sent.", "process_ended", 1, 0, 44 * time.Second},
		{send(connexease.Fault{}), "accepted", "The Gateway accepted it.", "", 1, 200, 0},
		{send(connexease.Fault{}, "prefer", "respond-async"), "queued", "It waits in the queue and has not been sent.", "", 0, 0, 0},
		{send(connexease.Fault{Kind: connexease.RateLimit}), "not_sent", "It definitely was not sent.", "rate_limited", 1, 429, 0},
		{send(connexease.Fault{Kind: connexease.Refuse}), "not_sent", "It definitely was not sent.", "not_connected", 1, 0, 0},
		{send(answer(400, refusedAs("BAD_REQUEST"))), "rejected", "It was refused; answer says why.", "invalid", 1, 400, 0},
		{send(answer(502, refusedAs("GW_001"))), "rejected", "It was refused; answer says why.", "refused_upstream", 1, 502, 0},
		{send(connexease.Fault{Kind: connexease.ResetAfter}), "unknown", "Nobody can tell yet whether it was sent.", "connection_lost", 1, 0, 0},
	}
	expiring := send(connexease.Fault{}, "prefer", "respond-async", "valid-for", "60")
	rows = append(rows,
		row{expiring, "queued", "It waits in the queue and has not been sent.", "", 0, 0, 0},
		row{expiring, "expired", "Its validity ended before it could be sent. It was not sent.", "", 0, 0, 125 * time.Second})
	for _, r := range rows {
		w.shift.Store(int64(r.later))
		s := w.lookUp(r.id)
		returned := 0
		if s.Answer != nil {
			returned = s.Answer.HTTP
		}
		if s.ID != r.id || s.State != r.state || !strings.HasPrefix(s.Explanation, r.says) || s.Reason != r.reason || s.Attempts != r.attempts || returned != r.answer || s.Type != "text" || len(s.Statuses) != 0 {
			t.Errorf("look-up shows %+v (response %d), want %+v", s, returned, r)
		}
	}
}

func TestAnExpiredMessageIsToldSoAndNotSent(t *testing.T) {
	w := newWorld(t)
	queue := []string{"idempotency-key", "idem-expired", "prefer", "respond-async", "valid-for", "60"}
	id := w.post(hello, queue...).Headers["message-id"]
	records, _ := w.received()
	w.pass(61 * time.Second) // nobody claims any more, and nobody says expired yet
	busy := w.post(hello, "idempotency-key", "idem-expired")
	responds(t, "past its validity", busy, 409, "IDEM_001")
	if s := w.lookUp(id); s.State != "queued" {
		t.Errorf("look-up shows %+v", s)
	}
	w.pass(64 * time.Second)
	for _, headers := range [][]string{queue, queue[:2]} {
		a := w.post(hello, headers...)
		responds(t, "expired", a, 410, "SEND_004")
		if a.Headers["message-id"] != id || a.Headers["idempotent-replayed"] != "true" {
			t.Errorf("returned %+v", a)
		}
	}
	if again := w.batch(records); len(again) != 0 || w.posted() != 0 {
		t.Errorf("records %v retried, posted %d", again, w.posted())
	}
}
