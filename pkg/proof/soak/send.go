package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/local/pause"
	"connexease-functions/pkg/table"
)

const (
	// mostSends keeps the total of both ways below what the simulated Gateway remembers.
	mostSends = 4500
	// tries is how often a caller repeats at once before it tries again at the end.
	tries = 6
	// sourceSQS is the scope of keys on the queue.
	sourceSQS = "sqs"
	// settleLimit is more than the longest lease.
	settleLimit = 2 * time.Minute
)

func (s *soak) sendInterval() time.Duration { return max(250*time.Millisecond, s.length/mostSends) }

// sent is a message to be sent.
type sent struct {
	n       int
	key, id string
	http    bool
	prefer  string
}

// add records a message by its scope.
func (s *soak) add(scope string) sent {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := sent{n: len(s.messages), http: scope != sourceSQS}
	m.key = fmt.Sprintf("soak-%d", m.n)
	m.id = ledger.ID(scope, m.key)
	if m.http && rand.IntN(10) == 0 {
		m.prefer = "respond-async"
	}
	s.messages = append(s.messages, m)
	return m
}

func message(n int) string {
	return fmt.Sprintf(`{"messaging_product":"whatsapp","to":"1555020%04d","type":"text","text":{"body":"Soak %d"}}`, n%10_000, n)
}

// sendHTTP sends like a caller that repeats until it knows the outcome, and sometimes once more.
func (s *soak) sendHTTP() {
	m := s.add("http/default")
	start := time.Now()
	for range tries {
		status := s.send(m)
		if status == http.StatusOK {
			s.mu.Lock()
			s.sends = append(s.sends, time.Since(start))
			s.mu.Unlock()
		}
		if status == http.StatusOK || status == http.StatusAccepted || status == http.StatusGatewayTimeout {
			break
		}
	}
	if m.n%5 == 0 {
		s.send(m)
	}
}

// send posts a message and returns the status of the response.
func (s *soak) send(m sent) (status int) {
	s.mu.Lock()
	token := s.sender
	s.mu.Unlock()
	for _, one := range []string{token.now, token.other} {
		r := s.client.R().SetHeader("Content-Type", "application/json").SetAuthToken(one).SetHeader("Idempotency-Key", m.key).SetBody(message(m.n))
		if m.prefer != "" {
			r.SetHeader("Prefer", m.prefer)
		}
		response, err := r.Post(s.stack.APIURL + "/v1/wa/message")
		if err != nil {
			s.fault("a send got no response: %v", err)
			return 0
		}
		status = response.StatusCode()
		if status != http.StatusUnauthorized || !s.mayBeEarly(token) {
			break
		}
	}
	if status == http.StatusUnauthorized {
		s.fault("a client key was refused")
	}
	return status
}

func (s *soak) sendQueue() {
	m := s.add(sourceSQS)
	text := fmt.Sprintf(`{"message":%s,"idempotencyKey":%q,"reader":"default"}`, message(m.n), m.key)
	if err := s.stack.Enqueue(context.Background(), "OutboundQueue", []byte(text)); err != nil {
		s.fault("the queue does not accept a message: %v", err)
	}
}

// settle lets the queues drain and the callers repeat until every message has an outcome.
func (s *soak) settle(ctx context.Context) error {
	if err := s.stack.Gateway.SetFaults(nil); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, settleLimit)
	defer cancel()
	open := slices.Clone(s.messages)
	var failed error
	done := pause.Until(ctx, 200*time.Millisecond, func() bool {
		open = slices.DeleteFunc(open, func(m sent) bool {
			f, err := s.fold(ctx, m.id)
			if failed = errors.Join(failed, err); failed != nil {
				return false
			}
			if m.http && (f.State == ledger.Released || f.State == ledger.None) {
				s.send(m) // nothing was sent, so its caller tries again
			}
			return f.State == ledger.Accepted || f.State == ledger.Rejected || f.State == ledger.Unknown
		})
		idle := true
		for _, name := range s.stack.QueueNames {
			s.stack.Queues.EndVisibility(name)
			idle = idle && s.stack.Queues.Idle(name)
		}
		return failed != nil || len(open) == 0 && idle
	})
	if done {
		return failed
	}
	for _, m := range open {
		s.fault("%s has no outcome", m.id)
	}
	for _, name := range s.stack.QueueNames {
		if d := s.stack.Queues.Depth(name); !s.stack.Queues.Idle(name) {
			s.fault("%s is not empty: %+v", name, d)
		}
	}
	return nil
}

// fold returns what the ledger knows of a message.
func (s *soak) fold(ctx context.Context, id string) (ledger.Folded, error) {
	now := time.Now()
	row, _, statuses, err := s.table().LookUp(ctx, id)
	return ledger.Fold(now, row, statuses), err
}

// reason says why it is unknown whether a message was sent; empty if the ledger does not say.
func (s *soak) reason(ctx context.Context, id string) (string, error) {
	row, _, _, err := s.table().LookUp(ctx, id)
	if err != nil || row == nil {
		return "", err
	}
	return string(row.UnknownReason()), nil
}

func (s *soak) table() *table.Table { return table.New(s.stack.DB, s.stack.TableName, 0) }
