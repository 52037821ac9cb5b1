package ledger

import (
	"fmt"
	"slices"
	"time"
)

// The model's clock ticks every 20 s. A process lives for 45 s, so it works in at most
// three ticks and its lease ends with the third one after its begin.
const (
	tick        = 20 * time.Second
	processLife = 45 * time.Second
	lastTick    = 2 // of a process, counted from its begin
	validity    = 30 * time.Second
	maxSlots    = 4
	modelID     = "msg_aaaaaaaaaaaaaaaaaaaaaaaaaa"
	forgedToken = "forged"
	forgedWamid = "wamid.forged"
	otherID     = "msg_bbbbbbbbbbbbbbbbbbbbbbbbbb"
	otherWamid  = "wamid.other" // of a message that is not under this key
)

var start = time.Unix(1_700_000_000, 0).UTC()

var tokens = [...]string{"slot0", "slot1", "slot2", "slot3", "seed0", "seed1", "after0"}

func at(n int) time.Time { return start.Add(time.Duration(n) * tick) }

// scenario is one small world: who visits one key, and what may go wrong.
type scenario struct {
	name    string
	slots   []Source
	gated   []bool // of the slots: it may not claim
	notNow  bool   // that holds for now only
	sendAt  int    // tick of the requests' NotBefore; 0: none
	waits   bool   // the message waits for a different one
	free    bool   // each time that the gate is asked it says anything: may, may not, the fallback
	choice  Choice
	faults  int // crashes, lost responses, delayed repeats and failed reads in total
	horizon int // ticks
	forged  bool
	stolen  bool
	seed    *Send // the row at the beginning
	ordered bool  // a slot begins only after the one before it
}

type stage uint8

const (
	idle stage = iota
	acting
	atGateway // the request has reached the Gateway, its response is open
	over
)

// firing is what became of the schedule: it may fire early, late, a second time, or never.
type firing uint8

const (
	unscheduled firing = iota
	scheduled
	firedOnce
	firedTwice
)

// slot is one visit in the model.
type slot struct {
	stage  stage
	began  int
	visit  Visit
	action Action
	// repeated: a response to the pending write was lost, the SDK writes again.
	repeated bool
	// tried: an earlier try of the pending write may still land, or has.
	tried bool
	// delayed is a first try of a write that has not landed yet, but still may.
	delayed *Write
	left    bool  // the message truly left
	instead bool  // what was posted is the fallback
	receipt bool  // its callback came
	faulted bool  // this visit's own reads or writes failed
	known   bool  // accepted was in the table when it began
	before  bool  // a message had left when it began
	state   State // of the row when it began
	claimed int   // rank of its claim among all claims
}

// world is one state of the model.
type world struct {
	sc       *scenario
	mut      *mutation
	now      int
	row      *Send
	slots    [maxSlots]slot
	faults   int // left
	forged   bool
	stolen   bool // the tokens of what has left came back under another message's id
	record   bool // a queue record exists that names the row
	bare     bool // a queue record exists that holds the message
	fired    firing
	ended    bool // the message that it waits for has left
	gone     bool // "cancelled" was returned
	promised bool // a caller or the queue was promised that it will be sent
	expired  bool // "expired" was returned
	excused  bool // something happened that makes an unknown outcome honest
	claims   int
	seeded   int // attempts of the seed, all of which left
	broken   string
}

func (w *world) breaks(format string, args ...any) {
	if w.broken == "" {
		w.broken = fmt.Sprintf(format, args...)
	}
}

func newWorld(sc *scenario, mut *mutation) world {
	w := world{sc: sc, mut: mut, faults: min(sc.faults, mostFaults), row: sc.seed}
	for _, s := range sc.slots {
		if s == Record {
			w.bare, w.promised = true, true
		}
	}
	if sc.seed != nil {
		w.seeded, w.excused = len(sc.seed.Attempts), true
	}
	return w
}

func (w *world) request(source Source, token string, began int) *Request {
	ends := at(began).Add(processLife)
	r := &Request{
		Source: source, ID: modelID, Token: token, RespondBy: ends, ProcessEnds: ends, Keyed: true,
		Fingerprint: "same", OnUnknown: w.sc.choice, ValidFor: validity, Sent: start,
	}
	if source == RecordByID {
		return r
	}
	r.Client = "crm"
	if source == Cancel {
		return r
	}
	if w.sc.sendAt > 0 {
		r.NotBefore = at(w.sc.sendAt)
	}
	if w.sc.waits && source != Sync { // a repeat that does not say it inherits it
		r.After = otherID
	}
	return r
}

// other is the row of the message to wait for: it exists once it has left.
func (w *world) other() *Send {
	if !w.ended {
		return nil
	}
	return &Send{ID: otherID, Client: "crm", V: 2, Attempts: map[string]Attempt{"other": {Outcome: &Outcome{State: Accepted}}}}
}

