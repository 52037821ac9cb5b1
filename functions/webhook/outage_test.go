package main

import (
	"cmp"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"connexease-functions/pkg/local/fixtures"
	"connexease-functions/pkg/local/stack"
	"connexease-functions/pkg/proof/harness"
)

const (
	// loaders is how many deliver at once. With the two processes that drain, it stays within the
	// ten that the simulator starts: waiting for a process would distort the measurement.
	loaders = 6
	// between is the least time from one delivery of a loader to the next.
	between = 60 * time.Millisecond
	// killEvery lets about half of the deliveries that last 2.5 s survive, and killLess those that
	// last 4 s: they return 503, which the test must see.
	killEvery = 400 * time.Millisecond
	killLess  = 3 * killEvery
	// apiLimit is API Gateway's own limit (AWS: HTTP API quotas, maximum integration timeout).
	apiLimit = 30 * time.Second
	// phaseLimit ends the wait for what does not come.
	phaseLimit = 2 * time.Minute
)

// phase is a time in which DynamoDB fails in one way.
type phase struct {
	name   string
	fault  harness.Fault
	queue  bool          // the overflow queue is away too
	length time.Duration // at least; it goes on until its status was seen a few times, and a kill
	status int           // must be seen a few times within it
}

// phases returns the phases of an outage of a length.
func phases(length time.Duration) []phase {
	other := max(length/4, 2*time.Second)
	return []phase{
		{name: "well", length: time.Second, status: http.StatusOK},
		{name: "away", fault: gone, length: length, status: http.StatusOK},
		{name: "slow", fault: late, length: other, status: http.StatusOK},
		{name: "throttling", fault: throttling, length: other, status: http.StatusOK},
		{name: "partly failing", fault: partly, length: other, status: http.StatusOK},
		// Drains fail here at once, rather than by their deadline or by a kill.
		{name: "refusing", fault: refusing, length: 2 * time.Second, status: http.StatusOK},
		{name: "queue away too", fault: gone, queue: true, length: other, status: http.StatusServiceUnavailable},
		{name: "well again", length: time.Second, status: http.StatusOK},
	}
}

// gone ends every connection without a response, some of them late.
func gone(http.ResponseWriter, string, []byte) bool {
	if rand.IntN(3) == 0 {
		<-time.After(2 * time.Second)
	}
	panic(http.ErrAbortHandler)
}

func refusing(w http.ResponseWriter, action string, _ []byte) bool {
	if action == "" {
		return false
	}
	harness.Refuse(w, 400, "AccessDeniedException")
	return true
}

// late carries the call out, even if the caller has given up.
func late(w http.ResponseWriter, action string, body []byte) bool {
	if action == "" {
		return false
	}
	<-time.After(1900*time.Millisecond + rand.N(1100*time.Millisecond))
	return passOn(w, action, body)
}

func throttling(w http.ResponseWriter, action string, _ []byte) bool {
	if action == "" || rand.IntN(10) < 4 {
		return false
	}
	harness.Refuse(w, 400, []string{"ThrottlingException", "ProvisionedThroughputExceededException", "RequestLimitExceeded"}[rand.IntN(3)])
	return true
}

// partly leaves items of a batch unprocessed, refuses single ones, and loses responses.
func partly(w http.ResponseWriter, action string, body []byte) bool {
	switch draw := rand.IntN(10); {
	case action == "":
		return false
	case draw < 1: // carried out, but the response is lost
		harness.Forward(harness.Backends.DynamoDBURL, action, body)
		panic(http.ErrAbortHandler)
	case draw < 4:
		harness.Refuse(w, 500, "InternalServerError")
		return true
	case action == "BatchWriteItem" && draw < 9:
		return handBack(w, body)
	}
	return false
}

