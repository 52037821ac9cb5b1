package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/local/fixtures"
	"connexease-functions/pkg/proof/harness"
	"connexease-functions/pkg/whatsapp"
)

func TestEveryBodyLeavesOnceAsItCame(t *testing.T) {
	w := newWorld(t)
	for _, name := range fixtures.Sends() {
		body, err := fixtures.Send(name)
		if err != nil {
			t.Fatal(err)
		}
		before := w.posted()
		a := w.post(string(body))
		responds(t, name, a, 200, "")
		all := w.gateway.Messages()
		if len(all) != before+1 {
			t.Errorf("%s: the Gateway accepted %d messages", name, len(all)-before)
			continue
		}
		sameBody(t, name, body, all[before].Body, a.Headers["message-id"])
		if summary, _ := whatsapp.Check(body); summary.Receipt != all[before].Receipt || summary.Receipt != (a.Headers["message-id"] == "") {
			t.Errorf("%s: receipt %t, returned %+v", name, all[before].Receipt, a)
		}
	}
}

// sameBody fails the test unless what left is what was given, followed by opaque data
// of this id; or exactly what was given where there is no id.
func sameBody(t *testing.T, what string, given, left []byte, id string) {
	t.Helper()
	var compact bytes.Buffer
	if err := json.Compact(&compact, given); err != nil {
		t.Fatal(err)
	}
	want := compact.String()
	if id != "" {
		rest, ok := strings.CutPrefix(string(left), want[:len(want)-1]+`,"biz_opaque_callback_data":"`)
		opaque, ok2 := strings.CutSuffix(rest, `"}`)
		if got, _, ours := ledger.ParseOpaque(opaque); ok && ok2 && ours && got == id {
			return
		}
	} else if string(left) == want {
		return
	}
	t.Errorf("%s: given %s, left %s (id %s)", what, want, left, id)
}

func TestMembersThatNobodyKnowsAndNumbersOfAnySizeLeaveUnchanged(t *testing.T) {
	w := newWorld(t)
	for _, body := range []string{
		`{"to":"15550100001","text":{"body":"Hello","new":[{"deep":null}]},"messaging_product":"whatsapp","future":{"n":12345678901234567890,"f":1.50e+3}}`,
		`{"messaging_product":"whatsapp","to":"15550100001","type":"hologram","hologram":{"light":true}}`,
		`{"messaging_product":"whatsapp","to":"15550100001","text":{"body":"<&>\u2028 \ud83d\ude00 \u00e9\/"}}`,
		`{"messaging_product":"whatsapp","to":"+1 (555) 010-0001","text":{"body":"a number as people write it"}}`,
		" {\n\t\"messaging_product\": \"whatsapp\", \"to\": 15550100001,\r\n \"text\": {\"body\": \" spaces  stay \"} } ",
	} {
		before := w.posted()
		a := w.post(body)
		responds(t, body, a, 200, "")
		if all := w.gateway.Messages(); len(all) == before+1 {
			sameBody(t, body, []byte(body), all[before].Body, a.Headers["message-id"])
		}
	}
}

func TestOpaqueDataOfNullIsNotUsedAndMakesRoom(t *testing.T) {
	w := newWorld(t)
	for i, body := range []string{
		`{"biz_opaque_callback_data":null,"messaging_product":"whatsapp","to":"15550100001","text":{"body":"null"}}`,
		`{"messaging_product":"whatsapp","biz\u005fopaque_callback_data":null,"to":"15550100001","text":{"body":"null"}}`,
		`{"messaging_product":"whatsapp","to":"15550100001","text":{"body":"null"},"biz_opaque_callback_data":null}`,
	} {
		a := w.post(body)
		responds(t, body, a, 200, "")
		sameBody(t, body, []byte(`{"messaging_product":"whatsapp","to":"15550100001","text":{"body":"null"}}`), w.gateway.Messages()[i].Body, a.Headers["message-id"])
	}
}

