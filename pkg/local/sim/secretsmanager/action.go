package secretsmanager

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"connexease-functions/pkg/local/sim/awsjson"
	"connexease-functions/pkg/local/sim/uuid"
)

// input holds the members of all actions' requests; each action reads its own.
type input struct {
	SecretID           string `json:"SecretId"`
	VersionID          string `json:"VersionId"`
	VersionStage       string
	VersionStages      []string
	SecretString       *string
	SecretBinary       *string
	ClientRequestToken *string
}

type fields map[string]any

// do carries out one call (AWS: Secrets Manager API Reference, Actions).
func (s *Server) do(action string, in input) (fields, *awsjson.Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	act, known := map[string]func(*secret, input) (fields, *awsjson.Fault){
		"GetSecretValue": getSecretValue,
		"PutSecretValue": s.putSecretValue,
		// In one page, as it has few versions.
		"ListSecretVersionIds": listSecretVersionIDs,
	}[action]
	if !known {
		return nil, service.UnknownOperation(action)
	}
	if in.SecretID == "" {
		return nil, invalid("You must provide a SecretId.")
	}
	there := s.find(in.SecretID)
	if there == nil {
		return nil, refuse("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
	}
	return act(there, in)
}

func (c *secret) withVersion(v *version) fields {
	return fields{"ARN": arn(c.name), "Name": c.name, "VersionId": v.id, "VersionStages": slices.Clone(v.stages)}
}

// epoch returns seconds with a fraction, as AWS JSON encodes times.
func epoch(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

func getSecretValue(c *secret, in input) (fields, *awsjson.Fault) {
	stage := cmp.Or(in.VersionStage, current)
	v := c.labelled(stage)
	if in.VersionID != "" {
		if v = c.version(in.VersionID); v == nil {
			return nil, refuse("ResourceNotFoundException", "Secrets Manager can't find the specified secret value for VersionId: "+in.VersionID)
		}
		if in.VersionStage != "" && !slices.Contains(v.stages, in.VersionStage) {
			return nil, refuse("InvalidRequestException", "You provided a VersionStage that is not associated to the provided VersionId.")
		}
	}
	if v == nil {
		return nil, refuse("ResourceNotFoundException", "Secrets Manager can't find the specified secret value for staging label: "+stage)
	}
	f := c.withVersion(v)
	f["SecretString"], f["CreatedDate"] = v.value, epoch(v.created)
	return f, nil
}

// listSecretVersionIDs lists the versions that have a label.
func listSecretVersionIDs(c *secret, _ input) (fields, *awsjson.Fault) {
	found := []fields{}
	for _, v := range c.versions {
		if len(v.stages) > 0 {
			found = append(found, fields{"VersionId": v.id, "VersionStages": slices.Clone(v.stages), "CreatedDate": epoch(v.created)})
		}
	}
	return fields{"ARN": arn(c.name), "Name": c.name, "Versions": found}, nil
}

func (in input) value() (string, *awsjson.Fault) {
	switch {
	case in.SecretBinary != nil:
		return "", invalid("This endpoint supports SecretString only.")
	case in.SecretString == nil || *in.SecretString == "":
		return "", refuse("InvalidRequestException", "You must provide either SecretString or SecretBinary.")
	case len(*in.SecretString) > maxSecret:
		return "", invalid(fmt.Sprintf("The secret has %d bytes; it can have 65536.", len(*in.SecretString)))
	}
	return *in.SecretString, nil
}

// id returns the id of the version that a call creates: the caller's token, so that a repeated call
// creates no second version, or else a new id.
func (in input) id() (string, *awsjson.Fault) {
	if in.ClientRequestToken == nil {
		return uuid.New(), nil
	}
	if n := len(*in.ClientRequestToken); n < 32 || n > 64 {
		return "", invalid("ClientRequestToken must be 32-64 characters long.")
	}
	return *in.ClientRequestToken, nil
}

func (s *Server) putSecretValue(c *secret, in input) (fields, *awsjson.Fault) {
	value, fault := in.value()
	if fault != nil {
		return nil, fault
	}
	id, fault := in.id()
	if fault != nil {
		return nil, fault
	}
	if v := c.version(id); v != nil {
		if v.value != value {
			return nil, refuse("ResourceExistsException", "You can't use ClientRequestToken "+id+" because that value is already in use for a version of secret "+arn(c.name)+".")
		}
		return c.withVersion(v), nil
	}
	stages := in.VersionStages
	if len(stages) == 0 || len(c.versions) == 0 && !slices.Contains(stages, current) {
		stages = append([]string{current}, stages...)
	}
	v := &version{id: id, value: value, created: s.now()}
	c.add(v, stages)
	return c.withVersion(v), nil
}
