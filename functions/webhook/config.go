package main

import (
	"time"

	"connexease-functions/pkg/config"
)

// settings hold the function's configuration. template.yaml sets every variable.
type settings struct {
	table         string        // TABLE_NAME
	secretID      string        // WEBHOOK_SECRET_ID: name or ARN
	overflow      string        // OVERFLOW_QUEUE_URL
	retentionDays int           // RETENTION_DAYS: 0 (forever) to 36500
	grace         time.Duration // PREVIOUS_SECRET_GRACE_HOURS: 0 to 720
	function      string        // AWS_LAMBDA_FUNCTION_NAME, the metrics' dimension
}

// readSettings reads the configuration and names every faulty variable at once.
func readSettings(lookup func(string) string) (settings, error) {
	v := config.Read(lookup)
	c := settings{
		table:         v.Required("TABLE_NAME"),
		secretID:      v.Required("WEBHOOK_SECRET_ID"),
		overflow:      v.Address("OVERFLOW_QUEUE_URL"),
		retentionDays: v.Number("RETENTION_DAYS", 365, 36500),
		grace:         time.Duration(v.Number("PREVIOUS_SECRET_GRACE_HOURS", 24, 720)) * time.Hour,
		function:      v.Optional("AWS_LAMBDA_FUNCTION_NAME"),
	}
	return c, v.Err()
}
