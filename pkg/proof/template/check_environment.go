package template

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"connexease-functions/pkg/ledger"
)

// codes calls visit with each function of the template and its code, and reports functions that
// only one side has.
func (p *proof) codes(visit func(id string, n *yaml.Node, c *code)) (faults []string) {
	seen := map[string]bool{}
	for id, n := range p.every("AWS::Serverless::Function") {
		seen[id] = true
		if c := p.source.functions[id]; c != nil {
			visit(id, n, c)
			continue
		}
		faults = append(faults, id+" has no code in functions/")
	}
	for id := range p.source.functions {
		if !seen[id] {
			faults = append(faults, "the template has no "+id)
		}
	}
	return faults
}

// variables: each variable that the code reads is set, and each that is set is read.
func variables(p *proof) (faults []string) {
	return append(p.codes(func(id string, n *yaml.Node, c *code) {
		set := map[string]bool{}
		for _, all := range []*yaml.Node{find(p.Root(), "Globals", "Function", "Environment", "Variables"), find(n, "Properties", "Environment", "Variables")} {
			for name := range each(all) {
				set[name] = true
			}
		}
		for name := range c.variables {
			if !set[name] {
				faults = append(faults, fmt.Sprintf("%s reads %s, which is not set", id, name))
			}
		}
		for name := range set {
			if !c.variables[name] {
				faults = append(faults, fmt.Sprintf("%s does not read %s, which is set", id, name))
			}
		}
	}), faults...)
}

// webhookRoute is the only route that the code does not name: the webhook accepts any HTTP request.
const webhookRoute = "POST /webhook"

// routes: the template has the routes that the code knows, and every reference to a route names one
// of them.
func routes(p *proof) (faults []string) {
	every := map[string]bool{}
	faults = append(p.codes(func(id string, n *yaml.Node, c *code) {
		has := map[string]bool{}
		for _, e := range each(find(n, "Properties", "Events")) {
			if kind := find(e, "Type"); kind != nil && kind.Value == "HttpApi" {
				key := ref(find(e, "Properties", "Method")) + " " + ref(find(e, "Properties", "Path"))
				has[key], every[key] = true, true
				if api := ref(find(e, "Properties", "ApiId")); api != "${HttpApi}" {
					faults = append(faults, fmt.Sprintf("%s: %s is a route of %q, not of HttpApi", id, key, api))
				}
			}
		}
		knows := c.routes
		if len(knows) == 0 {
			knows = map[string]bool{webhookRoute: true}
		}
		if !maps.Equal(has, knows) {
			faults = append(faults, fmt.Sprintf("%s has the routes %q, its code knows %q", id, joined(has), joined(knows)))
		}
	}), faults...)
	named := func(where, key string) {
		if !every[key] {
			faults = append(faults, fmt.Sprintf("%s names %q, which is not a route", where, key))
		}
	}
	for key := range each(find(p.Root(), "Resources", "HttpApi", "Properties", "RouteSettings")) {
		named("RouteSettings", key)
	}
	for id, n := range p.every("AWS::Logs::MetricFilter") {
		for _, key := range regexp.MustCompile(`routeKey = "([^"]*)"`).FindAllStringSubmatch(ref(find(n, "Properties", "FilterPattern")), -1) {
			named(id, key[1])
		}
	}
	for id, n := range each(find(p.Root(), "Outputs")) {
		walk(find(n, "Value"), func(n *yaml.Node) {
			for _, host := range []string{"${HttpApi.ApiEndpoint}", "https://${DomainName}"} {
				if path, ok := strings.CutPrefix(n.Value, host); ok {
					named(id, "POST "+path)
				}
			}
		})
	}
	return faults
}

// seconds reads a number of seconds; 0 if there is none.
func seconds(n *yaml.Node) time.Duration {
	s, _ := strconv.Atoi(ref(n))
	return time.Duration(s) * time.Second
}

const (
	apiTimeout    = 30 * time.Second    // Amazon API Gateway: "Quotas for HTTP APIs", maximum integration timeout
	longestDelay  = 12 * time.Hour      // Amazon SQS: "Amazon SQS visibility timeout"
	longestKept   = 14 * 24 * time.Hour // Amazon SQS: "Amazon SQS message quotas"
	highestCount  = 1000                // AWS API reference: SetQueueAttributes, maxReceiveCount
	largestBatch  = 10                  // AWS Lambda: "Creating and configuring an Amazon SQS event source mapping", without a window
	leastParallel = 2                   // the same page, MaximumConcurrency
	mostParallel  = 1000
)

