// Package awsjson is the wire of AWS's JSON services, as the SDKs and the CLI speak it.
package awsjson

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"connexease-functions/pkg/local/sim/uuid"
)

// Service is what the services differ in.
type Service struct {
	Target     string // what X-Amz-Target has before the action, with its dot
	Version    string // of the protocol: 1.0 or 1.1
	MaxRequest int64  // bytes of a request
	TooLarge   *Fault // for a larger one
	Namespace  string // of the errors that every service has, with its #; may be empty
	Queries    bool   // the service had an older query protocol, and still sends its error codes
}

// Fault is an error as a service returns it.
type Fault struct {
	Status  int    // 0: 400
	Type    string // name of the error, with its namespace where the service has one
	Query   string // code of the older query protocol, of services that had it
	Message string
}

// UnknownOperation is the fault of an action that a service does not have, or not here.
func (s Service) UnknownOperation(action string) *Fault {
	return s.unknown("The action " + action + " is not valid for this endpoint.")
}

func (s Service) unknown(message string) *Fault {
	return &Fault{Type: s.Namespace + "UnknownOperationException", Query: "InvalidAction", Message: message}
}

// Serve reads a call, and writes what call returns. A page in a browser can send neither the
// content type nor the header that names the action to another origin, unless that origin
// allows it, which this one never does: so it neither reads nor changes anything.
func Serve[In any](w http.ResponseWriter, r *http.Request, s Service, call func(action string, in In) (out any, fault *Fault)) {
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	action, named := strings.CutPrefix(r.Header.Get("X-Amz-Target"), s.Target)
	if r.Method != http.MethodPost || media != s.contentType() || !named {
		s.fail(w, s.unknown("A call is a POST of "+s.contentType()+" with the header X-Amz-Target: "+s.Target+"<action>."))
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, s.MaxRequest))
	var in In
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		s.fail(w, s.TooLarge)
		return
	case err != nil || json.Unmarshal(body, &in) != nil:
		s.fail(w, &Fault{Type: s.Namespace + "SerializationException", Query: "MalformedInput", Message: "The body is not the JSON of this action."})
		return
	}
	out, fault := call(action, in)
	switch {
	case r.Context().Err() != nil: // the caller has gone
	case fault != nil:
		s.fail(w, fault)
	default:
		s.write(w, http.StatusOK, out)
	}
}

func (s Service) contentType() string { return "application/x-amz-json-" + s.Version }

func (s Service) fail(w http.ResponseWriter, f *Fault) {
	_, name, namespaced := strings.Cut(f.Type, "#")
	if !namespaced {
		name = f.Type
	}
	w.Header().Set("X-Amzn-Errortype", name)
	if s.Queries {
		w.Header().Set("X-Amzn-Query-Error", f.Query+";Sender")
	}
	status := f.Status
	if status == 0 {
		status = http.StatusBadRequest
	}
	s.write(w, status, map[string]string{"__type": f.Type, "message": f.Message})
}

func (s Service) write(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", s.contentType())
	w.Header().Set("X-Amzn-Requestid", uuid.New())
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the caller may have gone
}