// handBack writes about half of a batch and leaves the rest unprocessed.
func handBack(w http.ResponseWriter, body []byte) bool {
	type tables map[string][]json.RawMessage
	var in struct{ RequestItems tables }
	if json.Unmarshal(body, &in) != nil {
		return false
	}
	done, left := tables{}, tables{}
	for name, all := range in.RequestItems {
		for _, one := range all {
			to := done
			if rand.IntN(2) == 0 {
				to = left
			}
			to[name] = append(to[name], one)
		}
	}
	if len(done) > 0 {
		text, _ := json.Marshal(map[string]any{"RequestItems": done})
		if status, _ := harness.Forward(harness.Backends.DynamoDBURL, "BatchWriteItem", text); status != 200 {
			panic(http.ErrAbortHandler)
		}
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	_ = json.NewEncoder(w).Encode(map[string]any{"UnprocessedItems": left})
	return true
}

func passOn(w http.ResponseWriter, action string, body []byte) bool {
	status, answer := harness.Forward(harness.Backends.DynamoDBURL, action, body)
	if status == 0 {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.WriteHeader(status)
	_, _ = w.Write(answer)
	return true
}

// attempt is one delivery and its result.
type attempt struct {
	body   string
	phase  string // in which it began
	within bool   // and ended
	status int    // 0: no response
	took   time.Duration
}

// outage is the real function under load, with a proxy before its DynamoDB.
type outage struct {
	t        *testing.T
	stack    *stack.Stack
	database *harness.Proxy
	secret   string
	phase    atomic.Pointer[phase]
	calls    atomic.Int64 // of DynamoDB, under way in a fault
	number   atomic.Int64
	kills    atomic.Int64

	mu       sync.Mutex
	attempts []attempt
}

func (o *outage) deliver(client *http.Client) {
	n := int(o.number.Add(1))
	names := fixtures.UniqueNames()
	body := large("wamid.", 800_000)
	if n%50 != 0 {
		body = fixture(o.t, names[n%len(names)])
	}
	body = string(fixtures.Unique([]byte(body), n))
	began := o.phase.Load()
	a := attempt{body: body, phase: began.name}
	start := time.Now()
	r, err := http.NewRequest(http.MethodPost, o.stack.APIURL+"/webhook", strings.NewReader(body))
	if err != nil {
		o.t.Error(err)
		return
	}
	r.Header.Set("Authorization", "Bearer "+o.secret)
	r.Header.Set("Content-Type", "application/json")
	if response, err := client.Do(r); err == nil {
		_, err = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
		if err == nil {
			a.status = response.StatusCode
		}
	}
	a.took, a.within = time.Since(start), o.phase.Load() == began
	o.mu.Lock()
	defer o.mu.Unlock()
	o.attempts = append(o.attempts, a)
}

// load delivers until over is closed.
func (o *outage) load(over <-chan struct{}) *sync.WaitGroup {
	var all sync.WaitGroup
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: loaders}, Timeout: 2 * apiLimit}
	for range loaders {
		all.Go(func() {
			tick := time.NewTicker(between)
			defer tick.Stop()
			for {
				select {
				case <-over:
					return
				case <-tick.C:
				}
				o.deliver(client)
			}
		})
	}
	all.Go(func() {
		timer := time.NewTimer(killEvery)
		defer timer.Stop()
		for {
			select {
			case <-over:
				return
			case <-timer.C:
			}
			timer.Reset(killEvery)
			if o.phase.Load().queue {
				timer.Reset(killLess)
			}
			if pids := o.stack.Functions["WebhookFunction"].Status().PIDs; len(pids) > 0 {
				_ = syscall.Kill(pids[rand.IntN(len(pids))], syscall.SIGKILL)
				o.kills.Add(1)
			}
		}
	})
	return &all
}

// pass runs one phase. Its faults are on from before it begins until after it ended, so that
// deliveries within it met no other.
func (o *outage) pass(p phase) {
	o.database.Set(o.counted(p.fault))
	o.stack.Queues.Away(p.queue)
	o.phase.Store(&p)
	before := o.kills.Load()
	<-time.After(p.length)
	o.until(p.name+" was seen", phaseLimit, func() bool {
		if o.kills.Load() == before {
			return false
		}
		o.mu.Lock()
		defer o.mu.Unlock()
		seen := 0
		for _, a := range o.attempts {
			if a.within && a.phase == p.name && a.status == p.status {
				seen++
			}
		}
		return seen >= 3
	})
	o.phase.Store(&phase{name: "between"})
}

// counted lets the end of the test wait for calls whose callers have given up.
func (o *outage) counted(f harness.Fault) harness.Fault {
	if f == nil {
		return nil
	}
	return func(w http.ResponseWriter, action string, body []byte) bool {
		o.calls.Add(1)
		defer o.calls.Add(-1)
		return f(w, action, body)
	}
}

func (o *outage) until(what string, limit time.Duration, is func() bool) {
	o.t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	end := time.After(limit)
	for !is() {
		select {
		case <-tick.C:
		case <-end:
			o.t.Errorf("waited too long until %s", what)
			return
		}
	}
}

// TestWhatWasAnswered200IsInTheTableOnceWhateverDynamoDBAndTheProcessesDo is the proof
// of DESIGN.md §4 with real processes. OUTAGE sets how long DynamoDB is away.
func TestWhatWasAnswered200IsInTheTableOnceWhateverDynamoDBAndTheProcessesDo(t *testing.T) {
	t.Parallel()
	length, err := time.ParseDuration(cmp.Or(os.Getenv("OUTAGE"), "3s"))
	if err != nil {
		t.Fatal(err)
	}
	o := &outage{t: t, database: harness.NewProxy(t, harness.Backends.DynamoDBURL)}
	o.stack = harness.StartStack(t, stack.Options{DynamoDB: o.database.URL})
	o.secret, _ = o.stack.Secrets.Current(stack.WebhookSecret)
	o.phase.Store(&phase{name: "between"})

	over := make(chan struct{})
	load := o.load(over)
	for _, p := range phases(length) {
		o.pass(p)
	}
	close(over)
	load.Wait()
	o.until("the last calls have ended", phaseLimit, func() bool { return o.calls.Load() == 0 })
	o.until("the overflow queue is empty", phaseLimit, func() bool {
		o.stack.Queues.EndVisibility("OverflowQueue")
		return o.stack.Queues.Idle("OverflowQueue")
	})
	o.summarise(phases(length))
	o.audit()
}
