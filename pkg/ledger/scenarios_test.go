package ledger

func scenarios() []scenario {
	return []scenario{
		{name: "two callers", slots: []Source{HTTP, HTTP}, faults: 2, horizon: 5, forged: true},
		{name: "two callers, receipts of another message", slots: []Source{HTTP, HTTP}, faults: 1, horizon: 4, stolen: true},
		{name: "two callers who resend, receipts of another message", slots: []Source{HTTP, HTTP}, choice: Resend, faults: 1, horizon: 4, stolen: true},
		{name: "three callers", slots: []Source{HTTP, HTTP, HTTP}, faults: 1, horizon: 4},
		{name: "a record twice", slots: []Source{Bare, Bare}, faults: 2, horizon: 6, forged: true},
		{name: "queued, caller, record", slots: []Source{Async, HTTP, ByID}, faults: 1, horizon: 6},
		{name: "queued, record twice", slots: []Source{Async, ByID, ByID}, faults: 1, horizon: 5},
		{name: "caller, queued, record", slots: []Source{HTTP, Async, ByID}, faults: 1, horizon: 5},
		{name: "two callers who resend", slots: []Source{HTTP, HTTP}, choice: Resend, faults: 2, horizon: 5, forged: true},
		{name: "a record twice that resends", slots: []Source{Bare, Bare}, choice: Resend, faults: 2, horizon: 5},
		{name: "caller, queued, record that resend", slots: []Source{HTTP, Async, ByID}, choice: Resend, faults: 1, horizon: 4},
		{name: "two callers after two unknowns", slots: []Source{HTTP, HTTP}, choice: Resend, faults: 1, horizon: 4, seed: twoUnknown()},
	}
}

func twoUnknown() *Send {
	unknown := func() Attempt { return Attempt{Lease: start, Outcome: &Outcome{State: Unknown, At: start}} }
	return &Send{
		ID: modelID, V: 4, Fingerprint: "same",
		Attempts: map[string]Attempt{"seed0": unknown(), "seed1": unknown()},
	}
}
