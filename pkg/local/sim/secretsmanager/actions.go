package secretsmanager

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"time"
)

// input is what the actions take, all of them in one.
type input struct {
	SecretID            string `json:"SecretId"`
	Name                string
	VersionID           string `json:"VersionId"`
	VersionStage        string
	VersionStages       []string
	SecretString        *string
	SecretBinary        *string
	ClientRequestToken  string
	RemoveFromVersionID string `json:"RemoveFromVersionId"`
	MoveToVersionID     string `json:"MoveToVersionId"`
	IncludeDeprecated   bool
	Filters             json.RawMessage
}

type fields map[string]any

// do answers one call (AWS: Secrets Manager API Reference, Actions).
func (s *Server) do(action string, in input) (fields, *failure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch action {
	case "CreateSecret":
		return s.createSecret(in)
	case "ListSecrets":
		return s.listSecrets(in)
	}
	act, known := map[string]func(*secret, input) (fields, *failure){
		"DescribeSecret":           describeSecret,
		"GetSecretValue":           getSecretValue,
		"ListSecretVersionIds":     listSecretVersionIDs,
		"PutSecretValue":           s.putSecretValue,
		"UpdateSecretVersionStage": updateSecretVersionStage,
	}[action]
	if !known {
		return nil, refuse("UnknownOperationException", "This endpoint does not have the action "+action+".")
	}
	if in.SecretID == "" {
		return nil, invalid("You must provide a SecretId.")
	}
	there := s.find(in.SecretID)
	if there == nil {
		return nil, noSuchSecret()
	}
	return act(there, in)
}

func (c *secret) fields() fields { return fields{"ARN": arn(c.name), "Name": c.name} }

func (c *secret) withVersion(v *version) fields {
	f := c.fields()
	f["VersionId"], f["VersionStages"] = v.id, slices.Clone(v.stages)
	return f
}

// epoch is seconds with a fraction, as AWS JSON carries times.
func epoch(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

func getSecretValue(c *secret, in input) (fields, *failure) {
	stage := in.VersionStage
	if stage == "" {
		stage = current
	}
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

func (in input) value() (string, *failure) {
	switch {
	case in.SecretBinary != nil:
		return "", invalid("This endpoint keeps a SecretString only.")
	case in.SecretString == nil:
		return "", refuse("InvalidRequestException", "You must provide either SecretString or SecretBinary.")
	case len(*in.SecretString) > maxSecret:
		return "", invalid(fmt.Sprintf("The secret has %d bytes; it can have 65536.", len(*in.SecretString)))
	}
	return *in.SecretString, nil
}

func (s *Server) putSecretValue(c *secret, in input) (fields, *failure) {
	value, failed := in.value()
	if failed != nil {
		return nil, failed
	}
	id := in.ClientRequestToken
	if id == "" {
		id = newVersionID()
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

var validName = regexp.MustCompile(`^[A-Za-z0-9/_+=.@!-]{1,512}$`)

func (s *Server) createSecret(in input) (fields, *failure) {
	if !validName.MatchString(in.Name) {
		return nil, invalid("Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!")
	}
	hasValue := in.SecretString != nil || in.SecretBinary != nil
	if hasValue {
		if _, failed := in.value(); failed != nil {
			return nil, failed
		}
	}
	if there := s.secrets[in.Name]; there != nil {
		if v := there.version(in.ClientRequestToken); v != nil && hasValue && v.value == *in.SecretString {
			return there.withVersion(v), nil
		}
		return nil, refuse("ResourceExistsException", "The operation failed because the secret "+in.Name+" already exists.")
	}
	added := s.create(in.Name)
	if !hasValue {
		return added.fields(), nil
	}
	in.VersionStages = nil
	return s.putSecretValue(added, in)
}

func (c *secret) described(stagesKey string) fields {
	stages := map[string][]string{}
	for _, v := range c.versions {
		if len(v.stages) > 0 {
			stages[v.id] = slices.Clone(v.stages)
		}
	}
	f := c.fields()
	f["CreatedDate"], f["LastChangedDate"], f[stagesKey] = epoch(c.created), epoch(c.changed), stages
	return f
}

func describeSecret(c *secret, _ input) (fields, *failure) {
	return c.described("VersionIdsToStages"), nil
}

// listSecrets answers all secrets in one page.
func (s *Server) listSecrets(in input) (fields, *failure) {
	if len(in.Filters) > 0 && string(in.Filters) != "[]" && string(in.Filters) != "null" {
		return nil, invalid("This endpoint lists without Filters.")
	}
	all := []fields{}
	for _, name := range slices.Sorted(maps.Keys(s.secrets)) {
		all = append(all, s.secrets[name].described("SecretVersionsToStages"))
	}
	return fields{"SecretList": all}, nil
}

func listSecretVersionIDs(c *secret, in input) (fields, *failure) {
	all := []fields{}
	for _, v := range c.versions {
		if len(v.stages) > 0 || in.IncludeDeprecated {
			all = append(all, fields{"VersionId": v.id, "VersionStages": slices.Clone(v.stages), "CreatedDate": epoch(v.created)})
		}
	}
	f := c.fields()
	f["Versions"] = all
	return f, nil
}

// updateSecretVersionStage moves a label. Whoever moves one must name the version
// that has it, and AWSCURRENT cannot be taken away without a successor.
func updateSecretVersionStage(c *secret, in input) (fields, *failure) {
	if in.VersionStage == "" {
		return nil, invalid("You must provide a VersionStage.")
	}
	var to *version
	if in.MoveToVersionID != "" {
		if to = c.version(in.MoveToVersionID); to == nil {
			return nil, refuse("ResourceNotFoundException", "Secrets Manager can't find the specified secret value for VersionId: "+in.MoveToVersionID)
		}
	}
	holder := c.labelled(in.VersionStage)
	switch {
	case holder != nil && holder == to:
		return c.fields(), nil
	case holder != nil && in.RemoveFromVersionID != holder.id:
		return nil, invalid("The parameter RemoveFromVersionId can't be empty or another version. Staging label " + in.VersionStage + " is currently attached to version " + holder.id + ", so you must explicitly reference that version in RemoveFromVersionId.")
	case holder == nil && in.RemoveFromVersionID != "":
		return nil, invalid("Staging label " + in.VersionStage + " is not attached to version " + in.RemoveFromVersionID + ".")
	case in.VersionStage == current && to == nil:
		return nil, invalid("You can only move staging label AWSCURRENT to a different secret version. It can't be completely removed.")
	}
	c.move(in.VersionStage, to)
	return c.fields(), nil
}
