package scale

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"golang.org/x/time/rate"

	"connexease-functions/pkg/bounded"
	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/local/sim/pipes"
	simsqs "connexease-functions/pkg/local/sim/sqs"
	"connexease-functions/pkg/proof/cost"
)

// The simulations run for 20 seconds of made time, which shows every rate of the case.
const simulated = 20 * time.Second

// near reports whether got is within a tenth of want, or of slack.
func near(got, want, slack float64) bool {
	return math.Abs(got-want) <= math.Max(math.Abs(want)/10, slack)
}

// record is one of the table's stream: what comes in or goes out, or every fifth the claim of a
// send, which is no event. The pipe's lanes have the same share of both.
func record(n int, created time.Time) pipes.Record {
	name, kind, detail := "INSERT", "status", "WhatsApp Message Status"
	if n/10%5 == 0 {
		name, kind, detail = "MODIFY", "send", ""
	}
	return pipes.Record{
		Body: fmt.Appendf(nil, `{"eventName":%q,"dynamodb":{"NewImage":{"pk":{"S":"msg_%d"},"sk":{"S":"status#sent"},"kind":{"S":%q},"detail_type":{"S":%q},"contact":{"S":"15550100001"},"status":{"S":"sent"},"timestamp":{"N":"1764000000"},"payload":{"S":"x"}}}}`,
			name, n, kind, detail),
		Shard: "shard", Sequence: strconv.Itoa(n), Stream: "arn", Created: created,
	}
}

// moved is what a pipe made of a shard's records.
type moved struct {
	sync.Mutex
	events, dead int
	lag, last    time.Duration // the longest, and that of the newest record that was moved
}

// shard moves the case's share of one shard through the project's pipe, whose batches take that
// long, and while the bus is away fail. A lane of the shard has the keys that fall to it: here every
// tenth record.
func (p *parts) shard(t *testing.T, batch time.Duration, away func() bool) *moved {
	m := &moved{}
	ends, perSecond := time.Now().Add(simulated), requests*5/4/cost.StreamShards // with the claims
	var lanes sync.WaitGroup
	for lane := range p.pipe.Parallel {
		c := p.pipe.Config
		c.Put = func(_ context.Context, entries []pipes.Entry) []error {
			time.Sleep(batch / time.Duration(p.pipe.BatchSize)) // the simulated pipe puts one at a time
			if away() {
				return []error{errors.New("away")}
			}
			m.Lock()
			defer m.Unlock()
			m.events += len(entries)
			return nil
		}
		c.DeadLetter = func([]byte) { m.Lock(); defer m.Unlock(); m.dead++ }
		pipe, err := pipes.New(c)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		created := func(n int) time.Time {
			return began.Add(time.Duration(n) * time.Second / time.Duration(perSecond))
		}
		lanes.Go(func() {
			n := lane
			for time.Now().Before(ends) {
				var some []pipes.Record
				for ; len(some) < p.pipe.BatchSize && !created(n).After(time.Now()); n += p.pipe.Parallel {
					if r := record(n, created(n)); pipe.Matches(r.Body) {
						some = append(some, r)
					}
				}
				if some == nil {
					time.Sleep(time.Second / shardPolls)
					continue
				}
				if err := pipe.Move(t.Context(), some); err != nil {
					t.Error(err)
				}
				m.Lock()
				m.last = time.Since(some[0].Created)
				m.lag = max(m.lag, m.last)
				m.Unlock()
			}
		})
	}
	lanes.Wait()
	return m
}

