package whatsapp

import "slices"

// Pricing is what a status says of WhatsApp's own fee for its message (WhatsApp Cloud API: statuses
// object, pricing); what it does not say is empty.
type Pricing struct {
	Category string // marketing, utility, authentication, service, …
	Type     string // regular, free_customer_service, …
	Billable string // true or false
}

// PricingIn reads the pricing of a status from its payload.
func PricingIn(status []byte) Pricing { return pricing(compacted(status).get("pricing")) }

func pricing(r raw) Pricing {
	p := Pricing{Category: usable(r.get("category")), Type: usable(r.get("type"))}
	if b := string(r.get("billable")); b == "true" || b == "false" {
		p.Billable = b
	}
	return p
}

// rank orders the states that a message goes through. A higher rank is final, whichever status
// follows (WhatsApp Cloud API: statuses come in any order, and "read" without "delivered").
var rank = []string{"sent", "delivered", "read", "played"}

// Rank orders statuses that have the same time: sent, delivered, read, played, and
// whatever else after them.
func Rank(status string) int {
	if at := slices.Index(rank, status); at >= 0 {
		return at
	}
	return len(rank)
}

// Folded is the combined state of all statuses of a message.
type Folded struct {
	State      string   // the highest of sent, delivered, read, played; empty before any
	Failed     bool     // true once a failure was reported, on any of the recipient's devices
	ErrorCodes []string // of failures, without repeats
	Others     []string // other statuses, such as deleted, without repeats
}

// Fold folds statuses; their order and repeats do not matter.
func Fold(statuses []Event) Folded {
	var f Folded
	best := -1
	for _, s := range statuses {
		switch at := slices.Index(rank, s.Status); {
		case at >= 0:
			best = max(best, at)
		case s.Status == "failed":
			f.Failed = true
			if s.ErrorCode != "" {
				f.ErrorCodes = append(f.ErrorCodes, s.ErrorCode)
			}
		default:
			f.Others = append(f.Others, s.Status)
		}
	}
	if best >= 0 {
		f.State = rank[best]
	}
	slices.Sort(f.ErrorCodes)
	slices.Sort(f.Others)
	f.ErrorCodes, f.Others = slices.Compact(f.ErrorCodes), slices.Compact(f.Others)
	return f
}
