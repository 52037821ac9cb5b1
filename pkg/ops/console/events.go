package console

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"connexease-functions/pkg/table"
	"connexease-functions/pkg/whatsapp"
)

func init() {
	register(page{path: "/events", title: "Events", place: 40, template: "events", show: showEvents, actions: map[string]action{
		"/events/filter": {do: filterEvents, reads: true}, "/events/search": {do: search, reads: true},
	}})
}

const (
	// perPage is how many rows a page shows.
	perPage = 50
	// perRead is how many items of a timeline are read at once.
	perRead = 100
	// mostReads bounds a page whose filter fits few of a long conversation.
	mostReads = 5
	// mostFound ends a search of the whole table.
	mostFound = 200
)

// filter selects events by their facts; what is empty selects all.
type filter struct {
	Kind, Type, Field, Contact string
	Of                         string // the contact, as an address names it
	Since, Until               string // as given
	since, until               int64  // epoch seconds; 0: without bound
}

// Kinds lists the kinds of items that events are made of.
func (filter) Kinds() []string {
	return []string{"message", "status", "event", "send", "consent", "quarantine"}
}

// Query returns the filter as a query of an address.
func (f filter) Query() string {
	q := url.Values{}
	for name, value := range map[string]string{"kind": f.Kind, "type": f.Type, "field": f.Field, "of": f.Of, "since": f.Since, "until": f.Until} {
		if value != "" {
			q.Set(name, value)
		}
	}
	return q.Encode()
}

// Empty reports whether the filter selects all.
func (f filter) Empty() bool { return f.Query() == "" }

// Words returns all but the contact in words.
func (f filter) Words() string {
	f.Of = ""
	text, _ := url.QueryUnescape(f.Query()) // it was escaped here
	return strings.ReplaceAll(text, "&", ", ")
}

// filterOf reads the filter of an address or a form, and says what of it cannot be read.
func (c *Console) filterOf(q url.Values) (f filter, err error) {
	get := func(name string) string { return strings.TrimSpace(q.Get(name)) }
	f = filter{Kind: get("kind"), Type: get("type"), Field: get("field"), Since: get("since"), Until: get("until")}
	if f.Contact, f.Of, err = c.contactOf(get); err != nil {
		return f, err
	}
	for name, t := range map[string]struct {
		text  string
		epoch *int64
	}{"from": {f.Since, &f.since}, "to": {f.Until, &f.until}} {
		var ok bool
		if *t.epoch, ok = when(t.text); !ok {
			return f, wrongf("the time %q of %q cannot be read. Write it as 2026-01-31T12:00 (UTC), or as an age such as 90m or 24h", t.text, name)
		}
	}
	return f, nil
}

// contactOf returns a contact that a form names as it is, or an address by its reference, and the
// reference.
func (c *Console) contactOf(get func(string) string) (contact, of string, err error) {
	contact = get("contact")
	if sealed := get("of"); contact == "" && sealed != "" {
		contact, _, err = c.key(sealed)
	}
	if contact != "" {
		of = c.Ref(contact, "")
	}
	return contact, of, err
}

// filterEvents leads to the events that a form selects.
func filterEvents(v *visit) (string, error) {
	f, err := v.filterOf(v.request.PostForm)
	v.lead("/events?" + f.Query())
	return "", err
}

// when parses a time in UTC, or an age.
func when(text string) (epoch int64, ok bool) {
	if text == "" {
		return 0, true
	}
	if age, err := time.ParseDuration(text); err == nil {
		return time.Now().Add(-age).Unix(), true
	}
	for _, form := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04", time.DateOnly} {
		if at, err := time.Parse(form, text); err == nil {
			return at.Unix(), true
		}
	}
	return 0, false
}

func (f filter) takes(facts map[string]string) bool {
	for want, has := range map[string]string{f.Kind: facts["kind"], f.Type: facts["type"], f.Field: facts["field"]} {
		if want != "" && want != has {
			return false
		}
	}
	if f.Contact != "" && !slices.Contains([]string{facts["contact"], facts["user_id"], facts["group_id"]}, whatsapp.Canonical(f.Contact)) && facts["contact"] != f.Contact {
		return false
	}
	at, _ := strconv.ParseInt(facts["timestamp"], 10, 64)
	return (f.since == 0 || at >= f.since) && (f.until == 0 || at <= f.until)
}

