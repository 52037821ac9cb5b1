package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/lambda/messages"

	"connexease-functions/pkg/api"
	"connexease-functions/pkg/gateway"
	"connexease-functions/pkg/proof/harness"
)

// fixture reads an event. The fixtures' time is long ago, and a record of long ago is
// no longer sent.
func fixture(t testing.TB, w *world, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	if w != nil {
		b = bytes.ReplaceAll(b, []byte("1767225600000"), []byte(strconv.FormatInt(w.now().UnixMilli(), 10)))
	}
	return b
}

// invoke invokes the function with an event of any shape.
func (w *world) invoke(event []byte) ([]byte, error) {
	w.t.Helper()
	return harness.Invoke(w.t, w.handler, w.lambda+w.ahead(), event)
}

// failed expects a Lambda error whose text is the unified response, and returns its
// name and code.
func failed(t testing.TB, out []byte, err error) (name, code string) {
	t.Helper()
	name, text := lambdaError(t, out, err)
	var r gateway.Response
	if json.Unmarshal([]byte(text), &r) != nil || r.IsSuccess || r.Errors == nil {
		t.Fatalf("%s says %q, which is no unified response", name, text)
	}
	return name, r.Errors.Code
}

func lambdaError(t testing.TB, out []byte, err error) (name, text string) {
	t.Helper()
	var e messages.InvokeResponse_Error
	if !errors.As(err, &e) || out != nil {
		t.Fatalf("returned %s %v, want an error with a name", out, err)
	}
	return e.Type, e.Message
}

// untouched expects that nothing was sent, queued or written.
func (w *world) untouched() {
	w.t.Helper()
	if posted := w.gateway.Messages(); len(posted) != 0 {
		w.t.Errorf("the Gateway accepted %+v", posted)
	}
	if !w.queues.Idle("outbound") {
		w.t.Errorf("the queue holds %+v", w.queues.Depth("outbound"))
	}
	if rows := harness.Items(w.t, w.table); len(rows) != 0 {
		w.t.Errorf("the table has %v", slices.Collect(maps.Keys(rows)))
	}
}

func TestEachSourceHasItsOwnAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		answer string // what it begins with
		sent   int
	}{
		"http":        {`{"statusCode":200,`, 1},
		"sqs":         {`{"batchItemFailures":[]}`, 1},
		"eventbridge": {`{"isSuccess":true,"data":{"status":"queued"}}`, 0},
		"direct":      {`{"data":{`, 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			out, err := w.invoke(fixture(t, w, name))
			if err != nil || !strings.HasPrefix(string(out), c.answer) {
				t.Errorf("returned %s %v", out, err)
			}
			if n := len(w.gateway.Messages()); n != c.sent {
				t.Errorf("%d messages were sent", n)
			}
		})
	}
}

