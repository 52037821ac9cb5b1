package usage_test

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"connexease-functions/pkg/ops/usage"
	"connexease-functions/pkg/table"
)

// month is a made month of messages, each of which is one of the cases below.
type month struct {
	n     int
	since time.Time
}

var october = time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)

func (m *month) query() usage.Query {
	return usage.Query{Stack: "demo", Table: "T", Since: m.since, Until: m.since.AddDate(0, 1, 0), By: usage.All}
}

// people are recipients with their countries.
var people = [][2]string{
	{"905321234567", "TR"}, {"4915123456789", "DE"}, {"5511987654321", "BR"}, {"12025550123", "US"}, {"15550100001", "+1"}, {"US.1349", "US"}, {"someone@lid", ""},
	{"442079460000", "GB"}, {"38344123456", "XK"}, {"88213123456", "001"},
}

// said is a status of a message.
type said struct {
	status   string
	after    int // seconds after the send
	pricing  string
	old      bool // of before statuses had attributes for it
	detached bool // without our opaque data, under WhatsApp's id
}

const (
	charged = `{"billable":true,"pricing_model":"PMP","type":"regular","category":"marketing"}`
	service = `{"billable":false,"pricing_model":"PMP","type":"free_customer_service","category":"service"}`
)

// made is one message's items, and what they count.
type made struct {
	items   []table.Item
	group   []string
	want    usage.Figures
	without usage.Figures
}

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }
func number(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}
func object(members table.Item) types.AttributeValue {
	return &types.AttributeValueMemberM{Value: members}
}

// base32Of makes ids as the ledger's, which are the same in each run.
func base32Of(name string, length int) string {
	sum := sha256.Sum256([]byte(name))
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:]))[:length]
}

// attempt is one of a row; without a state it has no outcome.
func attempt(state, wamid string, lease time.Time) types.AttributeValue {
	a := table.Item{"lease": number(lease.UnixMilli())}
	if state != "" {
		o := table.Item{"state": text(state), "http": number(200), "at": number(lease.UnixMilli()), "body": text(`{"isSuccess":true,"data":{"messages":[{"id":"` + wamid + `"}]}}`)}
		if state != "accepted" {
			o["body"] = text(`{"isSuccess":false}`)
		}
		a["outcome"] = object(o)
	}
	return object(a)
}

func status(pk, id, token, wamid string, at time.Time, s said) table.Item {
	payload := fmt.Sprintf(`{"id":%q,"status":%q,"timestamp":"%d","recipient_id":"1"`, wamid, s.status, at.Unix())
	it := table.Item{"pk": text(pk), "kind": text("status"), "direction": text("out"), "wamid": text(wamid), "status": text(s.status), "timestamp": number(at.Unix())}
	if token != "" {
		payload += `,"biz_opaque_callback_data":"` + id + "." + token + `"`
		it["message_id"] = text(id)
	}
	if s.pricing != "" {
		payload += `,"pricing":` + s.pricing
		if !s.old {
			it["billable"] = &types.AttributeValueMemberBOOL{Value: s.pricing == charged}
			it["pricing_category"] = text(map[string]string{charged: "marketing", service: "service"}[s.pricing])
		}
	}
	it["payload"] = text(payload + "}")
	it["sk"] = text(fmt.Sprintf("status#%s#%d#%s", s.status, at.Unix(), base32Of(payload, 16)))
	return it
}

