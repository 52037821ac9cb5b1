package command

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"connexease-functions/pkg/gateway"
	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/ops/console"
	"connexease-functions/pkg/table"
)

// lookUpLimit bounds one look-up, including its retries.
const lookUpLimit = 10 * time.Second

const (
	quarantineKey = "event#quarantine#" // of every quarantined body
	headKey       = "event"             // its sort key
	sendKey       = "send"
)

// bodies returns the quarantined bodies, and the ids of sends that were not accepted so far. page is
// called with the number of items of each page; it may be nil.
func (r *redrive) bodies(ctx context.Context, page func(int)) (all []console.Quarantined, sends []string, err error) {
	parts := map[string]int{} // bytes, by key
	err = r.scan(ctx, r.table, table.Selection{
		Page:  page,
		Where: "begins_with(pk, :quarantine) OR kind = :send", Values: map[string]string{":quarantine": quarantineKey, ":send": "send"},
	}, func(it table.Item) {
		pk, sk := it.Key()
		switch send := it.Send(); {
		case send != nil:
			if !send.Has(ledger.Accepted) { // which saves its look-up
				sends = append(sends, pk)
			}
		case sk == headKey:
			all = append(all, console.Quarantined{Key: pk, Reason: it.Text("reason"), Received: r.table.Received(it), Bytes: len(it.Text("payload"))})
		default:
			parts[pk] += len(it.Text("payload"))
		}
	})
	for i := range all {
		all[i].Bytes += parts[all[i].Key]
	}
	slices.SortFunc(all, func(a, b console.Quarantined) int {
		return cmp.Or(a.Received.Compare(b.Received), strings.Compare(a.Key, b.Key))
	})
	slices.Sort(sends)
	return all, sends, err
}

// list prints what could not be stored or sent, without any customer's content.
func (r *redrive) list(ctx context.Context) error {
	all, sends, err := r.bodies(ctx, nil)
	if err != nil {
		return err
	}
	r.printf("Quarantined bodies: %d\n", len(all))
	for _, q := range all {
		r.printf("  %s  %-17s received %s  %d bytes\n", q.Key, word(q.Reason), day(q.Received), q.Bytes)
	}
	failed, err := r.failed(ctx, sends)
	if err != nil {
		return err
	}
	r.printf("Messages that were refused, expired, or have an unknown outcome: %d\n", len(failed))
	for _, s := range failed {
		when := "never tried"
		if !s.Tried.IsZero() {
			when = s.Tried.Format(time.RFC3339)
		}
		r.printf("  %s  %-8s  %s  %s%s\n", s.ID, s.State, when, s.Type, s.Reason)
	}
	r.printf("Given up:\n")
	for _, q := range r.dead {
		r.printf("  %-22s %s\n", q.name, r.depth(ctx, q.url))
	}
	r.printf("SHOW=<key> shows one whole. PICK=<key>, all or reason=<reason> says what today's code makes of a quarantined body; APPLY=1 with it writes that.\n")
	r.printf("PICK=<queue> says how its messages would be run again; APPLY=1 with it does that.\n")
	return nil
}

func day(at time.Time) string {
	if at.IsZero() {
		return "at some time"
	}
	return at.Format(time.DateOnly)
}

// failed returns the sends that ended without being accepted.
func (r *redrive) failed(ctx context.Context, sends []string) (all []console.FailedSend, err error) {
	now := time.Now()
	shown := r.progress("Looking sends up", int64(len(sends)))
	defer shown.end()
	for _, id := range sends {
		shown.add(1)
		reading, cancel := context.WithTimeout(ctx, lookUpLimit)
		f, err := r.items.Find(reading, now, id, table.Any)
		cancel()
		if err != nil {
			return nil, fmt.Errorf("the table %s cannot be read: %w", r.table.Name(), why(err))
		}
		if f == nil {
			continue // it expired meanwhile
		}
		if f.State != ledger.Rejected && f.State != ledger.Expired && f.State != ledger.Unknown {
			continue
		}
		all = append(all, console.FailedSend{ID: id, State: ledger.Word(f.State), Tried: f.Row.ClaimedAt, Type: word(f.About.Type), Reason: reason(f.Row, f.Folded)})
	}
	return all, nil
}

// reason returns the reason of a failed send: the Gateway's code, or a stable word of ours.
func reason(row *ledger.Send, f ledger.Folded) string {
	o := f.Outcome
	if f.State == ledger.Unknown {
		if o = row.Unresolved(); o == nil {
			return "  " + string(row.UnknownReason())
		}
	}
	if o == nil {
		return ""
	}
	text := ""
	if o.HTTP != 0 {
		text += "  HTTP " + strconv.Itoa(o.HTTP)
	}
	var r gateway.Response
	if json.Unmarshal(o.Body, &r) == nil && r.Errors != nil {
		text += " " + word(r.Errors.Code)
	}
	if o.Reason != "" {
		text += "  " + word(string(o.Reason))
	}
	return text
}

var wordForm = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,40}$`)

// word passes only harmless words: not control characters for a terminal, nor possible names or
// numbers of persons.
func word(s string) string {
	if !wordForm.MatchString(s) || strings.Trim(s, "0123456789.-") == "" {
		return "-"
	}
	return s
}

// depth returns how many messages a queue holds.
func (r *redrive) depth(ctx context.Context, url string) string {
	if url == "" {
		return "not in this stack"
	}
	out, err := r.target.sqs().GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: depths})
	if err != nil {
		return "cannot be read: " + why(err).Error()
	}
	return strconv.Itoa(depth(out))
}

// depths lists the attributes that add up to the number of a queue's messages.
var depths = []sqstypes.QueueAttributeName{
	sqstypes.QueueAttributeNameApproximateNumberOfMessages, sqstypes.QueueAttributeNameApproximateNumberOfMessagesNotVisible,
}

func depth(out *sqs.GetQueueAttributesOutput) (n int) {
	for _, name := range depths {
		one, _ := strconv.Atoi(out.Attributes[string(name)])
		n += one
	}
	return n
}
