package ledger

import "time"

// Do says what the caller of a Visit does next, and with which method it reports back.
type Do int

const (
	// DoWrite: make the conditional write Action.Write, then call Wrote with what became of it.
	DoWrite Do = iota
	// DoQuery: read the statuses stored under the message's id, consistently, then call Queried.
	DoQuery
	// DoRead: read the row, consistently, and the statuses under its id, then call Read.
	DoRead
	// DoReadAfter: read the row of Action.After and the statuses under it, consistently, then call
	// After.
	DoReadAfter
	// DoGate: look whether the message may be sent now, as Action.Send's Gate asks, or the
	// request's where Action.Send is nil; then call Checked.
	DoGate
	// DoPost: post what Action.Send.Posts returns to the Gateway, once, within Action.Within, then
	// call Posted.
	DoPost
	// DoEnqueue: send {"id"} to the outbound queue; where Action.At is not zero, make the schedule
	// that does so at that time, instead. One that is there already is success. Then call Enqueued.
	DoEnqueue
	// DoRespond: return Action.Response to the caller that waits. The visit is over.
	DoRespond
	// DoAcknowledge: the queue record is done and is deleted. The visit is over.
	DoAcknowledge
	// DoLater: the queue record is returned to the queue, and becomes visible after Action.Delay
	// plus at most Action.Spread, at random. The visit is over.
	DoLater
)

// Action is one thing to do; Do says which field belongs to it.
type Action struct {
	Do            Do
	Write         Write
	Send          *Send
	Within        time.Duration
	After         string
	At            time.Time
	Response      Response
	Delay, Spread time.Duration
	Notes         []Note // worth counting; may accompany each of the last three
}

// Result is what became of a Write. All fields are zero for a write that landed, Image aside.
type Result struct {
	// Lost: no response arrived, so the write may have landed or not.
	Lost bool
	// Missed: it definitely did not land.
	Missed bool
	// Refused: a condition did not hold. Image is the old image, nil where there is no row.
	Refused bool
	// Image is the new image of a Claim1 that landed (ReturnValues ALL_NEW); other
	// writes that landed need none.
	Image *Send
}
