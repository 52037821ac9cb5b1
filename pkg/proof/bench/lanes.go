package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/go-resty/resty/v2"

	"connexease-functions/pkg/local/pause"
	"connexease-functions/pkg/local/sim/connexease"
	"connexease-functions/pkg/local/stack"
	"connexease-functions/pkg/proof/must"
)

// lanes measures on stacks of their own what QueueSendsPerSecond makes of a Gateway's rate limit,
// and how long a campaign in the bulk lane delays a one-time password.
func lanes(ctx context.Context) {
	const messages, limit = 300, 20
	for _, perSecond := range []int{0, limit} {
		pace(ctx, messages, limit, perSecond)
	}
	campaign(ctx, 5000, 60)
}

// lane is a stack whose Gateway is behind a proxy that counts refusals.
type lane struct {
	*stack.Stack
	limited atomic.Int64 // 429s of the Gateway
	proxy   *httptest.Server
	client  *resty.Client
}

func openLane(ctx context.Context, parameters map[string]string) *lane {
	l := &lane{client: resty.New()}
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
	l.Stack = must.Get(stack.Start(ctx, stack.Options{Root: ".", Overrides: parameters}))
	must.OK(l.Gateway.SetCallbacks(connexease.Callbacks{Off: true}))
	return l
}

func (l *lane) close() {
	l.Stack.Close()
	l.proxy.Close()
}

// enqueue puts this many messages into a queue, numbered from first.
func (l *lane) enqueue(ctx context.Context, queue string, first, messages int) {
	for n := range messages {
		must.OK(l.Enqueue(ctx, queue, []byte(hello(first+n))))
	}
}

// warming is how many messages both processes and the table get used to their work with.
const warming = 40

func (l *lane) warm(ctx context.Context) {
	l.enqueue(ctx, "OutboundQueue", -warming, warming)
	l.times(ctx, warming)
	l.limited.Store(0)
}

// times returns when the Gateway accepted its messages, once there are this many.
func (l *lane) times(ctx context.Context, want int) (all []time.Time) {
	accepted := pause.Until(ctx, 100*time.Millisecond, func() bool { return len(l.Gateway.Messages()) >= want })
	must.Hold(accepted, "%d of %d messages were accepted: %w", len(l.Gateway.Messages()), want, ctx.Err())
	for _, m := range l.Gateway.Messages() {
		all = append(all, m.Time)
	}
	return all
}

// pace sends a backlog under a limit.
func pace(ctx context.Context, messages, limit, perSecond int) {
	l := openLane(ctx, map[string]string{"QueueSendsPerSecond": fmt.Sprint(perSecond)})
	defer l.close()
	l.Gateway.SetLimits(connexease.Limits{PerSecond: limit})
	waiting, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	l.warm(waiting)
	l.enqueue(ctx, "OutboundQueue", 0, messages)
	times := l.times(waiting, warming+messages)[warming:]
	took := times[len(times)-1].Sub(times[0])
	fmt.Printf("QueueSendsPerSecond=%-3d limit %d/s: %d messages in %.1f s, %.2f/s, %d times 429\n",
		perSecond, limit, messages, took.Seconds(), float64(messages-1)/took.Seconds(), l.limited.Load())
}

// campaign sends a campaign in the bulk lane, and meanwhile one password a second, which waits in
// the ordinary queue.
func campaign(ctx context.Context, messages, perSecond int) {
	l := openLane(ctx, map[string]string{"QueueSendsPerSecond": fmt.Sprint(perSecond), "BulkLane": "yes"})
	defer l.close()
	waiting, cancel := context.WithTimeout(ctx, 20*time.Minute)
	defer cancel()
	l.warm(waiting)
	l.enqueue(ctx, "BulkQueue", 0, messages)
	var asked []time.Time
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for len(l.Gateway.Messages()) < warming+messages {
		asked = append(asked, time.Now())
		l.password(waiting, len(asked)-1)
		<-tick.C
	}
	l.times(waiting, warming+messages+len(asked))
	took := delays(l.Gateway.Messages(), asked)
	must.Hold(len(took) > 0, "no password left")
	fmt.Printf("BulkLane=yes QueueSendsPerSecond=%d: %d messages of a campaign in %.0f s, %d times 429; meanwhile %d one-time passwords took p50 %.2f s, p99 %.2f s\n",
		perSecond, messages, time.Since(asked[0]).Seconds(), l.limited.Load(), len(took),
		median(took).Seconds(), percentile(took, 99).Seconds())
}

const codeText = "Your code is %d"

// delays returns how long after it was asked for each password left.
func delays(accepted []connexease.Message, asked []time.Time) (all []time.Duration) {
	for _, m := range accepted {
		var sent struct{ Text struct{ Body string } }
		_ = json.Unmarshal(m.Body, &sent)
		var n int
		if _, err := fmt.Sscanf(sent.Text.Body, codeText, &n); err == nil && n < len(asked) {
			all = append(all, m.Time.Sub(asked[n]))
		}
	}
	return all
}

func (l *lane) password(ctx context.Context, n int) {
	body := fmt.Sprintf(`{"messaging_product":"whatsapp","to":"15550100002","type":"text","text":{"body":"`+codeText+`"}}`, n)
	answer := must.Get(l.client.R().SetContext(ctx).SetAuthToken(l.ClientKey()).SetHeader("Prefer", "respond-async").SetHeader("Content-Type", "application/json").SetBody(body).Post(l.APIURL + "/v1/wa/message"))
	must.Hold(answer.StatusCode() == http.StatusAccepted, "a password was not queued: %d", answer.StatusCode())
}
