package table

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/whatsapp"
)

// Statuses returns the statuses stored under our id, read consistently.
func (t *Table) Statuses(ctx context.Context, id string) ([]ledger.Status, error) {
	return t.statuses(ctx, id)
}

// StatusesOf returns the statuses stored under a WhatsApp id: those of messages whose caller used
// biz_opaque_callback_data.
func (t *Table) StatusesOf(ctx context.Context, wamid string) ([]ledger.Status, error) {
	if !indexed(wamid) {
		return nil, nil
	}
	return t.statuses(ctx, underWhatsApp+wamid)
}

func (t *Table) statuses(ctx context.Context, pk string) (all []ledger.Status, err error) {
	err = t.query(ctx, &dynamodb.QueryInput{
		ConsistentRead:         aws.Bool(true),
		KeyConditionExpression: aws.String("pk = :pk AND begins_with(sk, :status)"),
		ExpressionAttributeValues: item{
			":pk": str(pk), ":status": str("status#"),
		},
	}, func(it item) { all = append(all, readStatus(it)) })
	return all, err
}

// LookUp returns a send's row, nil if there is none, and the statuses under its id, in one
// consistent read.
func (t *Table) LookUp(ctx context.Context, id string) (row *ledger.Send, about About, statuses []ledger.Status, err error) {
	var p partition
	err = t.query(ctx, &dynamodb.QueryInput{
		ConsistentRead:            aws.Bool(true),
		KeyConditionExpression:    aws.String("pk = :pk"),
		ExpressionAttributeValues: item{":pk": str(id)},
	}, p.add)
	return p.row, p.about, p.statuses, err
}

// partition is what is stored under one id.
type partition struct {
	row      *ledger.Send
	about    About
	statuses []ledger.Status
}

func (p *partition) add(it item) {
	if text(it["sk"]) == sendKey {
		p.row, p.about = readSend(it), About{Type: text(it["type"]), Contact: text(it["contact"]), Text: text(it["text"]), Campaign: text(it["campaign"])}
		return
	}
	p.statuses = append(p.statuses, readStatus(it))
}

// Found is all that the table knows of a send.
type Found struct {
	Row   *ledger.Send
	About About
	ledger.Folded
	// Statuses are those that count, and those under WhatsApp's id, of messages whose caller used
	// biz_opaque_callback_data.
	Statuses []ledger.Status
}

func found(now time.Time, p *partition) *Found {
	f := &Found{Row: p.row, About: p.about, Folded: ledger.Fold(now, p.row, p.statuses)}
	f.Statuses = f.Receipts
	return f
}

// Find looks a send up by its id; nil if there is none, or it is not one that may be seen. now is the
// time before the call.
func (t *Table) Find(ctx context.Context, now time.Time, id string, maySee func(*ledger.Send) bool) (*Found, error) {
	row, about, statuses, err := t.LookUp(ctx, id)
	if err != nil || row == nil || !maySee(row) {
		return nil, err
	}
	f := found(now, &partition{row, about, statuses})
	for _, wamid := range f.Wamids {
		more, err := t.StatusesOf(ctx, wamid)
		if err != nil {
			return nil, err
		}
		f.Statuses = append(f.Statuses, more...)
	}
	return f, nil
}

const (
	// Together is how many messages FindTogether may look up: with WhatsApp's id of each, their keys
	// are those of one statement.
	Together = mostValues / 2
	// mostValues is how many partition keys a statement has: what is stored under more would come page
	// after page (Amazon DynamoDB: "PartiQL arithmetic, comparison, and logical operators", IN).
	mostValues = 10
)

// FindTogether looks up to Together messages up: sends by their ids, as Find does, and the statuses of
// others by WhatsApp's ids. It makes one call, and another for sends whose WhatsApp's id it does not
// remember. What is not there is in neither map.
func (t *Table) FindTogether(ctx context.Context, now time.Time, ids, wamids []string) (sends map[string]*Found, others map[string][]ledger.Status, err error) {
	all := map[string]*partition{}
	var unread []string
	want := func(prefix string, names ...string) {
		for _, name := range names {
			if key := prefix + name; indexed(name) && all[key] == nil {
				all[key], unread = &partition{}, append(unread, key)
			}
		}
	}
	want("", ids...)
	want(underWhatsApp, wamids...)
	for _, id := range ids {
		want(underWhatsApp, t.wamids.of(id)...)
	}
	if err = t.partitions(ctx, unread, all); err != nil {
		return nil, nil, err
	}
	unread, sends, others = nil, map[string]*Found{}, map[string][]ledger.Status{}
	for _, id := range ids {
		if p := all[id]; p != nil && p.row != nil {
			sends[id] = found(now, p)
			t.wamids.remember(id, sends[id].Wamids)
			want(underWhatsApp, sends[id].Wamids...)
		}
	}
	if err = t.partitions(ctx, unread, all); err != nil {
		return nil, nil, err
	}
	for key, p := range all {
		if wamid, is := strings.CutPrefix(key, underWhatsApp); is {
			others[wamid] = p.statuses
		}
	}
	for _, f := range sends {
		for _, wamid := range f.Wamids {
			f.Statuses = append(f.Statuses, others[wamid]...)
		}
	}
	return sends, others, nil
}

