// Package cost computes the product's costs from measurements and AWS's prices, so that README's
// figures are verified.
package cost

import (
	"fmt"
	"strings"
)

// Write request units of DynamoDB, index writes included, of items of at most 1 kB; the
// functions' tests measure them.
const (
	StatusWrites  = 1
	MessageWrites = 2   // table and timeline
	ClaimWrites   = 2   // the row, and the timeline
	OutcomeWrites = 2   // the row, and the index sent_wamid
	QueueWrites   = 2   // the row of a send that waits in the queue, and the index unsettled
	LeaveWrites   = 1   // more for its outcome, which removes it from that index
	AliasWrites   = 2   // another name of a person, once a day and process: an item under each name
	ConsentWrites = 1   // what a message or preference says about marketing, besides its own item
	OpenReads     = 0.5 // read units of a look at the 24-hour window that is open: one eventually consistent Query
	ClosedReads   = 1   // of one that is not, for each name of the person: two of them
	PageReads     = 1.5 // of a conversation's page of 25 messages that came, with the person's names
	SentReads     = 2   // at most more for each of them that went out: its row and statuses, and those under WhatsApp's id
	LongWrites    = 3   // more for a text of 512 bytes: it is in the item twice, and in the timeline
)

// Prices in US dollars, us-east-1, without free tiers (AWS's pricing pages of Amazon API
// Gateway, AWS Lambda, Amazon DynamoDB, Amazon SQS, Amazon EventBridge Scheduler, Amazon CloudWatch, AWS Secrets
// Manager, as of PricesOf).
const (
	PricesOf = "November 2026"

	httpAPI       = 1.00         // a million requests
	lambdaRequest = 0.20         // a million
	lambdaSecond  = 0.0000133334 // a GB-second, arm64
	writeUnit     = 0.625        // a million
	readUnit      = 0.125        // a million
	queueRequest  = 0.40         // a million
	schedule      = 1.00         // a million
	logGB         = 0.50
	secretMonth   = 0.40
	alarmMonth    = 0.10 // per metric
	// Amazon DynamoDB, Amazon CloudWatch (logs), Amazon EventBridge (archive), AWS Key Management
	// Service, AWS X-Ray, Amazon SNS pricing.
	storedGB    = 0.25 // a month
	backupGB    = 0.20 // a month
	logStoredGB = 0.03 // a month
	archivedGB  = 0.023
	keyMonth    = 1.00
	keyCalls    = 0.03 // 10,000
	traces      = 5.00 // a million
	mails       = 2.00 // 100,000
	// Amazon EventBridge pricing: pipes, custom events, archive; delivery from a pipe to a bus, and
	// from a bus to a queue of the same account, is free.
	pipeRequest = 0.40 // per million, after the filter
	busEvent    = 1.00 // a million
	archiveGB   = 0.10
	// Amazon DynamoDB pricing: only Lambda's reads of a stream are free.
	streamRead = 0.20 // a million
)

// Assumptions, not measurements: they depend on AWS's machines and the Gateway.
const (
	memoryGB       = 0.5
	WebhookSeconds = 0.020
	SendSeconds    = 0.300 // most of it waiting for the Gateway
	LogBytes       = 1500  // our line, the platform's, the access log's
	// Five pollers poll an idle queue every 20 s (AWS: Using Lambda with Amazon SQS).
	idlePolls = 5 * 3 * 60 * 24 * 30
	// A pipe polls each shard four times a second (Amazon EventBridge: "Amazon DynamoDB stream as a
	// source"); a new table accepts 4,000 writes a second, a shard follows a partition of 1,000.
	streamReads  = 4 * 60 * 60 * 24 * 30
	StreamShards = 4
	eventBytes   = 1000
	// A message is sent, received and deleted; batches reduce it.
	queueRequests = 3
)

// Kind is one kind of traffic, with its costs per million.
type Kind struct {
	Name                              string
	API, Lambda, Table, SQS, Out, Log float64
}

// All returns the sum in dollars.
func (k Kind) All() float64 { return k.API + k.Lambda + k.Table + k.SQS + k.Out + k.Log }

func invocations(seconds float64) float64 {
	return lambdaRequest + 1e6*seconds*memoryGB*lambdaSecond
}

// Kinds returns the rows of README's table.
func Kinds() []Kind {
	const log = 1e6 * LogBytes / 1e9 * logGB
	const out = pipeRequest + busEvent + 1e6*eventBytes/1e9*archiveGB // one event of each
	return []Kind{
		{"statuses, one a delivery", httpAPI, invocations(WebhookSeconds), StatusWrites * writeUnit, 0, out, log},
		{"messages in, one a delivery", httpAPI, invocations(WebhookSeconds), MessageWrites * writeUnit, 0, out, log},
		{"messages of 512 bytes, each from a user with a user id", httpAPI, invocations(WebhookSeconds), (MessageWrites + LongWrites + AliasWrites) * writeUnit, 0, out, log},
		{"messages that are a word of consent", httpAPI, invocations(WebhookSeconds), (MessageWrites + ConsentWrites) * writeUnit, 0, 2 * out, log},
		{"sends over HTTP", httpAPI, invocations(SendSeconds), (ClaimWrites + OutcomeWrites) * writeUnit, 0, out, log},
		{
			"sends over HTTP that look at a closed 24-hour window", httpAPI, invocations(SendSeconds),
			(ClaimWrites+OutcomeWrites)*writeUnit + ClosedReads*readUnit, 0, out, log,
		},
		{"sends from SQS, one a batch", 0, invocations(SendSeconds), (ClaimWrites + OutcomeWrites) * writeUnit, queueRequests * queueRequest, out, log},
		{
			"sends over HTTP that wait in the queue", httpAPI, invocations(WebhookSeconds) + invocations(SendSeconds),
			(QueueWrites + ClaimWrites + OutcomeWrites + LeaveWrites) * writeUnit, queueRequests * queueRequest, out, 2 * log,
		},
		{
			"sends over HTTP that are scheduled", httpAPI, invocations(WebhookSeconds) + invocations(SendSeconds),
			(QueueWrites + ClaimWrites + OutcomeWrites + LeaveWrites) * writeUnit, schedule + queueRequests*queueRequest, out, 2 * log,
		},
		{"pages of a conversation, 25 messages of which 12 were sent", httpAPI, invocations(WebhookSeconds), (PageReads + 12*SentReads) * readUnit, 0, 0, log},
		{"refused requests", httpAPI, invocations(0.002), 0, 0, 0, log},
	}
}

