package command

import (
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
)

// cloud simulates CloudFormation with one stack, demo. Once it is deleted, only its id finds it.
type cloud struct {
	parameters, outputs map[string]string
	resources           map[string][2]string // physical id and type, by logical id
	remains             string               // a status that the deletion ends with instead
	lambda, dynamodb    http.Handler         // may be nil
	template            string               // processed

	mu      sync.Mutex
	deleted bool
	asked   int // since it was deleted
	calls   []string
}

const stackID = "arn:aws:cloudformation:us-east-1:1:stack/demo/1"

// inTheCloud sets this process's environment to that of a user with a stack in AWS.
func (c *cloud) inTheCloud(t *testing.T) {
	t.Helper()
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "none", "AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": server.URL,
		"AWS_CONFIG_FILE": "/nonexistent", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
	} {
		t.Setenv(name, value)
	}
}

func (c *cloud) called(action string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Contains(c.calls, action)
}

func escaped(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s))
	return b.String()
}

func (c *cloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lambda != nil && strings.HasPrefix(r.URL.Path, "/2015-03-31/") {
		c.lambda.ServeHTTP(w, r)
		return
	}
	if r.URL.Path == "/schedules" {
		c.calls = append(c.calls, "ListSchedules "+r.URL.Query().Get("ScheduleGroup"))
		_, _ = io.WriteString(w, `{"Schedules":[{"Name":"msg_a.1"},{"Name":"msg_b.1"}]}`)
		return
	}
	if c.dynamodb != nil && strings.HasPrefix(r.Header.Get("X-Amz-Target"), "DynamoDB_") {
		c.dynamodb.ServeHTTP(w, r)
		return
	}
	if target := r.Header.Get("X-Amz-Target"); target != "" { // SQS and DynamoDB, in JSON
		c.json(w, r, target[strings.LastIndex(target, ".")+1:])
		return
	}
	_ = r.ParseForm()
	action, name := r.Form.Get("Action"), r.Form.Get("StackName")
	c.calls = append(c.calls, action)
	if name != stackID && (name != "demo" || c.deleted) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = fmt.Fprintf(w, `<ErrorResponse><Error><Type>Sender</Type><Code>ValidationError</Code><Message>Stack with id %s does not exist</Message></Error></ErrorResponse>`, escaped(name))
		return
	}
	var b strings.Builder
	status := "CREATE_COMPLETE"
	switch action {
	case "DescribeStacks":
		if c.deleted {
			if c.asked++; c.asked > 2 {
				status = "DELETE_COMPLETE"
				if c.remains != "" {
					status = c.remains
				}
			} else {
				status = "DELETE_IN_PROGRESS"
			}
		}
		fmt.Fprintf(&b, `<Stacks><member><StackName>demo</StackName><StackId>%s</StackId><StackStatus>%s</StackStatus><StackStatusReason>a bucket is not empty</StackStatusReason><Parameters>`, stackID, status)
		for name, value := range c.parameters {
			fmt.Fprintf(&b, `<member><ParameterKey>%s</ParameterKey><ParameterValue>%s</ParameterValue></member>`, name, escaped(value))
		}
		b.WriteString(`</Parameters><Outputs>`)
		for name, value := range c.outputs {
			fmt.Fprintf(&b, `<member><OutputKey>%s</OutputKey><OutputValue>%s</OutputValue></member>`, name, escaped(value))
		}
		b.WriteString(`</Outputs></member></Stacks>`)
	case "ListStackResources":
		b.WriteString(`<StackResourceSummaries>`)
		for name, one := range c.resources {
			fmt.Fprintf(&b, `<member><LogicalResourceId>%s</LogicalResourceId><PhysicalResourceId>%s</PhysicalResourceId><ResourceType>%s</ResourceType><ResourceStatus>CREATE_COMPLETE</ResourceStatus></member>`,
				name, escaped(one[0]), one[1])
		}
		b.WriteString(`</StackResourceSummaries>`)
	case "GetTemplate":
		b.WriteString(`<TemplateBody>` + escaped(c.template) + `</TemplateBody>`)
	case "DeleteStack":
		c.deleted = true
	}
	_, _ = fmt.Fprintf(w, `<%[1]sResponse><%[1]sResult>%[2]s</%[1]sResult></%[1]sResponse>`, action, b.String())
}

func (c *cloud) json(w http.ResponseWriter, r *http.Request, action string) {
	body, _ := io.ReadAll(r.Body)
	c.calls = append(c.calls, action)
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	switch action {
	case "GetQueueAttributes":
		_, _ = io.WriteString(w, `{"Attributes":{"ApproximateNumberOfMessages":"2","ApproximateNumberOfMessagesNotVisible":"1"}}`)
	case "UpdateTable", "DescribeTable", "DeleteTable":
		if !strings.Contains(string(body), "demo-EventsTable-1") {
			w.WriteHeader(http.StatusBadRequest)
		}
		_, _ = io.WriteString(w, `{"Table":{"TableStatus":"ACTIVE"}}`)
	default:
		w.WriteHeader(http.StatusBadRequest)
	}
}
