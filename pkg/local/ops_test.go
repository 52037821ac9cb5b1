package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// ops runs a script of .ops against the stack.
func (r *running) ops(name, typed string, arguments ...string) (string, error) {
	r.t.Helper()
	if _, err := exec.LookPath("aws"); err != nil {
		if os.Getenv("CI") != "" {
			r.t.Fatal("the AWS CLI is not installed")
		}
		r.t.Skip("needs the AWS CLI")
	}
	// The script reads .local/env of the folder that it is started in.
	folder := r.t.TempDir()
	if err := os.Symlink(r.state, filepath.Join(folder, ".local")); err != nil {
		r.t.Fatal(err)
	}
	script, err := filepath.Abs(filepath.Join(root, ".ops", name))
	if err != nil {
		r.t.Fatal(err)
	}
	command := exec.Command("sh", append([]string{script, "local"}, arguments...)...)
	command.Dir = folder
	command.Stdin = strings.NewReader(typed)
	out, err := command.CombinedOutput()
	return string(out), err
}

func TestTheCheckOfAStackSaysOkOrWhatToDo(t *testing.T) {
	r := start(t)
	out, err := r.ops("check", "")
	if err != nil || strings.Count(out, "ok  ") != 6 || !strings.HasSuffix(out, "All is well.\n") {
		t.Errorf("%v\n%s", err, out)
	}
	if n := r.items("?kind=status").Count; n != 0 {
		t.Errorf("it left %d rows of its event", n)
	}
	for _, name := range []string{"WEBHOOK_SECRET", "CLIENT_KEY"} {
		if strings.Contains(out, r.env[name]) {
			t.Errorf("%s is printed", name)
		}
	}
	// The Gateway's key is no key of the Gateway any more.
	if text := r.try("PUT", r.env["CONTROL_URL"]+"/gateway/faults", `[{"kind":"answer","status":401,"body":"{\"isSuccess\":false,\"errors\":{\"code\":\"AUTH_001\"}}"}]`); text == "" {
		t.Fatal("no faults")
	}
	out, err = r.ops("check", "")
	if err == nil || strings.Count(out, "FAILED") != 1 || !strings.Contains(out, "SVC_003") || !strings.Contains(out, "put an API key") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestErasingAContactRemovesAllOfItAndNothingElse(t *testing.T) {
	r := start(t)
	r.trigger("batch")
	r.trigger("status-contact")
	r.try("POST", r.env["API_URL"]+"/webhook", `{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages","value":{"metadata":{"phone_number_id":"2"},`+
		`"messages":[{"id":"wamid.large","from":"15550100001","timestamp":"1764000000","type":"text","text":{"body":"`+strings.Repeat("large ", 100_000)+`"}}]}}]}]}`)
	mine, all := r.items("?contact=15550100001").Count, r.items("").Count
	if mine < 3 || all == mine {
		t.Fatalf("%d of %d items are the contact's", mine, all)
	}
	if out, err := r.ops("erase", "no\n", "15550100001"); err == nil || r.items("").Count != all {
		t.Errorf("without confirmation: %v %s", err, out)
	}
	out, err := r.ops("erase", "15550100001\n", "15550100001")
	if left := r.items(""); err != nil || left.Count != all-mine || r.items("?contact=15550100001").Count != 0 {
		t.Errorf("%v %s, %d of %d items are left", err, out, left.Count, all)
	}
}

// fakeAWS answers as the CLI does and writes down how it was called.
const fakeAWS = `#!/bin/sh
echo "$*" >> "$AWS_CALLS"
case "$*" in
*list-stack-resources*) printf 'AWS::DynamoDB::Table\tEventsTable\tdemo-EventsTable-1\nAWS::SQS::Queue\tOutboundQueue\thttps://sqs/1/demo-Outbound\nAWS::Lambda::Function\tSend\tdemo-Send\n' ;;
*get-queue-attributes*) echo 3 ;;
esac
`

func TestDeletingAStackRemovesOnlyWhatWasNamed(t *testing.T) {
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "aws"), []byte(fakeAWS), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		typed          string
		stack, deleted bool // the stack, the table
	}{
		"nothing typed":   {"\n", false, false},
		"another name":    {"demo2\n", false, false},
		"the stack":       {"demo\n\n", true, false},
		"yes is no name":  {"demo\nyes\n", true, false},
		"stack and table": {"demo\ndemo-EventsTable-1\n", true, true},
	} {
		t.Run(name, func(t *testing.T) {
			calls := filepath.Join(t.TempDir(), "calls")
			command := exec.Command("sh", filepath.Join(root, ".ops", "delete"), "demo")
			command.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "AWS_CALLS="+calls)
			command.Stdin = strings.NewReader(c.typed)
			out, _ := command.CombinedOutput()
			made, err := os.ReadFile(calls)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(made), "delete-stack") != c.stack || strings.Contains(string(made), "delete-table") != c.deleted {
				t.Errorf("calls:\n%s", made)
			}
			if !strings.Contains(string(out), "3 messages in demo-Outbound") || !strings.Contains(string(out), "demo-EventsTable-1") {
				t.Errorf("says %s", out)
			}
		})
	}
}
