package template

import (
	"encoding/json"
	"fmt"
	"strconv"
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
func (t *Template) Runtime() string {
	n := Find(t.root, "Globals", "Function", "Runtime")
	if n == nil {
		return ""
	}
	return n.Value
}

// Functions returns the functions, with Globals merged in.
func (t *Template) Functions() ([]Function, error) {
	var all []Function
	err := t.resources("AWS::Serverless::Function", func(id string, n *yaml.Node) error {
		f := Function{
			Name: id, Folder: "functions/" + strings.ToLower(strings.TrimSuffix(id, "Function")),
			Environment: map[string]string{},
		}
		seconds, err := t.number(n, "Timeout", 3)
		if err != nil {
			return err
		}
		f.Timeout = time.Duration(seconds) * time.Second
		if f.MemoryMB, err = t.number(n, "MemorySize", 128); err != nil {
			return err
		}
		for _, variables := range []*yaml.Node{
			Find(t.root, "Globals", "Function", "Environment", "Variables"),
			Find(n, "Properties", "Environment", "Variables"),
		} {
			if err := Each(variables, func(name string, v *yaml.Node) error {
				if v, err = t.pick(v); err != nil || v == nil {
					return err
				}
				f.Environment[name], err = t.value(v)
				return err
			}); err != nil {
				return err
			}
		}
		if err := Each(Find(n, "Properties", "Events"), func(_ string, e *yaml.Node) error { return t.event(e, &f) }); err != nil {
			return err
		}
		asynchronous := Find(n, "Properties", "EventInvokeConfig")
		if f.Retries, err = t.whole(Find(asynchronous, "MaximumRetryAttempts"), "MaximumRetryAttempts", 2); err != nil {
			return err
		}
		if failed := Find(asynchronous, "DestinationConfig", "OnFailure"); failed != nil {
			if f.OnFailure, err = t.target(failed, "Destination", "AWS::SQS::Queue"); err != nil {
				return err
			}
		}
		all = append(all, f)
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = t.resources("AWS::Lambda::EventSourceMapping", func(id string, n *yaml.Node) error {
		m, enabled, err := t.mapping(n, "EventSourceArn")
		if err != nil || !enabled {
			return err
		}
		for i := range all {
			if name := Find(n, "Properties", "FunctionName"); name != nil && name.Value == all[i].Name {
				all[i].Mappings = append(all[i].Mappings, m)
				return nil
			}
		}
		return t.at(n, "%s is of no function of this template", id)
	})
	return all, err
}

// event adds a function's event: a route or a mapping. Events of other sources do not occur on a
// laptop.
func (t *Template) event(e *yaml.Node, f *Function) error {
	kind := Find(e, "Type")
	switch {
	case kind == nil:
		return t.at(e, "the event has no Type")
	case kind.Value == "HttpApi":
		method, path := Find(e, "Properties", "Method"), Find(e, "Properties", "Path")
		if method == nil || path == nil {
			return t.at(e, "the HttpApi event has no Method or no Path")
		}
		f.Routes = append(f.Routes, Route{strings.ToUpper(method.Value), path.Value})
	case kind.Value == "SQS":
		m, enabled, err := t.mapping(e, "Queue")
		if err != nil {
			return err
		}
		if enabled {
			f.Mappings = append(f.Mappings, m)
		}
	}
	return nil
}

// Each visits the members of a mapping in order; nil has none.
func Each(n *yaml.Node, visit func(name string, value *yaml.Node) error) error {
	if n == nil {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if err := visit(n.Content[i].Value, n.Content[i+1]); err != nil {
			return err
		}
	}
	return nil
}

// number returns a function's property, that of Globals, or the default.
func (t *Template) number(n *yaml.Node, name string, standard int) (int, error) {
	standard, err := t.whole(Find(t.root, "Globals", "Function", name), name, standard)
	if err != nil {
		return 0, err
	}
	return t.whole(Find(n, "Properties", name), name, standard)
}

// whole returns a whole number, or the default if there is none.
func (t *Template) whole(n *yaml.Node, name string, standard int) (int, error) {
	n, err := t.pick(n)
	if n == nil {
		return standard, err
	}
	text, err := t.value(n)
	if err != nil {
		return 0, err
	}
	number, err := strconv.Atoi(text)
	if err != nil {
		return 0, t.at(n, "%s is not a whole number", name)
	}
	return number, nil
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
	err := t.resources("AWS::SecretsManager::Secret", func(id string, n *yaml.Node) error {
		s := Secret{Name: id}
		generate := Find(n, "Properties", "GenerateSecretString")
		if generate != nil {
			var err error
			// AWS's default length is 32.
			if s.Generated, err = t.whole(Find(generate, "PasswordLength"), "PasswordLength", 32); err != nil {
				return err
			}
			for name, into := range map[string]*string{"SecretStringTemplate": &s.Template, "GenerateStringKey": &s.Key} {
				if v := Find(generate, name); v != nil {
					if *into, err = t.value(v); err != nil {
						return err
					}
				}
			}
		}
		all = append(all, s)
		return nil
	})
	return all, err
}

// ofTable lists the properties of a table that DynamoDB Local takes. They are named as in the API.
var ofTable = []string{"BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "StreamSpecification"}

// Tables returns the inputs that create the tables, each named by its logical id.
func (t *Template) Tables() ([]*dynamodb.CreateTableInput, error) {
	var all []*dynamodb.CreateTableInput
	err := t.resources("AWS::DynamoDB::Table", func(id string, n *yaml.Node) error {
		p := Find(n, "Properties")
		if p == nil {
			return t.at(n, "table %s has no Properties", id)
		}
		taken := map[string]any{}
		for _, name := range ofTable {
			var value any
			if v := Find(p, name); v != nil {
				if err := v.Decode(&value); err != nil {
					return t.at(v, "%v", err)
				}
				taken[name] = value
			}
		}
		in := &dynamodb.CreateTableInput{}
		text, err := json.Marshal(taken)
		if err == nil {
			err = json.Unmarshal(text, in)
		}
		if err != nil {
			return t.at(p, "%v", err)
		}
		in.TableName = &id
		if in.StreamSpecification != nil {
			in.StreamSpecification.StreamEnabled = aws.Bool(true)
		}
		all = append(all, in)
		return nil
	})
	return all, err
}
