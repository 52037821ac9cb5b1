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

func (c *Control) faults(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, c.stack.Gateway.Faults())
}

func (c *Control) putFaults(w http.ResponseWriter, r *http.Request) {
	var f connexease.Faults
	if !read(w, r, &f, connexease.Fault{}, "a JSON array of faults; [] ends them") {
		return
	}
	if err := c.stack.Gateway.SetFaults(f); err != nil {
		fail(w, http.StatusBadRequest, err)
		return
	}
	c.faults(w, r)
}

func (c *Control) callbacks(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, c.stack.Gateway.Callbacks())
}

func (c *Control) putCallbacks(w http.ResponseWriter, r *http.Request) {
	var b connexease.Callbacks
	if !read(w, r, &b, b, "a JSON object; {} means sent, delivered and read at once") {
		return
	}
	if err := c.stack.Gateway.SetCallbacks(b); err != nil {
		fail(w, http.StatusBadRequest, err)
		return
	}
	c.callbacks(w, r)
}

func (c *Control) limits(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, c.stack.Gateway.Limits())
}

func (c *Control) putLimits(w http.ResponseWriter, r *http.Request) {
	var l connexease.Limits
	if !read(w, r, &l, l, "a JSON object; members left out stay unchanged") {
		return
	}
	if err := l.Validate(); err != nil {
		fail(w, http.StatusBadRequest, err)
		return
	}
	c.stack.Gateway.SetLimits(l)
	c.limits(w, r)
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
