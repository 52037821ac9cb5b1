package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/proof/docs"
	"connexease-functions/pkg/secret"
	"connexease-functions/pkg/table"
)

var inWords = map[int]string{3: "three", 10: "ten"}

// What READMEs promise of bounds comes from the code: who changes a bound is led to its sentence.
func TestTheBoundsOfTheREADMEsAreThoseOfTheCode(t *testing.T) {
	readmes := strings.Join(strings.Fields(docs.Text(t)), " ")
	days := func(d time.Duration) string { return fmt.Sprintf("%d days", int(d/(24*time.Hour))) }
	for bound, sentence := range map[string]string{
		"ledger.MaxMaybeSent":    "up to " + inWords[ledger.MaxMaybeSent] + " times in total",
		"ledger.KeptReleased":    "those that are kept (" + inWords[ledger.KeptReleased] + " that sent nothing",
		"ledger.MinRowLife":      "for at least " + days(ledger.MinRowLife),
		"ledger.MaxValidFor":     fmt.Sprintf("1 to %d (%s)", int(ledger.MaxValidFor.Seconds()), days(ledger.MaxValidFor)),
		"ledger.DefaultValidFor": fmt.Sprintf("default %d", int(ledger.DefaultValidFor.Seconds())),
		"table.MaxSend":          fmt.Sprintf("at most %d KiB", table.MaxSend>>10),
		"keyCooldown":            "at most once " + map[time.Duration]string{time.Minute: "a minute"}[keyCooldown],
		"a revoked key":          fmt.Sprintf("it is refused within %d minutes", int(secret.DefaultLimits.TTL.Minutes())),
		"a rotated secret":       fmt.Sprintf("wait %d minutes", int(secret.DefaultLimits.TTL.Minutes())+1),
		"secret.DefaultLimits":   fmt.Sprintf("reads them at most once in %d minutes", int(secret.DefaultLimits.TTL.Minutes())),
		"largestAnswer":          fmt.Sprintf("over %d kB is kept as its id alone", largestAnswer>>10),
	} {
		if !strings.Contains(readmes, sentence) {
			t.Errorf("%s: no README says %q", bound, sentence)
		}
	}
}
