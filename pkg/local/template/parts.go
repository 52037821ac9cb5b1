package template

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"go.yaml.in/yaml/v3"

	simsqs "connexease-functions/pkg/local/sim/sqs"
)

// Function is an AWS::Serverless::Function.
type Function struct {
	Name        string // logical id
	Folder      string // folder of its main package: functions/<name without "Function">
	Timeout     time.Duration
	MemoryMB    int
	Environment map[string]string
	Routes      []Route
	Mappings    []simsqs.Mapping // without Invoke
	Retries     int              // of an asynchronous invocation; AWS's default is 2
	OnFailure   string           // queue for failed asynchronous invocations; empty: none
}

// Route is an HttpApi event of a function.
type Route struct{ Method, Path string }

// Runtime returns the runtime of all functions.
func (t *Template) Runtime() string { return text(t.root, "Globals", "Function", "Runtime") }

// Functions returns the functions, with Globals merged in.
func (t *Template) Functions() ([]Function, error) {
	var all []Function
	r := t.read()
	for id, n := range r.resources("AWS::Serverless::Function") {
		f := Function{
			Name: id, Folder: "functions/" + strings.ToLower(strings.TrimSuffix(id, "Function")), Environment: map[string]string{},
			Timeout: time.Duration(r.number(n, "Timeout", 3)) * time.Second, MemoryMB: r.number(n, "MemorySize", 128),
		}
		for _, variables := range []*yaml.Node{
			Find(t.root, "Globals", "Function", "Environment", "Variables"),
			Find(n, "Properties", "Environment", "Variables"),
		} {
			for name, v := range Each(variables) {
				if v = r.pick(v); v != nil {
					f.Environment[name] = r.value(v)
				}
			}
		}
		for _, e := range Each(Find(n, "Properties", "Events")) {
			r.event(e, &f)
		}
		asynchronous := Find(n, "Properties", "EventInvokeConfig")
		f.Retries = r.whole(asynchronous, "MaximumRetryAttempts", 2)
		if failed := Find(asynchronous, "DestinationConfig", "OnFailure"); failed != nil {
			f.OnFailure = r.target(failed, "Destination", "AWS::SQS::Queue")
		}
		all = append(all, f)
	}
	for id, n := range r.resources("AWS::Lambda::EventSourceMapping") {
		m, enabled := r.mapping(n, "EventSourceArn")
		name := r.pick(Find(n, "Properties", "FunctionName"))
		i := slices.IndexFunc(all, func(f Function) bool { return name != nil && f.Name == name.Value })
		switch {
		case !enabled:
		case i < 0:
			r.fault(n, "%s is of no function of this template", id)
		default:
			all[i].Mappings = append(all[i].Mappings, m)
		}
	}
	return all, r.err
}

// event adds a function's event: a route or a mapping. Events of other sources do not occur on a
// laptop.
func (r *reading) event(e *yaml.Node, f *Function) {
	switch text(e, "Type") {
	case "":
		r.fault(e, "the event has no Type")
	case "HttpApi":
		method, path := Find(e, "Properties", "Method"), Find(e, "Properties", "Path")
		if method == nil || path == nil {
			r.fault(e, "the HttpApi event has no Method or no Path")
			return
		}
		f.Routes = append(f.Routes, Route{strings.ToUpper(method.Value), path.Value})
	case "SQS":
		if m, enabled := r.mapping(e, "Queue"); enabled {
			f.Mappings = append(f.Mappings, m)
		}
	}
}

// number returns a function's property, that of Globals, or the default.
func (r *reading) number(n *yaml.Node, name string, standard int) int {
	return r.whole(Find(n, "Properties"), name, r.whole(Find(r.root, "Globals", "Function"), name, standard))
}

// Secret is an AWS::SecretsManager::Secret.
type Secret struct {
	Name      string // logical id
	Generated int    // length of its generated value; 0 for a secret without a value
	Template  string // JSON object to which the generated string is added; empty: the string alone
	Key       string // name of that member
}

// Value returns the secret's first value, which contains the generated string.
func (s Secret) Value(generated string) (string, error) {
	if s.Template == "" && s.Key == "" {
		return generated, nil
	}
	var members map[string]any
	if err := json.Unmarshal([]byte(s.Template), &members); err != nil || members == nil || s.Key == "" {
		return "", fmt.Errorf("%s: SecretStringTemplate must be a JSON object, together with a GenerateStringKey", s.Name)
	}
	members[s.Key] = generated
	value, err := json.Marshal(members)
	return string(value), err
}

// Secrets returns the secrets.
func (t *Template) Secrets() ([]Secret, error) {
	var all []Secret
	r := t.read()
	for id, n := range r.resources("AWS::SecretsManager::Secret") {
		s := Secret{Name: id}
		if generate := Find(n, "Properties", "GenerateSecretString"); generate != nil {
			s.Generated = r.whole(generate, "PasswordLength", 32) // AWS's default
			s.Template, s.Key = r.value(Find(generate, "SecretStringTemplate")), r.value(Find(generate, "GenerateStringKey"))
		}
		all = append(all, s)
	}
	return all, r.err
}

// ofTable lists the properties of a table that DynamoDB Local takes. They are named as in the API.
var ofTable = []string{"BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "StreamSpecification"}

// Tables returns the inputs that create the tables, each named by its logical id.
func (t *Template) Tables() ([]*dynamodb.CreateTableInput, error) {
	var all []*dynamodb.CreateTableInput
	r := t.read()
	for id, n := range r.resources("AWS::DynamoDB::Table") {
		p := Find(n, "Properties")
		if p == nil {
			r.fault(n, "table %s has no Properties", id)
			break
		}
		taken := map[string]any{}
		for name, v := range Each(p) {
			var value any
			if !slices.Contains(ofTable, name) {
				continue
			}
			if err := v.Decode(&value); err != nil {
				r.fault(v, "%v", err)
			}
			taken[name] = value
		}
		in := &dynamodb.CreateTableInput{}
		properties, err := json.Marshal(taken)
		if err == nil {
			err = json.Unmarshal(properties, in)
		}
		if err != nil {
			r.fault(p, "%v", err)
		}
		in.TableName = &id
		if in.StreamSpecification != nil {
			in.StreamSpecification.StreamEnabled = aws.Bool(true)
		}
		all = append(all, in)
	}
	return all, r.err
}
