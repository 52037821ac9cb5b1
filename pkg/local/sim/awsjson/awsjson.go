// Package awsjson implements the JSON protocol of AWS's services, as the SDKs and the CLI use it.
package awsjson

import (
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"connexease-functions/pkg/local/sim/uuid"
)

// Service holds what differs between the services.
type Service struct {
	Target     string // part of X-Amz-Target before the action, including the dot
	Version    string // of the protocol: 1.0 or 1.1
	MaxRequest int64  // maximum size of a request, in bytes
	TooLarge   *Fault // fault of a larger one
	Namespace  string // namespace of the common errors, including the #; may be empty
	Queries    bool   // whether the service still sends the error codes of its older query protocol
}

// Fault is an error as a service returns it.
type Fault struct {
	Status  int    // 0: 400
	Type    string // name of the error, with its namespace where the service has one
	Query   string // code of the older query protocol, for services that had it
	Message string
}

// UnknownOperation is the fault of an action that does not exist or is not simulated.
func (s Service) UnknownOperation(action string) *Fault {
	return s.unknown("The action " + action + " is not valid for this endpoint.")
}

func (s Service) unknown(message string) *Fault {
	return &Fault{Type: s.Namespace + "UnknownOperationException", Query: "InvalidAction", Message: message}
}

// Serve reads a call, and writes what call returns. A web page can send neither the content type
// nor the header that names the action to a different origin unless that origin allows it, which
// this one never does, so a page cannot read or change anything.
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
		s.fail(w, &Fault{Type: s.Namespace + "SerializationException", Query: "MalformedInput", Message: "The body is not valid JSON for this action."})
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
	s.write(w, cmp.Or(f.Status, http.StatusBadRequest), map[string]string{"__type": f.Type, "message": f.Message})
}

func (s Service) write(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", s.contentType())
	w.Header().Set("X-Amzn-Requestid", uuid.New())
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the caller may have gone
}
