// Package scale works one case through, on paper and with the simulators of queues and pipes: what
// an hour of so many deliveries and sends a second asks of each limit, at defaults and in a stack
// that is made ready for it, and which alarm rings before a limit is met.
package scale

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"

	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/proof/cost"
	"connexease-functions/pkg/secret"
)

// The case, a second: each send has three statuses (sent, delivered, read), and the other deliveries
// are messages in.
const (
	Deliveries = 1000
	Sends      = 300
	statuses   = 3 * Sends
	messages   = Deliveries - statuses
	requests   = Deliveries + Sends
	hour       = 3600
)

// Parameters make a stack ready for the case, besides the quotas of Ready.
const Parameters = "SendRequestsPerSecond=600 QueueConcurrency=20 RequestsPerHour=5400000 SendsPerHour=1200000 QueueAgeMinutes=5 ConcurrencyThreshold=8000"

// Quotas hold what is asked of AWS and the Gateway beforehand.
type Quotas struct {
	Concurrency float64 // of Lambda, in the account and region
	Numbers     int     // WhatsApp numbers that send
}

// Usual quotas are those of an account that asked for none, Ready those of the case.
var (
	Usual = Quotas{1000, 1} // AWS Lambda: "Lambda quotas"; new accounts have less
	Ready = Quotas{10_000, 5}
)

// AWS's other quotas, and the Gateway's. None of them needs to be raised.
const (
	apiRequests = 10_000  // a second and account (Amazon API Gateway: "Amazon API Gateway quotas"); 2,500 in thirteen regions
	perInstance = 10      // requests a second (AWS Lambda: "Understanding Lambda function scaling")
	newAtOnce   = 1000    // environments of a function (AWS Lambda: "Lambda scaling behavior")
	newInSecond = 100     // as above: 1,000 in 10 s, refilled continuously
	writeUnits  = 4000    // of a new table, and of each of its indexes (Amazon DynamoDB: "DynamoDB on-demand capacity mode")
	keyUnits    = 1000    // writes of one key (Amazon DynamoDB: "Best practices for designing and using partition keys effectively")
	shardPolls  = 4       // a second (Amazon EventBridge: "Amazon DynamoDB stream as a source for EventBridge Pipes")
	putEvents   = 400     // calls a second (Amazon EventBridge: "Amazon EventBridge quotas"), in the smallest regions
	inFlight    = 120_000 // records of a queue (Amazon SQS: "Amazon SQS standard queue quotas")
	secretReads = 10_000  // a second (AWS Secrets Manager: "AWS Secrets Manager quotas")
	sendsOfOne  = 80      // messages a second and number (Connexease Gateway API)
)

// Made latencies, besides those of package cost: they depend on AWS.
const (
	batchSeconds = 0.1  // of one batch of the pipe
	laterSeconds = 0.05 // of a record that only learns that it is for later
)

// Stack is what template.yaml says with some parameters, what the functions' limits are, and what
// the accounts allow.
type Stack struct {
	Quotas
	WebhookRoute, SendRoute        float64 // requests a second
	Processes, Batch               float64 // of the outbound queue
	DrainProcesses, DrainBatch     float64 // of the overflow queue
	DrainParallel                  float64 // messages of a batch that are written at once
	Lanes, PipeBatch               float64 // of a shard
	MaxAge                         time.Duration
	TableBudget, LeastTableBudget  time.Duration // how long a delivery waits for a table that is away, and the next ones of its process
	Distrust                       time.Duration // for how long the next ones do, give or take a half
	Claim                          time.Duration // and how long a send
	Reserved                       float64       // WebhookReservedConcurrency, or less than 0
	RequestsPerHour, SendsPerHour  float64       // at which alarms ring, like the next ones
	ConcurrencyThreshold, QueueAge float64       // QueueAge in minutes
	Late                           time.Duration // EventsLate has seen for how long that the pipe falls behind
}

