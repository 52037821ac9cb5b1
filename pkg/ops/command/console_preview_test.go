package command

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"connexease-functions/pkg/proof/await"
	"connexease-functions/pkg/proof/browser"
	"connexease-functions/pkg/proof/harness"
)

// TestAPreviewThatIsCutLeavesNothingHidden ends the console while a preview reads a long dead-letter
// queue: another does not begin meanwhile, it reads no further, and what it has read is visible again,
// or the console says that it is not.
func TestAPreviewThatIsCutLeavesNothingHidden(t *testing.T) {
	const dead, messages, receives = "OutboundDeadLetters", 1000, 100
	hidden := "messages that stay in " + dead + " are hidden for up to 15m0s: "
	for failure, says := range map[string]string{"": "It is still in " + dead, "AccessDenied": hidden + "AccessDenied", "InternalError": hidden + "InternalError"} {
		t.Run("failure "+failure, func(t *testing.T) {
			w := watch(t)
			deadLetter(t, dead, slices.Repeat([]string{`{"idempotencyKey":"dead","message":{}}`}, messages)...)
			var calls atomic.Int64
			w.queues.Set(func(rw http.ResponseWriter, action string, _ []byte) bool {
				if action == "ReceiveMessage" {
					if calls.Add(1) == 2 {
						<-w.ending
					}
					time.Sleep(100 * time.Millisecond) // pages may still end for a second before jobs do
				}
				switch {
				case action != "ChangeMessageVisibilityBatch" || failure == "":
					return false
				case failure == "InternalError": // of one message
					_, _ = io.WriteString(rw, `{"Failed":[{"Id":"0","Code":"InternalError","SenderFault":false}]}`)
				default:
					harness.Refuse(rw, http.StatusForbidden, failure)
				}
				return true
			})
			tab := browser.Open(t)
			tab.Go(w.address)
			tab.Go(w.url + "/trouble")
			tab.Expect("ERR_")
			tab.Submit(`button[aria-label="Preview ` + dead + `"]`)
			await.Until(t, "the preview reads on", func() bool { return calls.Load() == 2 })
			if d := harness.Backends.Queues.Depth(dead); d.InFlight != messages/receives {
				t.Fatalf("the preview has not begun: %+v", d)
			}
			other := browser.Open(t)
			other.Go(w.address)
			other.Go(w.url + "/trouble")
			other.Expect("400")
			other.Expect("ERR_")
			other.Submit(`button[aria-label="Preview ` + dead + `"]`)
			other.See(".failure", "under way since")
			if err := w.end(); err != nil {
				t.Error(err)
			}
			if d := harness.Backends.Queues.Depth(dead); d.Visible+d.InFlight != messages || (d.InFlight == 0) != (failure == "") {
				t.Errorf("of %d messages: %+v", messages, d)
			}
			if n := calls.Load(); n > receives/2 {
				t.Errorf("it received %d times", n)
			}
			if !strings.Contains(w.out.String(), says) {
				t.Errorf("it says %s", w.out.String())
			}
		})
	}
}