// verdicts are all that the gate may say to a slot.
func (w *world) verdicts(i int) []Verdict {
	no := Verdict{MayNot: &Outcome{HTTP: 409, Reason: "GATE"}}
	if w.gated(i) {
		return []Verdict{no}
	}
	return []Verdict{{}, no, {Instead: "GATE"}}
}

// statuses are what the table holds under the id.
func (w *world) statuses() []Status {
	var all []Status
	for i := range w.sc.slots {
		if w.slots[i].receipt {
			all = append(all, Status{Token: tokens[i], Status: "sent", Wamid: "wamid." + tokens[i], Time: start})
		}
	}
	for i := range w.sc.slots {
		if w.stolen && w.slots[i].left {
			all = append(all, Status{Token: tokens[i], Status: "read", Wamid: otherWamid, Time: start.Add(time.Second)})
		}
	}
	if w.forged {
		all = append(all, Status{Token: forgedToken, Status: "sent", Wamid: forgedWamid, Time: start})
	}
	return all
}

// known: the table proves that the message was accepted.
func (w *world) known() bool {
	if w.row != nil && w.row.Has(Accepted) {
		return true
	}
	for i := range w.slots {
		if w.slots[i].receipt {
			return true
		}
	}
	return false
}

// sent counts the messages that truly left.
func (w *world) sent() int {
	n := w.seeded
	for i := range w.slots {
		if w.slots[i].left {
			n++
		}
	}
	return n
}

func (w *world) gated(i int) bool { return i < len(w.sc.gated) && w.sc.gated[i] }

func (w *world) begin(i int) {
	s := &w.slots[i]
	s.stage, s.began, s.known = acting, w.now, w.known()
	s.before, s.state = w.sent() > 0, Fold(at(w.now), w.row, w.statuses()).State
	r := w.request(w.sc.slots[i], tokens[i], w.now)
	if w.gated(i) && w.sc.notNow {
		r.MayNotClaim = &Outcome{State: Released, HTTP: 409, Reason: "GATE"}
	} else if w.gated(i) || w.sc.free {
		r.Gate = map[string]string{"asked": "yes"}
	}
	v, a := Begin(r, at(w.now))
	s.visit = *v
	w.follow(i, a)
}

// step lets a visit move on and follows its next action.
func (w *world) step(i int, next func(v *Visit, now time.Time) Action) {
	v := w.slots[i].visit
	a := next(&v, at(w.now))
	w.slots[i].visit = v
	w.slots[i].stage = acting
	w.follow(i, a)
}

// land applies a write to the row, as the table does; a mutation may forget a clause.
func (w *world) land(i int, wr Write) Result {
	if w.mut != nil && w.mut.drop != "" && (w.mut.step == "" || w.mut.step == wr.Step) {
		var kept []Clause
		for _, c := range wr.If {
			if c.Kind != w.mut.drop {
				kept = append(kept, c)
			}
		}
		wr.If = kept
	}
	if w.mut != nil && w.mut.write != nil {
		wr = w.mut.write(w, i, wr)
	}
	next, err := Apply(w.row, wr)
	if err != nil {
		if wr.Step == Settle && !w.holds(wr) {
			w.breaks("the late truth of slot %d was refused", i)
		}
		return Result{Refused: true, Image: w.row}
	}
	switch wr.Step {
	case EndNew, EndSeen:
		if w.row != nil {
			for token, a := range w.row.Attempts {
				if token != tokens[i] && (a.Outcome == nil || a.Outcome.State != Released) {
					w.breaks("slot %d ended a row in which %s may have left", i, token)
				}
			}
		}
	case Claim0, Claim1, ClaimN:
		if v := &w.slots[i].visit; v.mayNot() != nil {
			w.breaks("slot %d claimed, and may not", i)
		} else if !v.asked && w.sc.free {
			w.breaks("slot %d claimed without asking", i)
		}
		if w.row != nil && w.row.Has(Rejected) {
			w.breaks("slot %d claimed over a rejected attempt", i)
		}
		w.claims++
		w.slots[i].claimed = w.claims
		if w.slots[i].stage == over || w.slots[i].visit.phase != phaseClaim {
			w.excused = true // it landed when its visit had given it up
		}
	case CancelSeen:
		if until := w.row.ValidUntil; !until.IsZero() && !wr.Set.Cancelled.At.Before(until) {
			w.breaks("slot %d cancels at or after valid_until", i)
		}
		for token, a := range w.row.Attempts {
			if a.Outcome == nil || a.Outcome.State != Released {
				w.breaks("slot %d cancelled a row in which %s may have left", i, token)
			}
		}
	case QueueN:
		if w.row != nil && (w.row.Has(Accepted) || w.row.Has(Rejected)) {
			w.breaks("slot %d queued a message again that was settled", i)
		}
	}
	w.row = next
	if wr.Step == Claim1 {
		return Result{Image: next}
	}
	return Result{}
}

