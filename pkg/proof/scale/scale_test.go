package scale

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	simsqs "connexease-functions/pkg/local/sim/sqs"
	"connexease-functions/pkg/local/template"
	"connexease-functions/pkg/proof/docs"
	proof "connexease-functions/pkg/proof/template"
)

// parts are those of a template that the case and its simulations are about.
type parts struct {
	*template.Template
	parameters      map[string]string
	queues          []simsqs.QueueConfig
	sending, drains simsqs.Mapping
	pipe            template.Pipe
}

// load reads template.yaml with parameters such as "A=1 B=2".
func load(t *testing.T, parameters string) *parts {
	t.Helper()
	p := &parts{parameters: map[string]string{}}
	for _, one := range strings.Fields(parameters) {
		name, value, _ := strings.Cut(one, "=")
		p.parameters[name] = value
	}
	var err error
	if p.Template, err = template.Load("../../../template.yaml", p.parameters); err != nil {
		t.Fatal(err)
	}
	functions, err := p.Functions()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range functions {
		for _, m := range f.Mappings {
			switch m.Queue {
			case "OutboundQueue":
				p.sending = m
			case "OverflowQueue":
				p.drains = m
			}
		}
	}
	pipes, err := p.Pipes()
	if err != nil || len(pipes) != 1 {
		t.Fatalf("%d pipes, %v", len(pipes), err)
	}
	p.pipe = pipes[0]
	if p.queues, err = p.Queues(); err != nil {
		t.Fatal(err)
	}
	return p
}

// number returns a number of the template, which may be a parameter.
func (p *parts) number(t *testing.T, path ...string) float64 {
	t.Helper()
	n := template.Find(p.Root(), path...)
	if n != nil && n.Tag == "!If" {
		n = n.Content[1] // what is where the parameter is set
	}
	if n != nil && n.Tag == "!Ref" {
		if value, is := p.parameters[n.Value]; is {
			n = &yaml.Node{Value: value}
		} else {
			n = template.Find(p.Root(), "Parameters", n.Value, "Default")
		}
	}
	if n == nil {
		t.Fatalf("template.yaml has no %v", path)
	}
	v, err := strconv.ParseFloat(n.Value, 64)
	if err != nil {
		t.Fatalf("%v: %v", path, err)
	}
	return v
}

// unreserved is what must not be reserved of an account's concurrency (AWS Lambda: "Configuring
// reserved concurrency for a function").
const unreserved = 100

func (p *parts) stack(t *testing.T, q Quotas) *Stack {
	t.Helper()
	webhook, err := proof.Constants("WebhookFunction")
	if err != nil {
		t.Fatal(err)
	}
	send, err := proof.Constants("SendFunction")
	if err != nil {
		t.Fatal(err)
	}
	alarm := func(id, property string) float64 { return p.number(t, "Resources", id, "Properties", property) }
	rate := func(route string) float64 {
		return p.number(t, "Resources", "HttpApi", "Properties", "RouteSettings", route, "ThrottlingRateLimit")
	}
	late := time.Duration(alarm("EventsLate", "EvaluationPeriods")) * 5 * time.Minute // of its metrics
	return &Stack{
		Quotas: q, WebhookRoute: rate("POST /webhook"), SendRoute: rate("POST /v1/wa/message"),
		Processes: float64(p.sending.MaxConcurrency), Batch: float64(p.sending.BatchSize),
		DrainProcesses: float64(p.drains.MaxConcurrency), DrainBatch: float64(p.drains.BatchSize), DrainParallel: float64(webhook["parallelDrains"]),
		Lanes: float64(p.pipe.Parallel), PipeBatch: float64(p.pipe.BatchSize), MaxAge: p.pipe.MaxAge,
		TableBudget: time.Duration(webhook["tableBudget"]), LeastTableBudget: time.Duration(webhook["leastTableBudget"]), Claim: time.Duration(send["claimLimit"]),
		Distrust: time.Duration(webhook["distrust"]), Reserved: p.number(t, "Resources", "WebhookFunction", "Properties", "ReservedConcurrentExecutions"),
		RequestsPerHour: alarm("RequestSpike", "Threshold"), SendsPerHour: alarm("SendSpike", "Threshold"),
		ConcurrencyThreshold: alarm("ConcurrencyShort", "Threshold"), QueueAge: alarm("QueueOld", "Threshold"), Late: late,
	}
}

