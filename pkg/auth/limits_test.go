package auth

import (
	"strings"
	"testing"
	"time"

	"connexease-functions/pkg/proof/docs"
)

func TestTheRunbooksEarlyReadsAreThoseOfTheCode(t *testing.T) {
	sentence := map[int]string{5: "five"}[earlyBurst] + " times in a row and then once " + map[time.Duration]string{time.Second: "a second"}[earlyEvery]
	if !strings.Contains(strings.Join(strings.Fields(docs.Text(t)), " "), sentence) {
		t.Errorf("no README says %q", sentence)
	}
}
