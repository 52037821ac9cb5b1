package ledger

import "time"

// Do is what the caller of a Visit does next.
type Do int

const (
	// DoWrite: write Action.Write, then Wrote.
	DoWrite Do = iota
	// DoQuery: read the statuses under the id consistently, then Queried.
	DoQuery
	// DoPost: post Action.Send to the Gateway within Action.Within, then Posted.
	DoPost
	// DoEnqueue: send {"id"} to the queue, then Enqueued.
	DoEnqueue
	// DoAnswer: tell the caller Action.Answer. The visit is over.
	DoAnswer
	// DoAcknowledge: the queue record is done. The visit is over.
	DoAcknowledge
	// DoLater: the queue record comes again after Action.Delay plus at most
	// Action.Spread, at random. The visit is over.
	DoLater
)

// Action is one thing to do; Do says which field belongs to it.
type Action struct {
	Do            Do
	Write         Write
	Send          *Send
	Within        time.Duration
	Answer        Answer
	Delay, Spread time.Duration
	Notes         []Note // worth counting; may come with each of the last three
}

// Result is what became of a Write.
type Result struct {
	// Lost: no answer came, the write may have landed or not.
	Lost bool
	// Missed: it surely did not land.
	Missed bool
	// Refused: a condition did not hold. Image is the old image, nil without a row.
	Refused bool
	// Image is the new image of a Claim1 that landed (ReturnValues ALL_NEW); other
	// writes that landed need none.
	Image *Send
}
