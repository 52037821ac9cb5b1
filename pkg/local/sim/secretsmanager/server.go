// Package secretsmanager simulates Secrets Manager with version stages, so that missing, rotated
// and unreachable secrets can be tried on a laptop.
package secretsmanager

import (
	"crypto/sha256"
	"encoding/base32"
	"slices"
	"strings"
	"sync"
	"time"

	"connexease-functions/pkg/local/sim/uuid"
)

// AWS: Secrets Manager, "What's in a Secrets Manager secret?", staging labels.
const (
	current  = "AWSCURRENT"
	previous = "AWSPREVIOUS"
)

// maxVersions is how many versions a secret keeps: beyond it, old versions without a label are
// deleted, as in AWS (AWS: Secrets Manager quotas).
const maxVersions = 100

const arnPrefix = "arn:aws:secretsmanager:us-east-1:000000000000:secret:"

type version struct {
	id, value string
	created   time.Time
	stages    []string
}

type secret struct {
	name     string
	versions []*version // the oldest first
}

// Fault replaces the endpoint's response to every call.
type Fault struct {
	Status int           // 0: the right response
	Code   string        // such as AccessDeniedException, with status 400
	Delay  time.Duration // before any response
}

// Call is one received call: its action without the service's name, the secret's name (or the
// identifier as given, where there is no such secret), and the requested stage.
type Call struct{ Action, SecretID, Stage string }

// Server implements http.Handler. Its methods may be called concurrently.
type Server struct {
	now func() time.Time

	mu      sync.Mutex
	secrets map[string]*secret
	fault   Fault
	calls   []Call
}

// New returns an endpoint without secrets.
func New(now func() time.Time) *Server {
	return &Server{now: now, secrets: map[string]*secret{}}
}

// Create adds a secret without a value, as CloudFormation does; an existing one does not change.
func (s *Server) Create(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.create(name)
}

func (s *Server) create(name string) *secret {
	if s.secrets[name] == nil {
		s.secrets[name] = &secret{name: name}
	}
	return s.secrets[name]
}

// Put gives a secret a new current version, and creates the secret if it is absent; the current
// version becomes the previous one.
func (s *Server) Put(name, value string) (versionID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := uuid.New()
	s.create(name).add(&version{id: id, value: value, created: s.now()}, []string{current})
	return id
}

// Current returns a secret's current value.
func (s *Server) Current(name string) (value string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if there, found := s.secrets[name]; found {
		if v := there.labelled(current); v != nil {
			return v.value, true
		}
	}
	return "", false
}

// Delete removes a secret at once, without AWS's recovery window.
func (s *Server) Delete(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.secrets, name)
}

// SetFault sets the fault of every call; the zero Fault ends it.
func (s *Server) SetFault(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
}

// Calls returns all calls so far, including those that met a fault.
func (s *Server) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

// ARN returns the ARN of a secret, which need not exist.
func (s *Server) ARN(name string) string { return arn(name) }

// arn ends as AWS's ARNs do: with a hyphen and six characters. Here they come from the name's hash,
// so that a name has the same ARN in every run.
func arn(name string) string {
	sum := sha256.Sum256([]byte(name))
	return arnPrefix + name + "-" + base32.StdEncoding.EncodeToString(sum[:])[:6]
}

// find accepts a name, a full ARN, or an ARN without its last seven characters (AWS:
// GetSecretValue, SecretId). Region and account are not compared.
func (s *Server) find(id string) *secret {
	_, rest, isARN := strings.Cut(id, ":secret:")
	if !isARN || !strings.HasPrefix(id, "arn:") {
		return s.secrets[id]
	}
	if cut := len(rest) - len("-123456"); cut > 0 {
		if there := s.secrets[rest[:cut]]; there != nil && strings.HasSuffix(arn(there.name), ":"+rest) {
			return there
		}
	}
	return s.secrets[rest]
}

func (c *secret) version(id string) *version {
	for _, v := range c.versions {
		if v.id == id {
			return v
		}
	}
	return nil
}

func (c *secret) labelled(stage string) *version {
	for _, v := range c.versions {
		if slices.Contains(v.stages, stage) {
			return v
		}
	}
	return nil
}

func (c *secret) add(v *version, stages []string) {
	c.versions = append(c.versions, v)
	for _, stage := range stages {
		c.move(stage, v)
	}
	for i := 0; len(c.versions) > maxVersions && i < len(c.versions); {
		if len(c.versions[i].stages) > 0 {
			i++
			continue
		}
		c.versions = slices.Delete(c.versions, i, i+1)
	}
}

// move moves a label to a version. The version that loses AWSCURRENT becomes AWSPREVIOUS.
func (c *secret) move(stage string, to *version) {
	from := c.labelled(stage)
	if from == to {
		return
	}
	if from != nil {
		from.stages = slices.DeleteFunc(from.stages, func(s string) bool { return s == stage })
	}
	to.stages = append(to.stages, stage)
	if stage == current && from != nil {
		c.move(previous, from)
	}
}
