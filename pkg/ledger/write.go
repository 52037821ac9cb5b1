package ledger

import (
	"cmp"
	"time"
)

// Step names a write. Each step has its own condition, so that two visits never both succeed at
// what only one of them may do.
type Step string

const (
	// Queue0 makes the row of a new key, queued and without an attempt. It requires that there is
	// no row.
	Queue0 Step = "queue0"
	// Claim0 makes the row of a new key with its first attempt: from here on this visit alone may
	// post the message. It requires that there is no row.
	Claim0 Step = "claim0"
	// Claim1 adds the first attempt to a row that was queued. It requires that the row was never
	// written since, that the message is still valid and its time has come, and that it waits for no
	// other message.
	Claim1 Step = "claim1"
	// ClaimN adds a further attempt to a row whose attempts allow one, as a visit has read it. It
	// requires that the row has not been written since.
	ClaimN Step = "claimN"
	// QueueN queues a row again, as a visit has read it, with a new validity and time. It requires that the
	// row has not been written since.
	QueueN Step = "queueN"
	// Settle writes the outcome of the visit's own attempt. It requires only that this attempt has
	// none.
	Settle Step = "outcome"
	// VoidOwn withdraws a claim whose write had no response, and for which nothing was posted: its
	// attempt, if it is there, becomes Released.
	VoidOwn Step = "void"
	// EndNew makes the row of a record that may not be sent, rejected from the start. It requires
	// that there is no row.
	EndNew Step = "end0"
	// EndSeen rejects a row as a visit has read it, queued or released, whose record may not be
	// sent. It requires that the row has not been written since.
	EndSeen Step = "endN"
	// CancelSeen cancels a row as a visit has read it, queued, scheduled or released. It requires
	// that the row has not been written since, so that a claim and a cancellation never both land.
	CancelSeen Step = "cancel"
	// RefuseRecord makes the row of a queue record that can never be sent; no visit writes it. See
	// Refused.
	RefuseRecord Step = "refuse"
)

// ClauseKind is one kind of condition.
type ClauseKind string

const (
	// RowAbsent: attribute_not_exists(pk).
	RowAbsent ClauseKind = "row absent"
	// VersionIs: v = Clause.V. A row that does not exist fails it.
	VersionIs ClauseKind = "version is"
	// ValidAfter: valid_until > Clause.Time. A row without valid_until fails it.
	ValidAfter ClauseKind = "valid after"
	// DueBy: not_before <= Clause.Time. A row without not_before is due.
	DueBy ClauseKind = "due by"
	// AfterAbsent: attribute_not_exists(after).
	AfterAbsent ClauseKind = "after absent"
	// Ungated: attribute_not_exists(gate).
	Ungated ClauseKind = "ungated"
	// AttemptOpen: attempts.<Clause.Token> exists and has no outcome.
	AttemptOpen ClauseKind = "attempt open"
)

// Clause is one condition of a write; the field that its kind names is set.
type Clause struct {
	Kind  ClauseKind
	V     int64
	Time  time.Time
	Token string
}

// Holds reports whether the clause is true of an image; nil stands for a row that does not exist.
func (c Clause) Holds(row *Send) bool {
	if row == nil || c.Kind == RowAbsent {
		return row == nil && c.Kind == RowAbsent
	}
	switch c.Kind {
	case VersionIs:
		return row.V == c.V
	case ValidAfter:
		return row.ValidUntil.After(c.Time)
	case DueBy:
		return !row.NotBefore.After(c.Time)
	case AfterAbsent:
		return row.After == ""
	case Ungated:
		return len(row.Gate) == 0
	case AttemptOpen:
		a, ok := row.Attempts[c.Token]
		return ok && a.Outcome == nil
	default:
		return false
	}
}

// Write is one conditional write of a row. All clauses of If must hold, and the old
// image is asked for when they do not. Either Put is the whole new row, or Set
// changes the existing row and raises v by one.
type Write struct {
	Step Step
	ID   string
	If   []Clause
	Put  *Send
	Set  Update
}

