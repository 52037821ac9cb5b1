package table_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"connexease-functions/pkg/table"
)

const name, retention = "Events", 365

// call is one request that DynamoDB received.
type call struct {
	action string // such as PutItem
	body   string
}

// in returns the request's members.
func (c call) in(t testing.TB, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(c.body), into); err != nil {
		t.Fatalf("%s: %v", c.body, err)
	}
}

// reply is a response of DynamoDB. A zero reply is an empty success.
type reply struct {
	status int
	body   string
	lost   bool // the connection breaks; the request may have been carried out
	silent bool // no response until the caller gives up
}

var (
	denied    = reply{status: 400, body: `{"__type":"com.amazon.coral.service#AccessDeniedException","message":"no"}`}
	throttled = reply{status: 400, body: `{"__type":"com.amazon.coral.availability#ThrottlingException","message":"later"}`}
	invalid   = reply{status: 400, body: `{"__type":"com.amazon.coral.validate#ValidationException","message":"no"}`}
	broken    = reply{status: 500, body: `{"__type":"com.amazonaws.dynamodb.v20120810#InternalServerError","message":"no"}`}
	lost      = reply{lost: true}
	silent    = reply{silent: true}
)

// database simulates DynamoDB without a network, so that testing/synctest controls its time: it
// records every request unchanged, and replies as the test says.
type database struct {
	reply func(n int, c call) reply // n counts from 0

	mu    sync.Mutex
	calls []call
}

// RoundTrip implements http.RoundTripper.
func (d *database) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	c := call{action: r.Header.Get("X-Amz-Target")[len("DynamoDB_20120810."):], body: string(body)}
	d.mu.Lock()
	n := len(d.calls)
	d.calls = append(d.calls, c)
	d.mu.Unlock()
	out := d.reply(n, c)
	switch {
	case out.silent:
		<-r.Context().Done()
		return nil, r.Context().Err()
	case out.lost:
		return nil, io.ErrUnexpectedEOF
	case out.status == 0:
		out.status = http.StatusOK
	}
	if out.body == "" {
		out.body = "{}"
	}
	w := httptest.NewRecorder()
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.WriteHeader(out.status)
	_, _ = io.Copy(w, bytes.NewBufferString(out.body))
	return w.Result(), nil
}

// seen returns the requests so far.
func (d *database) seen() []call {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.calls)
}

// replies returns the given replies in turn and then repeats the last; without any, it returns
// successes.
func replies(all ...reply) func(int, call) reply {
	return func(n int, _ call) reply {
		if len(all) == 0 {
			return reply{}
		}
		return all[min(n, len(all)-1)]
	}
}

func serve(reply func(int, call) reply) (*table.Table, *database) {
	d := &database{reply: reply}
	return table.New(dynamodb.New(dynamodb.Options{
		Region: "eu-west-1", BaseEndpoint: aws.String("http://dynamodb.test"), HTTPClient: &http.Client{Transport: d},
		Credentials: credentials.NewStaticCredentialsProvider("id", "key", ""), Retryer: aws.NopRetryer{},
	}), name, retention), d
}
