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
	simscheduler "connexease-functions/pkg/local/sim/scheduler"
	"connexease-functions/pkg/proof/await"
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

// later is what becomes of a storm's messages that have a time, or are cancelled.
type later struct {
	mu      sync.Mutex
	at      []string     // times of those that are scheduled over HTTP
	settled map[int]bool // of those: a caller knows that it is scheduled, or was refused
	refused map[int]bool // of those: their time had come before a request got through
	gone    map[int]bool // said to be cancelled
}

// scheduled: every eighth message is scheduled over HTTP.
func scheduled(n int) bool { return n%8 == 6 }

// timed: of those by the queue these have a time that is near.
func timed(n int) bool { return n%2 == 1 && (withdrawn(n) || n%8 == 3) }

// withdrawn: half of the scheduled ones, and an eighth of all, by the queue, are cancelled.
func withdrawn(n int) bool { return n%16 == 14 || n%8 == 5 }

// replaceable: half of the messages have a fallback, and are to one person, who writes midway.
func replaceable(n int) bool { return n%4 < 2 }

// stormy is a message, and the envelope's members that it needs.
func stormy(n int) string {
	if !replaceable(n) {
		return `"message":` + numbered(n)
	}
	return `"message":` + strings.Replace(numbered(n), fmt.Sprintf("1555010%04d", n%10000), fromMidway, 1) +
		`,"onClosedWindow":"fallback","onUnknownWindow":"closed","fallback":` + fallback24
}

const fromMidway = "15550109999"

func (s *later) is(of map[int]bool, n int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return of[n]
}

func (s *later) note(of map[int]bool, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	of[n] = true
}

// TestAStormOfKillsAndFaultsDoublesNothingAndLosesNothing sends half of the messages
// over HTTP, by callers who repeat until they know, and half by the queue, while
// processes are killed at random. Some are scheduled, or have a time that is near, and
// some are cancelled meanwhile. Schedules fire early and twice. STORM sets how many.
func TestAStormOfKillsAndFaultsDoublesNothingAndLosesNothing(t *testing.T) {
	sends := 500
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
	var begun atomic.Int64 // of the sends; at most one kill for four of them, however slow they are
	killer.Go(func() {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-over:
				return
			case <-tick.C:
			}
			if pids := p.stack.Functions["SendFunction"].Status().PIDs; len(pids) > 0 && int64(kills) < begun.Load()/4 {
				_ = syscall.Kill(pids[rand.IntN(len(pids))], syscall.SIGKILL)
				kills++
			}
		}
	})
	ids := make([]string, sends)
	key := func(n int) string { return fmt.Sprintf("idem-storm-%d-%d", time.Now().Year(), n) }
	times := &later{at: make([]string, sends), settled: map[int]bool{}, refused: map[int]bool{}, gone: map[int]bool{}}
	p.stack.Scheduler.SetFaults(simscheduler.Faults{Twice: true})
	post := func(n int) httpAnswer {
		if scheduled(n) {
			a := p.call(http.MethodPost, "/v1/wa/message", numbered(n), "Idempotency-Key", key(n), "Send-At", times.at[n])
			if a.status == http.StatusBadRequest {
				times.note(times.refused, n)
			}
			if a.status < 500 && a.status != http.StatusConflict || a.status == http.StatusGatewayTimeout {
				times.note(times.settled, n)
			}
			return a
		}
		return p.call(http.MethodPost, "/v1/wa/message", "{"+stormy(n)+"}", "Idempotency-Key", key(n))
	}
	var callers sync.WaitGroup
	next := make(chan int)
	for range 4 {
		callers.Go(func() {
			for n := range next {
				for range 5 { // 409 for longer than that: looked at again in the end
					a := post(n)
					if a.status == http.StatusOK || a.status == http.StatusAccepted || a.status == http.StatusGatewayTimeout {
						break
					}
					if a.status == http.StatusUnauthorized {
						refused.Add(1)
					}
				}
			}
		})
	}
	cancels := make(chan int, sends)
	callers.Go(func() {
		for n := range cancels {
			for range 3 {
				a := p.call(http.MethodDelete, "/v1/wa/message/"+ids[n], "")
				if a.status == http.StatusOK {
					times.note(times.gone, n)
				}
				if a.status < 500 && a.status != http.StatusNotFound { // it may have no row yet
					break
				}
			}
		}
	})
	for n := range sends {
		begun.Add(1)
		if n == sends/2 {
			noise.rotate()
			p.stack.Scheduler.Advance(time.Minute) // half of the schedules fire early
			noise.inbound(fromMidway)
		}
		if n%2 == 1 {
			ids[n] = ledger.ID("sqs", key(n))
			more := ""
			if timed(n) {
				more = `,"sendAt":"` + time.Now().Add(2*time.Second).Format(time.RFC3339) + `"`
			}
			p.enqueue(fmt.Sprintf(`{%s,"idempotencyKey":%q,"reader":"default"%s}`, stormy(n), key(n), more))
			if withdrawn(n) {
				cancels <- n
			}
			continue
		}
		ids[n] = ledger.ID("http/default", key(n))
		if scheduled(n) {
			times.at[n] = time.Now().Add(ledger.MinAhead + 10*time.Second).Format(time.RFC3339)
		}
		next <- n
		if withdrawn(n) {
			cancels <- n
		}
	}
	close(next)
	close(cancels)
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
	t.Parallel() // the leases of the last kills end while other tests run
	p.settle(t, ids, post, times)
	p.audit(t, ids, kills, times)
}

