package lambda

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
)

const (
	accountID     = "123456789012"
	defaultRegion = "us-east-1"
)

func (c Config) region() string { return cmp.Or(c.Env["AWS_REGION"], defaultRegion) }

func (c Config) arn() string {
	return "arn:aws:lambda:" + c.region() + ":" + accountID + ":function:" + c.Name
}

// environment returns the whole environment of a process (AWS: Using Lambda environment variables).
// The credentials are placeholders for the local backends; the configuration may override them and
// the region, but not the reserved variables.
func environment(c Config, api, taskRoot string, now time.Time) []string {
	vars := map[string]string{
		"AWS_REGION":            c.region(),
		"AWS_DEFAULT_REGION":    c.region(),
		"AWS_ACCESS_KEY_ID":     "local",
		"AWS_SECRET_ACCESS_KEY": "local",
		"AWS_SESSION_TOKEN":     "local",
		"AWS_LAMBDA_LOG_FORMAT": "JSON",
		"TZ":                    ":UTC",
	}
	if _, own := c.Env["AWS_ACCESS_KEY_ID"]; own {
		// The placeholder session token must not be combined with a configured key pair.
		delete(vars, "AWS_SESSION_TOKEN")
	}
	maps.Copy(vars, c.Env)
	maps.Copy(vars, map[string]string{
		"AWS_LAMBDA_RUNTIME_API":          api,
		"AWS_LAMBDA_FUNCTION_NAME":        c.Name,
		"AWS_LAMBDA_FUNCTION_VERSION":     "$LATEST",
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": strconv.Itoa(c.MemoryMB),
		"AWS_LAMBDA_LOG_GROUP_NAME":       "/aws/lambda/" + c.Name,
		"AWS_LAMBDA_LOG_STREAM_NAME":      now.UTC().Format("2006/01/02/") + "[$LATEST]" + randomHex(16),
		"AWS_LAMBDA_INITIALIZATION_TYPE":  "on-demand",
		"AWS_EXECUTION_ENV":               "AWS_Lambda_provided.al2023",
		"LAMBDA_TASK_ROOT":                taskRoot,
	})
	env := make([]string, 0, len(vars))
	for name, value := range vars {
		env = append(env, fmt.Sprintf("%s=%s", name, value))
	}
	slices.Sort(env)
	return env
}
