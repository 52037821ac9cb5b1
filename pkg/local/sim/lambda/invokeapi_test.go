package lambda

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"connexease-functions/pkg/local/sim/echo"
	"connexease-functions/pkg/proof/await"
)

// lambdaAPI is an Invoke API with the invocations and destination records that it produced.
type lambdaAPI struct {
	*InvokeAPI
	server   *httptest.Server
	function *Function

	mu      sync.Mutex
	seen    []Invocation
	records [][]byte
}

func newLambdaAPI(t testing.TB, retries int, delays ...time.Duration) *lambdaAPI {
	t.Helper()
	l := &lambdaAPI{function: newFunction(t, nil)}
	l.InvokeAPI = NewInvokeAPI([]Target{{Function: l.function, Retries: retries, OnFailure: func(record []byte) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.records = append(l.records, record)
	}}}, delays, func(i Invocation) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.seen = append(l.seen, i)
	})
	l.server = httptest.NewServer(l.InvokeAPI)
	t.Cleanup(l.server.Close)
	t.Cleanup(l.Close)
	return l
}

const invocations = "/2015-03-31/functions/EchoFunction/invocations"

func TestInvokeReturnsTheFunctionsPayloadUnderItsRequestID(t *testing.T) {
	l := newLambdaAPI(t, 0)
	for _, name := range []string{
		"EchoFunction", "EchoFunction:$LATEST", "123456789012:function:EchoFunction",
		"arn:aws:lambda:us-east-1:123456789012:function:EchoFunction", "arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Afunction%3AEchoFunction%3A%24LATEST",
	} {
		answer, body := echo.Send(t, l.server, "POST", "/2015-03-31/functions/"+name+"/invocations", `{"a":1}`)
		if answer.StatusCode != 200 || body != `{"a":1}` || answer.Header.Get("X-Amz-Function-Error") != "" ||
			answer.Header.Get("X-Amz-Executed-Version") != "$LATEST" || answer.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %s %v", name, answer.StatusCode, body, answer.Header)
		}
		if last := l.seen[len(l.seen)-1]; last.Result.RequestID != answer.Header.Get("X-Amzn-Requestid") || last.Function != "EchoFunction" || last.Attempt != 0 || last.Duration <= 0 {
			t.Errorf("observed %+v", last)
		}
	}
	if _, body := echo.Send(t, l.server, "POST", invocations, ""); body != "{}" {
		t.Errorf("without a payload the function sees %s", body)
	}
	answer, body := echo.Send(t, l.server, "POST", invocations, string(do("fail", "text", "no luck")), "X-Amz-Invocation-Type", "RequestResponse")
	if answer.StatusCode != 200 || answer.Header.Get("X-Amz-Function-Error") != "Unhandled" || body != `{"errorMessage":"no luck","errorType":"OutOfLuck"}` {
		t.Errorf("a function error: %d %s %v", answer.StatusCode, body, answer.Header)
	}
}

