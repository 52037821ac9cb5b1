package main

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"connexease-functions/pkg/gateway"
	"connexease-functions/pkg/local/fixtures"
	"connexease-functions/pkg/local/pause"
	"connexease-functions/pkg/local/sim/connexease"
	"connexease-functions/pkg/local/stack"
)

const (
	loaders  = 4
	interval = 130 * time.Millisecond // of each
	// burst is how many deliveries arrive at once: as many as the simulator has processes.
	burst = 10
	// largeEvery makes one delivery in this many large enough to be stored in parts, and the first: the
	// largest process has its size from the beginning.
	largeEvery = 200
	// redeliveries bounds how often a delivery that was not accepted is repeated.
	redeliveries = 10
	// rotationWait is how long, according to README, to wait before a new secret is used.
	rotationWait = 6 * time.Minute
)

// gatewayFaults hit a tenth of all requests, half of them after the message was sent.
var gatewayFaults = connexease.Faults{
	{Kind: connexease.Slow, Share: 0.02, DelayMS: 400},
	{Kind: connexease.ResetBefore, Share: 0.01},
	{Kind: connexease.ResetDuring, Share: 0.01},
	{Kind: connexease.ResetAfter, Share: 0.02},
	{Kind: connexease.Cut, Share: 0.01},
	{Kind: connexease.InvalidJSON, Share: 0.01},
	{Kind: connexease.Answer, Share: 0.01, Status: http.StatusInternalServerError, Body: "oops", Taken: true},
	{Kind: connexease.RateLimit, Share: 0.01},
}

// load runs everything for the soak's length.
func (s *soak) load(interrupted context.Context) {
	s.number.Store(largeEvery)
	s.deliver(largeEvery)
	ctx, cancel := context.WithTimeout(interrupted, s.length)
	defer cancel()
	s.began = time.Now()
	var all sync.WaitGroup
	for range loaders {
		all.Go(func() { every(ctx, interval, s.one) })
	}
	all.Go(func() { every(ctx, min(10*time.Second, s.length/6), s.burst) })
	all.Go(func() { every(ctx, s.sendInterval(), s.sendHTTP) })
	all.Go(func() { every(ctx, s.sendInterval(), s.sendQueue) })
	all.Go(func() { s.rotate(interrupted) }) // both rotations, however slow the machine is
	all.Go(func() { s.watch(ctx) })
	all.Wait()
	for _, n := range s.held { // held deliveries come last, in any order
		s.deliver(n)
	}
}

// one makes a loader's next delivery.
func (s *soak) one() {
	switch draw := rand.IntN(100); {
	case draw < 5:
		s.deliverBadly(int(s.number.Add(1)))
	case draw < 17:
		if n, ok := s.earlier(); ok {
			s.deliver(n)
		}
	case draw < 25: // comes later
		s.mu.Lock()
		s.held = append(s.held, int(s.number.Add(1)))
		s.mu.Unlock()
	case draw < 33:
		if n, ok := s.release(); ok {
			s.deliver(n)
		}
	default:
		s.deliver(int(s.number.Add(1)))
	}
}

// earlier returns a delivery that was accepted before.
func (s *soak) earlier() (n int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.accepted) == 0 {
		return 0, false
	}
	s.repeats++
	return s.accepted[rand.IntN(len(s.accepted))], true
}

// release returns a held delivery.
func (s *soak) release() (n int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.held) == 0 {
		return 0, false
	}
	i := rand.IntN(len(s.held))
	n = s.held[i]
	s.held = append(s.held[:i], s.held[i+1:]...)
	return n, true
}

func (s *soak) burst() {
	var all sync.WaitGroup
	for range burst {
		all.Go(func() { s.deliver(int(s.number.Add(1))) })
	}
	all.Wait()
}

// body returns a delivery's body: its number suffices to recreate it for the audit.
func body(n int) []byte {
	if n%largeEvery == 0 {
		return fixtures.Unique([]byte(`{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages","value":{"metadata":{"phone_number_id":"2"},"messages":[{"id":"wamid.","from":"15550100001","timestamp":"1764000000","type":"text","text":{"body":"`+
			strings.Repeat("large ", 130_000)+`"}}]}}]}]}`), n)
	}
	names := fixtures.UniqueNames()
	text, _ := fixtures.Body(names[n%len(names)]) // its name is one of theirs
	return fixtures.Unique(text, n)
}

