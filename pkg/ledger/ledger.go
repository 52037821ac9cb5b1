// Package ledger decides, without any I/O, whether a message may be sent, what is
// written about it and what its caller is returned. It exists so that the promise "once
// per key" can be searched exhaustively instead of being hoped for.
package ledger

import "time"

const (
	// CallLimit bounds one call of the Gateway.
	CallLimit = 20 * time.Second
	// OutcomeReserve is what a call leaves for writing its outcome.
	OutcomeReserve = 3 * time.Second
	// ClaimNeeds is the time that must remain when a claim is written: one call and
	// its outcome. With less, nothing is claimed.
	ClaimNeeds = CallLimit + OutcomeReserve
	// ShortestCall is the least time worth starting a call with: cut off earlier, it would
	// only turn a message that was definitely not sent into an unknown one.
	ShortestCall = 5 * time.Second
	// LeaseMargin is how long a lease outlives its process, so that no owner is at
	// work, and none of its writes under way, when the lease ends.
	LeaseMargin = 15 * time.Second
	// ExpiryMargin is how much later than valid_until readers say "expired", so that
	// a claim under way is never called expired.
	ExpiryMargin = 60 * time.Second

	// DefaultValidFor is the validity of a queued message that does not set one.
	DefaultValidFor = 24 * time.Hour
	// MaxValidFor stays below the queue's retention (14 days, the most that SQS
	// allows), so that the ledger, not the queue, says when a message has expired.
	MaxValidFor = 12 * 24 * time.Hour
	// MinAhead is how far ahead a time must be to get a schedule: anything nearer waits in the
	// queue, because a schedule may be late by a minute (Amazon EventBridge Scheduler: "What is
	// Amazon EventBridge Scheduler", 60-second precision).
	MinAhead = time.Minute
	// MinRowLife is the least time for which a row lives after its last claim: longer than
	// any queue record that may still name it.
	MinRowLife = minRowDays * day
	day        = 24 * time.Hour
	minRowDays = 15
	// receiptDays is how much longer than a row its statuses live: a row that outlived
	// its receipts would call a message unknown that is known to have left.
	receiptDays = 7

	// MaxMaybeSent is after how many attempts that may have sent the message "resend" sends no
	// more.
	MaxMaybeSent = 3
	// KeptReleased is how many released attempts a row keeps, the newest ones: days of
	// rate limiting must not outgrow an item (400 kB).
	KeptReleased = 10

	// rereads is how often an image is read again after a lost race.
	rereads = 2
	// shortDelay and shortSpread return a record to the queue for 1 to 5 s: nothing is wrong
	// with it, only this process cannot handle it.
	shortDelay  = time.Second
	shortSpread = 4 * time.Second
	// longestBackoff keeps 12 days of rate limiting well under 1,000 receives.
	longestBackoff = 30 * time.Minute
	// receiptWait lets a callback settle an unknown attempt before it is sent again.
	receiptWait = 30 * time.Second
)

// Backoff is how long a queue record waits after a refusal that was no fault of the
// message: at least what the Gateway asked for, and longer the older the record is.
func Backoff(age, retryAfter time.Duration) time.Duration {
	return max(retryAfter, min(age/10, longestBackoff), shortDelay)
}

// expiry is when a row that is written now may be deleted; zero means never. It is counted from
// when the message may be sent: the row must outlive every record that names it.
func expiry(now, notBefore time.Time, retentionDays int) time.Time {
	if retentionDays <= 0 {
		return time.Time{}
	}
	return later(now, notBefore).Add(max(time.Duration(retentionDays)*day, MinRowLife))
}

// StatusDays is for how many days a status of a send of ours is kept; 0 means for ever.
func StatusDays(retentionDays int) int {
	if retentionDays <= 0 {
		return 0
	}
	return max(retentionDays, minRowDays) + receiptDays
}
