package main

import (
	"strconv"
	"testing"
	"time"

	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/proof/harness"
)

// A process has half of one message a second, and 4 s in which a claim still leaves time for a
// call: its third message is for later.
func TestAPaceReturnsUnclaimedWhatComesTooEarly(t *testing.T) {
	w := newWorld(t)
	w.env["QUEUE_SENDS_PER_SECOND"] = "1"
	w.start()
	delays := w.watchDelays()
	var records []any
	for i := range 10 {
		records = append(records, w.record("r-"+strconv.Itoa(i), hello, w.now()))
	}
	again := w.batch(records)
	if len(again) != 8 || w.posted() != 2 || len(harness.Items(t, w.table)) != 2 {
		t.Errorf("%d are retried, %d were sent, the table has %d items", len(again), w.posted(), len(harness.Items(t, w.table)))
	}
	for _, record := range again {
		if d := delays.of(record); d <= 3*time.Second { // counted from when it asked for its turn
			t.Errorf("%s is retried after %v", record, d)
		}
	}
	for range 5 {
		responds(t, "over HTTP", w.post(hello), 200, "")
	}
	expired := w.record("expired", hello, w.now().Add(-ledger.DefaultValidFor))
	if again := w.batch([]any{expired}); again != nil {
		t.Errorf("what has expired waits for its turn: %v", again)
	}
}

// One of ten processes has a tenth of one message a second: the turn of its second is too far away.
func TestAPaceIsSharedByAllProcesses(t *testing.T) {
	w := newWorld(t)
	w.env["QUEUE_SENDS_PER_SECOND"], w.env["QUEUE_CONCURRENCY"] = "1", "10"
	w.start()
	if again := w.batch([]any{w.record("r-1", hello, w.now()), w.record("r-2", hello, w.now())}); len(again) != 1 || w.posted() != 1 {
		t.Errorf("%d are retried, %d were sent", len(again), w.posted())
	}
}

func TestEachSenderHasAPaceOfItsOwn(t *testing.T) {
	w := newSendersWorld(t)
	w.env["QUEUE_SENDS_PER_SECOND"] = "1"
	w.start()
	again := w.sqs(
		`{"sender":"default","message":`+hello+`}`, `{"sender":"shop","message":`+hello+`}`,
		`{"sender":"default","message":`+hello+`}`, `{"sender":"shop","message":`+hello+`}`,
		`{"sender":"default","message":`+hello+`}`, `{"sender":"shop","message":`+hello+`}`,
	)
	if len(again) != 2 || w.posted() != 4 {
		t.Errorf("%v are retried, %d were sent", again, w.posted())
	}
}