// times: each limit leaves enough time for the ones inside it.
func times(p *proof) (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	return append(p.codes(func(id string, n *yaml.Node, c *code) {
		timeout := seconds(find(n, "Properties", "Timeout"))
		if timeout >= apiTimeout {
			fault("%s: %v is not below API Gateway's %v", id, timeout, apiTimeout)
		}
		switch id {
		case "WebhookFunction":
			if budget, ok := c.duration("budget"); !ok || timeout < 2*budget {
				fault("%s: %v is less than twice the code's budget of %v", id, timeout, budget)
			}
		case "SendFunction":
			margin, ok := c.duration("answerMargin")
			if !ok || timeout < ledger.ClaimNeeds+2*margin {
				fault("%s: %v leaves no time for the Gateway's call, %v with its outcome", id, timeout, ledger.ClaimNeeds)
			}
			if limit, ok := c.duration("httpLimit"); !ok || limit >= apiTimeout {
				fault("%s: the code's httpLimit of %v is not below API Gateway's %v", id, limit, apiTimeout)
			}
		}
		for name, m := range p.every("AWS::Lambda::EventSourceMapping") {
			if m = find(m, "Properties"); p.invoked(find(m, "FunctionName"), ref) == id {
				for _, f := range p.mappingTimes(id, ref(find(m, "EventSourceArn")), m, timeout, c) {
					fault("%s: %s", name, f)
				}
			}
		}
	}), faults...)
}

// atOnce names the constant of each function that bounds how many records it handles at once. The
// webhook writes fewer at once than a batch has: records that it has no time for are returned to
// the queue.
var atOnce = map[string]struct {
	constant   string
	wholeBatch bool
}{
	"SendFunction":    {"parallel", true},
	"WebhookFunction": {"parallelDrains", false},
}

func (p *proof) mappingTimes(id, source string, m *yaml.Node, timeout time.Duration, c *code) (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	queue, ok := p.refersTo(source, "Arn", "AWS::SQS::Queue")
	if !ok {
		return []string{"its queue is not in this template"}
	}
	window := seconds(find(m, "MaximumBatchingWindowInSeconds"))
	if visibility := seconds(find(p.Root(), "Resources", queue, "Properties", "VisibilityTimeout")); visibility < 6*timeout+window {
		fault("the queue's visibility of %v is less than six times the function's %v", visibility, timeout)
	}
	size, _ := strconv.Atoi(ref(find(m, "BatchSize")))
	bound, known := atOnce[id]
	parallel, has := c.numbers[bound.constant]
	if !known || !has {
		fault("the code has no constant %q that bounds the records handled at once", bound.constant)
	}
	if size < 1 || size > largestBatch || bound.wholeBatch && int64(size) > parallel {
		fault("the code handles %d records at a time, a batch has %d", parallel, size)
	}
	processes := ref(find(m, "ScalingConfig", "MaximumConcurrency"))
	most, least := processes, processes
	if name, is := strings.CutPrefix(processes, "${"); is {
		parameter := find(p.Root(), "Parameters", strings.TrimSuffix(name, "}"))
		least, most = ref(find(parameter, "MinValue")), ref(find(parameter, "MaxValue"))
	}
	if n, _ := strconv.Atoi(least); n < leastParallel {
		fault("MaximumConcurrency must be at least %d", leastParallel)
	}
	if n, _ := strconv.Atoi(most); n > mostParallel {
		fault("MaximumConcurrency must be at most %d", mostParallel)
	}
	shared := ref(find(p.Root(), "Resources", id, "Properties", "Environment", "Variables", "QUEUE_CONCURRENCY"))
	if c.variables["QUEUE_CONCURRENCY"] && processes != shared {
		fault("MaximumConcurrency is %s, the code divides a queue's pace among %s processes", processes, shared)
	}
	if types := list(find(m, "FunctionResponseTypes")); !slices.ContainsFunc(types, func(n *yaml.Node) bool { return n.Value == "ReportBatchItemFailures" }) {
		fault("without ReportBatchItemFailures, one failed record returns the whole batch to the queue")
	}
	properties := find(p.Root(), "Resources", queue, "Properties")
	if kept := seconds(find(properties, "MessageRetentionPeriod")); kept <= ledger.MaxValidFor || kept > longestKept {
		fault("the queue keeps messages for %v: more than the longest validity of %v, at most %v", kept, ledger.MaxValidFor, longestKept)
	}
	if count := ref(find(properties, "RedrivePolicy", "maxReceiveCount")); count != strconv.Itoa(highestCount) {
		fault("maxReceiveCount is %q: days of 429, or of an outage of the table, need all %d receives", count, highestCount)
	}
	return faults
}