func TestThePipeMovesWhatTheCaseStores(t *testing.T) {
	p := load(t, Parameters)
	s := p.stack(t, Ready)
	load, never := float64(requests)/cost.StreamShards, func() bool { return false }
	for name, c := range map[string]struct {
		batch time.Duration
		away  time.Duration // from the start
	}{
		"as made": {batch: time.Duration(batchSeconds * float64(time.Second))},
		// A quarter of the speed: it falls behind by what it does not move.
		"slow": {batch: 4 * time.Duration(batchSeconds*float64(time.Second))},
		"away": {batch: time.Duration(batchSeconds * float64(time.Second)), away: 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				away := never
				if c.away > 0 {
					away = func() bool { return time.Since(began) < c.away }
				}
				m := p.shard(t, c.batch, away)
				able := s.Lanes * s.PipeBatch / c.batch.Seconds()
				behind := simulated.Seconds() * math.Max(0, 1-able/load)
				t.Logf("%d events, lag at most %v, at last %v", m.events, m.lag, m.last)
				switch {
				case m.dead > 0:
					t.Errorf("%d events were given up", m.dead)
				case !near(float64(m.events), math.Min(able, load)*simulated.Seconds(), 2*load):
					t.Errorf("%d events were moved, of %.0f a second", m.events, load)
				case !near(m.last.Seconds(), behind, 1):
					t.Errorf("it is %v behind, on paper %.1f s", m.last, behind)
				case c.away == 0 && behind == 0 && m.lag > time.Second, c.away > 0 && m.lag < c.away:
					t.Errorf("an event waited for %v", m.lag)
				}
			})
		})
	}
}

// world is the project's queues under a load.
type world struct {
	*simsqs.Server
	t *testing.T
}

func (p *parts) world(t *testing.T) *world {
	w := &world{simsqs.New(time.Now), t}
	for _, q := range p.queues {
		if err := w.AddQueue(q); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func (w *world) call(action string, in map[string]any) {
	body, _ := json.Marshal(in)
	r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
	r.Header.Set("X-Amz-Target", "AmazonSQS."+action)
	r.Header.Set("Content-Type", "application/x-amz-json-1.0")
	out := httptest.NewRecorder()
	if w.ServeHTTP(out, r); out.Code != http.StatusOK {
		w.t.Errorf("%s: %d %s", action, out.Code, out.Body)
	}
}

// fill puts perSecond records on a queue, for so long.
func (w *world) fill(queue string, perSecond int, long time.Duration) {
	for end := time.Now().Add(long); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		for range perSecond / 10 {
			w.call("SendMessage", map[string]any{"QueueUrl": w.URL(queue), "MessageBody": "{}"})
		}
	}
}

// handled is what a function made of records.
type handled struct {
	sync.Mutex
	done, later int
	oldest      time.Duration
}

// run runs a mapping until the end of its context; handle returns after how long a record is to be
// retried, or 0 where it is done.
func (w *world) run(ctx context.Context, m simsqs.Mapping, parallel int, handle func(age time.Duration) time.Duration) (*handled, func()) {
	h := &handled{}
	m.Invoke = func(_ context.Context, payload []byte) ([]byte, string, error) {
		var e events.SQSEvent
		if err := json.Unmarshal(payload, &e); err != nil {
			w.t.Error(err)
		}
		var failed []events.SQSBatchItemFailure
		bounded.Each(len(e.Records), parallel, func(i int) {
			r := &e.Records[i]
			sent, _ := strconv.ParseInt(r.Attributes["SentTimestamp"], 10, 64)
			age := time.Since(time.UnixMilli(sent))
			wait := handle(age)
			h.Lock()
			defer h.Unlock()
			h.oldest = max(h.oldest, age)
			if wait == 0 {
				h.done++
				return
			}
			h.later++
			failed = append(failed, events.SQSBatchItemFailure{ItemIdentifier: r.MessageId})
			w.call("ChangeMessageVisibility", map[string]any{"QueueUrl": w.URL(m.Queue), "ReceiptHandle": r.ReceiptHandle, "VisibilityTimeout": int(math.Ceil(wait.Seconds()))})
		})
		result, err := json.Marshal(events.SQSEventResponse{BatchItemFailures: failed})
		return result, "", err
	}
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx, m) }()
	return h, func() {
		if err := <-ended; err != nil {
			w.t.Error(err)
		}
	}
}

