package conversation

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"connexease-functions/pkg/gateway"
	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/table"
	"connexease-functions/pkg/whatsapp"
)

// SentFallback is how a message is said to have left as its fallback.
const SentFallback = "fallback"

// Progress is what became of a message that went out.
type Progress struct {
	// State is ledger.Word of a send's state; empty for a message that this product did not send.
	State       string `json:"state,omitempty"`
	Status      string `json:"status,omitempty"` // sent, delivered, read, played: the highest that was reported
	Failed      bool   `json:"failed,omitempty"` // WhatsApp reported a failure
	Explanation string `json:"explanation,omitempty"`
	Reason      string `json:"reason,omitempty"`       // why it was not sent, or its outcome is unknown
	SentInstead string `json:"sent_instead,omitempty"` // fallback, where the newest attempt, or the one that was accepted, posted that
	// Failures are Meta's error codes, of statuses and refusals, in words.
	Failures []whatsapp.Failure `json:"failures,omitempty"`
	Statuses []Status           `json:"statuses"` // in order
	Answer   *Answer            `json:"answer,omitempty"`
}

// Answer is the Gateway's response, or what the message was refused with.
type Answer struct {
	HTTP int             `json:"http"`
	Body json.RawMessage `json:"body,omitempty"`
}

// Status is one that WhatsApp reported.
type Status struct {
	Status string          `json:"status"`
	At     *time.Time      `json:"at,omitempty"`
	Errors json.RawMessage `json:"errors,omitempty"` // as they came
}

// explanations say what the states of a message mean.
var explanations = map[ledger.State]string{
	ledger.Queued:    "It waits in the queue and has not been sent.",
	ledger.Scheduled: "Its time has not come. It can be cancelled.",
	ledger.Cancelled: "It was cancelled before it was sent. It is not sent any more.",
	ledger.InFlight:  "It is being sent.",
	ledger.Accepted:  "The Gateway accepted it.",
	ledger.Rejected:  "It was refused; answer says why.",
	ledger.Expired:   "Its validity ended before it could be sent. It was not sent.",
	ledger.Released:  "It definitely was not sent. Under an idempotency key the same request sends it.",
	ledger.Unknown:   "Nobody can tell yet whether it was sent. A status of WhatsApp settles it; unless resend was chosen, it is not sent again.",
}

// Of says what became of a send.
func Of(f *table.Found) Progress {
	row := f.Row
	p := Progress{State: ledger.Word(f.State), Explanation: explanations[f.State]}
	instead := row.Attempts[row.Last()].Instead
	if f.State == ledger.Accepted {
		instead = f.Outcome.Instead
	}
	if instead != "" {
		p.SentInstead = SentFallback
	}
	if o := f.Outcome; o != nil && o.HTTP != 0 {
		p.Answer = &Answer{HTTP: o.HTTP}
		if json.Valid(o.Body) {
			p.Answer.Body = o.Body
		}
	}
	if o := f.Outcome; o != nil && f.State != ledger.Accepted {
		p.Reason = string(o.Reason)
		p.fail(gateway.MetaCodes(o.Body)...)
		p.Explanation = strings.Join(append([]string{p.Explanation}, p.advice()...), " ")
	}
	if f.State == ledger.Unknown {
		p.Reason = string(row.UnknownReason())
	}
	p.report(f.Statuses)
	if f.State == ledger.Accepted && instead != "" {
		p.Explanation += " The fallback left instead of the message: the person's 24-hour window was closed, or no message of theirs was stored."
	}
	return p
}

// Reported says what became of a message of which only statuses are known: it was sent by the WhatsApp
// Business app, or by another system.
func Reported(receipts []ledger.Status) (p Progress) {
	p.report(receipts)
	return p
}

// report adds what statuses say.
func (p *Progress) report(receipts []ledger.Status) {
	p.Statuses = []Status{}
	slices.SortStableFunc(receipts, func(a, b ledger.Status) int {
		return cmp.Or(a.Time.Compare(b.Time), whatsapp.Rank(a.Status)-whatsapp.Rank(b.Status))
	})
	var reported []whatsapp.Event
	for _, r := range receipts {
		if r.Status == "" { // a part of a payload
			continue
		}
		reported = append(reported, whatsapp.Event{Status: r.Status})
		p.Statuses = append(p.Statuses, Status{Status: r.Status, At: timeOf(r.Time), Errors: r.Errors})
	}
	if len(reported) > 0 {
		folded := whatsapp.Fold(reported)
		p.Status, p.Failed = folded.State, folded.Failed
		p.Explanation = strings.Join(p.explain(folded, receipts), " ")
	}
}

func timeOf(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// explain says in words what the statuses say, and what to do about failures.
func (p *Progress) explain(f whatsapp.Folded, receipts []ledger.Status) []string {
	said := map[string]string{"sent": "WhatsApp sent it.", "delivered": "It was delivered.", "read": "It was read.", "played": "It was played."}[f.State]
	if said == "" && p.State != "" {
		said = "The Gateway accepted it."
	}
	var words []string
	if said != "" {
		words = append(words, said)
	}
	if !f.Failed {
		return words
	}
	words = append(words, "WhatsApp could not deliver it, at least on one device.")
	seen := map[string]bool{}
	for _, r := range receipts {
		var errors []struct {
			Code    json.RawMessage `json:"code"`
			Title   string          `json:"title"`
			Message string          `json:"message"`
			Data    struct {
				Details string `json:"details"`
			} `json:"error_data"`
		}
		_ = json.Unmarshal(r.Errors, &errors) // what cannot be read is left out
		for _, e := range errors {
			if code, err := strconv.Atoi(strings.Trim(string(e.Code), `"`)); err == nil && r.Status == "failed" {
				p.fail(code)
			}
			for _, text := range []string{e.Data.Details, e.Message, e.Title} {
				if text == "" {
					continue
				}
				if text = strings.TrimSuffix(text, ".") + "."; !seen[text] {
					seen[text] = true
					words = append(words, text)
				}
				break
			}
		}
	}
	return append(words, p.advice()...)
}

// fail adds those of Meta's codes that can be explained, each once.
func (p *Progress) fail(codes ...int) {
	for _, code := range codes {
		if f, ok := whatsapp.Explain(code); ok && !slices.Contains(p.Failures, f) {
			p.Failures = append(p.Failures, f)
		}
	}
}

// advice has the failures as sentences.
func (p *Progress) advice() (sentences []string) {
	for _, f := range p.Failures {
		sentences = append(sentences, f.Meaning, f.Do)
	}
	return sentences
}