func TestBytesThatAreNoUTF8LeaveUnchanged(t *testing.T) {
	w := newWorld(t)
	body := strings.Replace(hello, "Hello", "Hell\xf8", 1)
	e := w.event(base64.StdEncoding.EncodeToString([]byte(body)))
	e["isBase64Encoded"] = true
	a := w.request(e)
	responds(t, "latin1", a, 200, "")
	sameBody(t, "latin1", []byte(body), w.gateway.Messages()[0].Body, a.Headers["message-id"])
	if s := w.lookUp(a.Headers["message-id"]); s.State != "accepted" {
		t.Errorf("look-up shows %+v", s)
	}
}

func TestTheCallersOwnOpaqueDataLeavesUnchanged(t *testing.T) {
	w := newWorld(t)
	for i, opaque := range []string{"order 4711", "", "msg_short.token", strings.Repeat("é", 512)} {
		body := hello[:len(hello)-1] + `,"biz_opaque_callback_data":"` + opaque + `"}`
		a := w.post(body)
		responds(t, opaque, a, 200, "")
		if !ledger.ValidID(a.Headers["message-id"]) {
			t.Errorf("%q: returned %+v", opaque, a)
		}
		sameBody(t, opaque, []byte(body), w.gateway.Messages()[i].Body, "")
	}
}

func TestTheSwitchesOfTheQueryReachTheGateway(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		query          map[string]string
		isFake, mmlite bool
	}{
		{map[string]string{"is_fake": "true"}, true, false},
		{map[string]string{"mmlite": "TRUE"}, false, true},
		{map[string]string{"is_fake": "True", "mmlite": "true", "other": "maybe"}, true, true},
		{map[string]string{"is_fake": "false", "mmlite": "False"}, false, false},
	} {
		e := w.event(hello)
		e["queryStringParameters"] = c.query
		a := w.request(e)
		responds(t, "query", a, 200, "")
		all := w.gateway.Messages()
		if m := all[len(all)-1]; m.IsFake != c.isFake || m.MMLite != c.mmlite {
			t.Errorf("%v: the Gateway accepted is_fake=%t mmlite=%t", c.query, m.IsFake, m.MMLite)
		}
		if s := w.lookUp(a.Headers["message-id"]); s.IsFake != c.isFake {
			t.Errorf("%v: look-up shows %+v", c.query, s)
		}
	}
}

func TestHeadersCountInAnyCaseAndBodiesInBase64(t *testing.T) {
	w := newWorld(t)
	e := w.event("")
	e["headers"] = map[string]string{"Authorization": "bearer " + clientKey, "Idempotency-Key": "idem-title", "ON-UNKNOWN": "Hold", "Valid-For": "60"}
	e["body"], e["isBase64Encoded"] = base64.StdEncoding.EncodeToString([]byte(hello)), true
	first := w.request(e)
	responds(t, "title case and base64", first, 200, "")
	again := w.post(hello, "idempotency-key", "idem-title")
	if again.Headers["idempotent-replayed"] != "true" || again.Body != first.Body || w.posted() != 1 {
		t.Errorf("repeat returned %+v, posted %d", again, w.posted())
	}
}

func TestPreferencesThatNobodyKnowsAreIgnored(t *testing.T) {
	w := newWorld(t)
	for prefer, status := range map[string]int{
		"": 200, "wait=10": 200, "respond-asynchronously": 200, "return=minimal, handling=strict": 200,
		"respond-async": 202, "wait=10, Respond-Async": 202, "respond-async; x=1,wait=5": 202,
	} {
		responds(t, prefer, w.post(hello, "prefer", prefer), status, "")
	}
}

