package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"connexease-functions/pkg/local/stack"
)

// forShells makes a user's shell use this stack only: its AWS settings are those of a real account,
// and its proxy, which curl would send the secrets to, does not reach this machine.
const forShells = `unset AWS_PROFILE AWS_DEFAULT_PROFILE AWS_SESSION_TOKEN AWS_SECURITY_TOKEN AWS_ROLE_ARN AWS_WEB_IDENTITY_TOKEN_FILE AWS_IGNORE_CONFIGURED_ENDPOINT_URLS
case ",${no_proxy:-}," in *,127.0.0.1,*) ;; *) export no_proxy="127.0.0.1,localhost,::1${no_proxy:+,$no_proxy}" ;; esac
case ",${NO_PROXY:-}," in *,127.0.0.1,*) ;; *) export NO_PROXY="127.0.0.1,localhost,::1${NO_PROXY:+,$NO_PROXY}" ;; esac
`

// writeEnvironment writes .local/env, which any shell can read: . .local/env
func writeEnvironment(s *stack.Stack, state, controlURL string) error {
	secret, _ := s.Secrets.Current(stack.WebhookSecret)
	env := s.Environment()
	env["API_URL"] = s.APIURL
	// For all services that the stack lacks: the control address responds with an error to their
	// calls.
	env["AWS_ENDPOINT_URL"] = controlURL
	env["EVENT_BUS_NAME"] = s.Bus.Name()
	env["CONTROL_URL"] = controlURL
	env["GATEWAY_URL"] = s.GatewayURL
	env["QUEUE_URL"] = s.QueueURL
	env["TABLE_NAME"] = s.TableName
	env["WEBHOOK_SECRET"] = secret
	env["CLIENT_KEY"] = s.ClientKey()
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(env)) {
		fmt.Fprintf(&text, "export %s='%s'\n", name, strings.ReplaceAll(env[name], "'", `'\''`))
	}
	text.WriteString(forShells)
	temporary := filepath.Join(state, "env.new")
	if err := os.WriteFile(temporary, []byte(text.String()), 0o600); err != nil {
		return err
	}
	return os.Rename(temporary, filepath.Join(state, "env"))
}

// What sam local reads: a template whose functions talk to this stack only, the folder of their
// code, and their environments, for templates that declare the same variables.
const (
	samTemplate  = "sam-template.yaml"
	samFunctions = "sam-functions"
	samVariables = "sam-variables.json"
)

// writeForSAM writes them, and returns what removes them.
func writeForSAM(ctx context.Context, s *stack.Stack, state string) (remove func(), err error) {
	remove = func() {
		for _, name := range []string{samTemplate, samVariables, samFunctions} {
			_ = os.RemoveAll(filepath.Join(state, name))
		}
	}
	text, err := json.MarshalIndent(s.SAMVariables(), "", "  ")
	if err == nil {
		err = os.WriteFile(filepath.Join(state, samVariables), text, 0o600)
	}
	if err == nil {
		err = s.WriteSAMTemplate(ctx, filepath.Join(state, samTemplate), filepath.Join(state, samFunctions))
	}
	if err != nil {
		remove()
	}
	return remove, err
}
