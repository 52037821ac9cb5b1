// Package config reads a function's environment variables, and makes AWS clients that fit Lambda:
// small, quick to start, and without retries of their own where the caller has a deadline to keep.
package config

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

// Variables reads environment variables and remembers every faulty one.
type Variables struct {
	lookup func(string) string
	faults []string
}

// Read returns Variables that use a look-up, such as os.Getenv.
func Read(lookup func(string) string) *Variables { return &Variables{lookup: lookup} }

// Optional returns a variable that may be empty.
func (v *Variables) Optional(name string) string { return v.lookup(name) }

// Required returns a variable that must not be empty.
func (v *Variables) Required(name string) string {
	value := v.lookup(name)
	if value == "" {
		v.faults = append(v.faults, name+" is not set")
	}
	return value
}

// Address returns a variable that must be a URL.
func (v *Variables) Address(name string) string {
	value := v.Required(name)
	u, err := url.Parse(value)
	if value != "" && (err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http") {
		v.faults = append(v.faults, name+" must be a URL such as https://host")
	}
	return value
}

// Number returns a variable that must be a whole number from 0 to highest; fallback where it is
// empty.
func (v *Variables) Number(name string, fallback, highest int) int {
	value := v.lookup(name)
	if value == "" {
		return fallback
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 0 || n > highest {
		v.faults = append(v.faults, fmt.Sprintf("%s must be a whole number from 0 to %d", name, highest))
	}
	return n
}

// Fault adds what is wrong with variables that their reader checks.
func (v *Variables) Fault(text string) { v.faults = append(v.faults, text) }

// Err returns an error that names every faulty variable; nil if there is none.
func (v *Variables) Err() error {
	if v.faults == nil {
		return nil
	}
	return fmt.Errorf("configuration: %s", strings.Join(v.faults, "; "))
}

// endpoints lists the variables that keep a function in sam local away from AWS.
var endpoints = []string{"AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL_SECRETS_MANAGER", "AWS_ENDPOINT_URL_SQS", "AWS_ENDPOINT_URL_SCHEDULER"}

// local returns an error in sam local without endpoints of its own: SAM passes on the user's
// credentials, and drops endpoints that the template does not declare.
func local(lookup func(string) string) error {
	if lookup("AWS_SAM_LOCAL") == "" {
		return nil
	}
	v := Read(lookup)
	for _, name := range endpoints {
		v.Address(name)
	}
	if err := v.Err(); err != nil {
		return fmt.Errorf("%w: this would call AWS from sam local. Use the template of: go run ./pkg/local -backends", err)
	}
	return nil
}

// AWS returns the configuration of AWS clients. Lambda provides region, credentials and endpoints
// in environment variables alone; the full loader would look for files and link three more
// services.
func AWS() (aws.Config, error) {
	if err := local(os.Getenv); err != nil {
		return aws.Config{}, err
	}
	env, err := awsconfig.NewEnvConfig()
	if err != nil {
		return aws.Config{}, fmt.Errorf("configuration: %w", err)
	}
	return aws.Config{
		Region:        env.Region,
		Credentials:   credentials.StaticCredentialsProvider{Value: env.Credentials},
		ConfigSources: []any{env},
	}, nil
}

// DynamoDB returns a client without retries of its own: pkg/table retries within its caller's
// budget.
func DynamoDB(cfg aws.Config) *dynamodb.Client {
	return dynamodb.NewFromConfig(cfg, func(o *dynamodb.Options) {
		o.Retryer = aws.NopRetryer{}
		// One host for every call, so that the connection made at start is the one used.
		o.AccountIDEndpointMode = aws.AccountIDEndpointModeDisabled
	})
}

// Rereading returns a retryer for programs that read much: the SDK's own, which also repeats a call
// whose response broke off within its body. The SDK takes such a response for one that nobody can
// read, and gives up.
func Rereading() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.Retryables = append(o.Retryables, retry.IsErrorRetryableFunc(func(err error) aws.Ternary {
			if errors.Is(err, io.ErrUnexpectedEOF) {
				return aws.TrueTernary
			}
			return aws.UnknownTernary
		}))
	})
}
