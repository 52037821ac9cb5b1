package ledger

func scenarios() []scenario {
	return []scenario{
		{name: "two callers", slots: []Source{Sync, Sync}, faults: 2, horizon: 5, forged: true},
		{name: "two callers, receipts of another message", slots: []Source{Sync, Sync}, faults: 1, horizon: 4, stolen: true},
		{name: "two callers who resend, receipts of another message", slots: []Source{Sync, Sync}, choice: Resend, faults: 1, horizon: 4, stolen: true},
		{name: "three callers", slots: []Source{Sync, Sync, Sync}, faults: 1, horizon: 4},
		{name: "a record twice", slots: []Source{Record, Record}, faults: 2, horizon: 6, forged: true},
		{name: "queued, caller, record", slots: []Source{Async, Sync, RecordByID}, faults: 1, horizon: 6},
		{name: "queued, record twice", slots: []Source{Async, RecordByID, RecordByID}, faults: 1, horizon: 5},
		{name: "caller, queued, record", slots: []Source{Sync, Async, RecordByID}, faults: 1, horizon: 5},
		{name: "two callers who resend", slots: []Source{Sync, Sync}, choice: Resend, faults: 2, horizon: 5, forged: true},
		{name: "a record twice that resends", slots: []Source{Record, Record}, choice: Resend, faults: 2, horizon: 5},
		{name: "caller, queued, record that resend", slots: []Source{Sync, Async, RecordByID}, choice: Resend, faults: 1, horizon: 4},
		{name: "a caller who may not send, and two callers", slots: []Source{Sync, Sync, Sync}, gated: []bool{true}, faults: 1, horizon: 4},
		{name: "a record that may not be sent, and a caller", slots: []Source{Record, Sync}, gated: []bool{true}, faults: 2, horizon: 5, forged: true},
		{name: "a record that may not be sent, and two callers", slots: []Source{Record, Sync, Sync}, gated: []bool{true}, horizon: 4},
		{name: "a record that may be sent, and then may not", slots: []Source{Record, Record}, gated: []bool{false, true}, faults: 2, horizon: 6},
		{name: "a record that may not be sent, and then may", slots: []Source{Record, Record}, gated: []bool{true, false}, faults: 2, horizon: 6},
		{name: "a record that may not be sent for now, and then may", slots: []Source{Record, Record}, gated: []bool{true}, notNow: true, faults: 2, horizon: 6},
		{name: "a record that may not be sent for now, and a caller", slots: []Source{Record, Sync}, gated: []bool{true}, notNow: true, faults: 2, horizon: 5, forged: true},
		{name: "queued, a caller who may not send, record", slots: []Source{Async, Sync, RecordByID}, gated: []bool{false, true}, faults: 1, horizon: 5},
		{name: "a caller who resends, and one who may not send", slots: []Source{Sync, Sync}, gated: []bool{false, true}, choice: Resend, faults: 2, horizon: 5},
		{name: "two callers and a canceller", slots: []Source{Sync, Sync, Cancel}, faults: 1, horizon: 3},
		{name: "queued, canceller, record", slots: []Source{Async, Cancel, RecordByID}, faults: 2, horizon: 4},
		{name: "queued, repeated, canceller", slots: []Source{Async, Async, Cancel}, faults: 1, horizon: 6},
		{name: "queued, two cancellers", slots: []Source{Async, Cancel, Cancel}, faults: 2, horizon: 3},
		{name: "a caller who resends, and a canceller", slots: []Source{Sync, Async, Cancel}, choice: Resend, horizon: 4},
		{name: "a record twice, and a canceller", slots: []Source{Record, Record, Cancel}, horizon: 4},
		{name: "scheduled, canceller, record", slots: []Source{Async, Cancel, RecordByID}, sendAt: 3, faults: 1, horizon: 6},
		{name: "scheduled, record twice", slots: []Source{Async, RecordByID, RecordByID}, sendAt: 3, faults: 1, horizon: 6},
		{name: "scheduled, repeated, record", slots: []Source{Async, Async, RecordByID}, sendAt: 3, faults: 1, horizon: 6},
		{name: "scheduled, canceller, record twice", slots: []Source{Async, Cancel, RecordByID, RecordByID}, sendAt: 3, horizon: 5},
		{name: "scheduled, repeated, record that resend", slots: []Source{Async, Async, RecordByID}, choice: Resend, sendAt: 3, faults: 1, horizon: 5},
		{name: "a record with a time, twice, and its own", slots: []Source{Record, Record, RecordByID}, sendAt: 3, faults: 1, horizon: 6},
		{name: "a record with a time, a canceller, and its own", slots: []Source{Record, Cancel, RecordByID}, sendAt: 3, faults: 1, horizon: 6},
		{name: "queued to wait, a caller, record", slots: []Source{Async, Sync, RecordByID}, waits: true, faults: 1, horizon: 5},
		{name: "a record that waits, twice", slots: []Source{Record, Record}, waits: true, faults: 2, horizon: 5},
		{name: "queued to wait, canceller, record", slots: []Source{Async, Cancel, RecordByID}, waits: true, faults: 1, horizon: 4},
		{name: "two callers before a free gate", slots: []Source{Sync, Sync}, free: true, faults: 1, horizon: 4},
		{name: "two callers who resend before a free gate", slots: []Source{Sync, Sync}, choice: Resend, free: true, faults: 1, horizon: 4},
		{name: "a record twice before a free gate", slots: []Source{Record, Record}, free: true, faults: 1, horizon: 4},
		{name: "queued, record twice before a free gate", slots: []Source{Async, RecordByID, RecordByID}, free: true, faults: 1, horizon: 4},
		{name: "queued, caller, record before a free gate", slots: []Source{Async, Sync, RecordByID}, free: true, faults: 1, horizon: 3},
		{name: "queued, record twice that resend before a free gate", slots: []Source{Async, RecordByID, RecordByID}, choice: Resend, free: true, horizon: 5},
		{name: "scheduled, canceller, record before a free gate", slots: []Source{Async, Cancel, RecordByID}, sendAt: 2, free: true, faults: 1, horizon: 4},
		{name: "two callers after two unknowns", slots: []Source{Sync, Sync}, choice: Resend, faults: 1, horizon: 4, seed: twoUnknown()},
	}
}

func twoUnknown() *Send {
	unknown := func() Attempt { return Attempt{Lease: start, Outcome: &Outcome{State: Unknown, At: start}} }
	return &Send{
		ID: modelID, V: 4, Fingerprint: "same",
		Attempts: map[string]Attempt{"seed0": unknown(), "seed1": unknown()},
	}
}
