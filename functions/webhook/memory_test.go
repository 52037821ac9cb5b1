package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"connexease-functions/pkg/api"
	simlambda "connexease-functions/pkg/local/sim/lambda"
	"connexease-functions/pkg/local/stack"
	"connexease-functions/pkg/proof/harness"
	"connexease-functions/pkg/proof/laptop"
	"connexease-functions/pkg/proof/memory"
)

// hostile returns bodies of about size bytes in which one list, object or string is longer than any
// that WhatsApp sends.
func hostile(size int) map[string]string {
	many := func(one string) string { return strings.TrimSuffix(strings.Repeat(one, size/len(one)), ",") }
	in := func(field, v string) string {
		return `{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"` + field + `","value":{` + v + `}}]}]}`
	}
	const metadata = `"metadata":{"display_phone_number":"15550100099","phone_number_id":"3"},`
	var all []string
	for n := range 9_900 {
		all = append(all, fmt.Sprintf(`{"from":"1555%07d","id":"wamid.%d","timestamp":"1764000000","type":"text","text":{"body":"%s"}}`, n, n, strings.Repeat("ü", (size-1000)/9_900/2-60)))
	}
	messages := strings.Join(all, ",")
	return map[string]string{
		"contacts":                in("messages", metadata+`"contacts":[`+many(`1,`)+`],"messages":[{"id":"a"}]`),
		"contacts of objects":     in("messages", metadata+`"contacts":[`+many(`{"wa_id":"1"},`)+`],"messages":[{"id":"a"}]`),
		"contacts and no update":  in("messages", metadata+`"contacts":[`+many(`{"wa_id":"1","user_id":"US.1"},`)+`]`),
		"messages":                in("messages", metadata+`"messages":[`+messages+`]`),
		"no messages":             in("messages", `"messages":[`+many(`1,`)+`]`),
		"statuses":                in("messages", `"statuses":[`+many(`{},`)+`]`),
		"threads":                 in("history", metadata+`"history":[{"threads":[`+many(`1,`)+`]}]`),
		"threads of objects":      in("history", metadata+`"history":[{"threads":[`+many(`{"id":"1"},`)+`]}]`),
		"messages of a thread":    in("history", metadata+`"history":[{"threads":[{"messages":[`+many(`1,`)+`]}]}]`),
		"standby contacts":        in("standby", metadata+`"standby":{"contacts":[`+many(`1,`)+`],"messages":[{"id":"a"}]}`),
		"members of a value":      in("messages", many(`"a":1,`)),
		"members of metadata":     in("messages", `"metadata":{`+many(`"a":1,`)+`},"messages":[{"id":"a"}]`),
		"members of an entry":     `{"entry":[{` + many(`"a":1,`) + `}]}`,
		"members of a change":     `{"entry":[{"changes":[{` + many(`"a":1,`) + `}]}]}`,
		"members of the body":     `{"entry":[{"id":"1"}],` + many(`"a":1,`) + `}`,
		"entries":                 `{"entry":[` + many(`1,`) + `]}`,
		"changes":                 `{"entry":[{"changes":[` + many(`1,`) + `]}]}`,
		"values of a change":      `{"entry":[{"changes":[{` + many(`"value":1,`) + `}]}]}`,
		"lists of a value":        in("messages", metadata+many(`"a":[{}],`)),
		"participants":            in("group_participants_update", metadata+`"groups":[{"group_id":"g","added_participants":[`+many(`{"wa_id":"1"},`)+`]}]`),
		"cards of a message":      in("messages", metadata+`"messages":[{"id":"a","type":"contacts","contacts":[`+many(`{"name":{"first_name":"A"}},`)+`]}]`),
		"products of an order":    in("messages", metadata+`"messages":[{"id":"a","type":"order","order":{"product_items":[`+many(`{},`)+`]}}]`),
		"members of a message":    in("messages", metadata+`"messages":[{"id":"a",`+many(`"b":1,`)+`}]`),
		"a string of escapes":     in("messages", metadata+`"messages":[{"id":"a","text":{"body":"`+many(`\u0001`)+`"}}]`),
		"bytes to be escaped":     strings.Repeat("\x01", size),
		"bytes that are not text": strings.Repeat("\xff", size),
		"brackets":                strings.Repeat("[", size),
	}
}

// The function has 512 MB, and a process needs less than half of it for any body.
func TestNoBodyNeedsMoreThan200MB(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("NOT RUN: only Linux reports a process's peak memory (/proc)")
	}
	laptop.NeedsJava(t)
	const most = 200 // MB
	state := t.TempDir()
	s := harness.StartStack(t, stack.Options{State: state, DynamoDB: harness.Backends.DynamoDBURL})
	secret, _ := s.Secrets.Current(stack.WebhookSecret)
	env := s.Environment()
	env["TABLE_NAME"], env["WEBHOOK_SECRET_ID"], env["OVERFLOW_QUEUE_URL"] = harness.NewTable(t), stack.WebhookSecret, s.Queues.URL("OverflowQueue")
	for name, body := range hostile(api.MaxBody - 1024) {
		e := event("Bearer "+secret, base64.StdEncoding.EncodeToString([]byte(body)))
		e["isBase64Encoded"] = true
		payload, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		function := simlambda.New(simlambda.Config{
			Name: "webhook", Command: []string{filepath.Join(state, "bin", "webhook")}, Env: env, Timeout: 28 * time.Second, MemoryMB: 512, Logs: &harness.Logs,
		})
		for range 2 { // the second runs in the memory that the first left
			result, err := function.Invoke(t.Context(), payload)
			// On a busy machine neither the table nor the queue may be written in time.
			if err != nil || !strings.Contains(string(result.Payload), `"statusCode":200`) && !strings.Contains(string(result.Payload), "SVC_002") {
				t.Fatalf("%s: %.300s %v", name, result.Payload, err)
			}
		}
		for _, pid := range function.Status().PIDs {
			peak, err := memory.Peak(pid)
			if t.Logf("%s: %.0f MB", name, peak); err != nil || peak > most {
				t.Errorf("%s: %.0f MB, want at most %d, %v", name, peak, most, err)
			}
		}
		if err := function.Close(); err != nil {
			t.Error(err)
		}
	}
}
