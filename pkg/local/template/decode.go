package template

import (
	"encoding/json"

	"go.yaml.in/yaml/v3"
)

// decode fills a struct from a node without intrinsic functions. It goes through JSON, because
// yaml's own matching expects names in lower case.
func decode(n *yaml.Node, into any) error {
	var plain any
	if err := n.Decode(&plain); err != nil {
		return err
	}
	text, err := json.Marshal(plain)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}
