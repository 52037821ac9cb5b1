package ledger

import (
	"hash/maphash"
	"slices"
	"strings"
	"testing"
	"time"
)

// search visits every state that can be reached, each once, and stops at the first
// one that breaks a property.
type search struct {
	seen   map[[2]uint64]struct{}
	seeds  [2]maphash.Seed
	buf    []byte
	states int
	found  string
	trace  []string // the way to what was found, last state first
}

func explore(sc *scenario, mut *mutation) *search {
	s := &search{seen: map[[2]uint64]struct{}{}, seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}}
	w := newWorld(sc, mut)
	s.visit(&w)
	return s
}

func (s *search) visit(w *world) {
	if s.found != "" {
		return
	}
	defer func() {
		if s.found != "" {
			s.trace = append(s.trace, w.String())
		}
	}()
	// What broke on the way here breaks whether or not the state is new.
	if s.breaks(w) {
		return
	}
	s.buf = w.encode(s.buf[:0])
	if !s.first(s.buf) {
		return
	}
	w.checkReceipts()
	w.checkUnsettled()
	if s.breaks(w) {
		return
	}
	s.states++
	w.next(s.visit)
	if s.found == "" && w.quiet() && s.first(w.encodeEnd(s.buf[:0])) {
		s.found = w.checkEnd()
		if w.mut != nil && !strings.Contains(s.found, w.mut.breaks) {
			s.found = ""
		}
	}
}

// breaks reports whether a world breaks a property, of a mutation's the one that it is to break.
func (s *search) breaks(w *world) bool {
	if w.mut != nil && !strings.Contains(w.broken, w.mut.breaks) {
		w.broken = ""
	}
	s.found = w.broken
	return s.found != ""
}

// first reports whether a state is new.
func (s *search) first(encoded []byte) bool {
	key := [2]uint64{maphash.Bytes(s.seeds[0], encoded), maphash.Bytes(s.seeds[1], encoded)}
	_, old := s.seen[key]
	s.seen[key] = struct{}{}
	return !old
}

// next calls yield with every state that may follow.
func (w *world) next(yield func(*world)) {
	if w.now < w.sc.horizon && w.begun() {
		w.tick(yield)
	}
	for i := range w.sc.slots {
		s := &w.slots[i]
		if s.delayed != nil {
			n := *w
			n.slots[i].delayed = nil
			n.land(i, *s.delayed)
			yield(&n)
		}
		if s.left && !s.receipt {
			n := *w
			n.slots[i].receipt = true
			yield(&n)
		}
		switch s.stage {
		case idle:
			if w.mayBegin(i) {
				n := *w
				n.begin(i)
				yield(&n)
			}
		case acting:
			w.act(i, yield)
			w.crash(i, yield)
		case atGateway:
			w.gatewayAnswers(i, yield)
			w.crash(i, yield)
		}
	}
	if w.fired == scheduled || w.fired == firedOnce {
		n := *w
		n.fired++
		n.record = true
		yield(&n)
	}
	if w.sc.waits && !w.ended {
		n := *w
		n.ended = true
		yield(&n)
	}
	if w.sc.stolen && !w.stolen && w.sent() > 0 {
		n := *w
		n.stolen = true
		yield(&n)
	}
	if w.sc.forged && !w.forged {
		n := *w
		n.forged = true
		yield(&n)
	}
}

// begun: before the first visit, time matters to no one but a record, which grows old.
func (w *world) begun() bool {
	for i := range w.sc.slots {
		if w.slots[i].stage != idle || w.sc.slots[i] == Record {
			return true
		}
	}
	return false
}

func (w *world) mayBegin(i int) bool {
	if w.sc.ordered && i > 0 && w.slots[i-1].stage == idle {
		return false
	}
	if i > 0 && w.sc.slots[i-1] == w.sc.slots[i] && w.gated(i-1) == w.gated(i) && w.slots[i-1].stage == idle {
		return false // equal visits are interchangeable: the first one begins first
	}
	switch w.sc.slots[i] {
	case RecordByID:
		return w.record
	case Record:
		return w.bare
	}
	return true
}

// tick moves the clock. A process at its end is killed, and of its writes none is
// under way any more: that is what the lease's margin is for.
func (w *world) tick(yield func(*world)) {
	n := *w
	n.now++
	for i := range n.sc.slots {
		s := &n.slots[i]
		if n.now-s.began <= lastTick {
			continue
		}
		s.delayed = nil
		if s.stage == acting || s.stage == atGateway {
			if n.faults == 0 {
				return
			}
			n.faults--
			n.excused = true
			s.stage = over
		}
	}
	yield(&n)
}

// fault yields a state in which one more thing went wrong for a slot.
func (w *world) fault(i int, yield func(*world), wrong func(*world)) {
	if w.faults == 0 {
		return
	}
	n := *w
	n.faults--
	n.slots[i].faulted = true
	wrong(&n)
	yield(&n)
}

func (w *world) crash(i int, yield func(*world)) {
	w.fault(i, yield, func(n *world) { n.excused, n.slots[i].stage = true, over })
}