func TestEachLimitOfAStackMadeReadyHoldsAndHasAnAlarmBefore(t *testing.T) {
	p := load(t, Parameters)
	s := p.stack(t, Ready)
	for _, fault := range Faults(s) {
		t.Error(fault)
	}
	for _, l := range Limits(s) {
		if n := template.Find(p.Root(), "Resources", l.Alarm, "Type"); n == nil || n.Value != "AWS::CloudWatch::Alarm" {
			t.Errorf("%s: template.yaml has no alarm %s", l.Name, l.Alarm)
		}
	}
	for name, value := range p.parameters {
		parameter := template.Find(p.Root(), "Parameters", name)
		highest, n := template.Find(parameter, "MaxValue"), 0
		if highest != nil {
			n, _ = strconv.Atoi(highest.Value)
		}
		if want, _ := strconv.Atoi(value); parameter == nil || highest != nil && want > n {
			t.Errorf("template.yaml does not accept %s=%s", name, value)
		}
	}
}

// The webhook's own share of Lambda's concurrency is enough while the table is away; a part of it is
// not, nor would it be if every delivery waited as long as the first of its process.
func TestDeliveriesAreRefusedOnlyAtFirstWhileTheTableIsAway(t *testing.T) {
	s := *load(t, Parameters).stack(t, Ready)
	if all, lasting := Refused(&s, reserved(&s)); lasting > 0 || all > 2*Deliveries {
		t.Errorf("%d are refused, and then %d a second", all, lasting)
	}
	if _, lasting := Refused(&s, reserved(&s)/2); lasting == 0 {
		t.Error("half of that is enough")
	}
	s.LeastTableBudget = s.TableBudget
	if _, lasting := Refused(&s, int(Usual.Concurrency)); lasting == 0 {
		t.Error("waiting for the table costs nothing")
	}
}

// What README says for an account with the usual quota keeps the alarm quiet, and AWS accepts it.
func TestReservedConcurrencyDoesNotRingItsAlarmForEver(t *testing.T) {
	s := load(t, "").stack(t, Usual)
	reserve := func(reserved, threshold int) string {
		ready := load(t, fmt.Sprintf("WebhookReservedConcurrency=%d ConcurrencyThreshold=%d", reserved, threshold)).stack(t, Usual)
		return strings.Join(Faults(ready), "\n")
	}
	if faults := reserve(reserved(s), threshold(s)); strings.Contains(faults, "Lambda: ") {
		t.Errorf("with what README says:\n%s", faults)
	}
	if faults := reserve(reserved(s), int(s.ConcurrencyThreshold)); !strings.Contains(faults, "Lambda: ConcurrencyShort rings at 800, which") {
		t.Errorf("the default threshold rings for ever, and is not among\n%s", faults)
	}
	if most := int(s.Concurrency) - unreserved; reserved(s) > most {
		t.Errorf("%d of at most %d", reserved(s), most)
	}
}

func TestALimitThatBreaksOrHasItsAlarmTooLateIsReported(t *testing.T) {
	ready := load(t, Parameters).stack(t, Ready)
	for want, spoil := range map[string]func(*Stack){
		"Lambda: ConcurrencyShort rings at 8,000, which":                 func(s *Stack) { s.Reserved = 7950 },
		"`POST /webhook`: **1,000 of 900**":                              func(s *Stack) { s.WebhookRoute = 900 },
		"`POST /v1/wa/message`: **300 of 200**":                          func(s *Stack) { s.SendRoute = 200 },
		"while the table is away: **2,044 of 1,000**":                    func(s *Stack) { s.Concurrency = 1000 },
		"the Gateway: **300 of 80**":                                     func(s *Stack) { s.Numbers = 1 },
		"records in flight: QueueOld rings at 270,000":                   func(s *Stack) { s.QueueAge = 15 },
		"Lambda: ConcurrencyShort rings at 12,000":                       func(s *Stack) { s.ConcurrencyThreshold = 12000 },
		"API Gateway in the account: RequestSpike rings at 28, which":    func(s *Stack) { s.RequestsPerHour = 100000 },
		"an event's wait for the pipe: EventsLate rings at 90":           func(s *Stack) { s.Late = 90 * time.Minute },
		"a record's wait in the outbound queue: QueueOld rings at 1,500": func(s *Stack) { s.QueueAge = 1500 },
	} {
		s := *ready
		spoil(&s)
		if faults := strings.Join(Faults(&s), "\n"); !strings.Contains(faults, want) {
			t.Errorf("%q is not among\n%s", want, faults)
		}
	}
}

func TestReadmeHasTheComputedCase(t *testing.T) {
	usual, ready := load(t, "").stack(t, Usual), load(t, Parameters).stack(t, Ready)
	text, err := os.ReadFile(docs.Root(t) + "/pkg/proof/README.md")
	if err != nil {
		t.Fatal(err)
	}
	if table := Table(usual, ready); !strings.Contains(string(text), table) {
		t.Errorf("README lacks:\n%s", table)
	}
	words := strings.Join(strings.Fields(string(text)), " ")
	for _, want := range append(Sentences(usual, ready), Parameters) {
		if !strings.Contains(words, want) {
			t.Errorf("README does not say: %s", want)
		}
	}
}
