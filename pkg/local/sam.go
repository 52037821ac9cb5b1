package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"

	"connexease-functions/pkg/local/stack"
)

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
