package main

import "time"

// All limits of this function. Those of a body are package api's and package whatsapp's, those of an
// item package table's.
const (
	// warmLimit bounds what is read and connected before the first request.
	warmLimit = 2 * time.Second

	// budget is the time from API Gateway's receipt until everything must be durable. The Gateway
	// waits 5 s for a response (Connexease Gateway API, "Webhooks"); the last second is for the way
	// back.
	budget = 4 * time.Second
	// tableBudget is the table's share of budget; the rest is for the overflow queue.
	tableBudget = 2500 * time.Millisecond
	// leastBudget is always granted to table and queue: the request may have waited for a cold
	// start or the secret, and clocks differ.
	leastBudget      = 1500 * time.Millisecond
	leastTableBudget = 800 * time.Millisecond
	// distrust is about how long after the table accepted nothing in its whole budget a process gives
	// it only leastTableBudget: requests that wait for it use up Lambda's concurrency, and others are
	// refused then. The next delivery has the whole budget again, since a table may be slow and work;
	// half of distrust either way keeps processes from trying it at the same time.
	distrust = 30 * time.Second
	// plausible bounds the age of a request's own timestamp. sam local stamps all requests of a
	// process alike.
	plausible = 30 * time.Second

	// parallelSends bounds the messages that are sent to the queue at once.
	parallelSends = 8
	// drainMargin is kept of the function's time for its response.
	drainMargin = time.Second
	// parallelDrains bounds the messages that are written at once; the table already writes the
	// batches of each in parallel.
	parallelDrains = 2
)