// Table returns README's table of dollars per million.
func Table() string {
	var b strings.Builder
	b.WriteString("| a million | API Gateway | Lambda | DynamoDB | SQS, Scheduler | events out | logs | total |\n|---|---|---|---|---|---|---|---|\n")
	for _, k := range Kinds() {
		fmt.Fprintf(&b, "| %s | %.2f | %.2f | %.2f | %.2f | %.2f | %.2f | **%.2f** |\n", k.Name, k.API, k.Lambda, k.Table, k.SQS, k.Out, k.Log, k.All())
	}
	return b.String()
}

// Stack holds the parts of a stack that cost money while idle.
type Stack struct {
	Name                                  string // in the table
	Secrets, Alarms, AlarmMetrics, Queues int    // queues that Lambda polls
	Pipe, Key                             bool
}

func (s Stack) secrets() float64 { return float64(s.Secrets) * secretMonth }
func (s Stack) alarms() float64  { return float64(s.AlarmMetrics) * alarmMonth }
func (s Stack) polls() float64   { return float64(s.Queues*idlePolls) / 1e6 * queueRequest }

// pipe returns the cost of the pipe's polls.
func (s Stack) pipe() float64 {
	if !s.Pipe {
		return 0
	}
	return float64(StreamShards*streamReads) / 1e6 * streamRead
}

// key returns the cost of a key of one's own, without its calls.
func (s Stack) key() float64 {
	if !s.Key {
		return 0
	}
	return keyMonth
}

// Month returns the cost of an idle month, in dollars.
func (s Stack) Month() float64 {
	return s.secrets() + s.alarms() + s.polls() + s.pipe() + s.key()
}

// Idle returns README's table of the dollars of an idle month.
func Idle(stacks ...Stack) string {
	var b strings.Builder
	b.WriteString("| an idle month | secrets | polls of queues | `Monitoring`: alarms | `EventsOut`: polls of the stream | `KmsKeyArn`: the key | total |\n|---|---|---|---|---|---|---|\n")
	for _, s := range stacks {
		fmt.Fprintf(&b, "| %s | %.2f | %.2f | %.2f | %.2f | %.2f | **%.2f** |\n", s.Name, s.secrets(), s.polls(), s.alarms(), s.pipe(), s.key(), s.Month())
	}
	return b.String()
}

// Parameters returns what each parameter of the template adds to the bill, in the words of
// pkg/config/README.md. defaults is the stack of their defaults, lane that with a bulk lane.
func Parameters(defaults, lane Stack) map[string]string {
	all := map[string]string{
		"RetentionDays":    fmt.Sprintf("$%.2f a GB and month, backups $%.2f", storedGB, backupGB),
		"EventsOut":        fmt.Sprintf("$%.2f a month, $%.2f a million", defaults.pipe(), pipeRequest+busEvent),
		"EventArchiveDays": fmt.Sprintf("$%.2f a GB, then $%.3f a month", archiveGB, archivedGB),
		"BulkLane":         fmt.Sprintf("$%.2f a month, alarms $%.2f", lane.polls()-defaults.polls(), lane.alarms()-defaults.alarms()),
		"LogRetentionDays": fmt.Sprintf("$%.2f a GB and month", logStoredGB),
		"KmsKeyArn":        fmt.Sprintf("$%.2f a month, $%.2f for 10,000 calls", keyMonth, keyCalls),
		"Tracing":          fmt.Sprintf("$%.2f a million traces", traces),
		"Monitoring":       fmt.Sprintf("$%.2f a month", defaults.alarms()),
		"AlarmEmail":       fmt.Sprintf("$%.2f for 100,000 mails", mails),
	}
	for _, name := range []string{"OptOutWords", "OptInWords"} {
		all[name] = fmt.Sprintf("$%.3f a million messages that are one", ConsentWrites*writeUnit+pipeRequest+busEvent+1e6*eventBytes/1e9*archiveGB)
	}
	for _, name := range free {
		all[name] = "nothing"
	}
	return all
}

// free lists the parameters that change how much is done or kept from whom, and no price. A hosted
// zone is not the stack's own; reserved concurrency is free, where provisioned concurrency is not.
var free = []string{
	"GatewayUrl", "SendRequestsPerSecond", "QueueConcurrency", "QueueSendsPerSecond", "DomainName", "CertificateArn", "HostedZoneId", "KeepDefaultEndpoint",
	"PreviousSecretGraceHours", "TableProtection", "GradualDeploys", "WebhookReservedConcurrency", "SendReservedConcurrency",
	"UnknownOutcomesThreshold", "SendErrorsThreshold", "QueueAgeMinutes", "BulkAgeMinutes", "RequestsPerHour", "SendsPerHour", "ConcurrencyThreshold",
}