// settle lets the queue drain and the callers repeat until every message has an end.
func (p *processes) settle(t *testing.T, ids []string, post func(int) httpAnswer, times *later) {
	t.Helper()
	tick := time.NewTicker(time.Second) // most of them wait for the end of a lease
	defer tick.Stop()
	limit := time.After(6 * time.Minute) // the leases of the last kills end after 43 s
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
			if scheduled(n) && !times.is(times.settled, n) {
				post(n)
				continue
			}
			if n%2 == 0 && !scheduled(n) {
				if a := post(n); a.status == http.StatusOK || a.status == http.StatusGatewayTimeout {
					delete(open, n)
				}
				continue
			}
			if state, _ := p.state(ids[n]); state == "accepted" || state == "unknown" || state == "cancelled" || times.is(times.refused, n) {
				delete(open, n)
			}
		}
	}
	await.Until(p.t, "the queue is empty", func() bool {
		p.stack.Queues.EndVisibility("OutboundQueue")
		return p.stack.Queues.Idle("OutboundQueue")
	})
}

func (p *processes) audit(t *testing.T, ids []string, kills int, later *later) {
	t.Helper()
	settled, held, other, gone := 0, 0, 0, 0
	kinds := map[string]int{} // of the messages with a fallback, what left
	for n, id := range ids {
		times, wamid := p.posted(id)
		var a httpAnswer
		var state string
		await.Until(p.t, "the receipts of what left are there", func() bool {
			a, state, _ = p.lookUp(id)
			return times == 0 || state == "accepted"
		})
		switch {
		case times > 1:
			t.Errorf("message %d left %d times", n, times)
		case later.is(later.gone, n) && (times > 0 || state != "cancelled"):
			t.Errorf("message %d was said to be cancelled, left %d times and is %q", n, times, state)
		case times == 0 && state == "cancelled":
			gone++
		case later.is(later.refused, n) && times == 0:
		case times == 1 && state == "accepted":
			settled++
			if strings.Contains(a.body, otherMessage) {
				other++ // its response was lost, and the first id that came was another's
			} else if !strings.Contains(a.body, wamid) || strings.Contains(a.body, `"failed":true`) {
				t.Errorf("message %d is %s, but has the id %s", n, a.body, wamid)
			} else if replaceable(n) {
				left := p.left(id)
				if kinds[left]++; (left == "template") != strings.Contains(a.body, `"sent_instead":"fallback"`) {
					t.Errorf("message %d left as %s, and is %s", n, left, a.body)
				}
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
	p.checkLists(t, ids)
	t.Logf("of those with a fallback left %v", kinds)
	t.Logf("%d sends, %d kills: %d left once and are accepted, %d did not leave and are held as unknown, %d did not leave and are cancelled; %d were scheduled, %d of them too late",
		len(ids), kills, settled, held, gone, len(ids)/8, len(later.refused))
	if other > len(ids)/50 { // the true receipts have earlier times, so theirs are the first
		t.Errorf("%d messages have another's id", other)
	}
	if settled == 0 || kills == 0 || gone == 0 || kinds["template"] == 0 || kinds["text"] == 0 || len(later.refused) > len(ids)/16 {
		t.Error("the storm was none")
	}
}