func TestForeignAndAmbiguousEventsAreRefusedByNameAndSendNothing(t *testing.T) {
	w := newWorld(t)
	message := string(fixture(t, nil, "bare-message"))
	for name, c := range map[string]struct {
		event  string // empty: the fixture of this name
		reason string
	}{
		"sns":                  {"", "other_records"},
		"s3":                   {"", "other_records"},
		"dynamodb":             {"", "other_records"},
		"kinesis":              {"", "other_records"},
		"mixed-records":        {"", "other_records"},
		"empty-records":        {"", "other_records"},
		"records-and-request":  {"", "ambiguous"},
		"eventbridge-message":  {"", "ambiguous"},
		"http-1.0":             {"", "other_http"},
		"rest-api":             {"", "other_http"},
		"alb":                  {"", "other_http"},
		"bare-message":         {"", "no_source"},
		"repeated-detail":      {`{"detail-type":"a","source":"b","detail":{},"detail":` + message + `}`, "repeated_member"},
		"repeated-records":     {`{"Records":[],"Records":[{"eventSource":"aws:sqs","messageId":"r","body":"{}"}]}`, "repeated_member"},
		"repeated-context":     {`{"version":"2.0","version":"2.0","requestContext":{"http":{}}}`, "repeated_member"},
		"repeated-and-mixed":   {`{"message":` + message + `,"message":` + message + `,"Records":[]}`, "repeated_member"},
		"an object of nothing": {`{}`, "no_source"},
		"an array":             {`[` + message + `]`, "not_json"},
		"a string":             {`"message"`, "not_json"},
		"a number":             {`1`, "not_json"},
		"null":                 {`null`, "not_json"},
		"not JSON":             {`{"message":`, "not_json"},
		"two JSON objects":     {`{"message":` + message + `}{}`, "not_json"},
		"nothing":              {` `, "not_json"},

		"names in another case":        {`{"Message":` + message + `,"IdempotencyKey":"idem-1"}`, "no_source"},
		"records in another case":      {`{"records":[{"eventSource":"aws:sqs","body":"{}"}]}`, "no_source"},
		"a source in another case":     {`{"Records":[{"EventSource":"aws:sqs","body":"{}"}]}`, "other_records"},
		"records that are null":        {`{"Records":null}`, "other_records"},
		"records that are not records": {`{"Records":[1]}`, "other_records"},
		"records that are not a list":  {`{"Records":{"eventSource":"aws:sqs"}}`, "other_records"},
		"an HTTP request without http": {`{"version":"2.0","requestContext":{}}`, "other_http"},
		"a websocket's":                {`{"requestContext":{"eventType":"MESSAGE","connectionId":"c"},"body":"{}"}`, "other_http"},
		"a message next to records":    {`{"message":` + message + `,"Records":[{"eventSource":"aws:sqs"}]}`, "ambiguous"},
		"a message in a request":       {`{"message":` + message + `,"version":"2.0","requestContext":{"http":{}}}`, "ambiguous"},
		"an event with records":        {`{"detail-type":"a","source":"b","detail":{},"Records":[]}`, "ambiguous"},
		"our own id":                   {`{"id":"msg_aaaaaaaaaaaaaaaaaaaaaaaaaa"}`, "no_source"},
	} {
		t.Run(name, func(t *testing.T) {
			event := []byte(c.event)
			if c.event == "" {
				event = fixture(t, w, name)
			}
			want := map[string]refusal{"not_json": notJSON, "no_source": noKind, "ambiguous": several, "other_records": otherRecord, "other_http": otherHTTP, "repeated_member": repeated}[c.reason]
			before := len(w.logs.String())
			out, err := w.invoke(event)
			if got, text := lambdaError(t, out, err); got != string(want.failure) || text != want.text {
				t.Errorf("refused as %s: %s; want %s: %s", got, text, want.failure, want.text)
			}
			if !strings.Contains(w.logs.String()[before:], `"reason":"`+c.reason+`"`) {
				t.Errorf("the log does not say %s", c.reason)
			}
			w.untouched()
		})
	}
}

func TestAFunctionURLIsToldThatItHasNoSuchRoute(t *testing.T) {
	w := newWorld(t)
	out, err := w.invoke(fixture(t, w, "function-url"))
	var a harness.Answer
	if err != nil || json.Unmarshal(out, &a) != nil || a.Status != 404 || a.Code() != string(api.NoSuchMessage) {
		t.Errorf("returned %s %v", out, err)
	}
	w.untouched()
}

func TestRecordsThatSQSNeverMakesAreAnErrorOfTheWholeBatch(t *testing.T) {
	w := newWorld(t)
	for _, records := range []string{
		`[{"eventSource":"aws:sqs","messageId":"r","body":{"to":"+15550100001"}}]`,
		`[{"eventSource":"aws:sqs","messageId":7,"body":"{}"}]`,
	} {
		out, err := w.invoke([]byte(`{"Records":` + records + `}`))
		if name, _ := lambdaError(t, out, err); name != string(api.UnsupportedEvent) {
			t.Errorf("%s is refused as %s", records, name)
		}
	}
	w.untouched()
}

