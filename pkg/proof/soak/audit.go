package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/local/pause"
	"connexease-functions/pkg/local/sim/connexease"
	"connexease-functions/pkg/table"
	"connexease-functions/pkg/whatsapp"
)

// receiptLimit is how long callbacks may take to be stored after the load.
const receiptLimit = 30 * time.Second

// report prints the load and the latencies.
func (s *soak) report() {
	seconds := s.length.Seconds()
	n := sum(s.answers)
	s.say("%d deliveries (%.1f a second), responses %v, %d of them repeats; %d more with bad tokens", n, float64(n)/seconds, s.answers, s.repeats, len(s.refused))
	s.say("  200s: %s", percentiles(s.deliveries))
	s.say("%d messages to send (%.1f a second)", len(s.messages), float64(len(s.messages))/seconds)
	s.say("  200s over HTTP, repeats included: %s", percentiles(s.sends))
	s.say("%d refusals of a new credential that a process did not know yet", s.early)
	s.memory()
}

func sum(counts map[string]int) (n int) {
	for _, one := range counts {
		n += one
	}
	return n
}

func percentiles(all []time.Duration) string {
	if len(all) == 0 {
		return "none"
	}
	all = slices.Clone(all)
	slices.Sort(all)
	at := func(share float64) time.Duration {
		return all[int(share*float64(len(all)-1))].Round(100 * time.Microsecond)
	}
	return fmt.Sprintf("p50 %v, p95 %v, p99 %v, max %v", at(0.5), at(0.95), at(0.99), at(1))
}

// identity identifies an update without the table's own keys: the audit must not copy a mistake in
// them.
func identity(kind, account, number, name, sum string) string {
	return strings.Join([]string{kind, account, number, name, sum}, "\n")
}