// shown is a row of the table of events.
type shown struct {
	Ref   string
	At    time.Time
	Facts map[string]string
}

func (c *Console) shown(facts map[string]string) shown {
	at, _ := strconv.ParseInt(facts["timestamp"], 10, 64)
	s := shown{Ref: c.Ref(facts["pk"], facts["sk"]), Facts: facts}
	if at != 0 {
		s.At = time.Unix(at, 0)
	}
	return s
}

// factsOf returns the flat attributes of an item; a payload is not one.
func factsOf(it table.Item) map[string]string {
	all := map[string]string{}
	for name := range it {
		if text := it.Text(name); text != "" && name != "payload" && name != "contact_payload" && name != "fallback" {
			all[name] = text
		}
	}
	return all
}

type eventsPage struct {
	Filter filter
	Rows   []shown
	From   string // where the rows are from, in words
	More   string // address of the next page; empty: there is none
	Live   bool   // new ones appear
	Cost   string
	Search *jobState
}

// found is the result of a search.
type found struct {
	Filter filter
	Rows   []shown
	All    bool // there are no others
}

func showEvents(v *visit) (any, error) {
	p := &eventsPage{Search: v.job("search")}
	var err error
	if p.Filter, err = v.filterOf(v.request.URL.Query()); err != nil {
		return nil, err
	}
	if v.query("contact") != "" { // somebody typed it
		v.lead("/events?" + p.Filter.Query())
		return nil, nil
	}
	if v.due("search") {
		if p.Cost, _, err = v.scanCost(); err != nil {
			return nil, err
		}
	}
	if !v.due("rows") {
		return p, nil
	}
	if p.Filter.Contact != "" {
		p.From = "Of the table, newest first. Statuses are with their message."
		return p, v.timeline(p)
	}
	p.Live, p.From = true, "The newest of the bus, as they come."
	if v.Deployed() {
		p.From = "What came since the console was opened. For older ones name a contact, or search the whole table."
	}
	for _, l := range v.Feed.last(perPage, func(l Line) bool { return l.Event != nil && p.Filter.takes(l.Event.Facts) }) {
		p.Rows = append(p.Rows, v.shown(l.Event.Facts))
	}
	return p, nil
}

// timeline reads a page of a person's events, or a group's.
func (v *visit) timeline(p *eventsPage) error {
	before := ""
	if sealed := v.query("before"); sealed != "" {
		var err error
		if before, _, err = v.key(sealed); err != nil {
			return err
		}
	}
	for range mostReads {
		items, err := v.Operator.Table().Newest(v.ctx, p.Filter.Contact, before, perRead)
		if err != nil {
			return fmt.Errorf("the table cannot be read: %w. Try again", err)
		}
		for _, it := range items {
			before = it.Text("timeline_sk")
			f := factsOf(it)
			byNames := p.Filter
			byNames.Contact = "" // it is of a name of theirs
			if byNames.takes(f) {
				p.Rows = append(p.Rows, v.shown(f))
			}
			if len(p.Rows) == perPage {
				break
			}
		}
		if len(items) < perRead && len(p.Rows) < perPage {
			return nil
		}
		if len(p.Rows) >= perPage {
			break
		}
	}
	p.More = "/events?" + p.Filter.Query() + "&before=" + v.Ref(before, "")
	return nil
}

// search reads the whole table for the events that a filter selects.
func search(v *visit) (string, error) {
	f, err := v.filterOf(v.request.PostForm)
	if err != nil {
		return "", err
	}
	_, items, err := v.scanCost()
	if err != nil {
		return "", err
	}
	v.lead("/events?" + f.Query())
	return "", v.start("search", items, func(ctx context.Context, read func(int)) (any, error) {
		ctx, enough := context.WithCancel(ctx)
		defer enough()
		result := &found{Filter: f, All: true}
		err := v.Operator.Table().Scan(ctx, table.Selection{Page: read}, func(it table.Item) {
			facts := factsOf(it)
			if len(result.Rows) < mostFound && !it.IsPart() && facts["kind"] != "alias" && f.takes(facts) {
				if result.Rows = append(result.Rows, v.shown(facts)); len(result.Rows) == mostFound {
					result.All = false
					enough()
				}
			}
		})
		if !result.All {
			err = nil // it was ended here
		}
		slices.SortFunc(result.Rows, func(a, b shown) int { return b.At.Compare(a.At) })
		return result, err
	})
}