// message makes the message number i.
func (m *month) message(i int) (all made) {
	id := "msg_" + base32Of(fmt.Sprint("id", i), 26)
	at := m.since.Add(time.Duration(i*97%(31*24*60)) * time.Minute)
	lease := at.Add(time.Minute)
	person := people[i%len(people)]
	token := func(n int) string { return base32Of(fmt.Sprint("token", i, n), 16) }
	wamid := func(n int) string { return fmt.Sprintf("wamid.%d.%d", i, n) }
	row := table.Item{
		"pk": text(id), "sk": text("send"), "kind": text("send"), "message_id": text(id), "client": text([]string{"crm", "shop", "=web"}[i/7%3]), "contact": text(person[0]),
		"timestamp": number(at.Unix()), "payload": text(`{"type":"text"}`), "v": number(2),
	}
	campaign := []string{"", "spring", "-summer"}[i/3%3]
	if campaign != "" {
		row["campaign"] = text(campaign)
	}
	category := ""
	attempts := table.Item{}
	accepted := func(n int) { attempts[token(n)] = attempt("accepted", wamid(n), lease) }
	says := func(n int, list ...said) {
		for _, s := range list {
			pk, mine := id, token(n)
			if s.detached {
				pk, mine = "wa#"+wamid(n), ""
			}
			all.items = append(all.items, status(pk, id, mine, wamid(n), at.Add(time.Duration(s.after)*time.Second), s))
		}
	}
	read := []said{{status: "sent", pricing: charged}, {status: "delivered", after: 1, pricing: charged}, {status: "read", after: 2}}
	w := &all.want
	switch i % 21 {
	default: // read
		accepted(0)
		says(0, read...)
		*w, category = usage.Figures{Sent: 1, Delivered: 1, Read: 1, Billable: 1}, "marketing"
	case 1: // stored before statuses had attributes for the pricing
		accepted(0)
		says(0, said{status: "sent", pricing: charged, old: true}, said{status: "delivered", after: 1, pricing: charged, old: true})
		*w, category = usage.Figures{Sent: 1, Delivered: 1, Billable: 1}, "marketing"
	case 2: // its caller used the opaque data
		accepted(0)
		says(0, said{status: "sent", pricing: service, detached: true}, said{status: "played", after: 2, detached: true})
		*w, category = usage.Figures{Sent: 1, Delivered: 1, Read: 1}, "service"
	case 3: // a failure lacks the opaque data
		accepted(0)
		says(0, said{status: "sent", pricing: charged}, said{status: "failed", after: 9, detached: true})
		*w, category = usage.Figures{Sent: 1, Failed: 1, Billable: 1}, "marketing"
	case 4: // the same again, in other bytes, under both ids; delivered on one device, failed on another
		accepted(0)
		says(0, said{status: "delivered", after: 1}, said{status: "delivered", after: 1, pricing: service}, said{status: "delivered", after: 4}, said{status: "delivered", after: 4, detached: true}, said{status: "failed", after: 5})
		*w, category = usage.Figures{Sent: 1, Delivered: 1, Failed: 1}, "service"
	case 5: // sent again: both left
		attempts[token(0)] = attempt("unknown", "", lease)
		accepted(1)
		says(0, read...)
		says(1, read...)
		*w, category = usage.Figures{Sent: 2, Delivered: 2, Read: 2, Billable: 2}, "marketing"
	case 6: // sent again: nobody knows of the first
		attempts[token(0)] = attempt("unknown", "", lease)
		accepted(1)
		*w = usage.Figures{Sent: 1, Unknown: 1}
	case 7: // refused for good
		attempts[token(0)] = attempt("rejected", "", lease)
	case 8: // not sent at first
		attempts[token(0)] = attempt("released", "", lease)
		accepted(1)
		says(1, said{status: "sent"})
		*w = usage.Figures{Sent: 1}
	case 9: // settled by its receipt alone, which lasts when WhatsApp's id is known from nothing else
		attempts[token(0)] = attempt("", "", lease)
		says(0, said{status: "sent", pricing: service}, said{status: "read", after: 3, detached: true})
		*w, category = usage.Figures{Sent: 1, Delivered: 1, Read: 1}, "service"
	case 10:
		row["is_fake"] = &types.AttributeValueMemberBOOL{Value: true}
		accepted(0)
		*w = usage.Figures{Sent: 1, Sandbox: 1}
	case 11: // waits in the queue
		delete(row, "timestamp")
	case 12: // sent before
		row["timestamp"] = number(m.since.Unix() - 1)
		accepted(0)
		says(0, read...)
	case 13, 14: // no send of ours, a status of before for the second
		row = nil
		says(0, said{status: "delivered", after: 1, detached: true, pricing: charged})
		all.without = usage.Figures{Sent: 1, Delivered: 1, Billable: 1}
		if i%21 == 14 {
			says(0, said{status: "sent", after: -40 * 24 * 3600, detached: true})
			all.without = usage.Figures{}
		}
	case 15: // another message's status with the token of this one, and one with a token of nobody
		accepted(0)
		says(0, said{status: "sent"})
		all.items = append(all.items, status(id, id, token(0), wamid(7), at, said{status: "read"}), status(id, id, token(8), wamid(8), at, said{status: "read"}))
		*w, all.without = usage.Figures{Sent: 1}, usage.Figures{Sent: 2, Delivered: 2, Read: 2}
	case 16: // a group: one message, however many read it
		row["group_id"], person = text("g1"), [2]string{}
		delete(row, "contact")
		accepted(0)
		says(0, said{status: "read", after: 1}, said{status: "read", after: 2}, said{status: "delivered", after: 3})
		*w = usage.Figures{Sent: 1, Delivered: 1, Read: 1}
	case 17: // under way
		attempts[token(0)] = attempt("", "", time.Now().Add(time.Hour))
	case 18: // its process ended
		attempts[token(0)] = attempt("", "", lease)
		*w = usage.Figures{Unknown: 1}
	case 19: // sent after
		row["timestamp"] = number(m.since.AddDate(0, 1, 0).Unix())
		accepted(0)
		says(0, read...)
	}
	if row != nil {
		row["attempts"] = object(attempts)
		all.items = append(all.items, row)
	}
	all.items = append(all.items, table.Item{"pk": text("wa#in" + strconv.Itoa(i)), "sk": text("message#1#2"), "kind": text("message"), "payload": text("{}"), "timestamp": number(at.Unix())})
	all.group = []string{text0(row, "client"), category, person[1], campaign, at.Format(time.DateOnly)}
	if *w == (usage.Figures{Unknown: 1}) || w.Sent+w.Unknown == 0 {
		all.group[1] = ""
	}
	return all
}

