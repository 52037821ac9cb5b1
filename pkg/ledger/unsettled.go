package ledger

import "time"

// unsettled adds to a write, over the image that its conditions leave, what keeps the row in the
// index of its client's unsettled sends while it is queued, scheduled or unknown. Two rules keep a
// send that is claimed and accepted at once out of it, which would pay for both ways: a first claim
// does not put a row there, and none removes one. So the index lacks an unknown send that waited
// nowhere and whose process ended before it wrote, and it has sends that a receipt has settled, or that
// expired: its reader folds each.
func unsettled(now time.Time, image *Send, w Write) Write {
	if w.Step == Claim1 { // over an image that is not known, which is in the index
		return w
	}
	next := made(image, w)
	if next.Client == "" {
		return w
	}
	switch Fold(now, next, nil).State {
	case InFlight:
		if image == nil || image.maybeSent() == 0 || !next.Unsettled.IsZero() {
			return w
		}
	case Queued, Scheduled, Unknown:
		if !next.Unsettled.IsZero() && w.Step != QueueN {
			return w
		}
	default:
		w.Set.Settled = w.Put == nil && !next.Unsettled.IsZero()
		return w
	}
	// From when on it waits: so the scheduled ones are those ahead of now.
	if from := later(now, next.NotBefore); w.Put != nil {
		w.Put.Unsettled = from
	} else {
		w.Set.Unsettled, w.Set.Client = from, next.Client
	}
	return w
}

// made is the image that a write makes where its conditions hold.
func made(image *Send, w Write) *Send {
	next, _ := Apply(image, Write{Put: w.Put, Set: w.Set}) // without conditions nothing fails
	return next
}
