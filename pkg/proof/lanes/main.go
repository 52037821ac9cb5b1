// Command lanes measures on stacks of its own what QueueSendsPerSecond makes of a Gateway's rate
// limit, and how long a campaign in the bulk lane delays a one-time password: make lanes.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"connexease-functions/pkg/local/sim/connexease"
	"connexease-functions/pkg/local/stack"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// lanes is a stack whose Gateway is behind a proxy that counts refusals.
type lanes struct {
	*stack.Stack
	limited atomic.Int64 // 429s of the Gateway
	proxy   *httptest.Server
}

func open(ctx context.Context, parameters map[string]string) (*lanes, error) {
	l := &lanes{}
	l.proxy = httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			if gateway, err := url.Parse(l.GatewayURL); err == nil {
				r.SetURL(gateway)
			}
		},
		ModifyResponse: func(r *http.Response) error {
			if r.StatusCode == http.StatusTooManyRequests {
				l.limited.Add(1)
			}
			return nil
		},
	})
	parameters["GatewayUrl"] = l.proxy.URL
	var err error
	if l.Stack, err = stack.Start(ctx, stack.Options{Root: ".", Overrides: parameters}); err != nil {
		l.proxy.Close()
		return nil, err
	}
	return l, l.Gateway.SetCallbacks(connexease.Callbacks{Off: true})
}

func (l *lanes) close() {
	l.Stack.Close()
	l.proxy.Close()
}

func message(n int) string {
	return fmt.Sprintf(`{"messaging_product":"whatsapp","to":"15550100001","type":"text","text":{"body":"Hello number %07d"}}`, n)
}

// warming is how many messages both processes and the table get used to their work with.
const warming = 40

func (l *lanes) warm(ctx context.Context) error {
	for n := range warming {
		if err := l.Enqueue(ctx, "OutboundQueue", []byte(message(-n-1))); err != nil {
			return err
		}
	}
	_, err := l.times(ctx, warming)
	l.limited.Store(0)
	return err
}

// times returns when the Gateway accepted its messages, once there are this many.
func (l *lanes) times(ctx context.Context, want int) (all []time.Time, err error) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		accepted := l.Gateway.Messages()
		if len(accepted) >= want {
			for _, m := range accepted {
				all = append(all, m.Time)
			}
			return all, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, fmt.Errorf("%d of %d messages were accepted: %w", len(accepted), want, ctx.Err())
		}
	}
}

// pace sends a backlog under a limit.
func pace(ctx context.Context, messages, limit, perSecond int) error {
	l, err := open(ctx, map[string]string{"QueueSendsPerSecond": fmt.Sprint(perSecond)})
	if err != nil {
		return err
	}
	defer l.close()
	l.Gateway.SetLimits(connexease.Limits{PerSecond: limit})
	waiting, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	if err := l.warm(waiting); err != nil {
		return err
	}
	for n := range messages {
		if err := l.Enqueue(ctx, "OutboundQueue", []byte(message(n))); err != nil {
			return err
		}
	}
	times, err := l.times(waiting, warming+messages)
	if err != nil {
		return err
	}
	times = times[warming:]
	took := times[len(times)-1].Sub(times[0])
	fmt.Printf("QueueSendsPerSecond=%-3d limit %d/s: %d messages in %.1f s, %.2f/s, %d times 429\n",
		perSecond, limit, messages, took.Seconds(), float64(messages-1)/took.Seconds(), l.limited.Load())
	return nil
}

// campaign sends a campaign in the bulk lane, and meanwhile one password a second, which waits in
// the ordinary queue.
func campaign(ctx context.Context, messages, perSecond int) error {
	l, err := open(ctx, map[string]string{"QueueSendsPerSecond": fmt.Sprint(perSecond), "BulkLane": "yes"})
	if err != nil {
		return err
	}
	defer l.close()
	waiting, cancel := context.WithTimeout(ctx, 20*time.Minute)
	defer cancel()
	if err := l.warm(waiting); err != nil {
		return err
	}
	for n := range messages {
		if err := l.Enqueue(ctx, "BulkQueue", []byte(message(n))); err != nil {
			return err
		}
	}
	var asked []time.Time
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for len(l.Gateway.Messages()) < warming+messages {
		asked = append(asked, time.Now())
		if err := l.password(waiting, len(asked)-1); err != nil {
			return err
		}
		<-tick.C
	}
	if _, err := l.times(waiting, warming+messages+len(asked)); err != nil {
		return err
	}
	var delays []time.Duration
	for _, m := range l.Gateway.Messages() {
		var sent struct{ Text struct{ Body string } }
		_ = json.Unmarshal(m.Body, &sent)
		var n int
		if _, err := fmt.Sscanf(sent.Text.Body, codeText, &n); err == nil && n < len(asked) {
			delays = append(delays, m.Time.Sub(asked[n]))
		}
	}
	slices.Sort(delays)
	if len(delays) == 0 {
		return errors.New("no password left")
	}
	fmt.Printf("BulkLane=yes QueueSendsPerSecond=%d: %d messages of a campaign in %.0f s, %d times 429; meanwhile %d one-time passwords took p50 %.2f s, p99 %.2f s\n",
		perSecond, messages, time.Since(asked[0]).Seconds(), l.limited.Load(), len(delays),
		delays[len(delays)/2].Seconds(), delays[len(delays)*99/100].Seconds())
	return nil
}

const codeText = "Your code is %d"

func (l *lanes) password(ctx context.Context, n int) error {
	body := fmt.Sprintf(`{"messaging_product":"whatsapp","to":"15550100002","type":"text","text":{"body":"`+codeText+`"}}`, n)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, l.APIURL+"/v1/wa/message", strings.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+l.ClientKey())
	r.Header.Set("Prefer", "respond-async")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusAccepted {
		return fmt.Errorf("a password was not queued: %d", answer.StatusCode)
	}
	return nil
}

func run(ctx context.Context) error {
	const messages, limit = 300, 20
	for _, perSecond := range []int{0, limit} {
		if err := pace(ctx, messages, limit, perSecond); err != nil {
			return err
		}
	}
	return campaign(ctx, 5000, 60)
}
