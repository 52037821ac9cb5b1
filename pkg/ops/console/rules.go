package console

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"connexease-functions/pkg/bounded"
	"connexease-functions/pkg/local/sim/eventbridge"
	"connexease-functions/pkg/order"
	"connexease-functions/pkg/queue"
)

func init() {
	register(page{path: "/rules", title: "Rules", place: 50, template: "rules", show: showRules, actions: map[string]action{
		"/rules/try": {do: tryRule, reads: true},
		"/rules/on":  {do: switchOn},
		"/rules/off": {do: switchOff},
	}})
}

// rulesLaptop is what the laptop's bus can do: its rules put messages on the outbound queue.
type rulesLaptop interface {
	Rules() map[string]eventbridge.Listed
	PutRule(name string, r eventbridge.Rule) error
	RemoveRule(name string) bool
}

const (
	// tried bounds the events that a rule is tried against.
	tried = 200
	// stored bounds those of a contact, each of which is a read of its own.
	stored = 50
	// shownTrials is how many of the matching ones are shown.
	shownTrials = 20
)

// ruleForm is a rule as it is typed, with the properties' names of AWS::Events::Rule.
type ruleForm struct {
	Name, Pattern, Paths, Template string
	Contact, Of                    string // whose stored events it is tried against; empty: what came last
}

// formOf reads a form's fields. Browsers end their lines with CR LF.
func formOf(field func(string) string) ruleForm {
	get := func(name string) string { return strings.TrimSpace(strings.ReplaceAll(field(name), "\r\n", "\n")) }
	return ruleForm{Name: get("name"), Pattern: get("pattern"), Paths: get("paths"), Template: get("template")}
}

// example answers each text, as pkg/events/README.md has it.
var example = ruleForm{
	Name: "answer", Pattern: `{
  "source": ["connexease"],
  "detail-type": ["WhatsApp Message Received"],
  "detail": {"type": ["text"], "group_id": [""]}
}`, Paths: `{"pk": "$.detail.pk", "contact": "$.detail.contact"}`,
	Template: `{"idempotencyKey": "answer-<pk>", "reader": "default", "contact": "<contact>",
 "message": {"messaging_product": "whatsapp", "type": "text", "text": {"body": "Thank you."}}}`,
}

// trial is what a rule makes of one event.
type trial struct {
	Event   shown
	Type    string // its detail type
	Input   []byte // what the queue gets
	Err     error  // the transformer did not make JSON, so that AWS drops the event
	Refused []byte // what the send function would respond to it; nil: it is sent
}

type rulesPage struct {
	Form    ruleForm
	Fault   error // of the rule
	Tried   int
	Matched int
	Trials  []trial
	From    string
	Rules   []namedRule
}

type namedRule struct {
	Name     string
	Pattern  []byte
	Template string
	Dropped  int
}

func showRules(v *visit) (any, error) {
	p := &rulesPage{Form: example}
	if sealed := v.query("rule"); sealed != "" {
		text, _, err := v.key(sealed)
		if err != nil {
			return nil, err
		}
		p.Form = ruleForm{}
		if err := json.Unmarshal([]byte(text), &p.Form); err != nil {
			return nil, wrongf("this address names no rule")
		}
	}
	if v.Laptop != nil {
		all := v.Laptop.Rules()
		for _, name := range slices.Sorted(maps.Keys(all)) {
			r := namedRule{Name: name, Pattern: all[name].Pattern, Dropped: all[name].Dropped}
			if t := all[name].Transformer; t != nil {
				r.Template = t.Template
			}
			p.Rules = append(p.Rules, r)
		}
	}
	rule, err := p.Form.rule()
	var c *eventbridge.Compiled
	if err == nil {
		c, err = eventbridge.Compile(rule)
	}
	if err != nil {
		p.Fault = err
		return p, nil
	}
	return p, v.try(p, c)
}

// rule reads the form.
func (f ruleForm) rule() (r eventbridge.Rule, err error) {
	r.Pattern = json.RawMessage(f.Pattern)
	if f.Template == "" {
		return r, nil
	}
	r.Transformer = &eventbridge.Transformer{Template: f.Template}
	if err := json.Unmarshal([]byte(cmp.Or(f.Paths, "{}")), &r.Transformer.Paths); err != nil {
		return r, fmt.Errorf("the paths must be a JSON object of names and paths, such as {\"pk\": \"$.detail.pk\"}: %w", err)
	}
	return r, nil
}

