package main

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// settings are what the environment says. template.yaml sets every variable.
type settings struct {
	table         string // TABLE_NAME
	gateway       string // GATEWAY_URL: base URL of the Connexease Gateway
	gatewaySecret string // GATEWAY_KEY_SECRET_ID: name or ARN
	clientsSecret string // CLIENT_KEYS_SECRET_ID: name or ARN
	queue         string // QUEUE_URL
	retentionDays int    // RETENTION_DAYS: 0 (for ever) to 36500
	function      string // AWS_LAMBDA_FUNCTION_NAME, the metrics' dimension
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
	address := func(name string) string {
		v := required(name)
		u, err := url.Parse(v)
		if v != "" && (err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http") {
			faults = append(faults, name+" must be a URL such as https://host")
		}
		return v
	}
	days := func(name string, standard, highest int) int {
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
		gateway:       address("GATEWAY_URL"),
		gatewaySecret: required("GATEWAY_KEY_SECRET_ID"),
		clientsSecret: required("CLIENT_KEYS_SECRET_ID"),
		queue:         address("QUEUE_URL"),
		retentionDays: days("RETENTION_DAYS", 365, 36500),
		function:      lookup("AWS_LAMBDA_FUNCTION_NAME"),
	}
	if faults != nil {
		return settings{}, fmt.Errorf("configuration: %s", strings.Join(faults, "; "))
	}
	return c, nil
}
