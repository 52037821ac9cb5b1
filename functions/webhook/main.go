// Command webhook is the Lambda function that receives the events forwarded by the Connexease
// Gateway and writes them to DynamoDB.
package main

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"connexease-functions/pkg/auth"
	"connexease-functions/pkg/config"
	"connexease-functions/pkg/queue"
	"connexease-functions/pkg/secret"
	"connexease-functions/pkg/table"
	"connexease-functions/pkg/telemetry"
)

func main() {
	telemetry.TakeStandardLog(os.Stderr)
	h, err := build(os.Getenv)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	h.warm()
	lambda.Start(h)
}

// build assembles the function. It fails only on bad configuration: a missing or unavailable AWS
// resource is reported by each request that needs it.
func build(lookup func(string) string) (*handler, error) {
	c, err := readSettings(lookup)
	if err != nil {
		return nil, err
	}
	cfg, err := config.AWS()
	if err != nil {
		return nil, err
	}
	source := secret.Manager{Client: secretsmanager.NewFromConfig(cfg), ID: c.secretID}
	accepted := secret.NewCache(auth.Rotating(source, c.grace, time.Now), secret.DefaultLimits, time.Now)
	return &handler{
		credentials: accepted,
		verifier:    auth.NewVerifier(accepted, time.Now),
		table:       table.New(config.DynamoDB(cfg), c.table, c.retentionDays),
		words:       c.words,
		overflow:    overflow{queue.New(cfg, c.overflow)},
		log:         telemetry.New(os.Stdout, c.function, time.Now),
		secretName:  secret.Name(c.secretID),
		now:         time.Now,
	}, nil
}

// warm reads the secret and connects to DynamoDB at the same time, before the first request. It
// ignores failures: the first request meets them too, and reports them.
func (h *handler) warm() {
	ctx, cancel := context.WithTimeout(context.Background(), warmLimit)
	defer cancel()
	var both sync.WaitGroup
	both.Go(func() { _, _, _ = h.credentials.Get(ctx) })
	both.Go(func() { h.table.Connect(ctx) })
	both.Wait()
}
