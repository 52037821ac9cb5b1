package sqs

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

type message struct {
	id        string
	body      string
	sent      time.Time
	first     time.Time // first receive
	receives  int
	visibleAt time.Time
	inFlight  bool // received and not returned; ends when visibleAt has passed
	received  time.Time
	handled   int    // invocations of a mapping's function that have it
	source    string // source queue of a dead-lettered message
}

// systemAttributes lists the attributes that SQS itself sets (AWS API reference: ReceiveMessage).
// The last ones belong to queues and clients that are not simulated.
var systemAttributes = []string{
	"All", "SenderId", "SentTimestamp", "ApproximateReceiveCount", "ApproximateFirstReceiveTimestamp", "DeadLetterQueueSourceArn",
	"AWSTraceHeader", "SequenceNumber", "MessageDeduplicationId", "MessageGroupId",
}

func (m *message) system() map[string]string {
	all := map[string]string{
		"ApproximateReceiveCount":          strconv.Itoa(m.receives),
		"ApproximateFirstReceiveTimestamp": millis(m.first),
		"SentTimestamp":                    millis(m.sent),
		"SenderId":                         account,
	}
	if m.source != "" {
		all["DeadLetterQueueSourceArn"] = ARN(m.source)
	}
	return all
}

func millis(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }

func (m *message) handle() string { return fmt.Sprintf("%s#%d", m.id, m.receives) }

// queue keeps messages in order of arrival; every method expects the server's lock to be held.
type queue struct {
	QueueConfig
	created  time.Time
	messages []*message
	byID     map[string]*message
}

func (q *queue) add(m *message) {
	q.messages = append(q.messages, m)
	q.byID[m.id] = m
}

func (q *queue) remove(m *message) {
	delete(q.byID, m.id)
	if i := slices.Index(q.messages, m); i >= 0 {
		q.messages = slices.Delete(q.messages, i, i+1)
	}
}

func (q *queue) clear() {
	q.messages, q.byID = nil, map[string]*message{}
}

// expire drops messages older than the retention.
func (q *queue) expire(now time.Time) {
	q.messages = slices.DeleteFunc(q.messages, func(m *message) bool {
		gone := now.Sub(m.sent) >= q.Retention
		if gone {
			delete(q.byID, m.id)
		}
		return gone
	})
}

func (q *queue) depth(now time.Time) Depth {
	q.expire(now)
	var d Depth
	for _, m := range q.messages {
		switch {
		case !m.visibleAt.After(now):
			d.Visible++
		case m.inFlight:
			d.InFlight++
		default:
			d.Delayed++
		}
	}
	return d
}

// find returns the message of a receipt handle. current is false where the message was received
// again since, or was deleted.
func (q *queue) find(handle string) (m *message, current, wellFormed bool) {
	id, count, ok := strings.Cut(handle, "#")
	n, err := strconv.Atoi(count)
	if !ok || err != nil || n < 1 || len(id) != 36 {
		return nil, false, false
	}
	m = q.byID[id]
	return m, m != nil && m.receives == n, true
}

// take receives up to limit messages. A message that was received maxReceiveCount times moves to
// the dead-letter queue instead (AWS: Using dead-letter queues).
func (s *Server) take(q *queue, limit int, visibility time.Duration) []*message {
	now := s.now()
	q.expire(now)
	var got, dead []*message
	for _, m := range q.messages {
		if len(got) == limit {
			break
		}
		if m.visibleAt.After(now) {
			continue
		}
		if q.DeadLetter != "" && m.receives >= q.MaxReceiveCount {
			dead = append(dead, m)
			continue
		}
		m.receives++
		if m.first.IsZero() {
			m.first = now
		}
		m.received, m.visibleAt, m.inFlight = now, now.Add(visibility), true
		got = append(got, m)
	}
	for _, m := range dead {
		q.remove(m)
		m.source, m.inFlight, m.visibleAt = q.Name, false, now
		s.queues[q.DeadLetter].add(m)
	}
	if len(dead) > 0 {
		s.wake()
	}
	return got
}

// receive waits up to wait for at least one message, and calls use with the messages while it holds
// the lock.
func (s *Server) receive(ctx context.Context, q *queue, limit int, visibility, wait time.Duration, use func([]*message)) {
	deadline := time.NewTimer(wait)
	defer deadline.Stop()
	for {
		s.mu.Lock()
		got := s.take(q, limit, visibility)
		changed, next := s.changed, s.next(q)
		if len(got) > 0 || wait <= 0 || ctx.Err() != nil {
			use(got)
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		visible := time.NewTimer(next)
		select {
		case <-changed:
		case <-visible.C:
		case <-deadline.C:
			wait = 0
		case <-ctx.Done():
		}
		visible.Stop()
	}
}

// next returns how long it takes until a message becomes visible by itself; at least a millisecond,
// so that waiters do not spin on a stopped clock.
func (s *Server) next(q *queue) time.Duration {
	now, next := s.now(), maxWait
	for _, m := range q.messages {
		if d := m.visibleAt.Sub(now); d > 0 {
			next = min(next, d)
		}
	}
	return max(next, time.Millisecond)
}

// giveBack undoes a receive, including its count.
func (s *Server) giveBack(messages []*message) {
	now := s.now()
	for _, m := range messages {
		m.receives--
		m.visibleAt, m.inFlight = now, false
		if m.receives == 0 {
			m.first = time.Time{}
		}
	}
	s.wake()
}
