package eventbridge

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"time"

	"connexease-functions/pkg/local/pause"
	"connexease-functions/pkg/local/sim/eventpattern"
	"connexease-functions/pkg/local/sim/pipes"
)

// Rule is an AWS::Events::Rule with one target, with the properties' names.
type Rule struct {
	Pattern     json.RawMessage `json:"pattern"`               // EventPattern
	Transformer *Transformer    `json:"transformer,omitempty"` // nil: the target gets the whole event
}

// Transformer is a target's InputTransformer.
type Transformer struct {
	Paths    map[string]string `json:"InputPathsMap"`
	Template string            `json:"InputTemplate"`
}

type rule struct {
	Rule
	end context.CancelFunc
	// dropped counts the matching events whose transformer did not make JSON: AWS drops them too.
	dropped int
}

// Listed is a rule with the counts of its events.
type Listed struct {
	Rule
	Dropped int `json:"dropped"`
}

// Dropped reports an event that a rule's target does not get.
type Dropped struct {
	Rule  string
	Count int // so far
	Err   error
}

func (d *Dropped) Error() string {
	return fmt.Sprintf("rule %s dropped an event (%d so far; AWS would too): %v. Use a template only with values that have no quotes, backslashes or line breaks",
		d.Rule, d.Count, d.Err)
}

func (d *Dropped) Unwrap() error { return d.Err }

// Compiled is a validated rule, ready to match events.
type Compiled struct {
	bus      string
	name     string
	pattern  *eventpattern.Pattern
	template *pipes.Template
	paths    map[string]string
}

// Limits of a transformer (AWS API reference: InputTransformer).
const (
	mostPaths    = 100
	longestInput = 8192
)

var variableName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,256}$`)

// reserved lists the variables that need no path (Amazon EventBridge: "Amazon EventBridge input
// transformation", predefined variables).
var reserved = map[string]func(r *Compiled, event map[string]any, ingested string) any{
	"aws.events.rule-arn":             func(r *Compiled, _ map[string]any, _ string) any { return ruleARN(r.bus, r.name) },
	"aws.events.rule-name":            func(r *Compiled, _ map[string]any, _ string) any { return r.name },
	"aws.events.event.ingestion-time": func(_ *Compiled, _ map[string]any, at string) any { return at },
	"aws.events.event.json":           func(_ *Compiled, event map[string]any, _ string) any { return event },
	"aws.events.event": func(_ *Compiled, event map[string]any, _ string) any {
		rest := maps.Clone(event)
		delete(rest, "detail")
		return rest
	},
}

// ruleARN returns the ARN of a rule on a bus other than the account's default one.
func ruleARN(bus, name string) string {
	return "arn:aws:events:" + region + ":" + account + ":rule/" + bus + "/" + name
}

// Compile validates a rule, and refuses what AWS refuses.
func Compile(r Rule) (*Compiled, error) {
	p, err := eventpattern.ParsePattern(string(r.Pattern))
	if err != nil {
		return nil, err
	}
	c := &Compiled{bus: "bus", name: "rule", pattern: p}
	if r.Transformer == nil {
		return c, nil
	}
	c.paths = r.Transformer.Paths
	if len(c.paths) > mostPaths || len(r.Transformer.Template) > longestInput {
		return nil, fmt.Errorf("a transformer has at most %d paths and a template of %d bytes", mostPaths, longestInput)
	}
	for name, path := range c.paths {
		if !pipes.IsPath(path) || !variableName.MatchString(name) {
			return nil, fmt.Errorf("InputPathsMap: %q: %q is not a variable and its JSON path", name, path)
		}
	}
	c.template, err = pipes.ParseTemplate(r.Transformer.Template, func(name string) bool {
		return c.paths[name] != "" || reserved[name] != nil
	})
	if err != nil {
		return nil, err
	}
	return c, c.template.Check()
}

// Matches reports whether an event is for the rule's target.
func (c *Compiled) Matches(event []byte) bool { return c.pattern.Match(event) }

// Target returns what the rule's target gets for an event.
func (c *Compiled) Target(event []byte) ([]byte, error) {
	var at struct{ Time string }
	_ = json.Unmarshal(event, &at)
	return c.target(event, at.Time)
}

func (c *Compiled) target(event []byte, ingested string) ([]byte, error) {
	if c.template == nil {
		return event, nil
	}
	v, err := eventpattern.Decode(event) // numbers as they are written
	if err != nil {
		return nil, err
	}
	return c.template.Render(func(name string) (any, bool) {
		if value := reserved[name]; value != nil {
			object, _ := v.(map[string]any)
			return value(c, object, ingested), true
		}
		return pipes.At(c.paths[name], v)
	})
}

// PutRule adds a rule, or replaces the one with its name. deliver delivers an input to the target,
// and is retried until it succeeds or the bus is closed. trouble receives failures, and a *Dropped
// for each lost event.
func (s *Server) PutRule(name string, r Rule, deliver func(ctx context.Context, body []byte) error, trouble func(error)) error {
	c, err := Compile(r)
	if err != nil {
		return err
	}
	c.bus, c.name = s.name, name
	ctx, end := context.WithCancel(s.ended)
	s.mu.Lock()
	if old := s.rules[name]; old != nil {
		old.end()
	}
	own := &rule{Rule: r, end: end}
	s.rules[name] = own
	seen := s.gone + len(s.events) // earlier events are not for the rule
	s.mu.Unlock()
	s.running.Go(func() {
		for {
			events, next, err := s.Next(ctx, seen)
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				trouble(err)
			}
			seen = next
			for _, e := range events {
				if body := e.JSON(); c.Matches(body) {
					target, err := c.target(body, e.ingested)
					if err != nil { // a retry would fail too
						trouble(s.drop(name, own, err))
						continue
					}
					s.deliver(ctx, target, deliver, trouble)
				}
			}
		}
	})
	return nil
}

func (s *Server) drop(name string, r *rule, err error) *Dropped {
	s.mu.Lock()
	defer s.mu.Unlock()
	r.dropped++
	return &Dropped{name, r.dropped, err}
}

func (s *Server) deliver(ctx context.Context, body []byte, deliver func(context.Context, []byte) error, trouble func(error)) {
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 10*time.Second) {
		err := deliver(ctx, body)
		if err == nil || ctx.Err() != nil {
			return
		}
		trouble(err)
		if pause.For(ctx, wait) != nil {
			return
		}
	}
}

// RemoveRule removes a rule, and reports whether it existed.
func (s *Server) RemoveRule(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.rules[name]
	if r != nil {
		r.end()
		delete(s.rules, name)
	}
	return r != nil
}

// Rules returns the rules, sorted by name.
func (s *Server) Rules() map[string]Listed {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string]Listed{}
	for name, r := range s.rules {
		all[name] = Listed{r.Rule, r.dropped}
	}
	return all
}