// holds: the outcome is in the row already.
func (w *world) holds(wr Write) bool {
	if w.row == nil {
		return false
	}
	o := w.row.Attempts[wr.Set.Token].Outcome
	return o != nil && o.State == wr.Set.Outcome.State
}

// String is one line of a counterexample.
func (w *world) String() string {
	text := fmt.Sprintf("tick %d", w.now)
	if w.row != nil {
		text += fmt.Sprintf(" row v%d", w.row.V)
		for _, token := range w.row.tokens() {
			text += " " + token
			if o := w.row.Attempts[token].Outcome; o != nil {
				text += "=" + string(o.State)
			}
		}
	}
	for i, source := range w.sc.slots {
		s := &w.slots[i]
		text += fmt.Sprintf(" | %d source %d stage %d phase %d do %d %s %s%s", i, source, s.stage, s.visit.phase, s.action.Do,
			s.action.Write.Step, s.action.Response.Kind, s.action.Notes)
		if s.left {
			text += " left"
		}
		if s.receipt {
			text += " receipt"
		}
		if s.delayed != nil {
			text += " delayed " + string(s.delayed.Step)
		}
	}
	return text
}

// follow looks at what a visit wants to do, and ends it where it is over.
func (w *world) follow(i int, a Action) {
	s := &w.slots[i]
	if w.mut != nil && w.mut.action != nil {
		a = w.mut.action(w, i, a)
	}
	s.action, s.repeated, s.tried = a, false, false
	switch a.Do {
	case DoWrite:
		if a.Write.Step == ClaimN && w.row != nil && !w.row.ValidUntil.IsZero() && !at(w.now).Before(w.row.ValidUntil) {
			w.breaks("slot %d claims at or after valid_until", i)
		}
	case DoPost:
		w.checkPost(i)
	case DoRespond:
		s.stage = over
		w.checkAnswer(i, a.Response)
	case DoAcknowledge, DoLater:
		s.stage = over
		if s.known && !s.faulted && a.Do == DoLater {
			w.breaks("slot %d puts a record back whose message is known as accepted", i)
		}
		if slices.Contains(a.Notes, NoteGated) && (w.row == nil || !w.row.Has(Rejected)) {
			w.breaks("slot %d acknowledges a record that it has not ended", i)
		}
		if slices.Contains(a.Notes, NoteHeld) && !w.excused && !s.faulted {
			w.breaks("slot %d gives a record up, although nothing went wrong", i)
		}
		if slices.Contains(a.Notes, NoteScheduled) && w.fired == unscheduled && !w.record {
			w.breaks("slot %d acknowledges a record for which nothing stands", i)
		}
		switch {
		case a.Do != DoAcknowledge:
		case w.sc.slots[i] == Record:
			w.bare = false
		default:
			w.record = false
		}
	}
}

func (w *world) checkPost(i int) {
	s := &w.slots[i]
	s.instead = s.action.Send.Attempts[tokens[i]].Instead != ""
	if w.row != nil && s.instead != (w.row.Attempts[tokens[i]].Instead != "") {
		w.breaks("slot %d posts another body than its attempt names", i)
	}
	if s.instead != (s.visit.verdict.Instead != "") {
		w.breaks("slot %d posts another body than the gate said", i)
	}
	if w.expired {
		w.breaks("slot %d posts after expired was returned", i)
	}
	if w.gone {
		w.breaks("slot %d posts after cancelled was returned", i)
	}
	if w.now < w.sc.sendAt {
		w.breaks("slot %d posts before its time", i)
	}
	if w.row.After != "" && !w.ended {
		w.breaks("slot %d posts before the message that it waits for", i)
	}
	if w.slots[i].known {
		w.breaks("slot %d posts what was known as accepted when it began", i)
	}
	for j := range w.slots {
		o := &w.slots[j]
		if j != i && (o.stage == atGateway || o.stage == acting && o.action.Do == DoPost) {
			w.breaks("slots %d and %d are both at work", i, j)
		}
	}
}

func (w *world) checkSent() {
	n := w.sent()
	if w.sc.choice != Resend && n > 1 {
		w.breaks("%d messages left in hold", n)
	}
	if n > MaxMaybeSent {
		w.breaks("%d messages left with resend", n)
	}
}

