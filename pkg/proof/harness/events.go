package harness

import (
	"encoding/json"
	"path/filepath"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	simeventbridge "connexease-functions/pkg/local/sim/eventbridge"
	"connexease-functions/pkg/local/sim/pipes"
	"connexease-functions/pkg/local/template"
	"connexease-functions/pkg/proof/docs"
)

// Out is the path from a table to a bus, through the pipe of template.yaml.
type Out struct {
	Bus    *simeventbridge.Server
	Pipe   *pipes.Pipe
	Dead   [][]byte // the reports of records that were given up
	stream *pipes.Stream
}

// NewOut creates a bus and the pipe to it from a table's stream. Events move only when Events is
// called.
func NewOut(t testing.TB, table string) *Out {
	t.Helper()
	tpl, err := template.Load(filepath.Join(root, "template.yaml"), nil)
	if err != nil {
		t.Fatal(err)
	}
	found, err := tpl.Pipes()
	if err != nil || len(found) != 1 {
		t.Fatalf("template.yaml has %d pipes, %v", len(found), err)
	}
	o := &Out{Bus: simeventbridge.New(found[0].Bus, time.Now), stream: &pipes.Stream{Client: Backends.Streams(), Table: table}}
	t.Cleanup(o.Bus.Close)
	c := found[0].Config
	c.MaxRetries = 0 // a test need not wait for more
	c.Put, c.DeadLetter = o.Bus.Put, func(body []byte) { o.Dead = append(o.Dead, body) }
	if o.Pipe, err = pipes.New(c); err != nil {
		t.Fatal(err)
	}
	return o
}

// Events moves the stream's records, and returns all events of the bus.
func (o *Out) Events(t testing.TB) []simeventbridge.Event {
	t.Helper()
	if err := o.stream.Drain(t.Context(), o.Pipe); err != nil {
		t.Fatal(err)
	}
	if len(o.Dead) > 0 {
		t.Errorf("given up: %s", o.Dead)
	}
	return o.Bus.Events()
}

// Rule returns a rule that a README has as CloudFormation, and the names of what it imports: its bus
// and its target.
func Rule(t testing.TB, name string) (r simeventbridge.Rule, imports []string) {
	t.Helper()
	var stack map[string]struct {
		Properties struct {
			EventBusName yaml.Node      `yaml:"EventBusName"`
			EventPattern map[string]any `yaml:"EventPattern"`
			Targets      []struct {
				Arn         yaml.Node `yaml:"Arn"`
				Transformer struct {
					Paths    map[string]string `yaml:"InputPathsMap"`
					Template string            `yaml:"InputTemplate"`
				} `yaml:"InputTransformer"`
			} `yaml:"Targets"`
		} `yaml:"Properties"`
	}
	if err := yaml.Unmarshal([]byte(docs.Block(t, "yaml", name+":")), &stack); err != nil {
		t.Fatal(err)
	}
	p := stack[name].Properties
	pattern, err := json.Marshal(p.EventPattern)
	if err != nil || len(p.Targets) != 1 {
		t.Fatal(err, len(p.Targets))
	}
	target := p.Targets[0]
	r = simeventbridge.Rule{Pattern: pattern, Transformer: &simeventbridge.Transformer{Paths: target.Transformer.Paths, Template: target.Transformer.Template}}
	return r, []string{p.EventBusName.Value, target.Arn.Value}
}
