// Command echo is a Lambda function that does what its event says.
package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

type order struct {
	Do      string            `json:"do"`
	URL     string            `json:"url"`
	Size    int               `json:"size"`
	Text    string            `json:"text"`
	Version string            `json:"version"`
	Headers map[string]string `json:"headers"`
}

type OutOfLuck struct{ why string }

func (e OutOfLuck) Error() string { return e.why }

func handle(ctx context.Context, raw json.RawMessage) (any, error) {
	var o order
	_ = json.Unmarshal(raw, &o)
	if o.Version == "2.0" { // an HTTP request: its headers say what to do
		o.Do, o.URL, o.Text = o.Headers["x-do"], o.Headers["x-url"], o.Headers["x-text"]
		if o.Do == "" {
			return map[string]any{"statusCode": 201, "headers": map[string]string{"content-type": "application/json", "x-own": "1"},
				"cookies": []string{"a=1", "b=2"}, "body": string(raw)}, nil
		}
	}
	switch o.Do {
	case "wait":
		<-ctx.Done()
		return nil, ctx.Err()
	case "hang":
		<-time.After(time.Hour)
	case "get": // blocks until the server responds
		r, err := http.Get(o.URL)
		if err != nil {
			return nil, err
		}
		return os.Getpid(), r.Body.Close()
	case "exit":
		os.Exit(3)
	case "kill":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case "panic":
		panic(o.Text)
	case "fail":
		return nil, OutOfLuck{o.Text}
	case "big":
		return strings.Repeat("x", o.Size), nil
	case "raw":
		return json.RawMessage(o.Text), nil
	case "raw64":
		b, err := base64.StdEncoding.DecodeString(o.Text)
		return map[string]any{"statusCode": 200, "isBase64Encoded": true, "body": base64.StdEncoding.EncodeToString(b)}, err
	case "env":
		return os.Environ(), nil
	case "pid":
		return os.Getpid(), nil
	case "print":
		fmt.Print(o.Text)
		return nil, nil
	case "context":
		lc, _ := lambdacontext.FromContext(ctx)
		deadline, _ := ctx.Deadline()
		return map[string]any{"id": lc.AwsRequestID, "arn": lc.InvokedFunctionArn, "left": time.Until(deadline).Seconds(), "trace": os.Getenv("_X_AMZN_TRACE_ID")}, nil
	case "post": // to its own Runtime API
		r, err := http.Post("http://"+os.Getenv("AWS_LAMBDA_RUNTIME_API")+o.URL, "application/json", strings.NewReader("{}"))
		if err != nil {
			return nil, err
		}
		return r.StatusCode, r.Body.Close()
	case "next":
		r, err := http.Get("http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/invocation/next")
		if err != nil {
			return nil, err
		}
		return r.StatusCode, r.Body.Close()
	}
	return raw, nil
}

func main() {
	switch os.Getenv("INIT") {
	case "exit":
		os.Exit(7)
	case "hang":
		<-time.After(time.Hour)
	case "error":
		r, err := http.Post("http://"+os.Getenv("AWS_LAMBDA_RUNTIME_API")+"/2018-06-01/runtime/init/error", "application/json",
			strings.NewReader(`{"errorType":"NoConfig","errorMessage":"TABLE is not set"}`))
		if err == nil {
			_, _ = io.Copy(io.Discard, r.Body)
		}
		os.Exit(1)
	}
	if f := os.Getenv("STUBBORN"); f != "" {
		lambda.StartWithOptions(handle, lambda.WithEnableSIGTERM(func() { <-time.After(time.Hour) }))
	}
	lambda.Start(handle)
}
