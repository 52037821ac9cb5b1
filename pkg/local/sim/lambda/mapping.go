package lambda

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"

	"connexease-functions/pkg/local/sim/uuid"
)

// Mapping is an event source mapping: it polls a source for a function until it is disabled.
type Mapping struct {
	Function  string // name
	SourceARN string
	BatchSize int
	// Poll returns once ctx has ended and its invocations have returned.
	Poll func(ctx context.Context)
}

// States of a mapping (AWS: Lambda API Reference, EventSourceMappingConfiguration).
const (
	enabled   = "Enabled"
	disabling = "Disabling"
	disabled  = "Disabled"
)

// mappings are those of an API; it has none after stop.
type mappings struct {
	mu      sync.Mutex
	all     []*runningMapping
	polling sync.WaitGroup
}

type runningMapping struct {
	Mapping
	id, state string
	stop      context.CancelFunc
}

// Map adds a mapping, and begins to poll.
func (a *InvokeAPI) Map(m Mapping) {
	a.maps.mu.Lock()
	defer a.maps.mu.Unlock()
	added := &runningMapping{Mapping: m, id: uuid.New()}
	a.maps.all = append(a.maps.all, added)
	a.maps.enable(added)
}

// StopPolling removes the mappings, and returns when their invocations have returned.
func (a *InvokeAPI) StopPolling() {
	a.maps.mu.Lock()
	for _, m := range a.maps.all {
		m.stop()
	}
	a.maps.all = nil
	a.maps.mu.Unlock()
	a.maps.polling.Wait()
}

func (s *mappings) enable(m *runningMapping) {
	ctx, stop := context.WithCancel(context.Background())
	m.stop, m.state = stop, enabled
	s.polling.Go(func() {
		m.Poll(ctx)
		s.mu.Lock()
		defer s.mu.Unlock()
		m.state = disabled
	})
}

// mappingConfiguration is the part of a mapping's configuration that tools read.
type mappingConfiguration struct {
	UUID           string
	BatchSize      int
	EventSourceArn string //nolint:revive // AWS's name
	FunctionArn    string
	State          string
}

func (m *runningMapping) configuration() mappingConfiguration {
	return mappingConfiguration{m.id, m.BatchSize, m.SourceARN, Config{Name: m.Function}.arn(), m.state}
}

// listMappings is ListEventSourceMappings of a function, in one page.
func (a *InvokeAPI) listMappings(w http.ResponseWriter, r *http.Request) {
	a.maps.mu.Lock()
	defer a.maps.mu.Unlock()
	q, found := r.URL.Query(), []mappingConfiguration{}
	for _, m := range a.maps.all {
		name, source := q.Get("FunctionName"), q.Get("EventSourceArn")
		if (name == "" || name == m.Function || strings.HasSuffix(name, ":"+m.Function)) && (source == "" || source == m.SourceARN) {
			found = append(found, m.configuration())
		}
	}
	respond(w, http.StatusOK, map[string]any{"EventSourceMappings": found})
}

// updateMapping is UpdateEventSourceMapping, limited to Enabled: the template has all settings.
// What a disabled mapping has received is processed to its end.
func (a *InvokeAPI) updateMapping(w http.ResponseWriter, r *http.Request) {
	body, err := readBounded(r.Body, maxConfiguration)
	var in map[string]json.RawMessage
	var enable bool
	if err != nil || json.Unmarshal(body, &in) != nil || len(in) != 1 || json.Unmarshal(in["Enabled"], &enable) != nil {
		refuseInvoke(w, http.StatusBadRequest, "InvalidParameterValueException", "Only Enabled, true or false, can be set here.")
		return
	}
	a.maps.mu.Lock()
	defer a.maps.mu.Unlock()
	at := slices.IndexFunc(a.maps.all, func(m *runningMapping) bool { return m.id == r.PathValue("id") })
	if at < 0 {
		refuseInvoke(w, http.StatusNotFound, "ResourceNotFoundException", "The resource you requested does not exist.")
		return
	}
	m := a.maps.all[at]
	switch {
	case m.state == disabling:
		refuseInvoke(w, http.StatusBadRequest, "ResourceInUseException", "Cannot update the event source mapping because it is in use.")
		return
	case enable && m.state == disabled:
		a.maps.enable(m)
	case !enable && m.state == enabled:
		m.stop()
		m.state = disabling
	}
	respond(w, http.StatusAccepted, m.configuration())
}