func TestInvalidInvocationsAreRefusedAsByLambda(t *testing.T) {
	l := newLambdaAPI(t, 0)
	for name, c := range map[string]struct {
		target, body string
		headers      []string
		status       int
		kind         string
	}{
		"unknown function":  {"/2015-03-31/functions/Nobody/invocations", "{}", nil, 404, "ResourceNotFoundException"},
		"unknown version":   {"/2015-03-31/functions/EchoFunction:7/invocations", "{}", nil, 404, "ResourceNotFoundException"},
		"unknown alias":     {invocations + "?Qualifier=prod", "{}", nil, 404, "ResourceNotFoundException"},
		"other action":      {"/2015-03-31/functions", "{}", nil, 404, "UnknownOperationException"},
		"no JSON":           {invocations, "{", nil, 400, "InvalidRequestContentException"},
		"unknown type":      {invocations, "{}", []string{"X-Amz-Invocation-Type", "Sometime"}, 400, "InvalidParameterValueException"},
		"too large":         {invocations, `"` + strings.Repeat("x", MaxRequestBytes) + `"`, nil, 413, "RequestTooLargeException"},
		"too large for it":  {invocations, `"` + strings.Repeat("x", maxAsyncBytes) + `"`, []string{"X-Amz-Invocation-Type", "Event"}, 413, "RequestTooLargeException"},
		"a page in browser": {invocations, "{}", []string{"Origin", "https://evil.example"}, 403, ""},
	} {
		answer, body := echo.Send(t, l.server, "POST", c.target, c.body, c.headers...)
		var said struct{ Type, Message string }
		if answer.StatusCode != c.status || answer.Header.Get("X-Amzn-Errortype") != c.kind {
			t.Errorf("%s: %d %s %s", name, answer.StatusCode, answer.Header.Get("X-Amzn-Errortype"), body)
		}
		if err := json.Unmarshal([]byte(body), &said); c.kind != "" && (err != nil || said.Type != "User" || said.Message == "") {
			t.Errorf("%s: %s", name, body)
		}
	}
	if answer, body := echo.Send(t, l.server, "POST", invocations, "{}", "X-Amz-Invocation-Type", "DryRun"); answer.StatusCode != 400 || !strings.Contains(body, "RequestResponse or Event") {
		t.Errorf("DryRun: %d %s", answer.StatusCode, body)
	}
	if n := l.function.Status().Invocations; n != 0 {
		t.Errorf("%d of them reached the function", n)
	}
	_ = l.function.Close()
	if answer, _ := echo.Send(t, l.server, "POST", invocations, "{}"); answer.StatusCode != 500 || answer.Header.Get("X-Amzn-Errortype") != "ServiceException" {
		t.Errorf("a closed function: %d", answer.StatusCode)
	}
}

func TestAnEventIsRepeatedTwiceUnderOneIDAndThenGoesToItsDestination(t *testing.T) {
	l := newLambdaAPI(t, 2, time.Millisecond)
	began := time.Now().Truncate(time.Millisecond)
	answer, body := echo.Send(t, l.server, "POST", invocations, `{"do":"fail","text":"no luck"}`, "X-Amz-Invocation-Type", "Event")
	id := answer.Header.Get("X-Amzn-Requestid")
	if answer.StatusCode != http.StatusAccepted || body != "" {
		t.Fatalf("%d %s", answer.StatusCode, body)
	}
	l.Close()
	if len(l.seen) != 3 || len(l.records) != 1 {
		t.Fatalf("%d attempts, %d records", len(l.seen), len(l.records))
	}
	for i, seen := range l.seen {
		if seen.Attempt != i+1 || seen.Result.RequestID != id || seen.Result.FunctionError != "Unhandled" {
			t.Errorf("attempt %d: %+v", i+1, seen)
		}
	}
	var got, want map[string]any
	if err := json.Unmarshal(l.records[0], &got); err != nil {
		t.Fatal(err)
	}
	at, err := time.Parse(time.RFC3339, got["timestamp"].(string))
	if err != nil || at.Before(began) || time.Since(at) > time.Minute {
		t.Errorf("timestamp %v, %v", got["timestamp"], err)
	}
	delete(got, "timestamp")
	if err := json.Unmarshal([]byte(`{"version":"1.0",
		"requestContext":{"requestId":"`+id+`","functionArn":"arn:aws:lambda:us-east-1:123456789012:function:EchoFunction:$LATEST","condition":"RetriesExhausted","approximateInvokeCount":3},
		"requestPayload":{"do":"fail","text":"no luck"},
		"responseContext":{"statusCode":200,"executedVersion":"$LATEST","functionError":"Unhandled"},
		"responsePayload":{"errorMessage":"no luck","errorType":"OutOfLuck"}}`), &want); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("record\n got %s\nwant %v", l.records[0], want)
	}
}

func TestAnEventThatSucceedsRunsOnce(t *testing.T) {
	l := newLambdaAPI(t, 2)
	echo.Send(t, l.server, "POST", invocations, "{}", "X-Amz-Invocation-Type", "Event")
	l.Close()
	if len(l.seen) != 1 || len(l.records) != 0 || l.seen[0].Attempt != 1 {
		t.Errorf("%d attempts, %d records", len(l.seen), len(l.records))
	}
}

