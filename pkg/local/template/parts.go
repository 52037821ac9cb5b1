package template

import (
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"go.yaml.in/yaml/v3"
)

// Function is an AWS::Serverless::Function.
type Function struct {
	Name        string // logical id
	Folder      string // of its main package: functions/<name without "Function">
	Timeout     time.Duration
	MemoryMB    int
	Environment map[string]string
	Routes      []Route
}

// Route is an HttpApi event of a function.
type Route struct{ Method, Path string }

// Functions returns the functions, Globals merged in.
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
			find(t.root, "Globals", "Function", "Environment", "Variables"),
			find(n, "Properties", "Environment", "Variables"),
		} {
			if err := t.each(variables, func(name string, v *yaml.Node) error {
				f.Environment[name], err = t.value(v)
				return err
			}); err != nil {
				return err
			}
		}
		err = t.each(find(n, "Properties", "Events"), func(_ string, e *yaml.Node) error {
			if kind := find(e, "Type"); kind == nil || kind.Value != "HttpApi" {
				return nil
			}
			method, path := find(e, "Properties", "Method"), find(e, "Properties", "Path")
			if method == nil || path == nil {
				return t.at(e, "the HttpApi event has no Method or no Path")
			}
			f.Routes = append(f.Routes, Route{strings.ToUpper(method.Value), path.Value})
			return nil
		})
		all = append(all, f)
		return err
	})
	return all, err
}

func (t *Template) each(n *yaml.Node, visit func(name string, value *yaml.Node) error) error {
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

// number returns a function's property, the Globals' one, or the standard.
func (t *Template) number(n *yaml.Node, name string, standard int) (int, error) {
	for _, v := range []*yaml.Node{find(n, "Properties", name), find(t.root, "Globals", "Function", name)} {
		if v == nil {
			continue
		}
		text, err := t.value(v)
		if err != nil {
			return 0, err
		}
		number, err := strconv.Atoi(text)
		if err != nil {
			return 0, t.at(v, "%s is not a whole number", name)
		}
		return number, nil
	}
	return standard, nil
}

// Secret is an AWS::SecretsManager::Secret.
type Secret struct {
	Name      string // logical id
	Generated int    // length of the value that is made for it; 0 for a secret without a value
}

// Secrets returns the secrets.
func (t *Template) Secrets() ([]Secret, error) {
	var all []Secret
	err := t.resources("AWS::SecretsManager::Secret", func(id string, n *yaml.Node) error {
		s := Secret{Name: id}
		if length := find(n, "Properties", "GenerateSecretString", "PasswordLength"); length != nil {
			var err error
			if s.Generated, err = strconv.Atoi(length.Value); err != nil {
				return t.at(length, "PasswordLength is not a whole number")
			}
		}
		all = append(all, s)
		return nil
	})
	return all, err
}

// Tables returns what creates the tables; each has its logical id as its name.
func (t *Template) Tables() ([]*dynamodb.CreateTableInput, error) {
	var all []*dynamodb.CreateTableInput
	err := t.resources("AWS::DynamoDB::Table", func(id string, n *yaml.Node) error {
		var properties struct {
			BillingMode            string
			AttributeDefinitions   []struct{ AttributeName, AttributeType string }
			KeySchema              []keyElement
			GlobalSecondaryIndexes []struct {
				IndexName  string
				KeySchema  []keyElement
				Projection struct {
					ProjectionType   string
					NonKeyAttributes []string
				}
			}
			StreamSpecification struct{ StreamViewType string }
		}
		p := find(n, "Properties")
		if p == nil {
			return t.at(n, "table %s has no Properties", id)
		}
		if err := decode(p, &properties); err != nil {
			return t.at(p, "%v", err)
		}
		in := &dynamodb.CreateTableInput{
			TableName: aws.String(id), BillingMode: types.BillingMode(properties.BillingMode),
			KeySchema: schema(properties.KeySchema),
		}
		for _, a := range properties.AttributeDefinitions {
			in.AttributeDefinitions = append(in.AttributeDefinitions, types.AttributeDefinition{
				AttributeName: aws.String(a.AttributeName), AttributeType: types.ScalarAttributeType(a.AttributeType),
			})
		}
		for _, x := range properties.GlobalSecondaryIndexes {
			in.GlobalSecondaryIndexes = append(in.GlobalSecondaryIndexes, types.GlobalSecondaryIndex{
				IndexName: aws.String(x.IndexName), KeySchema: schema(x.KeySchema),
				Projection: &types.Projection{
					ProjectionType:   types.ProjectionType(x.Projection.ProjectionType),
					NonKeyAttributes: x.Projection.NonKeyAttributes,
				},
			})
		}
		if view := properties.StreamSpecification.StreamViewType; view != "" {
			in.StreamSpecification = &types.StreamSpecification{
				StreamEnabled: aws.Bool(true), StreamViewType: types.StreamViewType(view),
			}
		}
		all = append(all, in)
		return nil
	})
	return all, err
}

type keyElement struct{ AttributeName, KeyType string }

func schema(keys []keyElement) []types.KeySchemaElement {
	var all []types.KeySchemaElement
	for _, k := range keys {
		all = append(all, types.KeySchemaElement{AttributeName: aws.String(k.AttributeName), KeyType: types.KeyType(k.KeyType)})
	}
	return all
}
