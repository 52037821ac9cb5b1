package stack

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"connexease-functions/pkg/auth"
	"connexease-functions/pkg/config"
	"connexease-functions/pkg/local/dynamodblocal"
	"connexease-functions/pkg/local/progress"
	"connexease-functions/pkg/local/sim/connexease"
)

// Logical ids of the template's secrets.
const (
	WebhookSecret    = "WebhookSecret"    // the webhook's secret
	GatewayKeySecret = "GatewayKeySecret" // the Gateway's API key
	ClientKeysSecret = "ClientKeysSecret" // the keys of the send endpoint's callers

	outboundQueue    = "OutboundQueue"
	eventBus         = "EventBus"
	gatewayParameter = "GatewayUrl"
)

// keyLength is the length of generated secrets, in characters.
const keyLength = 48

// startGateway starts the simulated Gateway. Its callbacks go to the API's port, even if a
// different program serves there.
func (s *Stack) startGateway() (err error) {
	s.Gateway = connexease.New(connexease.Config{
		Numbers: func() (all []connexease.Number) {
			text, _ := s.Secrets.Current(GatewayKeySecret)
			senders, _ := auth.ReadSenders(strings.TrimSpace(text)) // of a value that cannot be used no key is accepted
			for _, one := range senders {
				all = append(all, connexease.Number{Key: one.Key.Reveal(), PhoneNumberID: one.PhoneNumberID})
			}
			return all
		},
		WebhookURL: s.APIURL + "/webhook",
		WebhookSecret: func() string {
			secret, _ := s.Secrets.Current(WebhookSecret)
			return secret
		},
	})
	s.GatewayURL, err = s.Gateway.Listen("127.0.0.1:0")
	return err
}

func (s *Stack) startDatabase(ctx context.Context) error {
	o := s.options
	s.DynamoDBURL = o.DynamoDB
	if o.DynamoDB == "" {
		if err := dynamodblocal.NeedsJava(ctx); err != nil {
			return err
		}
		cache, err := dynamodblocal.Cache()
		if err != nil {
			return err
		}
		folder, err := dynamodblocal.Install(ctx, cache, o.Progress)
		if err != nil {
			return err
		}
		o.Progress("Starting DynamoDB Local ...")
		err = progress.While(o.Progress, func(after time.Duration) string {
			return fmt.Sprintf("Starting DynamoDB Local: %v", after)
		}, func() (err error) {
			s.Database, err = dynamodblocal.Start(ctx, folder)
			return err
		})
		if err != nil {
			return err
		}
		s.DynamoDBURL = s.Database.Endpoint()
		go func() {
			<-s.Database.Done()
			s.fail(errors.New("DynamoDB Local has ended"))
		}()
	}
	s.DB = dynamodb.New(dynamodb.Options{
		Region: Region, BaseEndpoint: aws.String(s.DynamoDBURL),
		Credentials: credentials.NewStaticCredentialsProvider(accessKey, secretKey, ""), Retryer: config.Rereading(),
	})
	return nil
}

// createTables creates the template's tables, unless a given DynamoDB already has them.
func (s *Stack) createTables(ctx context.Context) error {
	tables, err := s.tpl.Tables()
	if err != nil {
		return err
	}
	for _, table := range tables {
		s.TableName = s.tableName(*table.TableName)
		table.TableName = &s.TableName
		var there *types.ResourceInUseException
		if _, err := s.DB.CreateTable(ctx, table); err != nil && !errors.As(err, &there) {
			return fmt.Errorf("create table %s at %s: %w", s.TableName, s.DynamoDBURL, err)
		}
	}
	return nil
}

// tableName is the name of the template's table with this logical id.
func (s *Stack) tableName(id string) string { return cmp.Or(s.options.Table, id) }

// CreateTable creates one more table like the template's.
func (s *Stack) CreateTable(ctx context.Context, name string) error {
	tables, err := s.tpl.Tables()
	if err != nil {
		return err
	}
	tables[0].TableName = &name
	_, err = s.DB.CreateTable(ctx, tables[0])
	return err
}

// startSecrets gives every secret a value, including the Gateway's key, which in AWS the user puts
// in.
func (s *Stack) startSecrets() error {
	secrets, err := s.tpl.Secrets()
	if err != nil {
		return err
	}
	for _, secret := range secrets {
		s.Secrets.Create(secret.Name)
		if secret.Name == GatewayKeySecret {
			secret.Generated = keyLength
		}
		if secret.Generated == 0 {
			continue
		}
		value, err := secret.Value(NewSecret(secret.Generated))
		if err != nil {
			return err
		}
		s.Secrets.Put(secret.Name, value)
	}
	s.SecretsURL, err = s.serveAnywhere(s.Secrets)
	return err
}

// NewSecret returns random letters and digits, as Secrets Manager generates them
// without punctuation.
func NewSecret(length int) string {
	text := ""
	for len(text) < length {
		text += rand.Text()
	}
	return text[:length]
}

// ClientKey returns the key of the client "default", or "" if the secret has none.
func (s *Stack) ClientKey() string {
	text, _ := s.Secrets.Current(ClientKeysSecret)
	return auth.FirstKey(text, "default")
}