// Limit is one limit, and what the case asks of it.
type Limit struct {
	Name, Unit string
	Load, Most float64
	Alarm      string  // its logical id
	At         float64 // what is asked of the limit when the alarm rings
	Trouble    bool    // the alarm may ring in the case, because something is away
}

// row is what each write of an item costs besides its indexes: items of at most 1 kB.
const row = 1

// Limits returns the table's rows.
func Limits(s *Stack) []Limit {
	volume, sending := s.RequestsPerHour/hour/requests, s.SendsPerHour/hour/Sends // when the spikes' alarms ring, in parts of the case
	webhook, send := concurrent(Deliveries, cost.WebhookSeconds), concurrent(Sends, cost.SendSeconds)
	webhook = math.Max(webhook, s.Reserved) // what is reserved is claimed
	away := math.Max(Deliveries*s.wait(), s.Reserved) + Sends*s.Claim.Seconds()
	slow := webhook + Sends*ledger.ClaimNeeds.Seconds()
	table := float64(statuses*cost.StatusWrites + messages*row + Sends*2*row)
	timeline := float64(messages*(cost.MessageWrites-row) + Sends*(cost.ClaimWrites-row))
	wamids := float64(Sends * (cost.OutcomeWrites - row))
	unsettled := float64(Sends * (cost.QueueWrites - row + cost.LeaveWrites))
	reads := 2 / secret.DefaultLimits.TTL.Seconds() // a process reads at most two secrets
	age := s.QueueAge * 60
	// A record that is for later is in flight for a tenth of its age, and a fifth of that more.
	held := math.Min(Sends*age, s.Processes*s.Batch/laterSeconds*ledger.Backoff(time.Duration(age)*time.Second, 0).Seconds()*1.2)
	waits := func(rate, able float64) float64 { return 60 * math.Max(0, rate/able-1) } // minutes, of what comes last in the hour
	return []Limit{
		{"`POST /webhook`", "a second", Deliveries, s.WebhookRoute, "RequestSpike", Deliveries * volume, false},
		{"`POST /v1/wa/message`", "a second", Sends, s.SendRoute, "SendSpike", Sends * sending, false},
		{"API Gateway in the account", "a second", requests, apiRequests, "RequestSpike", requests * volume, false},
		{"the Gateway", "messages a second", Sends, sendsOfOne * float64(s.Numbers), "SendSpike", Sends * sending, false},
		{"Lambda", "at once", webhook + send, s.Concurrency, "ConcurrencyShort", s.ConcurrencyThreshold, false},
		{"Lambda while the table is away", "at once", away, s.Concurrency, "ConcurrencyShort", s.ConcurrencyThreshold, true},
		{"Lambda while the Gateway does not respond", "at once", slow, s.Concurrency, "ConcurrencyShort", s.ConcurrencyThreshold, true},
		{"the table, new", "write units", table, writeUnits, "RequestSpike", table * volume, false},
		{"its index `timeline`", "write units", timeline, writeUnits, "RequestSpike", timeline * volume, false},
		{"its index `sent_wamid`", "write units", wamids, writeUnits, "SendSpike", wamids * sending, false},
		{"one client in `unsettled`, if all its sends are queued over HTTP", "write units", unsettled, keyUnits, "SendSpike", unsettled * sending, false},
		{"an event's wait for the pipe", "minutes", waits(float64(requests)/cost.StreamShards, s.shard()), s.MaxAge.Minutes(), "EventsLate", s.Late.Minutes(), false},
		{"a record's wait in the outbound queue", "minutes", waits(Sends, s.queue()), ledger.DefaultValidFor.Minutes(), "QueueOld", s.QueueAge, false},
		{"records in flight", "at once", math.Min(Sends*cost.SendSeconds, s.Processes*s.Batch), inFlight, "QueueOld", held, false},
		{"Secrets Manager", "reads a second", (webhook + send) * reads, secretReads, "ConcurrencyShort", s.ConcurrencyThreshold * reads, false},
	}
}

