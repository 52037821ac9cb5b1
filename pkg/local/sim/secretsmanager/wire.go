package secretsmanager

import (
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"
)

const (
	contentType = "application/x-amz-json-1.1"
	target      = "secretsmanager."
	// maxSecret is in bytes (AWS: Secrets Manager quotas).
	maxSecret = 65536
	// maxBody holds the largest secret with every byte escaped as \u00xx, and the rest
	// of a request.
	maxBody = 6*maxSecret + 16<<10
)

// failure is an error as AWS answers it.
type failure struct {
	status        int
	code, message string
}

func refuse(code, message string) *failure { return &failure{http.StatusBadRequest, code, message} }

func noSuchSecret() *failure {
	return refuse("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
}

func invalid(message string) *failure { return refuse("InvalidParameterException", message) }

// ServeHTTP speaks AWS JSON 1.1, as the SDKs and the CLI do. A page in a browser can
// send neither this content type nor the header that names the action to another
// origin, unless that origin allows it, which this one never does: so it reads no
// secrets.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	action, named := strings.CutPrefix(r.Header.Get("X-Amz-Target"), target)
	if r.Method != http.MethodPost || media != contentType || !named {
		fail(w, refuse("UnknownOperationException", "A call is a POST of "+contentType+" with the header X-Amz-Target: "+target+"<action>."))
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		fail(w, invalid("The request is too large: a secret has at most 65536 bytes."))
		return
	}
	var in input
	if err := json.Unmarshal(body, &in); err != nil {
		fail(w, refuse("SerializationException", "The body is not the JSON of this action."))
		return
	}
	fault := s.record(action, in)
	if fault.Delay > 0 {
		late := time.NewTimer(fault.Delay)
		defer late.Stop()
		select {
		case <-late.C:
		case <-r.Context().Done():
			return
		}
	}
	if fault.Status != 0 {
		fail(w, &failure{fault.Status, fault.Code, "This fault was asked for."})
		return
	}
	out, failed := s.do(action, in)
	if failed != nil {
		fail(w, failed)
		return
	}
	write(w, http.StatusOK, out)
}

func (s *Server) record(action string, in input) Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := in.SecretID
	if id == "" {
		id = in.Name
	}
	if there := s.find(id); there != nil {
		id = there.name
	}
	s.calls = append(s.calls, Call{action, id, in.VersionStage})
	return s.fault
}

func fail(w http.ResponseWriter, f *failure) {
	w.Header().Set("X-Amzn-Errortype", f.code)
	write(w, f.status, map[string]string{"__type": f.code, "Message": f.message})
}

func write(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("X-Amzn-Requestid", newVersionID())
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the caller may have gone
}
