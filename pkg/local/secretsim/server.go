// Package secretsim is a Secrets Manager endpoint with version stages, so that
// missing, rotated and unreachable secrets can be tried on a laptop.
package secretsim

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	current   = "AWSCURRENT"
	previous  = "AWSPREVIOUS"
	maxSecret = 65536 // AWS: Secrets Manager quotas
	target    = "secretsmanager."
)

type version struct {
	id, value string
	created   time.Time
	stages    []string
}

// Fault is what the endpoint answers instead, to every call.
type Fault struct {
	Status int           // 0: the right answer
	Code   string        // such as AccessDeniedException
	Delay  time.Duration // before any answer
}

// Call is one call that came.
type Call struct{ Action, SecretID, Stage string }

// Server implements http.Handler.
type Server struct {
	now func() time.Time

	mu      sync.Mutex
	secrets map[string][]*version
	fault   Fault
	calls   []Call
}

// New returns an endpoint without secrets.
func New(now func() time.Time) *Server {
	return &Server{now: now, secrets: map[string][]*version{}}
}

// Create adds a secret without a value, as a CloudFormation resource does.
func (s *Server) Create(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, there := s.secrets[name]; !there {
		s.secrets[name] = nil
	}
}

// Put gives a secret a new current version; the one before becomes the previous one.
func (s *Server) Put(name, value string) (versionID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.put(name, value, rand.Text())
}

func (s *Server) put(name, value, id string) string {
	var kept []*version
	for _, v := range s.secrets[name] {
		if v.id == id { // the same request again
			return id
		}
		switch {
		case v.has(current):
			v.stages = []string{previous}
			kept = append(kept, v)
		}
	}
	s.secrets[name] = append(kept, &version{id, value, s.now(), []string{current}})
	return id
}

func (v *version) has(stage string) bool {
	for _, s := range v.stages {
		if s == stage {
			return true
		}
	}
	return false
}

// Current returns a secret's current value.
func (s *Server) Current(name string) (value string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range s.secrets[name] {
		if v.has(current) {
			return v.value, true
		}
	}
	return "", false
}

// Delete removes a secret.
func (s *Server) Delete(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.secrets, name)
}

// SetFault sets what every call meets; the zero Fault ends it.
func (s *Server) SetFault(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
}

// Calls returns the calls that came so far.
func (s *Server) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Call(nil), s.calls...)
}

// ARN returns a secret's ARN.
func ARN(name string) string {
	return "arn:aws:secretsmanager:us-east-1:000000000000:secret:" + name + "-local0"
}

func nameOf(id string) string {
	if _, name, ok := strings.Cut(id, ":secret:"); ok {
		return strings.TrimSuffix(name, "-local0")
	}
	return id
}

type input struct {
	Name, SecretID, VersionStage, VersionID, SecretString, ClientRequestToken string
}

func (i *input) UnmarshalJSON(b []byte) error {
	var wire struct {
		Name, SecretId, VersionStage, VersionId, SecretString, ClientRequestToken string
	}
	if err := json.Unmarshal(b, &wire); err != nil {
		return err
	}
	*i = input{wire.Name, wire.SecretId, wire.VersionStage, wire.VersionId, wire.SecretString, wire.ClientRequestToken}
	return nil
}

// ServeHTTP speaks AWS JSON 1.1, as the SDKs and the CLI do. The header that names
// the action keeps pages in a browser from reading secrets.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	action, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), target)
	if !ok || r.Method != http.MethodPost {
		fail(w, http.StatusBadRequest, "UnknownOperationException", "")
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 2*maxSecret))
	var in input
	if err != nil || json.Unmarshal(body, &in) != nil {
		fail(w, http.StatusBadRequest, "SerializationException", "")
		return
	}
	s.mu.Lock()
	s.calls = append(s.calls, Call{action, nameOf(in.SecretID), in.VersionStage})
	fault := s.fault
	s.mu.Unlock()
	if fault.Delay > 0 {
		select {
		case <-time.After(fault.Delay):
		case <-r.Context().Done():
			return
		}
	}
	if fault.Status != 0 {
		fail(w, fault.Status, fault.Code, "This fault was asked for.")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serve(w, action, in)
}

func (s *Server) serve(w http.ResponseWriter, action string, in input) {
	name := nameOf(in.SecretID)
	if action == "CreateSecret" {
		name = in.Name
	} else if _, there := s.secrets[name]; !there {
		fail(w, http.StatusBadRequest, "ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
		return
	}
	switch action {
	case "GetSecretValue":
		s.get(w, name, in)
	case "CreateSecret", "PutSecretValue":
		if len(in.SecretString) > maxSecret {
			fail(w, http.StatusBadRequest, "InvalidParameterException", "The secret is larger than 65536 bytes.")
			return
		}
		id := in.ClientRequestToken
		if id == "" {
			id = rand.Text()
		}
		s.put(name, in.SecretString, id)
		answer(w, map[string]any{"ARN": ARN(name), "Name": name, "VersionId": id, "VersionStages": []string{current}})
	case "DescribeSecret":
		stages := map[string][]string{}
		for _, v := range s.secrets[name] {
			stages[v.id] = v.stages
		}
		answer(w, map[string]any{"ARN": ARN(name), "Name": name, "VersionIdsToStages": stages})
	default:
		fail(w, http.StatusBadRequest, "UnknownOperationException", action)
	}
}

func (s *Server) get(w http.ResponseWriter, name string, in input) {
	stage := in.VersionStage
	if stage == "" && in.VersionID == "" {
		stage = current
	}
	for _, v := range s.secrets[name] {
		if (stage == "" || v.has(stage)) && (in.VersionID == "" || v.id == in.VersionID) {
			answer(w, map[string]any{
				"ARN": ARN(name), "Name": name, "VersionId": v.id, "SecretString": v.value,
				"VersionStages": v.stages, "CreatedDate": float64(v.created.UnixMilli()) / 1000,
			})
			return
		}
	}
	fail(w, http.StatusBadRequest, "ResourceNotFoundException",
		fmt.Sprintf("Secrets Manager can't find the specified secret value for staging label: %s", stage))
}

func answer(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	_ = json.NewEncoder(w).Encode(body)
}

func fail(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.Header().Set("X-Amzn-ErrorType", code)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"__type": code, "Message": message})
}