// concurrent returns what Lambda counts: requests at once, or a tenth of those a second.
func concurrent(rate, seconds float64) float64 { return math.Max(rate*seconds, rate/perInstance) }

// shard returns how many events a second the pipe moves from a shard, queue how many records the
// send function takes from the outbound queue, and drain how many deliveries the webhook takes from
// the overflow queue.
func (s *Stack) shard() float64 { return s.Lanes * s.PipeBatch / batchSeconds }
func (s *Stack) queue() float64 { return s.Processes * s.Batch / cost.SendSeconds }
func (s *Stack) drain() float64 {
	return s.DrainProcesses * s.DrainBatch / (math.Ceil(s.DrainBatch/s.DrainParallel) * cost.WebhookSeconds)
}

// wait is how long deliveries wait for a table that is away, in seconds: each process gives one of
// them the table's whole budget, and then the least to its next ones for a while.
func (s *Stack) wait() float64 {
	whole, distrust := s.TableBudget.Seconds(), s.Distrust.Seconds()
	return (whole + distrust) / (1 + distrust/s.LeastTableBudget.Seconds())
}

// reserved is the concurrency that the webhook needs while the table is away, in tens: of deliveries
// and the drain, and a twentieth more, since the longer waits of some fall together.
func reserved(s *Stack) int {
	return 10 * int(math.Ceil((Deliveries*s.wait()+s.DrainProcesses)*1.05/10))
}

// threshold is ConcurrencyThreshold where that is reserved: half-way from what the case then claims
// to the quota.
func threshold(s *Stack) int {
	return int(float64(reserved(s))+concurrent(Sends, cost.SendSeconds)+s.Concurrency) / 2
}

var english = message.NewPrinter(language.English)

func whole(v float64) string { return english.Sprintf("%.0f", v) }

// Table returns README's table: what is asked of each limit, and where that is too much.
func Table(usual, ready *Stack) string {
	var b strings.Builder
	b.WriteString("| limit | at defaults | made ready | alarm, and when it rings |\n|---|---|---|---|\n")
	was := Limits(usual)
	for i, l := range Limits(ready) {
		fmt.Fprintf(&b, "| %s, %s | %s | %s | `%s`, %s |\n", l.Name, l.Unit, was[i].cell(), l.cell(), l.Alarm, whole(l.At))
	}
	return b.String()
}

func (l *Limit) cell() string {
	text := whole(l.Load) + " of " + whole(l.Most)
	if l.Load > l.Most {
		return "**" + text + "**"
	}
	return text
}

// Faults says which limit of a stack that is ready would break, or break without an alarm before.
func Faults(s *Stack) (faults []string) {
	for _, l := range Limits(s) {
		switch {
		case l.Load >= l.Most:
			faults = append(faults, fmt.Sprintf("%s: %s", l.Name, l.cell()))
		case l.At >= l.Most:
			faults = append(faults, fmt.Sprintf("%s: %s rings at %s, the limit is %s", l.Name, l.Alarm, whole(l.At), whole(l.Most)))
		case l.At <= l.Load && !l.Trouble:
			faults = append(faults, fmt.Sprintf("%s: %s rings at %s, which the case has", l.Name, l.Alarm, whole(l.At)))
		}
	}
	return faults
}

