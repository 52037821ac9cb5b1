package command

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"connexease-functions/pkg/local/stack"
)

func TestSmokeSaysOkOrWhatToDo(t *testing.T) {
	r := start(t)
	out, err := r.ops("", "smoke")
	if err != nil || strings.Count(out, "ok  ") != 10 || !strings.HasSuffix(out, "All is well.\n") {
		t.Errorf("%v\n%s", err, out)
	}
	for _, want := range []string{"outbound queue", "the bulk lane", "on the bus", "through the pipe", "its events are removed"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	if n := r.Items("?kind=status").Count; n != 0 {
		t.Errorf("it left %d rows of its events", n)
	}
	var rules struct{ Rules map[string]any }
	if r.JSON("GET", "/rules", "", &rules); len(rules.Rules) != 0 {
		t.Errorf("it left rules: %v", rules)
	}
	for _, name := range []string{"WEBHOOK_SECRET", "CLIENT_KEY"} {
		if strings.Contains(out, r.Env[name]) {
			t.Errorf("%s is printed", name)
		}
	}
	var sent struct{ Messages []struct{ Query string } }
	if r.JSON("GET", "/gateway/messages", "", &sent); len(sent.Messages) != 5 {
		t.Errorf("%d messages were sent, want 5", len(sent.Messages))
	}
	// Of several numbers none is the default, and one is named.
	if text := r.Try("PUT", r.Env["CONTROL_URL"]+"/secrets/gateway", `{"crm":{"key":"a"},"shop":{"key":"b","phone_number_id":"207"}}`); text == "" {
		t.Fatal("no senders")
	}
	if out, err = r.ops("", "smoke", "-sender", "shop"); err != nil || strings.Count(out, "ok  ") != 10 {
		t.Errorf("%v\n%s", err, out)
	}
	var from struct {
		Messages []struct {
			Number string `json:"phone_number_id"`
		}
	}
	if r.JSON("GET", "/gateway/messages", "", &from); len(from.Messages) != 10 || from.Messages[5].Number != "207" || from.Messages[9].Number != "207" {
		t.Errorf("sent from %+v", from.Messages)
	}
	if out, err = r.ops("", "smoke"); err == nil || strings.Count(out, "FAILED") != 1 || !strings.Contains(out, "SENDER_001") || !strings.Contains(out, "make smoke SENDER=") {
		t.Errorf("%v\n%s", err, out)
	}
	// The Gateway no longer accepts the stack's key.
	if text := r.Try("PUT", r.Env["CONTROL_URL"]+"/gateway/faults", `[{"kind":"answer","status":401,"body":"{\"isSuccess\":false,\"errors\":{\"code\":\"AUTH_001\"}}"}]`); text == "" {
		t.Fatal("no faults")
	}
	out, err = r.ops("", "smoke", "-sender", "shop")
	if err == nil || strings.Count(out, "FAILED") != 1 || !strings.Contains(out, "SVC_003") || !strings.Contains(out, "put an API key") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestSmokeWarnsWhereMessagesAreAcceptedAndNoStatusComes(t *testing.T) {
	r := start(t)
	if out, err := r.ops("", "smoke"); err != nil || !strings.Contains(out, "off     statuses: no message was sent yet") || !strings.Contains(out, "message_template_status and account") {
		t.Errorf("before the first message: %v\n%s", err, out)
	}
	for _, c := range []struct{ callbacks, want, never string }{
		{`{"off":true}`, "WARNING 1 messages were accepted, and no status of any came\n        -> unless that was a minute ago, in the Gateway's dashboard tick messages, message_status", "All is well."},
		{`{"statuses":["read"]}`, "WARNING 2 messages", "All is well."},
		{`{"statuses":["delivered"]}`, "ok      statuses of messages arrive\nAll is well.", "WARNING"},
	} {
		before := r.Items("?kind=status").Count
		if r.Try("PUT", r.Env["CONTROL_URL"]+"/gateway/callbacks", c.callbacks) == "" {
			t.Fatal("no callbacks")
		}
		if status, body := r.send(`{"messaging_product":"whatsapp","to":"15550100001","type":"text","text":{"body":"Hello"}}`, false); status != http.StatusOK {
			t.Fatal(status, body)
		}
		if !strings.Contains(c.callbacks, "off") {
			r.Until("its status is stored", func() bool { return r.Items("?kind=status").Count > before })
		}
		if out, err := r.ops("", "smoke"); err != nil || !strings.Contains(out, c.want) || strings.Contains(out, c.never) {
			t.Errorf("%s: %v\n%s", c.callbacks, err, out)
		}
	}
}

// TestSmokeSendsNothingThroughALaneThatIsPaused pauses each, as a campaign does.
func TestSmokeSendsNothingThroughALaneThatIsPaused(t *testing.T) {
	r := start(t)
	for _, c := range [][2]string{{bulkQueue, "bulk lane"}, {outboundQueue, "outbound queue"}} {
		if out, err := r.ops("", "campaign", "pause", "-name", "spring", "-queue", c[0], "-yes"); err != nil {
			t.Fatal(err, out)
		}
		out, err := r.ops("", "smoke")
		if err != nil || !strings.Contains(out, "WARNING the "+c[1]+" is paused, and was not tried\n        -> make campaign DO=resume") || strings.Contains(out, "All is well.") {
			t.Errorf("%v\n%s", err, out)
		}
		if n := r.depth(c[0]); n != 0 {
			t.Errorf("%d messages wait in %s", n, c[0])
		}
	}
}

// TestEachOutcomeOfSmokeHasItsOwnMessage responds instead of the API.
func TestEachOutcomeOfSmokeHasItsOwnMessage(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct {
		event, wrong int // statuses of the event and of the wrong token; 0: the connection is cut
		want, never  string
	}{
		"everybody is let in":   {200, 200, "accepts everyone", "it was not accepted"},
		"nothing is accepted":   {503, 503, "returns 503", "everybody"},
		"a redirect":            {302, 302, "returns 302", "everybody"},
		"cut at the wrong one":  {200, 0, "gets no response", "everybody"},
		"nothing responds":      {0, 0, "not running", "everybody"},
		"a different refusal":   {200, 403, "not the refusal 401", "everybody"},
		"refused as it must be": {200, 401, "ok      a wrong token is refused", "everybody"},
	} {
		t.Run(name, func(t *testing.T) {
			api := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, request *http.Request) {
				status := c.event
				if strings.HasPrefix(request.URL.Path, "/v1/") {
					status = 404
				}
				if request.Header.Get("Authorization") == "Bearer wrong" {
					status = c.wrong
				}
				if status == 0 {
					panic(http.ErrAbortHandler)
				}
				if status == 302 {
					rw.Header().Set("Location", "http://127.0.0.1:9/")
				}
				rw.WriteHeader(status)
			}))
			defer api.Close()
			w.variable("API_URL", api.URL)
			out, err := w.ops("smoke")
			if err == nil || !strings.Contains(out, c.want) || strings.Contains(out, c.never) {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

func TestAKilledStackIsNotRunning(t *testing.T) {
	empty := t.TempDir()
	for _, command := range []string{"smoke", "redrive", "replay"} {
		if out, err := ops(t, empty, local, "", command); err == nil || out != "Nothing runs here. Start it with: make run\n" {
			t.Errorf("%s without a stack: %v %s", command, err, out)
		}
	}
	r := startIn(t, t.TempDir()) // with a DynamoDB Local of its own
	_ = r.Command.Process.Kill() // it has no time to remove .local/env
	<-r.Ended
	if _, err := os.Stat(filepath.Join(r.State, "env")); err != nil {
		t.Fatal(err)
	}
	for _, command := range [][]string{{"smoke"}, {"redrive"}, {"replay"}, {"erase", "-contact", "15550100001"}} {
		r.Until("the database is gone", func() bool { // it watches its parent
			out, _ := r.ops("", command[0], command[1:]...)
			return strings.Contains(out, "is not running")
		})
		out, err := r.ops("", command[0], command[1:]...)
		if err == nil || strings.Count(out, "\n") != 1 || !strings.Contains(out, "make run") || strings.Contains(out, "everybody") {
			t.Errorf("%v: %v %s", command, err, out)
		}
	}
}

// TestLocalCommandsIgnoreTheEnvironment sets a proxy, a missing profile, no temporary folder, and
// foreign addresses.
func TestLocalCommandsIgnoreTheEnvironment(t *testing.T) {
	r := start(t)
	r.Trigger("text")
	var mu sync.Mutex
	var through []string
	proxy := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, request *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		through = append(through, request.URL.String())
	}))
	defer proxy.Close()
	for _, c := range []struct {
		typed, want string
		arguments   []string
	}{
		{"", "All is well.", []string{"smoke"}},
		{"", "Quarantined bodies: 0", []string{"redrive"}},
		{"", "events of the table", []string{"replay", "-since", "1h"}},
		{"15550100001\n", "were removed", []string{"erase", "-contact", "15550100001"}},
	} {
		command := r.command(c.arguments...)
		command.Stdin = strings.NewReader(c.typed)
		command.Env = append(os.Environ(), "http_proxy="+proxy.URL, "HTTP_PROXY="+proxy.URL, "https_proxy="+proxy.URL, "ALL_PROXY="+proxy.URL,
			"AWS_PROFILE=none-of-this-name", "TMPDIR=/nonexistent", "AWS_ENDPOINT_URL="+proxy.URL, "AWS_ENDPOINT_URL_DYNAMODB="+proxy.URL, "AWS_REGION=mars-1")
		out, err := command.CombinedOutput()
		if err != nil || !strings.Contains(string(out), c.want) {
			t.Errorf("%v: %v %s", c.arguments, err, out)
		}
		left, _ := os.ReadDir(command.Dir)
		if len(left) > 0 {
			t.Errorf("%v wrote %v", c.arguments, left)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if len(through) > 0 {
		t.Errorf("the proxy saw %v", through)
	}
}

// TestSmokeOfADeployedStack simulates CloudFormation and EventBridge's rules in front of the
// laptop's services.
func TestSmokeOfADeployedStack(t *testing.T) {
	r := start(t)
	var named, removed []string
	bus := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, _ := io.ReadAll(request.Body)
		var in struct {
			Name, Rule, EventPattern string
			Targets                  []struct {
				Arn              string
				InputTransformer json.RawMessage
			}
		}
		_ = json.Unmarshal(body, &in)
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		switch action := request.Header.Get("X-Amz-Target"); action {
		case "AWSEvents.PutEvents":
			forward, _ := http.NewRequest("POST", r.Env["AWS_ENDPOINT_URL_EVENTBRIDGE"], strings.NewReader(string(body)))
			forward.Header = request.Header.Clone()
			answer, err := http.DefaultClient.Do(forward)
			if err != nil {
				w.WriteHeader(500)
				return
			}
			defer func() { _ = answer.Body.Close() }()
			_, _ = io.Copy(w, answer.Body)
			return
		case "AWSEvents.PutRule":
			named = append(named, in.Name, in.EventPattern)
		case "AWSEvents.PutTargets":
			if len(in.Targets) != 1 || in.Targets[0].Arn != "arn:queue" || len(named) != 2 || in.Rule != named[0] {
				t.Errorf("targets are %s", body)
			}
			if text := r.Try("PUT", r.Env["CONTROL_URL"]+"/rules/deployed", fmt.Sprintf(`{"pattern":%s,"transformer":%s}`, named[1], in.Targets[0].InputTransformer)); !strings.Contains(text, "deployed") {
				t.Errorf("the rule is refused: %s", text)
			}
		default:
			removed = append(removed, action)
		}
		_, _ = io.WriteString(w, `{"FailedEntryCount":0}`)
	}))
	defer bus.Close()
	c := &cloud{
		parameters: map[string]string{retentionID: "365", "EventsOut": "yes"},
		outputs: map[string]string{
			"WebhookUrl": r.Env["API_URL"] + "/webhook", "SendUrl": r.Env["API_URL"] + "/v1/wa/message", "QueueUrl": r.Env["QUEUE_URL"],
			"QueueArn": "arn:queue", "EventBusName": r.Env["EVENT_BUS_NAME"],
		},
		resources: map[string][2]string{
			tableID: {r.Env["TABLE_NAME"], "AWS::DynamoDB::Table"}, stack.WebhookSecret: {stack.WebhookSecret, "AWS::SecretsManager::Secret"},
			stack.ClientKeysSecret: {stack.ClientKeysSecret, "AWS::SecretsManager::Secret"},
		},
	}
	c.inTheCloud(t)
	for _, service := range []string{"DYNAMODB", "SQS", "SECRETS_MANAGER"} {
		t.Setenv("AWS_ENDPOINT_URL_"+service, r.Env["AWS_ENDPOINT_URL_"+service])
	}
	t.Setenv("AWS_ENDPOINT_URL_EVENTBRIDGE", bus.URL)
	out, err := ops(t, t.TempDir(), "demo", "", "smoke")
	if err != nil || strings.Count(out, "ok  ") != 9 || !strings.HasSuffix(out, "All is well.\n") {
		t.Errorf("%v\n%s", err, out)
	}
	if strings.Join(removed, " ") != "AWSEvents.RemoveTargets AWSEvents.DeleteRule" {
		t.Errorf("its rule: %v", removed)
	}

	// Where the Gateway is: where the stack says, at its other address, or nowhere.
	gateway := r.Env["GATEWAY_URL"]
	nowhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"message":"Unauthorized"}`)
	}))
	defer nowhere.Close()
	defer func(before []string) { hosts = before }(hosts)
	for _, g := range []struct {
		parameter, other, want string
		fails                  bool
	}{
		{gateway + "/", nowhere.URL, "ok      the Gateway responds at " + gateway, false},
		{nowhere.URL, gateway, "deploy with GatewayUrl=" + gateway, true},
		{nowhere.URL, nowhere.URL, "compare GatewayUrl with", true},
	} {
		c.parameters["GatewayUrl"], hosts = g.parameter, []string{g.other, g.parameter}
		named = nil
		if out, err := ops(t, t.TempDir(), "demo", "", "smoke"); (err != nil) != g.fails || !strings.Contains(out, g.want) {
			t.Errorf("%v\n%s", err, out)
		}
	}
	delete(c.parameters, "GatewayUrl")

	// Without a pipe, with a bulk lane.
	c.parameters["EventsOut"], c.outputs["BulkQueueUrl"] = "no", r.Env["BULK_QUEUE_URL"]
	named = nil
	out, err = ops(t, t.TempDir(), "demo", "", "smoke")
	if err != nil || strings.Count(out, "ok  ") != 9 || !strings.Contains(out, "through the bulk lane") || !strings.Contains(out, "off     the pipe") {
		t.Errorf("%v\n%s", err, out)
	}
}