// deliver posts a delivery as the Gateway does, and repeats it after a 503, which is right where
// the machine is too slow for the budget.
func (s *soak) deliver(n int) {
	text := body(n)
	for range redeliveries {
		s.mu.Lock()
		token := s.webhook
		s.mu.Unlock()
		start := time.Now()
		status, code := s.post("/webhook", "Bearer "+token.now, text)
		took := time.Since(start)
		if status == http.StatusUnauthorized && s.mayBeEarly(token) {
			status, code = s.post("/webhook", "Bearer "+token.other, text)
		}
		s.mu.Lock()
		s.answers[strings.TrimSpace(strconv.Itoa(status)+" "+code)]++
		if status == http.StatusOK {
			s.accepted = append(s.accepted, n)
			s.deliveries = append(s.deliveries, took)
		}
		s.mu.Unlock()
		switch status {
		case http.StatusOK:
			return
		case http.StatusServiceUnavailable:
		default:
			s.fault("a delivery returned %d %s", status, code)
			return
		}
	}
	s.fault("a delivery was not accepted in %d tries", redeliveries)
}

// mayBeEarly reports whether a refusal may be due to a new credential. README says to wait until
// every process knows it; a short soak does not, and continues with the old one then.
func (s *soak) mayBeEarly(c credential) bool {
	if !c.switched {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.early++
	return true
}

// deliverBadly posts a delivery that must be refused and leave no trace.
func (s *soak) deliverBadly(n int) {
	bad := []string{"", "Bearer wrong", "Basic " + s.webhook.now, "Bearer"}[rand.IntN(4)]
	if status, _ := s.post("/webhook", bad, body(n)); status != http.StatusUnauthorized {
		s.fault("a bad token returned %d", status)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused = append(s.refused, n)
}

// post returns the status of the response and the code of its error; 0 without a response.
func (s *soak) post(path, authorization string, text []byte) (status int, code string) {
	r := s.client.R().SetHeader("Content-Type", "application/json").SetBody(text)
	if authorization != "" {
		r.SetHeader("Authorization", authorization)
	}
	response, err := r.Post(s.stack.APIURL + path)
	if err != nil {
		return 0, ""
	}
	var answer gateway.Response
	_ = json.Unmarshal(response.Body(), &answer) // API Gateway's own responses have no code
	if answer.Errors != nil {
		code = answer.Errors.Code
	}
	return response.StatusCode(), code
}

// rotate gives the webhook secret and the client key new values early on, and uses them after the
// time that README says, or that a short soak allows.
func (s *soak) rotate(ctx context.Context) {
	wait := min(rotationWait, s.length*6/10)
	steps := []struct {
		after time.Duration
		do    func()
	}{
		{s.length * 2 / 10, func() {
			s.renew(stack.WebhookSecret, func(next string) string { return next }, &s.webhook)
			s.renew(stack.ClientKeysSecret, func(next string) string {
				text, _ := json.Marshal(map[string][]string{"default": {next, s.sender.now}}) // strings always marshal
				return string(text)
			}, &s.sender)
		}},
		{wait, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			for _, c := range []*credential{&s.webhook, &s.sender} {
				c.now, c.other, c.switched = c.other, c.now, true
			}
			s.say("%v: the new webhook secret and client key are in use", time.Since(s.began).Round(time.Second))
		}},
	}
	for _, step := range steps {
		if pause.For(ctx, step.after) != nil {
			return
		}
		step.do()
	}
}

// renew puts a new value alongside the one in use.
func (s *soak) renew(name string, value func(next string) string, c *credential) {
	next := stack.NewSecret(48)
	s.mu.Lock()
	text := value(next)
	c.other = next
	s.mu.Unlock()
	s.stack.Secrets.Put(name, text)
	s.say("%v: %s has a new value", time.Since(s.began).Round(time.Second), name)
}
