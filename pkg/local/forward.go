package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"connexease-functions/pkg/local/pause"
	simeventbridge "connexease-functions/pkg/local/sim/eventbridge"
)

// How long an event waits before it is posted again: doubled each time. It is retried until the
// address accepts it, as later events may depend on it.
const (
	firstForward   = 500 * time.Millisecond
	longestForward = 30 * time.Second
	forwardTimeout = 30 * time.Second
)

// forwarder posts each event to a user's address, in order.
type forwarder struct {
	url    string
	output io.Writer
	client *http.Client
}

func newForwarder(url string, output io.Writer) *forwarder {
	return &forwarder{url: url, output: output, client: &http.Client{
		Timeout: forwardTimeout,
		// Following a redirect would turn the event into an empty GET, whose 200 would count.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// checkForward returns an error unless an address is a URL to post to; an empty one means none.
func checkForward(address string) error {
	u, err := url.Parse(address)
	if address != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		return errors.New("FORWARD must be an address such as http://127.0.0.1:3000/events")
	}
	return nil
}

func (f *forwarder) run(ctx context.Context, bus *simeventbridge.Server) {
	for seen := 0; ; {
		events, next, err := bus.Next(ctx, seen)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			_, _ = fmt.Fprintf(f.output, "%s  forward  %v\n", time.Now().Format(time.TimeOnly), err)
		}
		for _, e := range events {
			if !f.forward(ctx, e) {
				return
			}
		}
		seen = next
	}
}

// forward posts one event until it gets a 2xx, or ctx ends.
func (f *forwarder) forward(ctx context.Context, e simeventbridge.Event) bool {
	for wait := firstForward; ; wait = min(2*wait, longestForward) {
		start := time.Now()
		what, taken := f.post(ctx, e)
		if ctx.Err() != nil {
			return false
		}
		again := ""
		if !taken {
			again = fmt.Sprintf(" -> retried in %v", wait)
		}
		_, _ = fmt.Fprintf(f.output, "%s  forward %s  %s  %d ms%s\n", start.Format(time.TimeOnly), e.DetailType, what, time.Since(start).Milliseconds(), again)
		if taken {
			return true
		}
		if pause.For(ctx, wait) != nil {
			return false
		}
	}
}

func (f *forwarder) post(ctx context.Context, e simeventbridge.Event) (what string, taken bool) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, f.url, bytes.NewReader(e.JSON()))
	if err != nil {
		return masked(err.Error()), false
	}
	r.Header.Set("Content-Type", "application/json")
	response, err := f.client.Do(r)
	if err != nil {
		if failed, ok := errors.AsType[*url.Error](err); ok {
			err = failed.Err // without the address
		}
		return masked(err.Error()), false
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 1<<20))
	what = fmt.Sprint(response.StatusCode)
	if response.StatusCode/100 == 3 && response.Header.Get("Location") != "" {
		what += " redirects to " + masked(response.Header.Get("Location")) + ", which is not followed: set that address in FORWARD"
	}
	return what, response.StatusCode/100 == 2
}