func sumOf(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

func identities(n int) (all []string) {
	for _, e := range whatsapp.Split(body(n)) {
		all = append(all, identity(string(e.Kind), e.WABAID, e.PhoneNumberID, e.Type, sumOf(e.Payload)))
	}
	return all
}

// stored is the content of the table.
type stored struct {
	updates  map[string]int // by identity
	aliases  map[string]int // by "contact#<name> alias#<other name>", and consents
	statuses map[string]int // of the simulated Gateway's callbacks, by wamid and status
	sends    int
	parts    int      // that are there
	promised int      // that heads refer to
	events   []string // keys of the items that become an event
}

func (s *soak) read(ctx context.Context) (t stored, err error) {
	t.updates, t.statuses, t.aliases = map[string]int{}, map[string]int{}, map[string]int{}
	err = s.table().Scan(ctx, table.Selection{}, func(it table.Item) {
		pk, sk := it.Key()
		if it.Text("detail_type") != "" && it.Text("kind") != "send" {
			t.events = append(t.events, pk+" "+sk)
		}
		switch kind := it.Text("kind"); {
		case kind == "send":
			t.sends++
		case it.IsPart():
			t.parts++
		case kind == "alias", it.Consent() != nil:
			t.aliases[pk+" "+sk]++
		case it.Text("message_id") != "":
			t.statuses[it.Text("wamid")+" "+it.Text("status")]++
		default:
			digest := it.Text("payload_sha256")
			if digest == "" {
				digest = sumOf([]byte(it.Text("payload")))
			}
			t.promised += len(it.PartKeys())
			t.updates[identity(kind, it.Text("waba_id"), it.Text("phone_number_id"), it.Text("type"), digest)]++
		}
	})
	return t, err
}

// compare counts what is expected and not there, there more than once, and there unexpectedly.
func compare(expected map[string]bool, there map[string]int) (missing, doubled, foreign int) {
	for one := range expected {
		switch n := there[one]; {
		case n == 0:
			missing++
		case n > 1:
			doubled++
		}
	}
	for one := range there {
		if !expected[one] {
			foreign++
		}
	}
	return missing, doubled, foreign
}

// proven returns the aliases and consents that the accepted deliveries prove.
func (s *soak) proven() map[string]bool {
	proven := map[string]bool{}
	for _, d := range s.accepted {
		for _, e := range whatsapp.Split(body(d)) {
			if e.Consent != "" {
				proven["contact#"+e.Contact+" consent"] = true
			}
			for _, p := range e.Aliases {
				proven["contact#"+p[0]+" alias#"+p[1]], proven["contact#"+p[1]+" alias#"+p[0]] = true, true
			}
		}
	}
	return proven
}

// audit compares the table and the ledger with what was delivered and sent.
func (s *soak) audit(ctx context.Context) error {
	if err := s.auditSends(ctx); err != nil {
		return err
	}
	t, err := s.read(ctx)
	if err != nil {
		return err
	}
	expected := map[string]bool{}
	for _, n := range s.accepted {
		for _, id := range identities(n) {
			expected[id] = true
		}
	}
	missing, doubled, foreign := compare(expected, t.updates)
	s.say("%d updates got 200: %d are missing, %d are duplicated, %d are stored that did not get 200", len(expected), missing, doubled, foreign)
	if missing+doubled+foreign > 0 {
		s.fault("the table is not what was delivered")
	}
	if missing, _, foreign := compare(s.proven(), t.aliases); missing+foreign > 0 {
		s.fault("%d aliases are missing, %d are stored that nothing proves", missing, foreign)
	}
	if t.parts != t.promised {
		s.fault("%d parts of payloads are stored, %d should be", t.parts, t.promised)
	}
	if t.sends != len(s.messages) {
		s.fault("the ledger has %d messages, %d should be sent", t.sends, len(s.messages))
	}
	s.auditCallbacks(t)
	s.auditBus(ctx, t)
	return nil
}

// auditCallbacks looks for each status whose callback got 200.
func (s *soak) auditCallbacks(t stored) {
	told, refused, wrong := 0, 0, 0
	for _, m := range s.stack.Gateway.Messages() {
		taken := map[string]bool{}
		for _, c := range m.Callbacks {
			taken[c.Status] = taken[c.Status] || c.Answer == http.StatusOK
		}
		for status, ok := range taken {
			if !ok {
				refused++
				continue
			}
			told++
			if t.statuses[m.Wamid+" "+status] != 1 {
				wrong++
			}
		}
	}
	s.say("%d statuses of sent messages got 200: %d are not stored exactly once", told, wrong)
	s.say("  %d were refused: the simulated Gateway uses a new webhook secret at once, before every process knows it", refused)
	if wrong > 0 {
		s.fault("statuses are lost or duplicated")
	}
}

// auditSends compares what the Gateway accepted with the ledger. A message whose outcome the ledger
// calls unknown was not sent, or none of its callbacks was accepted.
func (s *soak) auditSends(ctx context.Context) error {
	waiting, cancel := context.WithTimeout(ctx, receiptLimit)
	defer cancel()
	pause.Until(waiting, 200*time.Millisecond, func() bool { return !s.callbacksAreDue() })
	taken := map[string][]connexease.Message{}
	for _, m := range s.stack.Gateway.Messages() {
		for _, field := range strings.Split(string(m.Body), `"`) {
			if id, _, ours := ledger.ParseOpaque(field); ours {
				taken[id] = append(taken[id], m)
			}
		}
	}
	states := map[string]int{}
	for _, m := range s.messages {
		f, err := s.fold(ctx, m.id)
		if err != nil {
			return err
		}
		left, words := taken[m.id], string(f.State)
		if f.State == ledger.Unknown {
			why, err := s.reason(ctx, m.id)
			if err != nil {
				return err
			}
			if why == "" {
				s.fault("%s is unknown without a reason", m.id)
			}
			words += " for " + why
			if len(left) == 1 {
				words += " and every callback refused"
			}
		}
		states[fmt.Sprintf("%s, sent %d times", words, len(left))]++
		switch {
		case len(left) > 1:
			s.fault("%s was sent %d times", m.id, len(left))
		case len(left) == 1 && f.State == ledger.Unknown && !slices.ContainsFunc(left[0].Callbacks, answered):
		case len(left) == 1 && f.State != ledger.Accepted:
			s.fault("%s was sent and is %s", m.id, f.State)
		case len(left) == 0 && f.State != ledger.Unknown:
			s.fault("%s was not sent and is %s", m.id, f.State)
		}
	}
	s.say("Messages by the ledger's state and how often the Gateway accepted them: %v", states)
	return nil
}

func answered(c connexease.Callback) bool { return c.Answer == http.StatusOK }

// callbacksAreDue reports whether the Gateway still has callbacks to send: each message is called
// back as sent, delivered and read, twice each.
func (s *soak) callbacksAreDue() bool {
	const each = 6
	return slices.ContainsFunc(s.stack.Gateway.Messages(), func(m connexease.Message) bool { return !m.Receipt && len(m.Callbacks) < each })
}
