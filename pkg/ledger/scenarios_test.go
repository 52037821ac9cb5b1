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
