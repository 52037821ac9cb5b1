package main

import (
	"time"

	"connexease-functions/pkg/config"
	"connexease-functions/pkg/consent"
)

// settings hold the function's configuration. template.yaml sets every variable.
type settings struct {
	table         string        // TABLE_NAME
	secretID      string        // WEBHOOK_SECRET_ID: name or ARN
	overflow      string        // OVERFLOW_QUEUE_URL
	retentionDays int           // RETENTION_DAYS: 0 (forever) to 36500
	grace         time.Duration // PREVIOUS_SECRET_GRACE_HOURS: 0 to 720
	words         consent.Words // OPT_OUT_WORDS, OPT_IN_WORDS: comma-separated
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
	var err error
	if c.words, err = consent.NewWords(v.Optional("OPT_OUT_WORDS"), v.Optional("OPT_IN_WORDS")); err != nil {
		v.Fault("OPT_OUT_WORDS and OPT_IN_WORDS: " + err.Error())
	}
	return c, v.Err()
}