// marks says, from the facts about each event, whose marks an event has, and which of
// the sources it is without a doubt.
func marks(e map[string]any) (marked, certain []source) {
	add := func(from source, is, sure bool) {
		if is {
			marked = append(marked, from)
			if sure {
				certain = append(certain, from)
			}
		}
	}
	has := func(names ...string) bool {
		return !slices.ContainsFunc(names, func(name string) bool { _, there := e[name]; return !there })
	}
	inner, _ := e["requestContext"].(map[string]any)
	_, http := inner["http"].(map[string]any)
	add(sourceHTTP, has("requestContext") || has("httpMethod"), e["version"] == "2.0" && http)
	records, _ := e["Records"].([]any)
	foreign := slices.ContainsFunc(records, func(r any) bool {
		record, _ := r.(map[string]any)
		return record["eventSource"] != "aws:sqs"
	})
	add(sourceSQS, has("Records"), len(records) > 0 && !foreign)
	add(sourceEvent, has("detail-type", "source", "detail"), true)
	add(sourceDirect, has("message"), true)
	return marked, certain
}

func FuzzDiscriminate(f *testing.F) {
	names, err := filepath.Glob("testdata/*.json")
	if err != nil || len(names) == 0 {
		f.Fatal("no fixtures", err)
	}
	for _, name := range names {
		f.Add(fixture(f, nil, strings.TrimSuffix(filepath.Base(name), ".json")))
	}
	for _, seed := range []string{`null`, `{"Records":[{"event\u0053ource":"aws\u003asqs"}]}`, `{"version":"2\u002e0","requestContext":{"http":{}}}`, `[]`, `"a"`, `{"message":null}`, `{"message":1,"message":2}`, `{"Records":[{"eventSource":"aws:sqs","EventSource":"aws:sns"}]}`,
		`{"version":"2.0","requestContext":{"HTTP":{},"http":null}}`, "{\"\xff\":1,\"\xfe\":2}"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		source, why := discriminate(payload)
		if (source == "") == (why.reason == "") {
			t.Fatalf("%q and %q", source, why.reason)
		}
		var e map[string]any
		if json.Unmarshal(payload, &e) != nil || e == nil {
			if why != notJSON {
				t.Fatalf("no object, and yet %q %q", source, why.reason)
			}
			return
		}
		if why == repeated {
			return
		}
		marked, certain := marks(e)
		switch {
		case len(marked) == 0 && why != noKind, len(marked) > 1 && why != several:
			t.Errorf("it has the marks of %v, and is %q %q", marked, source, why.reason)
		case len(marked) == 1 && len(certain) == 1 && source != certain[0]:
			t.Errorf("it is of %v, and is read as %q %q", certain, source, why.reason)
		case len(marked) == 1 && len(certain) == 0 && source != "":
			t.Errorf("it has marks of %v only, and is read as %q", marked, source)
		}
		if _, repeated := api.Members(payload); len(repeated) > 0 {
			return
		}
		for form, changed := range forms(t, payload) {
			if again, whyAgain := discriminate(changed); again != source || whyAgain != why {
				t.Errorf("it is %q %q, and %s it is %q %q", source, why.reason, form, again, whyAgain.reason)
			}
		}
	})
}

// forms writes an object without repeated names in other ways that mean the same.
func forms(t *testing.T, object []byte) map[string][]byte {
	var indented, compact bytes.Buffer
	if json.Indent(&indented, object, " ", "\t") != nil || json.Compact(&compact, object) != nil {
		t.Fatal("not JSON")
	}
	raw, _ := api.Members(object)
	ordered := func(names []string) []byte {
		var b bytes.Buffer
		for i, name := range names {
			quoted, _ := json.Marshal(name)
			b.WriteByte("{,"[min(i, 1)])
			b.Write(quoted)
			b.WriteByte(':')
			b.Write(raw[name])
		}
		if len(names) == 0 {
			b.WriteByte('{')
		}
		b.WriteByte('}')
		return b.Bytes()
	}
	names := slices.Sorted(maps.Keys(raw))
	sorted := ordered(names)
	slices.Reverse(names)
	return map[string][]byte{"indented": indented.Bytes(), "compacted": compact.Bytes(), "sorted": sorted, "in reverse": ordered(names)}
}
