package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/local/sim/connexease"
)

// stormFaults are what the Gateway does to a fifth of all requests, of which half have
// left by then.
var stormFaults = connexease.Faults{
	{Kind: connexease.Slow, Share: 0.04, DelayMS: 400},
	{Kind: connexease.ResetBefore, Share: 0.02},
	{Kind: connexease.ResetDuring, Share: 0.02},
	{Kind: connexease.ResetAfter, Share: 0.03},
	{Kind: connexease.Cut, Share: 0.02},
	{Kind: connexease.InvalidJSON, Share: 0.02},
	{Kind: connexease.ContentType, Share: 0.01},
	{Kind: connexease.Answer, Share: 0.02, Status: http.StatusInternalServerError, Body: "oops", Taken: true},
	{Kind: connexease.Answer, Share: 0.02, Status: http.StatusServiceUnavailable, Body: "<html>"},
	{Kind: connexease.Answer, Share: 0.01, Status: http.StatusInternalServerError, Body: `{"isSuccess":false,"errors":{"code":"AUTH_004"}}`},
	{Kind: connexease.RateLimit, Share: 0.03},
}

// TestAStormOfKillsAndFaultsDoublesNothingAndLosesNothing sends half of the messages
// over HTTP, by callers who repeat until they know, and half by the queue, while
// processes are killed at random. STORM sets how many.
func TestAStormOfKillsAndFaultsDoublesNothingAndLosesNothing(t *testing.T) {
	sends := 1000
	if n, err := strconv.Atoi(os.Getenv("STORM")); err == nil {
		sends = n
	}
	if testing.Short() {
		sends = 100
	}
	p := startProcesses(t)
	if err := p.stack.Gateway.SetFaults(stormFaults); err != nil {
		t.Fatal(err)
	}
	if err := p.stack.Gateway.SetCallbacks(connexease.Callbacks{Shuffle: true, Repeat: 1, DelayMS: 20}); err != nil {
		t.Fatal(err)
	}
	noise := p.makeNoise()
	var refused atomic.Int64 // of callers whose key is good
	over := make(chan struct{})
	var killer sync.WaitGroup
	kills := 0
	killer.Go(func() {
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-over:
				return
			case <-tick.C:
			}
			if pids := p.stack.Functions["SendFunction"].Status().PIDs; len(pids) > 0 {
				_ = syscall.Kill(pids[rand.IntN(len(pids))], syscall.SIGKILL)
				kills++
			}
		}
	})
	ids := make([]string, sends)
	key := func(n int) string { return fmt.Sprintf("idem-storm-%d-%d", time.Now().Year(), n) }
	post := func(n int) httpAnswer {
		return p.call(http.MethodPost, "/v1/wa/message", numbered(n), "Idempotency-Key", key(n))
	}
	var callers sync.WaitGroup
	next := make(chan int)
	for range 4 {
		callers.Go(func() {
			for n := range next {
				for range 5 { // 409 for longer than that: looked at again in the end
					a := post(n)
					if a.status == http.StatusOK || a.status == http.StatusGatewayTimeout {
						break
					}
					if a.status == http.StatusUnauthorized {
						refused.Add(1)
					}
				}
			}
		})
	}
	for n := range sends {
		if n == sends/2 {
			noise.rotate()
		}
		if n%2 == 1 {
			ids[n] = ledger.ID("sqs", key(n))
			p.enqueue(fmt.Sprintf(`{"message":%s,"idempotencyKey":%q,"reader":"default"}`, numbered(n), key(n)))
			continue
		}
		ids[n] = ledger.ID("http/default", key(n))
		next <- n
	}
	close(next)
	callers.Wait()
	close(over)
	killer.Wait()
	noise.end()
	if refused.Load() > 0 {
		t.Errorf("%d requests under a good key were refused", refused.Load())
	}
	if err := p.stack.Gateway.SetFaults(nil); err != nil {
		t.Fatal(err)
	}
	p.settle(t, ids, post)
	p.audit(t, ids, kills)
}

// settle lets the queue drain and the callers repeat until every message has an end.
func (p *processes) settle(t *testing.T, ids []string, post func(int) httpAnswer) {
	t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(3 * time.Minute) // the leases of the last kills end after 43 s
	open := map[int]bool{}
	for n := range ids {
		open[n] = true
	}
	for len(open) > 0 {
		select {
		case <-limit:
			t.Fatalf("%d messages have no end", len(open))
		case <-tick.C:
		}
		p.stack.Queues.EndVisibility("OutboundQueue")
		for n := range open {
			if n%2 == 0 {
				if a := post(n); a.status == http.StatusOK || a.status == http.StatusGatewayTimeout {
					delete(open, n)
				}
				continue
			}
			if state, _ := p.state(ids[n]); state == "accepted" || state == "unknown" {
				delete(open, n)
			}
		}
	}
	p.until("the queue is empty", func() bool {
		p.stack.Queues.EndVisibility("OutboundQueue")
		return p.stack.Queues.Idle("OutboundQueue")
	})
}

func (p *processes) audit(t *testing.T, ids []string, kills int) {
	t.Helper()
	settled, held, other := 0, 0, 0
	for n, id := range ids {
		times, wamid := p.posted(id)
		var state string
		p.until("the receipts of what left are there", func() bool {
			state, _ = p.state(id)
			return times == 0 || state == "accepted"
		})
		switch {
		case times > 1:
			t.Errorf("message %d left %d times", n, times)
		case times == 1 && state == "accepted":
			settled++
			if a := p.call(http.MethodGet, "/v1/wa/message/"+id, ""); strings.Contains(a.body, otherMessage) {
				other++ // its response was lost, and the first id that came was another's
			} else if !strings.Contains(a.body, wamid) || strings.Contains(a.body, `"failed":true`) {
				t.Errorf("message %d is %s, but has the id %s", n, a.body, wamid)
			}
		case times == 0 && state == "unknown":
			held++ // killed after its claim, or cut off by a fault: said, and not sent again
		default:
			t.Errorf("message %d left %d times and is %q", n, times, state)
		}
	}
	if !p.stack.Queues.Idle("OutboundDeadLetters") {
		t.Errorf("in the dead-letter queue: %+v", p.stack.Queues.Depth("OutboundDeadLetters"))
	}
	t.Logf("%d sends, %d kills: %d left once and are accepted, %d did not leave and are held as unknown", len(ids), kills, settled, held)
	if other > len(ids)/50 { // the true receipts have earlier times, so theirs are the first
		t.Errorf("%d messages have another's id", other)
	}
	if settled == 0 || kills == 0 {
		t.Error("the storm was none")
	}
}