// Refused returns how many deliveries Lambda refuses in the first minute in which the table is away,
// because environments are not made fast enough, or no more than most, the drain's among them, and
// how many a second after its first ten seconds.
func Refused(s *Stack, most int) (all, lasting int) {
	const step, first = 10 * time.Millisecond, 10 * time.Second
	draw := rand.New(rand.NewPCG(1, 1))
	made := int(Deliveries * cost.WebhookSeconds)
	free := make([]time.Duration, made) // environments, by when they give the table its whole budget
	ends := map[time.Duration][]time.Duration{}
	allowed, last := float64(newAtOnce), 0
	most -= int(s.DrainProcesses)
	for now := time.Duration(0); now < time.Minute; now += step {
		allowed = math.Min(newAtOnce, allowed+newInSecond*step.Seconds())
		free = append(free, ends[now]...)
		for range int(Deliveries * step.Seconds()) {
			switch {
			case len(free) > 0:
			case allowed >= 1 && made < most:
				free, made, allowed = append(free, 0), made+1, allowed-1
			default:
				if all++; now >= first {
					last++
				}
				continue
			}
			until, hold := free[0], s.LeastTableBudget
			if free = free[1:]; now >= until {
				hold = s.TableBudget
				until = now + hold + s.Distrust/2 + time.Duration(draw.Int64N(int64(s.Distrust)))
			}
			ends[now+hold] = append(ends[now+hold], until)
		}
	}
	return all, int(math.Ceil(float64(last) / (time.Minute - first).Seconds()))
}

// Dollars returns what the hour costs at AWS, and at the Gateway.
func Dollars() (aws, gateway float64) {
	for _, k := range cost.Kinds() {
		switch k.Name {
		case "statuses, one a delivery":
			aws += statuses * k.All()
		case "messages in, one a delivery":
			aws += messages * k.All()
		case "sends over HTTP":
			aws += Sends * k.All()
		}
	}
	return aws * hour / 1e6, Sends * hour * 0.001
}

// Sentences returns what README says besides its table.
func Sentences(usual, ready *Stack) []string {
	aws, gateway := Dollars()
	about := func(refused, _ int) string { return whole(math.Round(float64(refused)/100) * 100) }
	const outage = 10 * time.Minute
	return []string{
		english.Sprintf("%d deliveries and %d sends a second for an hour: %d statuses, %d messages in", Deliveries, Sends, statuses, messages),
		fmt.Sprintf("The hour costs $%.0f at AWS, for %.1f GB of logs among other things, and $%s at the Gateway", aws, requests*hour*cost.LogBytes/1e9, whole(gateway)),
		english.Sprintf("%d numbers, because each has %d messages a second", ready.Numbers, sendsOfOne),
		fmt.Sprintf("a process's first delivery waits %v s for it before it goes to the overflow queue, its next ones for about %v s only %v s, and a send %v s",
			usual.TableBudget.Seconds(), usual.Distrust.Seconds(), usual.LeastTableBudget.Seconds(), usual.Claim.Seconds()),
		fmt.Sprintf("**about %s deliveries are refused** in the first %v s", about(Refused(ready, int(ready.Concurrency))), usual.TableBudget.Seconds()),
		fmt.Sprintf("about %s are refused, at first", about(Refused(usual, reserved(usual)))),
		fmt.Sprintf("`WebhookReservedConcurrency=%d ConcurrencyThreshold=%d`", reserved(usual), threshold(usual)),
		fmt.Sprintf("%.0f processes make %.0f of %d a second", usual.Processes, usual.queue(), Sends),
		english.Sprintf("%.0f a second are drained afterwards: %.0f minutes of an outage of %.0f", ready.drain(), outage.Minutes()*Deliveries/ready.drain(), outage.Minutes()),
		english.Sprintf("%.0f events a second and shard, of %.0f that it moves at %.0f ms a batch; at %.0f ms it falls behind",
			float64(requests)/cost.StreamShards, ready.shard(), batchSeconds*1000, 1000*ready.Lanes*ready.PipeBatch*cost.StreamShards/requests),
		english.Sprintf("at most %.0f calls of `PutEvents` a second, of the %d of the smallest regions", cost.StreamShards*shardPolls*ready.Lanes, putEvents),
		english.Sprintf("%.0f queued sends a second of one client", float64(keyUnits)/(cost.QueueWrites-row+cost.LeaveWrites)),
	}
}
