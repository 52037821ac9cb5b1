// Package usage counts what a stack has sent and what that costs, by its table, in bounded memory:
// what it reads is sorted on disk, and an interrupted reading goes on where it was.
package usage

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// What figures can be grouped by.
const (
	Client   = "client"   // who sent it
	Category = "category" // WhatsApp's, as statuses say it
	Country  = "country"  // of the recipient's number: ISO 3166, or +<calling code> where that is all that is known
	Campaign = "campaign"
	Day      = "day" // UTC, of the message's first attempt
)

// All lists what figures can be grouped by.
var All = []string{Client, Category, Country, Campaign, Day}

// Query says what is counted.
type Query struct {
	Stack string    `json:"stack"`
	Table string    `json:"table"`
	Since time.Time `json:"since"` // of a message's first attempt
	Until time.Time `json:"until"` // the first moment that is not counted
	By    []string  `json:"by"`    // of All, in the order of the columns
}

// Grouping parses a list of what to group by, such as "client,day".
func Grouping(list string) (by []string, err error) {
	for name := range strings.SplitSeq(list, ",") {
		name = strings.TrimSpace(name)
		switch {
		case name == "":
		case !slices.Contains(All, name):
			return nil, fmt.Errorf("%q is none of %s", name, strings.Join(All, ", "))
		case !slices.Contains(by, name):
			by = append(by, name)
		}
	}
	return by, nil
}

// covers reports whether a time, in epoch seconds, is one that is counted.
func (q *Query) covers(at int64) bool { return at >= q.Since.Unix() && at < q.Until.Unix() }

// Figures count messages.
type Figures struct {
	Sent      int64 `json:"sent"`      // the Gateway accepted them, by its response or by a receipt
	Delivered int64 `json:"delivered"` // a status delivered, read or played
	Read      int64 `json:"read"`      // a status read or played
	Failed    int64 `json:"failed"`    // a status failed, whatever others there are
	Billable  int64 `json:"billable"`  // a status says pricing.billable: true
	Sandbox   int64 `json:"sandbox"`   // of those sent, into the Gateway's sandbox
	Unknown   int64 `json:"unknown"`   // attempts that may have sent one more; in no other figure
}

// columns are the names of figures, in their order.
var columns = []string{"sent", "delivered", "read", "failed", "billable", "sandbox", "unknown"}

func (f *Figures) values() []int64 {
	return []int64{f.Sent, f.Delivered, f.Read, f.Failed, f.Billable, f.Sandbox, f.Unknown}
}

func (f *Figures) add(g *Figures) {
	f.Sent, f.Delivered, f.Read, f.Failed = f.Sent+g.Sent, f.Delivered+g.Delivered, f.Read+g.Read, f.Failed+g.Failed
	f.Billable, f.Sandbox, f.Unknown = f.Billable+g.Billable, f.Sandbox+g.Sandbox, f.Unknown+g.Unknown
}

// Fee returns the Gateway's fee in US dollars: $0.001 for each message sent, into the sandbox too
// (Connexease Gateway: "Pricing"; is_fake runs billing).
func (f *Figures) Fee() string { return fmt.Sprintf("%d.%03d", f.Sent/1000, f.Sent%1000) }

// Group is what was counted of one combination of values.
type Group struct {
	Values  []string // of Query.By; empty where it is not known
	Figures Figures
}

// Report is what was counted.
type Report struct {
	Query
	ReadAt time.Time // when the reading began
	Groups []Group   // in the order of their values
	Total  Figures
	// WithoutSend counts messages whose statuses are in the table and whose send is not, by the time
	// of their first status: what others sent by the same number, and echoes. Sent is how many.
	WithoutSend Figures
}

// mostGroups bounds the groups in memory.
const mostGroups = 50_000

// ErrGroups means that a report has too many groups.
var ErrGroups = fmt.Errorf("there are more than %d groups: group by less", mostGroups)

// ErrOther means that a folder has the unfinished reading of a different query.
var ErrOther = errors.New("it has the unfinished reading of a different query")