func (w *world) act(i int, yield func(*world)) {
	s := &w.slots[i]
	switch s.action.Do {
	case DoWrite:
		w.actWrite(i, yield)
	case DoGate:
		for _, verdict := range w.verdicts(i) {
			n := *w
			n.step(i, func(v *Visit, now time.Time) Action { return v.Checked(now, verdict, true) })
			yield(&n)
		}
		w.fault(i, yield, func(n *world) {
			n.step(i, func(v *Visit, now time.Time) Action { return v.Checked(now, Verdict{}, false) })
		})
	case DoRead:
		n := *w
		n.step(i, func(v *Visit, now time.Time) Action {
			if n.mut != nil && n.mut.blind {
				return v.Read(now, nil, nil, true)
			}
			row := n.row
			if n.mut != nil && n.mut.image != nil && row != nil {
				row = n.mut.image(&n, i, row.clone())
			}
			return v.Read(now, row, n.statuses(), true)
		})
		yield(&n)
		w.fault(i, yield, func(n *world) {
			n.step(i, func(v *Visit, now time.Time) Action { return v.Read(now, nil, nil, false) })
		})
	case DoQuery:
		n := *w
		statuses := n.statuses()
		if n.mut != nil && n.mut.statuses != nil {
			statuses = n.mut.statuses(&n, i, statuses)
		}
		n.step(i, func(v *Visit, now time.Time) Action {
			if n.mut != nil && n.mut.lateClock {
				v.clock = now
			}
			return v.Queried(now, statuses, true)
		})
		yield(&n)
		w.fault(i, yield, func(n *world) {
			n.step(i, func(v *Visit, now time.Time) Action { return v.Queried(now, nil, false) })
		})
	case DoReadAfter:
		n := *w
		other := n.other()
		if n.mut != nil && n.mut.after != nil {
			other = n.mut.after(other)
		}
		n.step(i, func(v *Visit, now time.Time) Action { return v.After(now, other, nil, true) })
		yield(&n)
		w.fault(i, yield, func(n *world) {
			n.step(i, func(v *Visit, now time.Time) Action { return v.After(now, nil, nil, false) })
		})
	case DoPost:
		for _, left := range []bool{true, false} {
			n := *w
			n.slots[i].stage, n.slots[i].left = atGateway, left
			n.checkSent()
			yield(&n)
		}
	case DoEnqueue:
		at := s.action.At
		for _, landed := range []bool{true, false} {
			w.fault(i, yield, func(n *world) {
				if landed {
					n.wait(at)
				}
				n.step(i, func(v *Visit, _ time.Time) Action { return v.Enqueued(false) })
			})
		}
		n := *w
		n.wait(at)
		n.step(i, func(v *Visit, _ time.Time) Action { return v.Enqueued(true) })
		yield(&n)
	}
}

// wait puts the id on the queue, or makes the schedule that does; one that stands stays.
func (w *world) wait(at time.Time) {
	switch {
	case at.IsZero():
		w.record = true
	case w.fired != scheduled:
		w.fired = scheduled
	}
}

func (w *world) actWrite(i int, yield func(*world)) {
	s := &w.slots[i]
	wr := s.action.Write
	if wr.Step == VoidOwn && w.mut != nil && w.mut.noVoid {
		n := *w
		n.wrote(i, Result{})
		yield(&n)
		return
	}
	n := *w
	n.wrote(i, n.land(i, wr))
	yield(&n)
	lost := func(n *world) {
		if wr.Step == VoidOwn || wr.Step == Settle {
			n.excused = true
		}
		n.wrote(i, Result{Lost: true})
	}
	w.fault(i, yield, lost)
	w.fault(i, yield, func(n *world) {
		n.land(i, wr)
		lost(n)
	})
	if !s.repeated && !s.tried {
		// Every try was refused, as by throttling.
		w.fault(i, yield, func(n *world) {
			if wr.Step == VoidOwn || wr.Step == Settle {
				n.excused = true
			}
			n.wrote(i, Result{Missed: true})
		})
	}
	if !s.repeated {
		// It landed, its response was lost, the SDK repeats it.
		w.fault(i, yield, func(n *world) {
			n.land(i, wr)
			n.slots[i].repeated = true
		})
	}
	if s.delayed == nil {
		// It is still under way when the SDK repeats it, or when it is given up.
		delayed := wr
		w.fault(i, yield, func(n *world) { n.slots[i].delayed, n.slots[i].tried = &delayed, true })
		w.fault(i, yield, func(n *world) {
			n.slots[i].delayed, n.slots[i].tried = &delayed, true
			lost(n)
		})
	}
}

func (w *world) wrote(i int, r Result) {
	if w.mut != nil && w.mut.image != nil && r.Refused && r.Image != nil {
		r.Image = w.mut.image(w, i, r.Image.clone())
	}
	w.step(i, func(v *Visit, now time.Time) Action { return v.Wrote(now, r) })
}

func (w *world) gatewayAnswers(i int, yield func(*world)) {
	states := []State{Rejected, Released, Unknown}
	if w.slots[i].left {
		states = []State{Accepted, Unknown}
		// The Gateway says that WhatsApp refused, and a callback says otherwise.
		w.fault(i, yield, func(n *world) { n.posted(i, Rejected) })
	}
	for _, state := range states {
		n := *w
		if state == Unknown {
			n.excused = true
		}
		n.posted(i, state)
		yield(&n)
	}
}

func (w *world) posted(i int, state State) {
	w.step(i, func(v *Visit, now time.Time) Action { return v.Posted(now, result(state, tokens[i]), 0) })
}

// quiet: nobody is at work and nothing is under way.
func (w *world) quiet() bool {
	for i := range w.slots {
		if s := &w.slots[i]; s.stage == acting || s.stage == atGateway || s.delayed != nil {
			return false
		}
	}
	return true
}

func TestNoInterleavingBreaksThePromises(t *testing.T) {
	if testing.Short() {
		t.Skip("not with -short: the search lasts minutes under the race detector, and has nothing to race")
	}
	for _, sc := range scenarios() {
		t.Run(sc.name, func(t *testing.T) {
			t.Parallel()
			s := explore(&sc, nil)
			t.Logf("%d states", s.states)
			if s.found != "" {
				slices.Reverse(s.trace)
				t.Errorf("%s\n%s", s.found, strings.Join(s.trace, "\n"))
			}
		})
	}
}