// partitions reads the sends and statuses under partition keys, each consistently and in order. For
// each, DynamoDB runs a Query: a condition that names the keys never makes it scan (Amazon DynamoDB:
// "PartiQL select statements"), and the function's role forbids that.
func (t *Table) partitions(ctx context.Context, pks []string, all map[string]*partition) error {
	var items []item
	for some := range slices.Chunk(pks, mostValues) {
		in := &dynamodb.ExecuteStatementInput{ConsistentRead: aws.Bool(true), Statement: aws.String(
			// What is no send and no status, the messages of the app, has a lower sort key.
			`SELECT * FROM "` + t.name + `" WHERE "pk" IN [` + strings.Repeat("?, ", len(some)-1) + `?] AND "sk" >= '` + sendKey + `'`)}
		for _, pk := range some {
			in.Parameters = append(in.Parameters, str(pk))
		}
		for more := true; more; more = in.NextToken != nil {
			err := attempts(ctx, func() {}, func(ctx context.Context) (again bool, err error) {
				out, err := t.client.ExecuteStatement(ctx, in)
				if err == nil {
					items, in.NextToken = append(items, out.Items...), out.NextToken
				}
				return err != nil, err
			})
			if err != nil {
				return err
			}
		}
	}
	slices.SortFunc(items, func(a, b item) int { return cmp.Compare(text(a["sk"]), text(b["sk"])) })
	for _, it := range items {
		all[text(it["pk"])].add(it)
	}
	return nil
}

// mostSends bounds the sends that a process remembers.
const mostSends = 4096

// wamidMemory remembers the WhatsApp ids of sends, which are never others: what is stored under them
// is read with the sends then, instead of after them. The zero value is empty.
type wamidMemory struct {
	mu  sync.Mutex
	all map[string][]string // by the send's id
}

func (m *wamidMemory) of(id string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.all[id]
}

// remember clears a full memory: what it has forgotten is read after its send.
func (m *wamidMemory) remember(id string, wamids []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.all == nil || len(m.all) >= mostSends {
		m.all = map[string][]string{}
	}
	m.all[id] = wamids
}

// Any may be seen.
func Any(*ledger.Send) bool { return true }

// readStatus reads a status row. Its attempt and its errors are in the payload only; a status whose
// payload is split into parts belongs to no attempt.
func readStatus(it item) ledger.Status {
	var p struct {
		Opaque any             `json:"biz_opaque_callback_data"`
		Errors json.RawMessage `json:"errors"`
	}
	_ = json.Unmarshal(content(it["payload"]), &p) // an unreadable payload has no token
	opaque, _ := p.Opaque.(string)
	_, token, _ := ledger.ParseOpaque(opaque)
	s := ledger.Status{Token: token, Status: text(it["status"]), Wamid: text(it["wamid"]), Errors: p.Errors}
	if n := integer(it["timestamp"]); n != 0 {
		s.Time = time.Unix(n, 0).UTC()
	}
	return s
}

// Receipt returns the ledger's view of an item that is a status.
func (i Item) Receipt() ledger.Status { return readStatus(i) }

// Pricing returns what a status says of WhatsApp's fee. Those of earlier versions say it in their
// payload only.
func (i Item) Pricing() whatsapp.Pricing {
	p := whatsapp.Pricing{Category: i.Text("pricing_category"), Type: i.Text("pricing_type"), Billable: i.Text("billable")}
	if p == (whatsapp.Pricing{}) {
		return whatsapp.PricingIn(content(i["payload"]))
	}
	return p
}

// page reads one page, and retries a failed call until ctx ends.
func (t *Table) page(ctx context.Context, in *dynamodb.QueryInput) (out *dynamodb.QueryOutput, err error) {
	err = attempts(ctx, func() {}, func(ctx context.Context) (again bool, err error) {
		out, err = t.client.Query(ctx, in)
		return err != nil, err
	})
	return out, err
}

// query reads every page, each as page does.
func (t *Table) query(ctx context.Context, in *dynamodb.QueryInput, each func(item)) error {
	in.TableName = &t.name
	for {
		out, err := t.page(ctx, in)
		if err != nil {
			return err
		}
		for _, it := range out.Items {
			each(it)
		}
		if in.ExclusiveStartKey = out.LastEvaluatedKey; len(in.ExclusiveStartKey) == 0 {
			return nil
		}
	}
}
