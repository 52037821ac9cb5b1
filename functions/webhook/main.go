// Command webhook is the Lambda function that takes the events which the
// Connexease Gateway forwards, and writes them to DynamoDB.
package main

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"connexease-functions/pkg/auth"
	"connexease-functions/pkg/secret"
	"connexease-functions/pkg/table"
	"connexease-functions/pkg/telemetry"
)

// refreshCooldown is how often at the most a token that matches nothing makes the
// function read the secret before its time.
const refreshCooldown = 30 * time.Second

func main() {
	h, err := build(os.Getenv)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	h.warm()
	lambda.Start(h)
}

// build puts the function together. It fails only on bad configuration: what is
// missing or away in AWS is told to each request.
func build(lookup func(string) string) (*handler, error) {
	c, err := readSettings(lookup)
	if err != nil {
		return nil, err
	}
	// Lambda gives region, credentials and endpoints by the environment alone; the
	// full loader would look for files and link three more services.
	env, err := config.NewEnvConfig()
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	cfg := aws.Config{
		Region:        env.Region,
		Credentials:   credentials.StaticCredentialsProvider{Value: env.Credentials},
		ConfigSources: []any{env},
	}
	source := secret.Manager{Client: secretsmanager.NewFromConfig(cfg), ID: c.secretID}
	accepted := secret.NewCache(auth.Rotating(source, c.grace, time.Now), secret.DefaultLimits, time.Now)
	db := dynamodb.NewFromConfig(cfg, func(o *dynamodb.Options) {
		o.Retryer = aws.NopRetryer{} // the table repeats, within the request's budget
		// One host for every call, so that the connection made at start is the one used.
		o.AccountIDEndpointMode = aws.AccountIDEndpointModeDisabled
	})
	return &handler{
		credentials: accepted,
		verifier:    auth.NewVerifier(accepted, refreshCooldown, time.Now),
		table:       table.New(db, c.table, c.retentionDays, time.Now),
		log:         telemetry.New(os.Stdout, c.function, time.Now),
		secretName:  secret.Name(c.secretID),
		now:         time.Now,
	}, nil
}

// warm reads the secret and connects to DynamoDB at the same time, before the first
// request. Failures are not told: the request that meets them will be.
func (h *handler) warm() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	var both sync.WaitGroup
	both.Go(func() { _, _, _ = h.credentials.Get(ctx) })
	both.Go(func() { h.table.Connect(ctx) })
	both.Wait()
}
