// Command send is the Lambda function that sends WhatsApp messages through the
// Connexease Gateway, once per idempotency key.
package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"connexease-functions/pkg/auth"
	"connexease-functions/pkg/config"
	"connexease-functions/pkg/gateway"
	"connexease-functions/pkg/queue"
	"connexease-functions/pkg/schedule"
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
	debug.SetGCPercent(garbagePercent)
	debug.SetMemoryLimit(mostMemory)
	h.warm()
	lambda.Start(h)
}

// build puts the function together. It fails only on bad configuration: what is
// missing or away in AWS is reported to each request.
func build(lookup func(string) string) (*handler, error) {
	c, err := readSettings(lookup)
	if err != nil {
		return nil, err
	}
	client, err := gateway.New(c.gateway)
	if err != nil {
		return nil, fmt.Errorf("configuration: GATEWAY_URL: %w", err)
	}
	cfg, err := config.AWS()
	if err != nil {
		return nil, err
	}
	secrets := secretsmanager.NewFromConfig(cfg)
	clients := secret.NewCache(auth.Clients(secret.Manager{Client: secrets, ID: c.clientsSecret}), secret.DefaultLimits, time.Now)
	senders := newSenders(auth.SendersOf(secret.Manager{Client: secrets, ID: c.gatewaySecret}))
	senders.pace, senders.processes, senders.shared = c.pace, c.processes, c.bulkARN != ""
	return &handler{
		clients:       clients,
		verifier:      auth.NewVerifier(clients, time.Now),
		senders:       senders,
		table:         table.New(config.DynamoDB(cfg), c.table, c.retentionDays),
		queue:         queue.New(cfg, c.queue),
		queueARN:      c.queueARN,
		bulk:          queue.New(cfg, c.bulk),
		bulkARN:       c.bulkARN,
		schedules:     schedule.New(cfg, c.schedules, c.scheduleRole, c.scheduleDead),
		gateway:       client,
		log:           telemetry.New(os.Stdout, c.function, time.Now),
		retentionDays: c.retentionDays,
		clientsSecret: secret.Name(c.clientsSecret),
		gatewaySecret: secret.Name(c.gatewaySecret),
		now:           time.Now,
		random:        rand.Reader,
	}, nil
}

// warm reads the secrets and connects to DynamoDB at the same time, before the first
// request. Failures are not reported: those that last meet a request, which reports them.
func (h *handler) warm() {
	ctx, cancel := context.WithTimeout(context.Background(), warmLimit)
	defer cancel()
	var all sync.WaitGroup
	all.Go(func() { _, _, _ = h.clients.Get(ctx) })
	all.Go(func() { _, _, _ = h.senders.cache.Get(ctx) })
	all.Go(func() { h.table.Connect(ctx) })
	all.Wait()
}
