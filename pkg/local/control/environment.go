package control

import (
	"connexease-functions/pkg/local/environment"
	"connexease-functions/pkg/local/stack"
)

// The words of the laptop's stack, which has some to try: the template's parameters are empty.
const optOutWords, optInWords = "STOP", "START"

// Parameters returns the template's parameters for the laptop.
func Parameters() map[string]string {
	return map[string]string{"OptOutWords": optOutWords, "OptInWords": optInWords, "BulkLane": "yes"}
}

// WriteEnvironment writes the addresses and secrets of a stack.
func WriteEnvironment(s *stack.Stack, state, controlURL string) error {
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
	env["BULK_QUEUE_URL"] = s.Queues.URL("BulkQueue")
	env["TABLE_NAME"] = s.TableName
	env["WEBHOOK_SECRET"] = secret
	env["CLIENT_KEY"] = s.ClientKey()
	env["OPT_OUT_WORDS"], env["OPT_IN_WORDS"] = optOutWords, optInWords // for ops
	return environment.Write(state, env)
}
