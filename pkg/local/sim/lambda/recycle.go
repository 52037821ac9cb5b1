package lambda

import (
	"encoding/json"
	"errors"
	"net/http"

	"connexease-functions/pkg/local/sim/uuid"
)

// Recycle makes every later invocation run in a process started after the call, as Lambda does when
// a function's configuration changes (AWS: Lambda, "Execution environment lifecycle"). Running
// invocations finish in their process.
func (f *Function) Recycle() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for p := range f.procs {
		p.outdated = true
		if p.state == starting { // it may have read what has changed
			p.state = dying
			f.coming--
		}
		if p.state == idle {
			f.unlist(p)
		}
		if p.state == dying {
			p.terminate()
		}
	}
	f.dispatch()
}

// maxConfiguration bounds the body of an update; a description has 256 characters.
const maxConfiguration = 64 << 10

// configuration is the part of a function's configuration that the CLI's waiter reads.
type configuration struct {
	FunctionName     string
	FunctionArn      string
	Version          string
	Description      string
	Timeout          int
	MemorySize       int
	RevisionId       string //nolint:revive // AWS's name
	State            string
	LastUpdateStatus string
}

// updateConfiguration is UpdateFunctionConfiguration, limited to Description: the template has all
// settings.
func (a *InvokeAPI) updateConfiguration(w http.ResponseWriter, r *http.Request) {
	target, known := a.named(w, r)
	if !known {
		return
	}
	body, err := readBounded(r.Body, maxConfiguration)
	if errors.Is(err, errTooLarge) {
		refuseInvoke(w, http.StatusRequestEntityTooLarge, "RequestTooLargeException", "The request is too large.")
		return
	}
	var in map[string]json.RawMessage
	var description string
	if err != nil || json.Unmarshal(body, &in) != nil || len(in) != 1 || json.Unmarshal(in["Description"], &description) != nil || len(description) > 256 {
		refuseInvoke(w, http.StatusBadRequest, "InvalidParameterValueException", "Only a Description of at most 256 characters can be set here.")
		return
	}
	f := target.Function
	f.mu.Lock()
	f.description, f.revision = description, uuid.New()
	f.mu.Unlock()
	f.Recycle()
	a.showConfiguration(w, r)
}

// showConfiguration is GetFunctionConfiguration.
func (a *InvokeAPI) showConfiguration(w http.ResponseWriter, r *http.Request) {
	target, known := a.named(w, r)
	if !known {
		return
	}
	f := target.Function
	f.mu.Lock()
	c := configuration{
		FunctionName: f.cfg.Name, FunctionArn: f.cfg.arn(), Version: latest, Description: f.description, Timeout: int(f.cfg.Timeout.Seconds()),
		MemorySize: f.cfg.MemoryMB, RevisionId: f.revision, State: "Active", LastUpdateStatus: "Successful",
	}
	f.mu.Unlock()
	respond(w, http.StatusOK, c)
}
