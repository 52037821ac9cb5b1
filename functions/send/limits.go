package main

import "time"

// All limits of this function. Those of a claim, a lease and a queue record's life are package
// ledger's, those of a call package gateway's, those of a request package order's, those of a page
// of a conversation package conversation's.
const (
	// warmLimit bounds what is read and connected before the first request.
	warmLimit = 2 * time.Second
	// keyCooldown is how often at most a refusal by the Gateway makes the function read the
	// API key early.
	keyCooldown = time.Minute

	// answerMargin is reserved for a response's way from the function to API Gateway.
	answerMargin = time.Second
	// httpLimit is when API Gateway must have the response, counted from its receipt of the
	// request: it gives up at 30 s (AWS: Quotas for HTTP APIs).
	httpLimit = 29 * time.Second
	// plausible bounds how old a request's own time may be: beyond, clocks differ.
	plausible = 30 * time.Second

	// claimLimit bounds the write of a claim, readLimit the reading of statuses and the delay of a
	// record: the call has that much less time.
	claimLimit = 4 * time.Second
	readLimit  = 3 * time.Second
	// leastForOutcome is given to the write of an outcome even when the time is over.
	leastForOutcome = time.Second
	// enqueueLimit bounds the sending of one message to the queue.
	enqueueLimit = 5 * time.Second
	// lookUpLimit bounds all reads of one look-up, list, page or item.
	lookUpLimit = 10 * time.Second
	// A list has listUsual messages unless its caller asks for up to listMost. A page looks at
	// listTogether messages at once, and so at listRounds times as many: a few tenths of a second.
	listUsual    = 20
	listMost     = 100
	listTogether = 20
	listRounds   = 10
	// longestAhead is how far ahead a message may be scheduled.
	longestAhead = 35 * 24 * time.Hour
	// aliasLimit bounds the writing of a customer's second name. It is not waited for longer:
	// the next response that has both names proves it again.
	aliasLimit = time.Second

	// parallel bounds the records under way: a batch of SQS has at most 10.
	parallel = 10
	// evenness is the part of a pace that is used: calls that reach the Gateway unevenly must not be
	// more in a second than the pace.
	evenness = 0.97
	// highestPace is the most that QueueSendsPerSecond may be: a number's limit is 1,000.
	highestPace = 1000
	// mostProcesses is the most that a mapping's MaximumConcurrency may be (AWS API reference:
	// ScalingConfig).
	mostProcesses = 1000
	// shortest and spread delay a record that only this process cannot handle.
	shortest = time.Second
	spread   = 4 * time.Second
	// patience is how long a queue record waits in process for the end of a rate limit.
	patience = 2 * time.Second
	// leastWait is the least that it waits: the Gateway's shorter limit is one of a second.
	leastWait = time.Second

	// An item has 400 KB: the message, and what the Gateway returned to its attempts. Longer
	// responses are kept as their id alone.
	largestAnswer = 64 << 10
	largestNotice = 4 << 10 // of an attempt that may be followed by others
	longestWamid  = 512     // characters seen: 38 to 82

	// A process has 512 MB, of which it mostly uses a few, and a fraction of a processor: it collects
	// garbage at five times what is in use instead of twice. Beyond half of its memory, as a page of
	// large payloads needs it, it collects as often as it must.
	garbagePercent = 400
	mostMemory     = 256 << 20
)