func text0(it table.Item, name string) string {
	if it == nil {
		return ""
	}
	return it.Text(name)
}

// want is what the month counts, by group.
func (m *month) want() (groups map[string]usage.Figures, all, without usage.Figures) {
	groups = map[string]usage.Figures{}
	for i := range m.n {
		one := m.message(i)
		add(&all, one.want)
		add(&without, one.without)
		if one.want.Unknown > 0 { // of what may have left, no status says a category
			f := groups[key(one.group[0], "", one.group[2], one.group[3], one.group[4])]
			f.Unknown += one.want.Unknown
			groups[key(one.group[0], "", one.group[2], one.group[3], one.group[4])] = f
			one.want.Unknown = 0
		}
		if one.want.Sent > 0 {
			f := groups[key(one.group...)]
			add(&f, one.want)
			groups[key(one.group...)] = f
		}
	}
	return groups, all, without
}

func key(values ...string) string { return strings.Join(values, "|") }

func add(f *usage.Figures, g usage.Figures) {
	f.Sent += g.Sent
	f.Delivered += g.Delivered
	f.Read += g.Read
	f.Failed += g.Failed
	f.Billable += g.Billable
	f.Sandbox += g.Sandbox
	f.Unknown += g.Unknown
}

// ScanPage serves the month without keeping it: a page has some hundreds of messages' items of one
// segment.
func (m *month) ScanPage(ctx context.Context, _ table.Selection, segment, segments int, after *table.ScanPosition) (p table.Page, err error) {
	if err := ctx.Err(); err != nil {
		return p, err
	}
	from := 0
	if after != nil {
		if from, err = strconv.Atoi(after.SK); err != nil {
			return p, err
		}
	}
	to := min(from+400, m.n)
	for i := from; i < to; i++ {
		mine, others := i%segments == segment, (i+1)%segments == segment
		if !mine && !others {
			continue
		}
		for _, it := range m.message(i).items {
			if pk, _ := it.Key(); mine != strings.HasPrefix(pk, "msg_") { // the statuses of a message may be in different segments
				continue
			}
			p.Scanned++
			if kind := it.Text("kind"); kind == "send" || kind == "status" {
				p.Items = append(p.Items, it)
			}
		}
	}
	if to < m.n {
		p.Last = &table.ScanPosition{PK: "x", SK: strconv.Itoa(to)}
	}
	return p, nil
}

// equal compares a report with the month.
func (m *month) equal(t *testing.T, r *usage.Report) {
	t.Helper()
	groups, all, without := m.want()
	if r.Total != all || r.WithoutSend != without {
		t.Errorf("the total is %+v and %+v, want %+v and %+v", r.Total, r.WithoutSend, all, without)
	}
	got := map[string]usage.Figures{}
	for _, g := range r.Groups {
		got[key(g.Values...)] = g.Figures
	}
	if len(got) != len(r.Groups) || !maps.Equal(got, groups) {
		var faults []string
		for k := range groups {
			if got[k] != groups[k] {
				faults = append(faults, fmt.Sprintf("%s is %+v, want %+v", k, got[k], groups[k]))
			}
		}
		slices.Sort(faults)
		t.Errorf("%d groups, want %d; %d differ: %.5q", len(got), len(groups), len(faults), faults[:min(5, len(faults))])
	}
}