func TestCloseLosesNoEventThatWaitsForItsRepeat(t *testing.T) {
	l := newLambdaAPI(t, 1, time.Hour)
	echo.Send(t, l.server, "POST", invocations, string(do("exit")), "X-Amz-Invocation-Type", "Event")
	await.Until(t, "the first attempt has failed", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.seen) == 1
	})
	l.Close()
	if len(l.seen) != 2 || len(l.records) != 1 || !strings.Contains(string(l.records[0]), "Runtime.ExitError") {
		t.Errorf("%d attempts, records %s", len(l.seen), l.records)
	}
	for _, kind := range []string{"Event", "RequestResponse"} {
		if answer, _ := echo.Send(t, l.server, "POST", invocations, "{}", "X-Amz-Invocation-Type", kind); answer.StatusCode != 503 {
			t.Errorf("%s after Close: %d", kind, answer.StatusCode)
		}
	}
	l.Close()
}

func TestADestinationRecordKeepsAResponseThatIsNotJSON(t *testing.T) {
	record := destinationRecord("arn", "id", 1, []byte("[1]"), Result{Payload: []byte("{broken"), FunctionError: notRun}, time.Unix(0, 0))
	if text := string(record); !json.Valid(record) || !strings.Contains(text, `"responsePayload":"{broken"`) || !strings.Contains(text, `"statusCode":500`) ||
		!strings.Contains(text, `"requestPayload":[1]`) || !strings.Contains(text, `"timestamp":"1970-01-01T00:00:00.000Z"`) {
		t.Error(text)
	}
}

const configurationPath = "/2015-03-31/functions/EchoFunction/configuration"

func TestAConfigurationUpdateGivesEveryLaterInvocationANewProcess(t *testing.T) {
	l := newLambdaAPI(t, 0)
	before := pid(t, l.function)
	free := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-free }))
	t.Cleanup(slow.Close)
	busy := make(chan Result, 1)
	go func() {
		r, _ := l.function.Invoke(t.Context(), do("get", "url", slow.URL))
		busy <- r
	}()
	await.Until(t, "an invocation is under way", func() bool { return l.function.Status().Invocations == 2 })
	answer, body := echo.Send(t, l.server, "PUT", configurationPath, `{"Description":"revoked"}`)
	if answer.StatusCode != 200 || !strings.Contains(body, `"LastUpdateStatus":"Successful"`) || !strings.Contains(body, `"Description":"revoked"`) {
		t.Fatalf("%d %s", answer.StatusCode, body)
	}
	for range 3 {
		if after := pid(t, l.function); after == before {
			t.Fatalf("process %d outlives the update", before)
		}
	}
	if gone(before) {
		t.Error("the update ends an invocation that is under way")
	}
	close(free)
	if r := <-busy; r.FunctionError != "" {
		t.Errorf("the invocation under way: %s %s", r.FunctionError, r.Payload)
	}
	await.Until(t, "the old process has ended", func() bool { return gone(before) })
	if _, body := echo.Send(t, l.server, "GET", configurationPath, ""); !strings.Contains(body, `"Description":"revoked"`) {
		t.Errorf("read back: %s", body)
	}
	for _, bad := range []string{`{}`, `{"MemorySize":1024}`, `{"Description":"x","Timeout":1}`, `{"Description":7}`, `x`, `{"Description":"` + strings.Repeat("x", 257) + `"}`} {
		if answer, body := echo.Send(t, l.server, "PUT", configurationPath, bad); answer.StatusCode != 400 {
			t.Errorf("%s: %d %s", bad, answer.StatusCode, body)
		}
	}
	if answer, _ := echo.Send(t, l.server, "PUT", "/2015-03-31/functions/Other/configuration", `{"Description":"x"}`); answer.StatusCode != 404 {
		t.Errorf("a function that is not there: %d", answer.StatusCode)
	}
}
