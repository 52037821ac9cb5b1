package main

import (
	"context"
	"time"

	"golang.org/x/time/rate"

	"connexease-functions/pkg/ledger"
)

// pace spaces the calls of a sender's queue records evenly, because the Gateway counts over a second
// that slides. The first of a process that has been idle does not wait, so as many processes begin
// with as many calls at once. The zero pace does not space them.
type pace struct {
	turns *rate.Limiter // when a record may begin, before anything is claimed
	// calls keeps the distance of the calls themselves, where claims took unequal times. It also
	// spaces what is repeated after a 429.
	calls *rate.Limiter
}

// newPaces returns the share of a rate that one of so many processes has, for the ordinary queue and
// for the bulk lane's; 0 means any. Two lanes share it 1:3: a campaign has the most to send.
func newPaces(perSecond, processes int, shared bool) [2]pace {
	if perSecond == 0 {
		return [2]pace{}
	}
	parts := [2]float64{1, 0}
	if shared {
		parts = [2]float64{0.25, 0.75}
	}
	var all [2]pace
	for i, part := range parts {
		share := rate.Limit(float64(perSecond) * part * evenness / float64(processes))
		all[i] = pace{rate.NewLimiter(share, 1), rate.NewLimiter(share, 1)}
	}
	return all
}

func (h *handler) pace(d *delivery) *pace {
	paces := &h.senders.of(d.sender.Name).paces
	if d.bulk {
		return &paces[1]
	}
	return &paces[0]
}

// turn waits for a record's turn, before anything is claimed. ok is false where it comes too late
// for this process; then the record is retried after wait.
func (h *handler) turn(ctx context.Context, d *delivery) (wait time.Duration, ok bool) {
	return h.reserve(ctx, h.pace(d).turns, d.request.RespondBy.Add(-ledger.ClaimNeeds))
}

// space waits for the call's distance from the one before it, where it still fits before end.
func (h *handler) space(ctx context.Context, d *delivery, end time.Time) {
	if d.request.Source.IsRecord() {
		_, _ = h.reserve(ctx, h.pace(d).calls, end.Add(-ledger.ShortestCall))
	}
}

// reserve waits until a limiter lets one more pass, unless that is after latest.
func (h *handler) reserve(ctx context.Context, limiter *rate.Limiter, latest time.Time) (wait time.Duration, ok bool) {
	if limiter == nil {
		return 0, true
	}
	now := h.now().Round(0) // by the wall clock: the monotonic one stops while Lambda has a process frozen
	next := limiter.ReserveN(now, 1)
	wait = next.DelayFrom(now)
	if now.Add(wait).After(latest) {
		next.CancelAt(now)
		return wait, false
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return 0, true
	case <-ctx.Done():
		return shortest, false
	}
}
