package main

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

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"connexease-functions/pkg/gateway"
	"connexease-functions/pkg/ledger"
)

// item is one of the table.
type item map[string]types.AttributeValue

// text returns an attribute's value as text; empty for other types than S, N and B.
func (i item) text(name string) string {
	switch v := i[name].(type) {
	case *types.AttributeValueMemberS:
		return v.Value
	case *types.AttributeValueMemberN:
		return v.Value
	case *types.AttributeValueMemberB:
		return string(v.Value)
	}
	return ""
}

func (i item) number(name string) int64 {
	n, _ := strconv.ParseInt(i.text(name), 10, 64)
	return n
}

const (
	quarantineKey = "event#quarantine#" // of every quarantined body
	headKey       = "event"             // its sort key
	sendKey       = "send"
)

// quarantined is what the list tells of a body. Its payload is read when it is asked for.
type quarantined struct {
	key, reason string
	received    time.Time // the day; zero where nothing tells
	bytes       int
}

// scan reads the whole table: no index has the quarantine or the ledgers' states, because
// every write would pay for it.
func (p *place) scan(ctx context.Context, filter string, values item, each func(item)) error {
	pages := dynamodb.NewScanPaginator(p.db, &dynamodb.ScanInput{
		TableName: &p.name, ConsistentRead: aws.Bool(true), FilterExpression: &filter, ExpressionAttributeValues: values,
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("the table %s cannot be read: %w", p.name, err)
		}
		for _, it := range page.Items {
			each(it)
		}
	}
	return nil
}

func str(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

// bodies returns what is quarantined, and the ids of sends that nobody accepted so far.
func (p *place) bodies(ctx context.Context) (all []quarantined, sends []string, err error) {
	parts := map[string]int{} // bytes, by key
	err = p.scan(ctx, "begins_with(pk, :q) OR kind = :send", item{":q": str(quarantineKey), ":send": str("send")}, func(it item) {
		switch key := it.text("pk"); {
		case it.text("kind") == "send":
			if !accepted(it) {
				sends = append(sends, key)
			}
		case it.text("sk") == headKey:
			all = append(all, quarantined{key, it.text("reason"), p.received(it), len(it.text("payload"))})
		default:
			parts[key] += len(it.text("payload"))
		}
	})
	for i := range all {
		all[i].bytes += parts[all[i].key]
	}
	slices.SortFunc(all, func(a, b quarantined) int {
		return cmp.Or(a.received.Compare(b.received), strings.Compare(a.key, b.key))
	})
	slices.Sort(sends)
	return all, sends, err
}

// received is the day on which an item came, which only its expiry tells.
func (p *place) received(it item) time.Time {
	if at := it.number("expires_at"); at != 0 {
		return time.Unix(at, 0).UTC().AddDate(0, 0, -p.days)
	}
	return time.Time{}
}

// accepted reports whether one of a send's own outcomes says so, which saves its look-up.
func accepted(it item) bool {
	attempts, _ := it["attempts"].(*types.AttributeValueMemberM)
	if attempts == nil {
		return false
	}
	for _, a := range attempts.Value {
		if attempt, ok := a.(*types.AttributeValueMemberM); ok {
			if outcome, ok := attempt.Value["outcome"].(*types.AttributeValueMemberM); ok && item(outcome.Value).text("state") == string(ledger.Accepted) {
				return true
			}
		}
	}
	return false
}

// list prints what could not be stored or sent, without anything that a customer wrote.
func (p *place) list(ctx context.Context) error {
	all, sends, err := p.bodies(ctx)
	if err != nil {
		return err
	}
	p.printf("Quarantined bodies: %d\n", len(all))
	for _, q := range all {
		p.printf("  %s  %-17s received %s  %d bytes\n", q.key, word(q.reason), day(q.received), q.bytes)
	}
	lines, err := p.failed(ctx, sends)
	if err != nil {
		return err
	}
	p.printf("Messages that were refused, expired, or of which nobody knows: %d\n%s", len(lines), strings.Join(lines, ""))
	p.printf("Given up:\n")
	for _, q := range p.dead {
		p.printf("  %-22s %s\n", q.name, p.depth(ctx, q.url))
	}
	p.printf("SHOW=<key> shows one whole. PICK=<key>, all or reason=<reason> says what today's code makes of a quarantined body; APPLY=1 with it writes that.\n")
	return nil
}

func day(at time.Time) string {
	if at.IsZero() {
		return "at some time"
	}
	return at.Format(time.DateOnly)
}

// failed has a line for each send that ended without being accepted.
func (p *place) failed(ctx context.Context, sends []string) (lines []string, err error) {
	now := time.Now()
	for _, id := range sends {
		row, about, statuses, err := p.items.LookUp(ctx, id)
		if err != nil {
			return nil, fmt.Errorf("the table %s cannot be read: %w", p.name, err)
		}
		if row == nil {
			continue // it expired meanwhile
		}
		f := ledger.Fold(now, row, statuses)
		if f.State != ledger.Rejected && f.State != ledger.Expired && f.State != ledger.Unknown {
			continue
		}
		when := "never tried"
		if !row.ClaimedAt.IsZero() {
			when = row.ClaimedAt.Format(time.RFC3339)
		}
		lines = append(lines, fmt.Sprintf("  %s  %-8s  %s  %s%s\n", id, f.State, when, word(about.Type), why(row, f)))
	}
	return lines, nil
}

// why is the reason of a failed send: the Gateway's code, or a stable word of ours.
func why(row *ledger.Send, f ledger.Folded) string {
	o := f.Outcome
	if f.State == ledger.Unknown {
		var last ledger.Attempt
		for _, a := range row.Attempts {
			if (a.Outcome == nil || a.Outcome.State == ledger.Unknown) && a.Lease.After(last.Lease) {
				last = a
			}
		}
		if o = last.Outcome; o == nil {
			return "  process_ended"
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
		text += "  " + word(o.Reason)
	}
	return text
}

var wordForm = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,40}$`)

// word lets nothing through that a stranger could have made a terminal obey, or that
// could be somebody's name or number.
func word(s string) string {
	if !wordForm.MatchString(s) || strings.Trim(s, "0123456789.-") == "" {
		return "-"
	}
	return s
}

// depth is how many messages a queue holds.
func (p *place) depth(ctx context.Context, url string) string {
	if url == "" {
		return "not in this stack"
	}
	names := []sqstypes.QueueAttributeName{
		sqstypes.QueueAttributeNameApproximateNumberOfMessages, sqstypes.QueueAttributeNameApproximateNumberOfMessagesNotVisible,
	}
	out, err := p.sqs.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: names})
	if err != nil {
		return "cannot be read: " + err.Error()
	}
	n := 0
	for _, name := range names {
		one, _ := strconv.Atoi(out.Attributes[string(name)])
		n += one
	}
	return strconv.Itoa(n)
}
