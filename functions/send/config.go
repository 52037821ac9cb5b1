package main

import "connexease-functions/pkg/config"

// settings are what the environment says. template.yaml sets every variable.
type settings struct {
	table         string // TABLE_NAME
	gateway       string // GATEWAY_URL: base URL of the Connexease Gateway
	gatewaySecret string // GATEWAY_KEY_SECRET_ID: name or ARN
	clientsSecret string // CLIENT_KEYS_SECRET_ID: name or ARN
	queue         string // QUEUE_URL
	queueARN      string // QUEUE_ARN
	bulk          string // BULK_QUEUE_URL; empty: there is no bulk lane
	bulkARN       string // BULK_QUEUE_ARN
	schedules     string // SCHEDULE_GROUP: name
	scheduleRole  string // SCHEDULE_ROLE_ARN
	scheduleDead  string // SCHEDULE_DLQ_ARN
	pace          int    // QUEUE_SENDS_PER_SECOND: 0 (none) to 1000
	processes     int    // QUEUE_CONCURRENCY: that handle a queue's records at once, 1 to 1000
	retentionDays int    // RETENTION_DAYS: 0 (for ever) to 36500
	function      string // AWS_LAMBDA_FUNCTION_NAME, the metrics' dimension
}

// readSettings reads the configuration and names every faulty variable at once.
func readSettings(lookup func(string) string) (settings, error) {
	v := config.Read(lookup)
	c := settings{
		table:         v.Required("TABLE_NAME"),
		gateway:       v.Address("GATEWAY_URL"),
		gatewaySecret: v.Required("GATEWAY_KEY_SECRET_ID"),
		clientsSecret: v.Required("CLIENT_KEYS_SECRET_ID"),
		queue:         v.Address("QUEUE_URL"),
		queueARN:      v.Required("QUEUE_ARN"),
		bulk:          v.Optional("BULK_QUEUE_URL"),
		bulkARN:       v.Optional("BULK_QUEUE_ARN"),
		schedules:     v.Required("SCHEDULE_GROUP"),
		scheduleRole:  v.Required("SCHEDULE_ROLE_ARN"),
		scheduleDead:  v.Required("SCHEDULE_DLQ_ARN"),
		pace:          v.Number("QUEUE_SENDS_PER_SECOND", 0, highestPace),
		processes:     max(1, v.Number("QUEUE_CONCURRENCY", 2, mostProcesses)),
		retentionDays: v.Number("RETENTION_DAYS", 365, 36500),
		function:      v.Optional("AWS_LAMBDA_FUNCTION_NAME"),
	}
	return c, v.Err()
}
