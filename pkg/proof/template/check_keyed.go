package template

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

// underKey maps each type that stores content to the property that names its key.
var underKey = map[string]string{
	"AWS::DynamoDB::Table": "SSESpecification", "AWS::SQS::Queue": "KmsMasterKeyId", "AWS::SecretsManager::Secret": "KmsKeyId", "AWS::SNS::Topic": "KmsMasterKeyId",
	"AWS::Logs::LogGroup": "KmsKeyId", "AWS::Events::EventBus": "KmsKeyIdentifier", "AWS::Events::Archive": "KmsKeyIdentifier",
}

// keyed: with KmsKeyArn everything that stores content is under that key, and each role that reads
// or writes it may use the key; without, nothing is, and none may.
func keyed(p *proof) (faults []string) {
	faults = must("KmsKeyArn", find(p.Root(), "Parameters", "KmsKeyArn"), map[string]string{"Default": ""})
	for kind, property := range underKey {
		for id, n := range p.every(kind) {
			value := find(n, "Properties", property)
			key := ref(whole(value))
			if property == "SSESpecification" {
				key = ref(find(whole(value), "KMSMasterKeyId"))
			}
			if !onlyIfKeyed(value) || key != "${KmsKeyArn}" {
				faults = append(faults, id+": "+property+" does not follow KmsKeyArn")
			}
		}
	}
	for id, n := range p.every("AWS::IAM::Role") {
		uses := 0
		for _, policy := range list(find(n, "Properties", "Policies")) {
			statements := find(policy, "PolicyDocument", "Statement")
			for i, s := range list(statements) {
				var actions []string
				for _, a := range list(find(s, "Action")) {
					actions = append(actions, a.Value)
				}
				if !strings.Contains(strings.Join(actions, " "), "kms:") {
					continue
				}
				uses++
				if got := strings.Join(actions, " ") + " on " + ref(find(s, "Resource")); !onlyIfKeyed(statements.Content[i]) || got != "kms:Decrypt kms:GenerateDataKey on ${KmsKeyArn}" {
					faults = append(faults, id+": "+got+" does not follow KmsKeyArn")
				}
			}
		}
		if want := map[bool]int{true: 0, false: 1}[id == "DeployRole"]; uses != want { // it only moves aliases
			faults = append(faults, id+": it may not use the key that it needs, or one that it does not need")
		}
	}
	return faults
}

func onlyIfKeyed(n *yaml.Node) bool {
	return n != nil && n.Tag == "!If" && n.Content[0].Value == "Keyed" && ref(n.Content[2]) == "${AWS::NoValue}"
}