// Update says what a write sets; what is zero stays as it is.
type Update struct {
	// Token and Lease add an attempt. With Outcome, Token names the attempt that gets it; with all
	// three, the attempt is over from the start.
	Token   string
	Lease   time.Time
	Outcome *Outcome
	// Instead and Seen are those of the attempt that is added.
	Instead Reason
	Seen    map[string]string
	// Wamid is set only if the row has none yet.
	Wamid string
	// Drop removes attempts.
	Drop []string
	// ValidUntil, OnUnknown, NotBefore and Gate are set together; of the last two what is empty is
	// removed.
	ValidUntil time.Time
	OnUnknown  Choice
	NotBefore  time.Time
	Gate       map[string]string
	After      string
	Cancelled  *Cancellation
	// Unsettled, with the row's Client, puts the row into the index of unsettled sends; Settled removes
	// it from there.
	Unsettled time.Time
	Client    string
	Settled   bool
	// ClaimedAt puts the row into the timeline: its keys are set, at this time.
	ClaimedAt time.Time
	// Renew sets ExpiresAt, or removes it where ExpiresAt is zero (kept for ever).
	Renew     bool
	ExpiresAt time.Time
}

// ConditionError says that a clause did not hold. Old is the image at that moment,
// nil if there is no row.
type ConditionError struct {
	Step Step
	Old  *Send
}

func (e *ConditionError) Error() string {
	return "ledger: condition of " + string(e.Step) + " does not hold"
}

// Apply is what a Write means: the new image of a row, where nil stands for a row that does not
// exist, or a *ConditionError. The table does the same in one request.
func Apply(row *Send, w Write) (*Send, error) {
	for _, clause := range w.If {
		if !clause.Holds(row) {
			return nil, &ConditionError{Step: w.Step, Old: row}
		}
	}
	if w.Put != nil {
		return w.Put.clone(), nil
	}
	if row == nil {
		// A DynamoDB update of a missing item creates it; only a condition prevents that.
		row = &Send{ID: w.ID}
	}
	next, set := row.clone(), w.Set
	next.V++
	for _, token := range set.Drop {
		delete(next.Attempts, token)
	}
	switch {
	case set.Outcome != nil:
		a := next.Attempts[set.Token]
		if !set.Lease.IsZero() {
			a.Lease, a.Seen = set.Lease, set.Seen
		}
		a.Outcome = set.Outcome
		next.Attempts[set.Token] = a
	case set.Token != "":
		next.Attempts[set.Token] = Attempt{Lease: set.Lease, Instead: set.Instead, Seen: set.Seen}
	}
	next.Wamid = cmp.Or(next.Wamid, set.Wamid)
	if !set.ValidUntil.IsZero() {
		next.ValidUntil, next.OnUnknown, next.NotBefore, next.Gate = set.ValidUntil, set.OnUnknown, set.NotBefore, set.Gate
	}
	if set.After != "" {
		next.After = set.After
	}
	if set.Cancelled != nil {
		next.Cancelled = set.Cancelled
	}
	if !set.Unsettled.IsZero() || set.Settled {
		next.Unsettled = set.Unsettled
	}
	if !set.ClaimedAt.IsZero() {
		next.ClaimedAt = set.ClaimedAt
	}
	if set.Renew {
		next.ExpiresAt = set.ExpiresAt
	}
	return next, nil
}

func (r *Request) queue0(now time.Time) Write {
	row := r.row(now)
	row.ValidUntil, row.OnUnknown, row.Gate = r.validUntil(now), r.choice(), r.Gate
	return Write{Step: Queue0, ID: r.ID, If: []Clause{{Kind: RowAbsent}}, Put: row}
}

func (r *Request) claim0(now time.Time, gate Verdict) Write {
	row := r.row(now)
	row.V, row.ClaimedAt = 1, now
	row.Attempts[r.Token] = Attempt{Lease: r.lease(), Instead: gate.Instead, Seen: gate.Seen}
	if r.Source.IsRecord() {
		row.ValidUntil, row.OnUnknown = r.validUntil(now), r.choice()
	}
	return Write{Step: Claim0, ID: r.ID, If: []Clause{{Kind: RowAbsent}}, Put: row}
}

func (r *Request) row(now time.Time) *Send {
	return &Send{
		ID: r.ID, Fingerprint: r.Fingerprint, Client: r.Client, RequestID: r.RequestID, Sender: r.Sender, Payload: r.Payload, Fallback: r.Fallback,
		IsFake: r.IsFake, MMLite: r.MMLite, NotBefore: r.NotBefore, After: r.After, Attempts: map[string]Attempt{}, ExpiresAt: expiry(now, r.NotBefore, r.RetentionDays),
	}
}

