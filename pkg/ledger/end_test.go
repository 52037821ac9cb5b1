package ledger

import (
	"fmt"
	"time"
)

// checkEnd looks at a world in which nobody is at work: what is there must be
// explained, and each later caller must be brought to an end.
func (w *world) checkEnd() string {
	now := at(w.now)
	f := Fold(now, w.row, w.statuses())
	if w.promised && !w.record && !w.bare && w.fired != scheduled && !w.expired {
		switch f.State {
		case None, Released:
			return fmt.Sprintf("a promised message is %s and no record is left", f.State)
		case Queued, Scheduled:
			if now.Before(w.row.ValidUntil) {
				return "a promised message waits and no record is left"
			}
		}
	}
	far := now.Add(time.Hour)
	f = Fold(far, w.row, w.statuses())
	if f.State == Unknown && !w.excused {
		return "the outcome is unknown although nothing went wrong"
	}
	if w.gone && f.State != Cancelled {
		return fmt.Sprintf("a message is %s after cancelled was returned", f.State)
	}
	if f.State == InFlight {
		return "in flight for ever"
	}
	if f.State == Accepted && !w.truly(f.Outcome.Wamid) {
		return "accepted, but nobody sent it: " + f.Outcome.Wamid
	}
	if problem := w.visitAlone(Sync, far); problem != "" {
		return problem
	}
	if w.record || w.fired == scheduled {
		if problem := w.visitAlone(RecordByID, now); problem != "" {
			return problem
		}
	}
	if w.bare {
		return w.visitAlone(Record, now)
	}
	return ""
}

// visitAlone lets one visit after the other come, without a fault, until the caller has
// a response that is not "busy", or the record is acknowledged.
func (w *world) visitAlone(source Source, now time.Time) string {
	row, statuses := w.row, w.statuses()
	for range 12 {
		r := w.request(source, tokens[len(tokens)-1], 0)
		r.RespondBy, r.ProcessEnds = now.Add(processLife), now.Add(processLife)
		v, a := Begin(r, now)
		for a.Do < DoRespond {
			switch a.Do {
			case DoWrite:
				next, err := Apply(row, a.Write)
				if err != nil {
					a = v.Wrote(now, Result{Refused: true, Image: row})
					continue
				}
				row = next
				a = v.Wrote(now, Result{Image: next})
			case DoGate:
				a = v.Checked(now, Verdict{}, true)
			case DoQuery:
				a = v.Queried(now, statuses, true)
			case DoReadAfter:
				a = v.After(now, w.other(), nil, true)
			case DoEnqueue:
				a = v.Enqueued(true)
			case DoPost:
				if w.gone {
					return "a later visit sends what was cancelled"
				}
				if now.Before(at(w.sc.sendAt)) {
					return "a later visit sends before its time"
				}
				if w.sc.choice != Resend && w.sent() > 0 {
					return "a later visit sends it again"
				}
				if w.expired {
					return "a later visit sends what was returned as expired"
				}
				a = v.Posted(now, result(Accepted, r.Token), 0)
			default:
				return "unexpected action"
			}
		}
		if a.Do == DoAcknowledge || a.Do == DoRespond && a.Response.Kind != Busy {
			return ""
		}
		least := time.Second
		if w.sc.waits {
			least = tick / 2 // it may wait until its validity ends
		}
		now = now.Add(max(a.Delay, a.Response.RetryAfter, least))
	}
	return "never brought to an end"
}

// encode writes down everything that the future of a world depends on.
func (w *world) encode(b []byte) []byte {
	b = append(b, byte(w.now), byte(w.faults), flags(w.forged, w.record, w.promised, w.expired, w.excused, w.stolen), w.later())
	b = encodeRow(b, w.row)
	for i := range w.sc.slots {
		s := &w.slots[i]
		b = append(b, byte(s.stage), flags(s.left, s.receipt))
		if s.stage == idle {
			continue
		}
		b = append(b, byte(s.claimed))
		if s.delayed != nil {
			b = append(b, byte(s.began))
			b = encodeWrite(b, *s.delayed)
		}
		if s.stage == over {
			continue
		}
		v := &s.visit
		b = append(b, byte(s.began), byte(v.phase), byte(s.action.Do), byte(v.refusals),
			flags(s.repeated, s.faulted, s.known, v.overUnknown, v.posted, s.before, v.ended != "", !s.action.At.IsZero()),
			flags(v.asked, v.verdict.MayNot != nil, v.verdict.Instead != "", s.instead))
		if v.phase == phaseGate {
			b = append(b, v.folded.State...)
		}
		b = append(b, s.state...)
		if s.action.Do == DoWrite {
			b = encodeWrite(b, s.action.Write)
		}
		if v.own != nil {
			b = append(b, v.own.State[:3]...)
		}
		b = append(b, byte(v.clock.Sub(start)/tick))
		b = encodeRow(b, v.image)
	}
	return b
}

// encodeEnd writes down what checkEnd depends on.
func (w *world) encodeEnd(b []byte) []byte {
	b = append(b, "end"...)
	b = append(b, byte(w.now), flags(w.forged, w.record, w.promised, w.expired, w.excused, w.stolen), w.later())
	for i := range w.slots {
		b = append(b, flags(w.slots[i].left, w.slots[i].receipt, w.slots[i].instead))
	}
	return encodeRow(b, w.row)
}

// later is what the world knows of schedules, cancellation and order.
func (w *world) later() byte { return flags(w.bare, w.ended, w.gone) | byte(w.fired)<<4 }

func flags(set ...bool) byte {
	var b byte
	for i, on := range set {
		if on {
			b |= 1 << i
		}
	}
	return b
}

func encodeRow(b []byte, row *Send) []byte {
	if row == nil {
		return append(b, '-')
	}
	b = append(b, byte(row.V), byte(len(row.OnUnknown)), byte(len(row.Fingerprint)), byte(len(row.After)), byte(len(row.Gate)))
	if !row.ValidUntil.IsZero() {
		b = append(b, byte(row.ValidUntil.Sub(start)/(tick/2)))
	}
	if row.Cancelled != nil {
		b = append(b, 'c')
	}
	b = encodeUnsettled(b, row.Unsettled)
	for i, token := range tokens {
		a, ok := row.Attempts[token]
		if !ok {
			continue
		}
		b = append(b, byte(i+100), byte(a.Lease.Sub(start)/tick), byte(len(a.Instead)))
		if a.Outcome != nil {
			b = append(b, a.Outcome.State[:3]...)
		}
	}
	return append(b, '|')
}

func encodeWrite(b []byte, w Write) []byte {
	b = append(b, w.Step[len(w.Step)-1])
	b = append(b, w.Step[0], byte(len(w.Set.Instead)), byte(len(w.Set.Gate)))
	for _, c := range w.If {
		b = append(b, byte(c.V), byte(c.Time.Sub(start)/tick))
	}
	if w.Set.Outcome != nil {
		b = append(b, w.Set.Outcome.State[:3]...)
	}
	if !w.Set.ValidUntil.IsZero() {
		b = append(b, byte(w.Set.ValidUntil.Sub(start)/(tick/2)))
	}
	b = append(encodeUnsettled(b, w.Set.Unsettled), flags(w.Set.Settled))
	if w.Put != nil {
		b = encodeRow(b, w.Put)
	}
	return append(b, '.')
}

// encodeUnsettled writes no time down: it is never ahead of now but for a schedule, which has one
// time.
func encodeUnsettled(b []byte, from time.Time) []byte { return append(b, flags(!from.IsZero())) }