func TestTheOutboundQueueSendsWhatItsProcessesAndTheGatewayAllow(t *testing.T) {
	seconds := func(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
	for name, c := range map[string]struct {
		parameters string
		gateway    float64 // messages a second
	}{
		"at defaults": {"", 1000}, "made ready": {Parameters, sendsOfOne * float64(Ready.Numbers)}, "one number": {Parameters, sendsOfOne},
	} {
		t.Run(name, func(t *testing.T) {
			p := load(t, c.parameters)
			s := p.stack(t, Usual)
			synctest.Test(t, func(t *testing.T) {
				w := p.world(t)
				ctx, cancel := context.WithCancel(t.Context())
				limit := rate.NewLimiter(rate.Limit(c.gateway), int(c.gateway))
				h, wait := w.run(ctx, p.sending, int(s.Batch), func(age time.Duration) time.Duration {
					if !limit.Allow() {
						time.Sleep(seconds(laterSeconds))
						delay := ledger.Backoff(age, time.Second)
						return delay + rand.N(delay/5)
					}
					time.Sleep(seconds(cost.SendSeconds))
					return 0
				})
				w.fill("OutboundQueue", Sends, simulated)
				d := w.Depth("OutboundQueue")
				left := d.Visible + d.InFlight
				h.Lock()
				t.Logf("%d sent, %d times later, %+v, oldest %v", h.done, h.later, d, h.oldest)
				able := math.Min(math.Min(s.queue(), c.gateway), Sends)
				if want := able * simulated.Seconds(); !near(float64(h.done), want, Sends/2) || !near(float64(left), Sends*simulated.Seconds()-want, Sends/2) {
					t.Errorf("%d were sent and %d wait, on paper %.0f were", h.done, left, want)
				}
				held := math.Max(Sends*cost.SendSeconds, float64(Sends)*h.oldest.Seconds())
				if processing := int(s.Processes * s.Batch); c.gateway >= Sends && d.InFlight > processing || float64(d.InFlight) > held+float64(processing) {
					t.Errorf("%d are in flight", d.InFlight)
				}
				if able == Sends && h.oldest > 2*time.Second {
					t.Errorf("a record waited for %v", h.oldest)
				}
				h.Unlock()
				cancel()
				wait()
				if n := len(w.dead()); n > 0 {
					t.Errorf("%v are not empty", w.dead())
				}
			})
		})
	}
}

// dead returns the names of dead-letter queues that are not empty.
func (w *world) dead() (all []string) {
	for _, q := range []string{"OutboundDeadLetters", "OverflowDeadLetters"} {
		if !w.Idle(q) {
			all = append(all, q)
		}
	}
	return slices.Clip(all)
}

func TestTheOverflowQueueIsDrainedAsOnPaper(t *testing.T) {
	p := load(t, Parameters)
	s := p.stack(t, Ready)
	synctest.Test(t, func(t *testing.T) {
		w := p.world(t)
		w.fill("OverflowQueue", Deliveries, 2*time.Second)
		ctx, cancel := context.WithCancel(t.Context())
		began := time.Now()
		h, wait := w.run(ctx, p.drains, int(s.DrainParallel), func(time.Duration) time.Duration {
			time.Sleep(time.Duration(cost.WebhookSeconds * float64(time.Second)))
			return 0
		})
		for !w.Idle("OverflowQueue") {
			time.Sleep(100 * time.Millisecond)
		}
		took := time.Since(began).Seconds()
		cancel()
		wait()
		if want := float64(h.done) / s.drain(); h.done != 2*Deliveries || !near(took, want, 0.5) {
			t.Errorf("%d were drained in %.1f s, on paper %.1f s", h.done, took, want)
		}
		if w.dead() != nil {
			t.Errorf("%v are not empty", w.dead())
		}
	})
}