func (r *Request) claim1(now time.Time) Write {
	return Write{
		Step: Claim1, ID: r.ID,
		If:  []Clause{{Kind: VersionIs, V: 0}, {Kind: ValidAfter, Time: now}, {Kind: DueBy, Time: now}, {Kind: AfterAbsent}, {Kind: Ungated}},
		Set: Update{Token: r.Token, Lease: r.lease(), ClaimedAt: now, Renew: true, ExpiresAt: expiry(now, now, r.RetentionDays)},
	}
}

// claimN is conditioned on v, never on a flag that a release clears: a late repeat of
// the release would free a different owner's claim.
func (r *Request) claimN(now time.Time, seen *Send, gate Verdict) Write {
	set := Update{
		Token: r.Token, Lease: r.lease(), Instead: gate.Instead, Seen: gate.Seen,
		Drop: seen.surplus(), Renew: true, ExpiresAt: expiry(now, now, r.RetentionDays),
	}
	if seen.ClaimedAt.IsZero() {
		set.ClaimedAt = now
	}
	return Write{Step: ClaimN, ID: r.ID, If: []Clause{{Kind: VersionIs, V: seen.V}}, Set: set}
}

// queueN renews the row's life as well: it must outlive the validity that it grants.
func (r *Request) queueN(now time.Time, seen *Send) Write {
	return Write{
		Step: QueueN, ID: r.ID, If: []Clause{{Kind: VersionIs, V: seen.V}},
		Set: Update{
			ValidUntil: r.validUntil(now), OnUnknown: r.choice(), NotBefore: r.NotBefore, Gate: r.Gate, After: r.After,
			Renew: true, ExpiresAt: expiry(now, r.NotBefore, r.RetentionDays),
		},
	}
}

func (r *Request) cancel(now time.Time, seen *Send) Write {
	by := r.Client
	if r.Operator {
		by = Operator
	}
	return Write{
		Step: CancelSeen, ID: r.ID, If: []Clause{{Kind: VersionIs, V: seen.V}},
		Set: Update{Cancelled: &Cancellation{By: by, At: now}, Renew: true, ExpiresAt: expiry(now, seen.NotBefore, r.RetentionDays)},
	}
}

// outcome has its own attempt as its only condition, so that a late truth is never refused.
func (r *Request) outcome(step Step, o Outcome) Write {
	w := Write{Step: step, ID: r.ID, If: []Clause{{Kind: AttemptOpen, Token: r.Token}}, Set: Update{Token: r.Token, Outcome: &o}}
	if o.State == Accepted {
		w.Set.Wamid = o.Wamid
	}
	return w
}

// end0 and endN reject what may not be claimed, so that its record needs no further visit.
func (r *Request) end0(now time.Time, gate Verdict) Write {
	w := Refused(r, now, *gate.MayNot)
	w.Step = EndNew
	a := w.Put.Attempts[r.Token]
	a.Seen = gate.Seen
	w.Put.Attempts[r.Token] = a
	return w
}

func (r *Request) endN(now time.Time, seen *Send, gate Verdict) Write {
	o := *gate.MayNot
	o.State, o.At = Rejected, now
	return Write{
		Step: EndSeen, ID: r.ID, If: []Clause{{Kind: VersionIs, V: seen.V}},
		Set: Update{Token: r.Token, Lease: now, Outcome: &o, Seen: gate.Seen, Renew: true, ExpiresAt: expiry(now, seen.NotBefore, r.RetentionDays)},
	}
}

// Refused is the write of a queue record that was refused before any claim: a row of its own,
// rejected from the start. The row is never claimed; a redelivery finds it.
func Refused(r *Request, now time.Time, o Outcome) Write {
	row := r.row(now)
	o.State, o.At = Rejected, now
	row.V = 1
	row.Attempts[r.Token] = Attempt{Lease: now, Outcome: &o}
	return Write{Step: RefuseRecord, ID: r.ID, If: []Clause{{Kind: RowAbsent}}, Put: row}
}
