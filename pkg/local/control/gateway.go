package control

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"

	"connexease-functions/pkg/local/sim/connexease"
	simsqs "connexease-functions/pkg/local/sim/sqs"
)

// messages lists the messages that the simulated Gateway accepted, in order.
func (c *Control) messages(w http.ResponseWriter, _ *http.Request) {
	all := c.stack.Gateway.Messages()
	answer(w, http.StatusOK, map[string]any{"count": len(all), "messages": all})
}

// setting is a part of a simulator's behaviour that is read and replaced whole.
type setting[T any] struct {
	get    func() T
	set    func(T) error
	want   string // describes a valid body
	member any    // the object whose members a body may have
}

func (s setting[T]) show(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, s.get()) }

func (s setting[T]) put(w http.ResponseWriter, r *http.Request) {
	var given T
	if !read(w, r, &given, s.member, s.want) {
		return
	}
	if err := s.set(given); err != nil {
		fail(w, http.StatusBadRequest, err)
		return
	}
	s.show(w, r)
}

func (c *Control) faults() setting[connexease.Faults] {
	g := c.stack.Gateway
	return setting[connexease.Faults]{g.Faults, g.SetFaults, "a JSON array of faults; [] ends them", connexease.Fault{}}
}

func (c *Control) callbacks() setting[connexease.Callbacks] {
	g := c.stack.Gateway
	return setting[connexease.Callbacks]{g.Callbacks, g.SetCallbacks, "a JSON object; {} means sent, delivered and read at once", connexease.Callbacks{}}
}

func (c *Control) limits() setting[connexease.Limits] {
	g := c.stack.Gateway
	set := func(l connexease.Limits) error {
		if err := l.Validate(); err != nil {
			return err
		}
		g.SetLimits(l)
		return nil
	}
	return setting[connexease.Limits]{g.Limits, set, "a JSON object; members left out stay unchanged", connexease.Limits{}}
}

// queues shows how many messages each queue holds, by its name.
func (c *Control) queues(w http.ResponseWriter, _ *http.Request) {
	all := map[string]simsqs.Depth{}
	for _, name := range c.stack.QueueNames {
		all[name] = c.stack.Queues.Depth(name)
	}
	answer(w, http.StatusOK, map[string]any{"queues": all})
}

// read decodes a request's body, or responds with its fault. Unknown members are faults: a misspelt
// one that changed nothing would be hard to find.
func read(w http.ResponseWriter, r *http.Request, into, object any, want string) bool {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		fail(w, http.StatusRequestEntityTooLarge, err)
		return false
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	err = d.Decode(into)
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) || bytes.Equal(bytes.TrimSpace(body), []byte("null")) {
			err = errors.New("it must be one JSON value")
		}
	}
	if err != nil {
		fail(w, http.StatusBadRequest, fmt.Errorf("%s; want %s, with the members %s", strings.TrimPrefix(err.Error(), "json: "), want, strings.Join(memberNames(object), ", ")))
		return false
	}
	return true
}

func memberNames(object any) []string {
	var all []string
	for _, f := range reflect.VisibleFields(reflect.TypeOf(object)) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		all = append(all, name)
	}
	return all
}
