package template

import (
	"strings"
	"testing"
)

func TestTheScanFindsWhatTheCodeUses(t *testing.T) {
	s, err := readSource()
	if err != nil {
		t.Fatal(err)
	}
	// What each function certainly does and, after a !, what only the other one does: they share
	// packages.
	for function, want := range map[string]string{
		"WebhookFunction": "dynamodb.BatchWriteItem dynamodb.PutItem secretsmanager.GetSecretValue !dynamodb.Query !dynamodb.UpdateItem !sqs.ChangeMessageVisibility",
		"SendFunction":    "dynamodb.PutItem dynamodb.Query dynamodb.UpdateItem secretsmanager.GetSecretValue sqs.ChangeMessageVisibility sqs.SendMessage !dynamodb.BatchWriteItem",
	} {
		c := s.functions[function]
		if c == nil {
			t.Fatalf("there is no code for %s", function)
		}
		for operation := range strings.FieldsSeq(want) {
			name, other := strings.CutPrefix(operation, "!")
			if c.operations[name] == other {
				t.Errorf("%s: %s, found %s", function, operation, joined(c.operations))
			}
		}
		if !c.variables["TABLE_NAME"] || !c.variables["RETENTION_DAYS"] || c.variables["AWS_LAMBDA_FUNCTION_NAME"] {
			t.Errorf("%s: variables are %s", function, joined(c.variables))
		}
		if len(c.metrics) < 15 || !c.metrics["SecretStaleness"] || !c.metrics["RefusedWrongToken"] {
			t.Errorf("%s: metrics are %s", function, joined(c.metrics))
		}
	}
	if indexes := s.functions["SendFunction"].indexes; !indexes[""] || !indexes["sent_wamid"] || !indexes["timeline"] || !indexes["unsettled"] || len(indexes) != 4 {
		t.Errorf("SendFunction queries %q", joined(indexes))
	}
	if !s.logKeys["reason"] || s.logKeys["wamid"] {
		t.Errorf("log keys are %s", joined(s.logKeys))
	}
}
