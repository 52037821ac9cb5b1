package harness

import (
	"path/filepath"
	"testing"
	"time"

	simeventbridge "connexease-functions/pkg/local/sim/eventbridge"
	"connexease-functions/pkg/local/sim/pipes"
	"connexease-functions/pkg/local/template"
)

// Out is the way from a table to a bus, by the pipe of template.yaml.
type Out struct {
	Bus    *simeventbridge.Server
	Pipe   *pipes.Pipe
	Dead   [][]byte // what the dead letters were told
	stream *pipes.Stream
}

// NewOut makes a bus and the pipe to it from a table's stream. Nothing moves by itself.
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
	c.MaxRetries = 0 // a test does not wait for what will not be
	c.Put, c.DeadLetter = o.Bus.Put, func(body []byte) { o.Dead = append(o.Dead, body) }
	if o.Pipe, err = pipes.New(c); err != nil {
		t.Fatal(err)
	}
	return o
}

// Events moves what the stream has, and returns all events of the bus.
func (o *Out) Events(t testing.TB) []simeventbridge.Event {
	t.Helper()
	if err := o.stream.Drain(t.Context(), o.Pipe); err != nil {
		t.Fatal(err)
	}
	if len(o.Dead) > 0 {
		t.Errorf("dead letters: %s", o.Dead)
	}
	return o.Bus.Events()
}