// try runs the rule over events, the newest first.
func (v *visit) try(p *rulesPage, c *eventbridge.Compiled) error {
	type one struct {
		kind   string
		detail []byte
		facts  map[string]string
	}
	var events []one
	if p.Form.Contact != "" {
		p.From = "the stored events of"
		items, err := v.Operator.Table().Newest(v.ctx, p.Form.Contact, "", stored)
		found := make([]one, len(items))
		if err == nil {
			err = bounded.Try(v.ctx, len(items), readsAtOnce, func(ctx context.Context, i int) error { // the timeline has not all of an item
				it, err := v.Operator.Table().Get(ctx, items[i].Text("pk"), items[i].Text("sk"))
				if err == nil {
					found[i].facts = factsOf(it)
					found[i].kind, found[i].detail, err = v.Operator.Published(it)
				}
				return err
			})
		}
		if err != nil {
			return fmt.Errorf("the table cannot be read: %w. Try again", err)
		}
		events = slices.DeleteFunc(found, func(e one) bool { return e.kind == "" })
	} else {
		p.From = "the events that came last"
		for _, l := range v.Feed.last(tried, func(l Line) bool { return l.Event != nil }) {
			detail, _ := json.Marshal(l.Event.Facts) // strings
			events = append(events, one{l.Event.DetailType, detail, l.Event.Facts})
		}
	}
	for n, e := range events {
		p.Tried++
		event := envelope(n, e.kind, e.facts, e.detail)
		if !c.Matches(event) {
			continue
		}
		if p.Matched++; len(p.Trials) == shownTrials {
			continue
		}
		t := trial{Event: v.shown(e.facts), Type: e.kind}
		if t.Input, t.Err = c.Target(event); t.Err == nil {
			t.Refused = refusal(t.Input)
		}
		p.Trials = append(p.Trials, t)
	}
	return nil
}

// envelope is an event as rules see it (Amazon EventBridge: "AWS service event metadata"). Its id is
// made up.
func envelope(n int, kind string, facts map[string]string, detail []byte) []byte {
	at := time.Now()
	if epoch, err := strconv.ParseInt(facts["timestamp"], 10, 64); err == nil {
		at = time.Unix(epoch, 0)
	}
	return eventbridge.Event{
		Version: "0", ID: fmt.Sprintf("00000000-0000-4000-8000-%012d", n), DetailType: kind, Source: "connexease", Account: "000000000000",
		Time: at.UTC().Format(time.RFC3339), Region: "us-east-1", Resources: []string{}, Detail: detail,
	}.JSON()
}

// refusal is what the send function responds to a record; nil where it accepts it.
func refusal(body []byte) []byte {
	_, _, refused := order.FromRecord(&queue.Record{ID: "00000000-0000-4000-8000-000000000000", Body: string(body)})
	if refused == nil {
		return nil
	}
	return []byte(refused.Body)
}

// tryRule leads to what a rule does. Its address has it sealed: patterns may name persons, too.
func tryRule(v *visit) (string, error) {
	f := formOf(v.form)
	var err error
	if f.Contact, f.Of, err = v.contactOf(func(name string) string { return strings.TrimSpace(v.form(name)) }); err != nil {
		return "", err
	}
	v.lead("/rules?rule=" + v.Ref(unescaped(f), ""))
	return "", nil
}

func switchOn(v *visit) (string, error) {
	if v.Laptop == nil {
		return "", wrongf("rules of a deployed stack are resources of a stack of yours: see pkg/events/README.md")
	}
	f := formOf(v.form)
	if f.Name == "" {
		return "", wrongf("the rule needs a name")
	}
	r, err := f.rule()
	if err == nil {
		err = v.Laptop.PutRule(f.Name, r)
	}
	if err != nil {
		return "", wrongf("the rule is not switched on: %w", err)
	}
	return "The rule " + f.Name + " is on: it puts what matches from now on the outbound queue.", nil
}

func switchOff(v *visit) (string, error) {
	name := v.form("name")
	if v.Laptop == nil || !v.Laptop.RemoveRule(name) {
		return "", wrongf("there is no rule %s", name)
	}
	return "The rule " + name + " is off.", nil
}

// Curl is the request that switches the rule on.
func (p *rulesPage) Curl() string {
	r, err := p.Form.rule()
	if err != nil {
		return ""
	}
	var pattern bytes.Buffer
	if json.Compact(&pattern, r.Pattern) != nil {
		return ""
	}
	r.Pattern = pattern.Bytes()
	return laptopRequest{Method: "PUT", Path: "/rules/" + cmp.Or(p.Form.Name, "NAME"), Body: unescaped(r)}.Curl()
}

// unescaped encodes without escapes for HTML.
func unescaped(value any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(value) != nil {
		return ""
	}
	return strings.TrimSpace(b.String())
}
