package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// settings are what the environment says. template.yaml sets every variable.
type settings struct {
	table         string        // TABLE_NAME
	secretID      string        // WEBHOOK_SECRET_ID: name or ARN
	retentionDays int           // RETENTION_DAYS: 0 (for ever) to 36500
	grace         time.Duration // PREVIOUS_SECRET_GRACE_HOURS: 0 to 720
	function      string        // AWS_LAMBDA_FUNCTION_NAME, the metrics' dimension
}

// readSettings reads the configuration and names every faulty variable at once.
func readSettings(lookup func(string) string) (settings, error) {
	var faults []string
	required := func(name string) string {
		v := lookup(name)
		if v == "" {
			faults = append(faults, name+" is not set")
		}
		return v
	}
	number := func(name string, standard, highest int) int {
		v := lookup(name)
		if v == "" {
			return standard
		}
		n, err := strconv.Atoi(v)
		if err != nil || n < 0 || n > highest {
			faults = append(faults, fmt.Sprintf("%s must be a whole number from 0 to %d", name, highest))
		}
		return n
	}
	c := settings{
		table:         required("TABLE_NAME"),
		secretID:      required("WEBHOOK_SECRET_ID"),
		retentionDays: number("RETENTION_DAYS", 365, 36500),
		grace:         time.Duration(number("PREVIOUS_SECRET_GRACE_HOURS", 24, 720)) * time.Hour,
		function:      lookup("AWS_LAMBDA_FUNCTION_NAME"),
	}
	if faults != nil {
		return settings{}, fmt.Errorf("configuration: %s", strings.Join(faults, "; "))
	}
	return c, nil
}
