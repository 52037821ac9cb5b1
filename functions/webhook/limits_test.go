package main

import (
	"fmt"
	"strings"
	"testing"

	"connexease-functions/pkg/api"
	"connexease-functions/pkg/proof/docs"
)

// What READMEs promise of bounds comes from the code: who changes a bound is led to its sentence.
func TestTheBoundsOfTheREADMEsAreThoseOfTheCode(t *testing.T) {
	readmes := strings.Join(strings.Fields(docs.Text(t)), " ")
	for bound, sentence := range map[string]string{
		"tableBudget":   fmt.Sprintf("DynamoDB within %v seconds,", tableBudget.Seconds()),
		"distrust":      fmt.Sprintf("gives it %v s for the next %v s,", leastTableBudget.Seconds(), distrust.Seconds()),
		"budget":        fmt.Sprintf("the overflow queue within %v (the Gateway waits 5)", budget.Seconds()),
		"the same":      fmt.Sprintf("within %v s all the same", budget.Seconds()),
		"api.MaxBody":   fmt.Sprintf("Bodies are at most %d MiB", api.MaxBody>>20),
		"the 413's row": fmt.Sprintf("over %d MiB", api.MaxBody>>20),
	} {
		if !strings.Contains(readmes, sentence) {
			t.Errorf("%s: no README says %q", bound, sentence)
		}
	}
}
