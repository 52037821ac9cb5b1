package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"connexease-functions/pkg/proof/docs"
	"connexease-functions/pkg/proof/harness"
)

func TestReadmesRuleMakesAMessageOfAnEvent(t *testing.T) {
	rule, _ := harness.Rule(t, "OrderShipped")
	event := map[string]string{"$.id": "6a7e8feb-b491-4cf7-a9f1-bf3703467718", "$.detail.phone": "15550100001", "$.detail.order": "4711"}
	body := rule.Transformer.Template
	for name, path := range rule.Transformer.Paths {
		value, ok := event[path]
		if !ok {
			t.Fatalf("the sample event has no %s", path)
		}
		body = strings.ReplaceAll(body, "<"+name+">", value)
	}
	w := newWorld(t)
	for range 2 {
		if again := w.sqs(body); again != nil {
			t.Errorf("%v retried", again)
		}
	}
	posted := w.gateway.Messages()
	if len(posted) != 1 || !strings.Contains(string(posted[0].Body), `"order_shipped"`) || !strings.Contains(string(posted[0].Body), `"4711"`) {
		t.Fatalf("the Gateway accepted %+v", posted)
	}
	template, err := os.ReadFile("../../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	imports := regexp.MustCompile(`!ImportValue connexease-prod-(\w+)`).FindAllStringSubmatch(docs.Block(t, "yaml", "OrderShipped:"), -1)
	for _, m := range imports {
		if !strings.Contains(string(template), `Export: { Name: !Sub "${AWS::StackName}-`+m[1]+`" }`) {
			t.Errorf("template.yaml does not export %s", m[1])
		}
	}
	if len(imports) != 3 {
		t.Errorf("README imports %v", imports)
	}
}

func TestReadmesStateSendsOnceAndRepeatsOnlyWhatIsSafe(t *testing.T) {
	var state struct {
		QueryLanguage string
		Arguments     struct {
			Payload map[string]json.RawMessage
		}
		Retry []struct{ ErrorEquals []string }
	}
	if err := json.Unmarshal([]byte(docs.Block(t, "json", "lambda:invoke")), &state); err != nil {
		t.Fatal(err)
	}
	if state.QueryLanguage != "JSONata" {
		t.Errorf("the expressions are of %q", state.QueryLanguage)
	}
	payload, err := json.Marshal(state.Arguments.Payload)
	if err != nil {
		t.Fatal(err)
	}
	// What Step Functions would put in: a state's name may have blanks, the hash has none.
	sum := sha256.Sum256([]byte("arn:aws:states:us-east-1:111122223333:execution:Shop:4711/Lambda Invoke"))
	text := regexp.MustCompile(`"\{% \$hash\([^"]*'SHA-256'\) %\}"`).ReplaceAllString(string(payload), `"`+hex.EncodeToString(sum[:])+`"`)
	text = regexp.MustCompile(`"\{% \$states\.input\.phone %\}"`).ReplaceAllString(text, `"15550100001"`)
	w := newWorld(t)
	for range 2 {
		if out, err := w.direct(text); err != nil || !strings.Contains(string(out), `"isSuccess":true`) {
			t.Fatalf("%s %v for %s", out, err, text)
		}
	}
	if w.posted() != 1 {
		t.Errorf("posted %d", w.posted())
	}
	safe := map[string]bool{"InFlight": true, "GatewayUnavailable": true, "ServiceUnavailable": true, "RateLimited": true, "Lambda.TooManyRequestsException": true}
	for _, r := range state.Retry {
		for _, name := range r.ErrorEquals {
			if !safe[name] {
				t.Errorf("%s is repeated", name)
			}
		}
	}
}

func TestReadmesCommandsSend(t *testing.T) {
	w := newWorld(t)
	argument := func(command, name string) string {
		m := regexp.MustCompile(name + ` '([^']*)'`).FindStringSubmatch(docs.Block(t, "sh", command))
		if m == nil {
			t.Fatalf("%s has no %s", command, name)
		}
		return m[1]
	}
	if again := w.sqs(argument("aws sqs send-message", "--message-body")); again != nil {
		t.Errorf("%v retried", again)
	}
	if out, err := w.direct(argument("aws lambda invoke", "--payload")); err != nil {
		t.Errorf("%s %v", out, err)
	}
	if w.posted() != 2 {
		t.Errorf("posted %d", w.posted())
	}
}

func TestReadmesFailingRequestFailsAsItSays(t *testing.T) {
	command := docs.Block(t, "sh", "a.png")
	body := regexp.MustCompile(`-d '([^']*)'`).FindStringSubmatch(command)
	if body == nil {
		t.Fatalf("it has no body: %s", command)
	}
	w := newWorld(t)
	a := w.post(body[1])
	responds(t, command, a, 400, "MSG_001")
	if want := strings.TrimSpace(docs.Block(t, "json", `"MSG_001"`)); a.Body != want {
		t.Errorf("returned %s, README says %s", a.Body, want)
	}
	w.untouched()
	for path, good := range map[string][2]string{"image.link": {`"link":"`, `"link":"http://`}, "to": {"+1555", "+15550100001"}} {
		a := w.post(strings.Replace(body[1], good[0], good[1], 1))
		responds(t, "without the fault of "+path, a, 400, "MSG_001")
		if rest := params(t, a); len(rest) != 1 || rest[path] != nil {
			t.Errorf("without the fault of %s it found %v", path, rest)
		}
	}
}
