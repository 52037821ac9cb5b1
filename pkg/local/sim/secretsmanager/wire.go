package secretsmanager

import (
	"net/http"

	"connexease-functions/pkg/local/pause"
	"connexease-functions/pkg/local/sim/awsjson"
)

// maxSecret is in bytes (AWS: Secrets Manager quotas).
const maxSecret = 65536

var service = awsjson.Service{
	Target: "secretsmanager.", Version: "1.1",
	// The largest secret with every byte escaped as \u00xx, plus the rest of a request.
	MaxRequest: 6*maxSecret + 16<<10,
	TooLarge:   invalid("The request is too large: a secret has at most 65536 bytes."),
}

func refuse(code, message string) *awsjson.Fault {
	return &awsjson.Fault{Type: code, Message: message}
}

func invalid(message string) *awsjson.Fault { return refuse("InvalidParameterException", message) }

// ServeHTTP is the endpoint.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	awsjson.Serve(w, r, service, func(action string, in input) (any, *awsjson.Fault) {
		fault := s.record(action, in)
		if pause.For(r.Context(), fault.Delay) != nil {
			return nil, nil
		}
		if fault.Status != 0 {
			return nil, &awsjson.Fault{Status: fault.Status, Type: fault.Code, Message: "This fault was requested."}
		}
		return s.do(action, in)
	})
}

func (s *Server) record(action string, in input) Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := in.SecretID
	if there := s.find(id); there != nil {
		id = there.name
	}
	s.calls = append(s.calls, Call{action, id, in.VersionStage})
	return s.fault
}