func (w *world) checkAnswer(i int, a Response) {
	s := &w.slots[i]
	stored := a.Kind == Stored && a.Outcome.State == Accepted
	if s.known && !s.faulted && !stored && w.sc.slots[i] != Cancel {
		w.breaks("slot %d is returned %q, although accepted was known", i, a.Kind)
	}
	if o := a.Outcome; (a.Kind == Own || stored) && o.State == Accepted {
		for j := range w.slots {
			if w.slots[j].left && o.Wamid == "wamid."+tokens[j] && w.slots[j].instead != (o.Instead != "") {
				w.breaks("slot %d is returned that the other body left", i)
			}
		}
	}
	switch a.Kind {
	case Stored:
		if stored && !w.truly(a.Outcome.Wamid) {
			w.breaks("slot %d is returned a message that nobody sent: %s", i, a.Outcome.Wamid)
		}
	case Own, NoTime:
		if a.Kind == Own && a.Outcome.State == Accepted {
			break
		}
		for j := range w.slots {
			if o := &w.slots[j]; j != i && o.left && o.claimed < s.claimed {
				w.breaks("slot %d is returned a failure over a message that left", i)
			}
		}
		if w.seeded > 0 {
			w.breaks("slot %d is returned a failure over a message that may have left", i)
		}
	case TableFailed, QueueFailed:
		if s.left {
			w.breaks("slot %d is returned that nothing was sent", i)
		}
	case Uncertain:
		if !w.excused && !s.faulted {
			w.breaks("slot %d is returned that nobody knows, although nothing went wrong", i)
		}
	case Gated:
		if s.before {
			w.breaks("slot %d is returned that nothing was sent, over a message that left", i)
		}
		if s.state == Queued || s.state == Rejected || s.state == Expired {
			w.breaks("slot %d is returned that nothing was sent, over a row that was %s", i, s.state)
		}
	case KeyReused:
		w.breaks("slot %d is returned a different request", i)
	case Late:
		w.expired = true
	case Accepted202:
		w.promised = true
		if s.state == Cancelled {
			w.breaks("slot %d is promised a message that was cancelled", i)
		}
	case Withdrawn:
		w.gone = true
	case CancelDone:
		w.gone = true
		if w.sent() > 0 {
			w.breaks("slot %d is returned cancelled, over a message that left", i)
		}
		if w.row == nil || w.row.Cancelled == nil {
			w.breaks("slot %d is returned cancelled, over a row that is not", i)
		}
	case CancelTooLate:
		if s.state == Cancelled {
			w.breaks("slot %d is returned that it is too late, over a row that is cancelled", i)
		}
	case NoSuch:
		if s.state != None {
			w.breaks("slot %d is returned that none exists, over a row", i)
		}
	}
}

// checkReceipts: what a look-up shows of a message that is known is that message's.
func (w *world) checkReceipts() {
	if !w.stolen || w.row == nil {
		return
	}
	statuses := w.statuses()
	if w.mut != nil && w.mut.statuses != nil {
		statuses = w.mut.statuses(w, 0, statuses)
	}
	f := Fold(at(w.now), w.row, statuses)
	for _, r := range f.Receipts {
		i := slices.Index(tokens[:], r.Token)
		o := w.row.Attempts[r.Token].Outcome
		known := o != nil && o.State == Accepted || i < maxSlots && w.slots[i].receipt
		if r.Status == "read" && known {
			w.breaks("a receipt of another message counts for %s", r.Token)
		}
	}
	if w.known() && w.sc.choice != Resend && len(f.Wamids) != 1 {
		w.breaks("a message has the ids %q", f.Wamids)
	}
}

// checkUnsettled: the index has what waits, under its time, and each unknown send of which somebody
// wrote that; and it loses what is known to have left or ended.
func (w *world) checkUnsettled() {
	if w.row == nil || w.row.Client == "" {
		return
	}
	from, now := w.row.Unsettled, at(w.now)
	switch state := Fold(now, w.row, w.statuses()).State; {
	case state == Scheduled && !from.After(now):
		w.breaks("a scheduled message is not in the index")
	case state == Queued && (from.IsZero() || from.After(now)):
		w.breaks("a queued message is not in the index")
	case state == Unknown && w.row.Has(Unknown) && (from.IsZero() || from.After(now)):
		w.breaks("an unknown message is not in the index")
	case (state == Cancelled || w.row.Has(Accepted) || state == Rejected) && !from.IsZero() && !w.excused:
		w.breaks("a message that is %s is still in the index", state)
	}
}

func (w *world) truly(wamid string) bool {
	if w.stolen && wamid == otherWamid {
		return w.sent() > 0 // of what was sent without a returned id nothing better is known
	}
	for i := range w.slots {
		if w.slots[i].left && wamid == "wamid."+tokens[i] {
			return true
		}
	}
	return false
}

func result(state State, token string) Outcome {
	o := Outcome{State: state}
	if state == Accepted {
		o.HTTP, o.Wamid = 200, "wamid."+token
	}
	return o
}