func TestTheLargestBodyIsTaken(t *testing.T) {
	w := newWorld(t)
	body := bodyOf(256 << 10)
	a := w.post(body, "idempotency-key", "idem-largest")
	responds(t, "largest", a, 200, "")
	sameBody(t, "largest", []byte(body), w.gateway.Messages()[0].Body, a.Headers["message-id"])
	if again := w.post(body, "idempotency-key", "idem-largest"); again.Body != a.Body || w.posted() != 1 {
		t.Errorf("repeat returned %+v", again)
	}
	responds(t, "queued", w.post(body, "prefer", "respond-async"), 202, "")
}

// bodyOf makes a message of so many bytes.
func bodyOf(n int) string {
	frame := `{"messaging_product":"whatsapp","to":"15550100001","type":"template","template":{"name":"n","language":{"code":"en"},"components":[""]}}`
	return strings.Replace(frame, `[""]`, `["`+strings.Repeat("x", n-len(frame))+`"]`, 1)
}

func TestARefusalClaimsNothingAndSendsNothing(t *testing.T) {
	w := newWorld(t)
	ours := ledger.Opaque("msg_"+strings.Repeat("a", 26), strings.Repeat("b", 16))
	with := func(name, value string) string { return hello[:len(hello)-1] + `,"` + name + `":` + value + `}` }
	interactive := func(inner string) string {
		return `{"messaging_product":"whatsapp","to":"15550100001","type":"interactive","interactive":` + inner + `}`
	}
	long := func(n int) string { return `"` + strings.Repeat("ü", n) + `"` }
	for _, c := range []struct {
		what, body string
		headers    []string
		query      map[string]string
		base64     bool
		status     int
		code, path string
	}{
		{what: "no body", status: 400, code: "REQ_001"},
		{what: "half", body: `{"to":`, status: 400, code: "REQ_001"},
		{what: "a list", body: `[` + hello + `]`, status: 400, code: "REQ_001"},
		{what: "null", body: `null`, status: 400, code: "REQ_001"},
		{what: "two", body: hello + hello, status: 400, code: "REQ_001"},
		{what: "deep", body: `{"messaging_product":"whatsapp","to":"15550100001","x":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + `}`, status: 400, code: "REQ_001"},
		{what: "no base64", body: "{}*", base64: true, status: 400, code: "REQ_001"},
		{what: "256 KiB and one", body: bodyOf(256<<10 + 1), status: 413, code: "REQ_002"},
		{what: "spaces count", body: hello + strings.Repeat(" ", 256<<10), status: 413, code: "REQ_002"},
		{what: "4 MiB and one", body: bodyOf(4<<20 + 1), status: 413, code: "REQ_002"},
		{what: "4 MiB and one in base64", body: base64.StdEncoding.EncodeToString([]byte(bodyOf(4<<20 + 1))), base64: true, status: 413, code: "REQ_002"},

		{what: "empty object", body: `{}`, status: 400, code: "MSG_001", path: "to"},
		{what: "short number", body: with("to", `"+123456"`), status: 400, code: "MSG_001", path: "to"},
		{what: "text", body: with("text", `{"body":`+long(4097)+`}`), status: 400, code: "MSG_001", path: "text.body"},
		{what: "caption", body: with("type", `"image","image":{"id":"1","caption":`+long(1025)+`}`), status: 400, code: "MSG_001", path: "image.caption"},
		{what: "media", body: with("type", `"video","video":{"id":"1","link":"https://x.test/v"}`), status: 400, code: "MSG_001", path: "video"},
		{what: "link", body: with("type", `"audio","audio":{"link":"ftp://x.test/a"}`), status: 400, code: "MSG_001", path: "audio.link"},
		{what: "buttons", body: interactive(`{"type":"button","action":{"buttons":[{},{},{},{}]}}`), status: 400, code: "MSG_001", path: "interactive.action.buttons"},
		{what: "title", body: interactive(`{"type":"button","action":{"buttons":[{"reply":{"title":` + long(21) + `}}]}}`), status: 400, code: "MSG_001", path: "interactive.action.buttons[0].reply.title"},
		{what: "rows", body: interactive(`{"type":"list","action":{"sections":[{"rows":[` + strings.Repeat("{},", 10) + `{}]}]}}`), status: 400, code: "MSG_001", path: "interactive.action.sections"},
		{what: "display text", body: interactive(`{"type":"cta_url","action":{"parameters":{"display_text":` + long(21) + `}}}`), status: 400, code: "MSG_001", path: "interactive.action.parameters.display_text"},
		{what: "contacts", body: with("type", `"contacts","contacts":[`+strings.Repeat("{},", 257)+`{}]`), status: 400, code: "MSG_001", path: "contacts"},
		{what: "template", body: with("type", `"template","template":{"name":"n"}`), status: 400, code: "MSG_001", path: "template.language.code"},
		{what: "reaction", body: with("type", `"reaction","reaction":{"emoji":"x"}`), status: 400, code: "MSG_001", path: "reaction.message_id"},
		{what: "receipt of nothing", body: `{"messaging_product":"whatsapp","status":"read"}`, status: 400, code: "MSG_001", path: "message_id"},
		{what: "receipt and message", body: with("status", `"read","message_id":"m"`), status: 400, code: "MSG_001", path: "to"},
		{what: "opaque data of our form", body: with("biz_opaque_callback_data", `"`+ours+`"`), status: 400, code: "MSG_001", path: "biz_opaque_callback_data"},
		{what: "long opaque data", body: with("biz_opaque_callback_data", long(513)), status: 400, code: "MSG_001", path: "biz_opaque_callback_data"},
		{what: "opaque number", body: with("biz_opaque_callback_data", `7`), status: 400, code: "MSG_001", path: "biz_opaque_callback_data"},

		{what: "is_fake", body: hello, query: map[string]string{"is_fake": "yes"}, status: 400, code: "MSG_001", path: "is_fake"},
		{what: "is_fake twice", body: hello, query: map[string]string{"is_fake": "true,true"}, status: 400, code: "MSG_001", path: "is_fake"},
		{what: "mmlite", body: hello, query: map[string]string{"mmlite": "1"}, status: 400, code: "MSG_001", path: "mmlite"},
		{what: "on-unknown", body: hello, headers: []string{"on-unknown", "retry"}, status: 400, code: "MSG_001", path: "On-Unknown"},
		{what: "no validity", body: hello, headers: []string{"valid-for", "0"}, status: 400, code: "MSG_001", path: "Valid-For"},
		{what: "validity in words", body: hello, headers: []string{"valid-for", "1h"}, status: 400, code: "MSG_001", path: "Valid-For"},
		{what: "13 days", body: hello, headers: []string{"valid-for", "1123200"}, status: 400, code: "MSG_001", path: "Valid-For"},
		{what: "an int64 too large", body: hello, headers: []string{"valid-for", "99999999999999999999"}, status: 400, code: "MSG_001", path: "Valid-For"},
		{what: "empty key", body: hello, headers: []string{"idempotency-key", ""}, status: 400, code: "IDEM_003"},
		{what: "long key", body: hello, headers: []string{"idempotency-key", strings.Repeat("k", 256)}, status: 400, code: "IDEM_003"},
		{what: "key with a space", body: hello, headers: []string{"idempotency-key", "a b"}, status: 400, code: "IDEM_003"},
		{what: "two keys", body: hello, headers: []string{"idempotency-key", "a, b"}, status: 400, code: "IDEM_003"},
		{what: "key in Greek", body: hello, headers: []string{"idempotency-key", "κλειδί"}, status: 400, code: "IDEM_003"},
	} {
		for _, prefer := range []string{"", "respond-async"} {
			e := w.event(c.body, append(slices.Clone(c.headers), "prefer", prefer)...)
			e["queryStringParameters"], e["isBase64Encoded"] = c.query, c.base64
			a := w.request(e)
			responds(t, c.what, a, c.status, c.code)
			if rule, _ := params(t, a)[c.path].(string); c.path != "" && rule == "" {
				t.Errorf("%s: %s says nothing of %s", c.what, a.Body, c.path)
			}
			if a.Headers["message-id"] != "" {
				t.Errorf("%s: named a message: %+v", c.what, a)
			}
		}
	}
	if calls, items := w.database.Calls.Load(), harness.Items(t, w.table); w.posted() != 0 || calls != 0 || len(items) != 0 || !w.queues.Idle("outbound") {
		t.Errorf("%d messages, %d calls of DynamoDB, %d items, queue %+v", w.posted(), calls, len(items), w.queues.Depth("outbound"))
	}
}

func params(t *testing.T, a harness.Answer) map[string]any {
	t.Helper()
	var r struct {
		Errors struct{ Params map[string]any }
	}
	if err := json.Unmarshal([]byte(a.Body), &r); err != nil {
		t.Fatal(err)
	}
	return r.Errors.Params
}

func TestAllFaultsAreInOneAnswer(t *testing.T) {
	w := newWorld(t)
	e := w.event(`{"messaging_product":"whatsapp","to":"123","type":"interactive","biz_opaque_callback_data":1,"interactive":`+
		`{"type":"button","header":{"type":"image","image":{}},"action":{"buttons":[{"reply":{"title":"`+strings.Repeat("t", 27)+`"}}]}}}`,
		"on-unknown", "sometimes", "valid-for", "soon")
	e["queryStringParameters"] = map[string]string{"is_fake": "perhaps", "mmlite": "no"}
	a := w.request(e)
	responds(t, "all faults", a, 400, "MSG_001")
	want := map[string]any{
		"to": "6 to 15 digits, has 3", "interactive.body.text": "a string that is not empty", "interactive.action.buttons[0].reply.id": "a string that is not empty", "biz_opaque_callback_data": "a string of at most 512 characters",
		"interactive.header.image": "exactly one of link and id", "interactive.action.buttons[0].reply.title": "at most 20 characters, has 27",
		"is_fake": "true or false", "mmlite": "true or false", "On-Unknown": "hold or resend",
		"Valid-For": "a whole number of seconds from 1 to 1036800 (12 days)",
	}
	if got := params(t, a); !reflect.DeepEqual(got, want) {
		t.Errorf("faults %v, want %v", got, slices.Sorted(maps.Keys(want)))
	}
}

func TestARouteThatIsNotThereIsToldOnlyToClients(t *testing.T) {
	w := newWorld(t)
	e := w.event(hello)
	e["routeKey"] = "DELETE /v1/wa/message"
	responds(t, "a client", w.request(e), 404, "REQ_003")
	delete(e["headers"].(map[string]string), "authorization")
	responds(t, "a stranger", w.request(e), 401, "AUTH_002")
	if w.posted() != 0 {
		t.Error("it was sent")
	}
}

func TestAReceiptIsPassedOnAndClaimsNothing(t *testing.T) {
	w := newWorld(t)
	for i, body := range []string{
		`{"messaging_product":"whatsapp","status":"read","message_id":"wamid.A"}`,
		`{"messaging_product":"whatsapp","status":"read","message_id":"wamid.A","typing_indicator":{"type":"text"}}`,
	} {
		// A key and a preference mean nothing for what may be repeated freely.
		a := w.post(body, "idempotency-key", "idem-receipt", "prefer", "respond-async")
		responds(t, body, a, 200, "")
		if m := w.gateway.Messages(); len(m) != i+1 || !m[i].Receipt || string(m[i].Body) != body || a.Headers["message-id"] != "" {
			t.Errorf("returned %+v, posted %+v", a, m)
		}
	}
	if n := w.database.Calls.Load(); n != 0 || !w.queues.Idle("outbound") {
		t.Errorf("%d calls of DynamoDB, queue %+v", n, w.queues.Depth("outbound"))
	}
}
